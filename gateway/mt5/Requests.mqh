// From a command to the request that the terminal sends.

#include "Permits.mqh"

#define BUILD_OK 0
#define BUILD_REFUSED 1  // a definite no: `code`
#define BUILD_WAIT 2     // not now: the account or the symbol is not ready

#define QUOTE_WAIT_MS 2000

struct Built
{
    int result;
    uint code;
    bool market;  // its answer is known by its deals
    MqlTradeRequest request;
};

void refuse_build(Built &b, const uint code)
{
    b.result = BUILD_REFUSED;
    b.code = code;
}

/// A quote, or how to go on without one. @param waited_ms since the command came.
bool quote_for(Built &b, const ulong waited_ms, double &bid, double &ask)
{
    if (read_quote(b.request.symbol, bid, ask))
        return true;
    // A symbol that has just been put into the market watch gets its first quote a moment later.
    b.result = BUILD_WAIT;
    if (waited_ms >= QUOTE_WAIT_MS)
        refuse_build(b, TRADE_RETCODE_PRICE_OFF);
    return false;
}

/// Price and deviation of a market order. The price a command brings is a promise: on servers that
/// ignore the deviation it is held here, against the terminal's own quote.
bool set_market_price(Built &b, const Command &command, const int side, const ulong waited_ms)
{
    double bid;
    double ask;
    if (!quote_for(b, waited_ms, bid, ask))
        return false;
    double price = (side == SIDE_BUY) ? ask : bid;
    if (command.price != 0)
    {
        double point = SymbolInfoDouble(b.request.symbol, SYMBOL_POINT);
        double slip = MathAbs(price - from_scaled(command.price));
        if (slip > ((double)command.deviation_points + 0.5) * point)
        {
            refuse_build(b, TRADE_RETCODE_REQUOTE);
            return false;
        }
        price = from_scaled(command.price);
    }
    b.market = true;
    b.request.action = TRADE_ACTION_DEAL;
    b.request.type = (side == SIDE_BUY) ? ORDER_TYPE_BUY : ORDER_TYPE_SELL;
    b.request.price = round_price(b.request.symbol, price);
    b.request.deviation = (ulong)command.deviation_points;
    b.request.type_filling = resolve_filling(b.request);
    return true;
}

void build_open(Built &b, const Command &command, const ulong waited_ms)
{
    uint refusal = entry_refusal(command);
    if (refusal != 0)
    {
        refuse_build(b, refusal);
        return;
    }
    b.request.sl = round_price(command.symbol, from_scaled(command.stop_loss));
    b.request.tp = round_price(command.symbol, from_scaled(command.take_profit));
    b.request.volume = from_scaled(command.volume);
    if (command.price_kind == PRICE_MARKET)
    {
        set_market_price(b, command, command.side, waited_ms);
        return;
    }
    bool buy = command.side == SIDE_BUY;
    bool limit = command.price_kind == PRICE_LIMIT;
    b.request.action = TRADE_ACTION_PENDING;
    if (limit)
        b.request.type = buy ? ORDER_TYPE_BUY_LIMIT : ORDER_TYPE_SELL_LIMIT;
    else
        b.request.type = buy ? ORDER_TYPE_BUY_STOP : ORDER_TYPE_SELL_STOP;
    b.request.price = round_price(command.symbol, from_scaled(command.price));
    b.request.type_filling = ORDER_FILLING_RETURN;
    set_expiration(b.request);
}

/// A position that is not in the list is closed only if the list can be believed, twice, and its
/// deals say so too: a connection may have broken and come back unseen. @param waited_ms since the
/// command came.
bool select_for_change(Built &b, const ulong ticket, const string symbol, const ulong waited_ms)
{
    for (int reading = 0; reading < 2; reading++)
    {
        bool found = (ticket != 0) ? g_account.select_position(ticket)
                                   : g_account.select_position_of(symbol);
        if (found)
            return true;
        if (!g_account.ready())
        {
            b.result = BUILD_WAIT;
            return false;
        }
    }
    long open = (ticket != 0) ? g_account.open_volume(ticket) : 0;
    if (open != 0 && waited_ms < (ulong)g_config.answer_ms)
        b.result = BUILD_WAIT;
    else if (open > 0)
        refuse_build(b, TRADE_RETCODE_CONNECTION);  // not known: the engine looks it up
    else
        refuse_build(b, TRADE_RETCODE_POSITION_CLOSED);
    return false;
}

void build_close(Built &b, const Command &command, const ulong waited_ms)
{
    bool hedging = g_account.is_hedging();
    if (command.position_ticket == 0 && hedging)
    {
        refuse_build(b, TRADE_RETCODE_POSITION_CLOSED);
        return;
    }
    if (!select_for_change(b, command.position_ticket, command.symbol, waited_ms))
        return;
    // The ticket may differ from the identifier (rollover, reversal): read right before its use.
    b.request.position = (ulong)PositionGetInteger(POSITION_TICKET);
    b.request.symbol = PositionGetString(POSITION_SYMBOL);
    // Closes that came the other way round leave in the order that the broker asks for. One whose
    // elders stay open goes in the end: the broker knows its own rule, and says 10045.
    // Half of its life is left for that.
    ulong may_wait_ms = (ulong)g_config.fifo_wait_ms;
    if (command.ttl_ms != 0)
        may_wait_ms = MathMin(may_wait_ms, (ulong)command.ttl_ms / 2);
    if (hedging && waited_ms < may_wait_ms && is_behind_older())
    {
        b.result = BUILD_WAIT;
        return;
    }
    if (!PositionSelectByTicket(b.request.position))
    {
        b.result = BUILD_WAIT;
        return;
    }
    int opposite = (PositionGetInteger(POSITION_TYPE) == POSITION_TYPE_BUY) ? SIDE_SELL : SIDE_BUY;
    bool whole = command.volume == 0;
    b.request.volume = whole ? PositionGetDouble(POSITION_VOLUME) : from_scaled(command.volume);
    // Netting: the command's side is dealt whatever the position has become.
    int side = (hedging || whole) ? opposite : command.side;
    set_market_price(b, command, side, waited_ms);
}

void build_modify(Built &b, const Command &command, const ulong waited_ms)
{
    b.request.sl = from_scaled(command.stop_loss);
    b.request.tp = from_scaled(command.take_profit);
    if (command.position_ticket != 0)
    {
        if (!select_for_change(b, command.position_ticket, "", waited_ms))
            return;
        b.request.action = TRADE_ACTION_SLTP;
        b.request.position = (ulong)PositionGetInteger(POSITION_TICKET);
        b.request.symbol = PositionGetString(POSITION_SYMBOL);
    }
    else
    {
        if (!OrderSelect(command.order_ticket))
        {
            b.result = BUILD_WAIT;
            if (g_account.ready())
                refuse_build(b, TRADE_RETCODE_INVALID);
            return;
        }
        b.request.action = TRADE_ACTION_MODIFY;
        b.request.order = command.order_ticket;
        b.request.symbol = OrderGetString(ORDER_SYMBOL);
        b.request.price = (command.price != 0) ? from_scaled(command.price)
                                               : OrderGetDouble(ORDER_PRICE_OPEN);
        b.request.price = round_price(b.request.symbol, b.request.price);
        b.request.type_time = (ENUM_ORDER_TYPE_TIME)OrderGetInteger(ORDER_TYPE_TIME);
        b.request.expiration = (datetime)OrderGetInteger(ORDER_TIME_EXPIRATION);
    }
    b.request.sl = round_price(b.request.symbol, b.request.sl);
    b.request.tp = round_price(b.request.symbol, b.request.tp);
}

void build_cancel(Built &b, const Command &command)
{
    if (!OrderSelect(command.order_ticket))
    {
        b.result = BUILD_WAIT;
        if (g_account.ready())
            refuse_build(b, TRADE_RETCODE_INVALID);
        return;
    }
    b.request.action = TRADE_ACTION_REMOVE;
    b.request.order = command.order_ticket;
    b.request.symbol = OrderGetString(ORDER_SYMBOL);
}

/// The request for a command. @param waited_ms since it came.
void build_request(const Command &command, const ulong waited_ms, Built &b)
{
    b.result = BUILD_OK;
    b.code = 0;
    b.market = false;
    ZeroMemory(b.request);
    b.request.magic = command.magic;
    b.request.comment = command.comment;
    b.request.symbol = command.symbol;
    if (!g_account.connected())
    {
        b.result = BUILD_WAIT;
        return;
    }
    uint refusal = g_account.refusal();
    if (refusal != 0)
    {
        refuse_build(b, refusal);
        return;
    }
    bool entry = command.type == COMMAND_OPEN;
    if (entry && (!g_account.ready() || !g_journal.has_baseline))
    {
        b.result = BUILD_WAIT;  // also: the symbols may not be loaded yet
        return;
    }
    if (entry && !watch_symbol(command.symbol))
    {
        refuse_build(b, TRADE_RETCODE_INVALID);
        return;
    }
    switch (command.type)
    {
        case COMMAND_OPEN: build_open(b, command, waited_ms); return;
        case COMMAND_CLOSE: build_close(b, command, waited_ms); return;
        case COMMAND_MODIFY: build_modify(b, command, waited_ms); return;
        case COMMAND_CANCEL: build_cancel(b, command); return;
    }
    refuse_build(b, TRADE_RETCODE_INVALID);
}
