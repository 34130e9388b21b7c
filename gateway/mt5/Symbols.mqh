// Symbols as the broker describes them: whether there is a quote, how prices are rounded, and which
// filling mode an order needs (flags and modes are different numbers).

#include "Lookup.mqh"

#define FILLING_TRIES_MAX 3

/// Fills in what is true of the symbol now. @return false if there is no valid quote: both prices
/// above 0, and read while connected.
bool read_quote(const string symbol, double &bid, double &ask)
{
    bid = 0;
    ask = 0;
    MqlTick tick;
    if (!g_account.connected() || !SymbolInfoTick(symbol, tick) || tick.bid <= 0 || tick.ask <= 0)
        return false;
    bid = tick.bid;
    ask = tick.ask;
    return true;
}

/// Puts the symbol into the market watch; quotes of others do not arrive. @return false if the
/// broker has none of that name, or frames have no room for it.
bool watch_symbol(const string symbol)
{
    if (StringLen(symbol) > TEXT_BYTES)
        return false;
    if (SymbolInfoInteger(symbol, SYMBOL_SELECT) != 0)
        return true;
    return SymbolSelect(symbol, true);
}

/// The nearest price that the symbol can have: its tick may be more than a point.
double round_price(const string symbol, const double price)
{
    double tick = SymbolInfoDouble(symbol, SYMBOL_TRADE_TICK_SIZE);
    double rounded = (tick > 0) ? MathRound(price / tick) * tick : price;
    return NormalizeDouble(rounded, (int)SymbolInfoInteger(symbol, SYMBOL_DIGITS));
}

/// The same of a price as frames have it.
long round_scaled(const string symbol, const long price)
{
    return to_scaled(round_price(symbol, from_scaled(price)));
}

/// Which modes a market order may try, best first. @return how many.
int filling_modes(const string symbol, ENUM_ORDER_TYPE_FILLING &modes[])
{
    ArrayResize(modes, 0);
    long flags = SymbolInfoInteger(symbol, SYMBOL_FILLING_MODE);
    long execution = SymbolInfoInteger(symbol, SYMBOL_TRADE_EXEMODE);
    if (execution == SYMBOL_TRADE_EXECUTION_INSTANT || execution == SYMBOL_TRADE_EXECUTION_REQUEST)
    {
        ArrayResize(modes, 1);
        modes[0] = ORDER_FILLING_FOK;
        return 1;
    }
    // IOC first: a part is better than nothing, and what is left is cancelled.
    int n = 0;
    ArrayResize(modes, FILLING_TRIES_MAX);
    if ((flags & SYMBOL_FILLING_IOC) != 0)
        modes[n++] = ORDER_FILLING_IOC;
    if ((flags & SYMBOL_FILLING_FOK) != 0)
        modes[n++] = ORDER_FILLING_FOK;
    if (execution == SYMBOL_TRADE_EXECUTION_EXCHANGE || n == 0)
        modes[n++] = ORDER_FILLING_RETURN;
    ArrayResize(modes, n);
    return n;
}

// What the broker refused with 10030, so that it is not tried again.
string g_refused_symbols[];
ENUM_ORDER_TYPE_FILLING g_refused_modes[];

bool is_filling_refused(const string symbol, const ENUM_ORDER_TYPE_FILLING mode)
{
    for (int i = 0; i < ArraySize(g_refused_symbols); i++)
        if (g_refused_symbols[i] == symbol && g_refused_modes[i] == mode)
            return true;
    return false;
}

void refuse_filling(const string symbol, const ENUM_ORDER_TYPE_FILLING mode)
{
    if (is_filling_refused(symbol, mode))
        return;
    int n = ArraySize(g_refused_symbols);
    ArrayResize(g_refused_symbols, n + 1);
    ArrayResize(g_refused_modes, n + 1);
    g_refused_symbols[n] = symbol;
    g_refused_modes[n] = mode;
}

/// The mode for a market request: the first that the broker's own check does not refuse.
ENUM_ORDER_TYPE_FILLING resolve_filling(const MqlTradeRequest &request)
{
    ENUM_ORDER_TYPE_FILLING modes[];
    int n = filling_modes(request.symbol, modes);
    for (int i = 0; i < n; i++)
    {
        if (is_filling_refused(request.symbol, modes[i]))
            continue;
        MqlTradeRequest probe = request;
        MqlTradeCheckResult check;
        ZeroMemory(check);
        probe.type_filling = modes[i];
        if (OrderCheck(probe, check) || check.retcode != TRADE_RETCODE_INVALID_FILL)
            return modes[i];
        refuse_filling(request.symbol, modes[i]);
    }
    return modes[n - 1];
}
