// What symbol and account let an entry be, asked of the terminal before the request leaves: the
// server would say the same again and again, and counts each request. Where the terminal does not
// know the symbol yet, or a rule depends on what becomes of a netting position, the server decides.

#include "Events.mqh"

// So long lasts a pending of a symbol that knows no "good till cancelled", if it may.
#define PENDING_DAYS 30

bool is_buy_position() { return PositionGetInteger(POSITION_TYPE) == POSITION_TYPE_BUY; }

/// Open lots of a symbol on one side, whoever opened them, 1e-8 lots.
long open_lots(const string symbol, const int side)
{
    long sum = 0;
    for (int i = 0; i < PositionsTotal(); i++)
        if (PositionGetTicket(i) != 0 && PositionGetString(POSITION_SYMBOL) == symbol &&
            is_buy_position() == (side == SIDE_BUY))
            sum += to_scaled(PositionGetDouble(POSITION_VOLUME));
    return sum;
}

/// The same of pendings. @param count gets how many the account has, of all symbols.
long pending_lots(const string symbol, const int side, long &count)
{
    long sum = 0;
    count = 0;
    for (int i = 0; i < OrdersTotal(); i++)
    {
        if (OrderGetTicket(i) == 0 || !is_pending_type(OrderGetInteger(ORDER_TYPE)))
            continue;
        count++;
        if (OrderGetString(ORDER_SYMBOL) == symbol &&
            side_of_order(OrderGetInteger(ORDER_TYPE)) == side)
            sum += to_scaled(OrderGetDouble(ORDER_VOLUME_CURRENT));
    }
    return sum;
}

/// By SYMBOL_TRADE_MODE. @param against lots of a netting position that the entry makes smaller.
uint mode_refusal(const Command &command, const long against)
{
    long mode = SymbolInfoInteger(command.symbol, SYMBOL_TRADE_MODE);
    if (mode == SYMBOL_TRADE_MODE_DISABLED)
        return TRADE_RETCODE_TRADE_DISABLED;
    if (against > 0)
        return 0;
    if (mode == SYMBOL_TRADE_MODE_CLOSEONLY)
        return TRADE_RETCODE_CLOSE_ONLY;
    if (mode == SYMBOL_TRADE_MODE_LONGONLY && command.side == SIDE_SELL)
        return TRADE_RETCODE_LONG_ONLY;
    if (mode == SYMBOL_TRADE_MODE_SHORTONLY && command.side == SIDE_BUY)
        return TRADE_RETCODE_SHORT_ONLY;
    return 0;
}

/// By SYMBOL_ORDER_MODE: kinds of order, and whether they may bring stops.
bool is_kind_allowed(const Command &command)
{
    long kinds = SymbolInfoInteger(command.symbol, SYMBOL_ORDER_MODE);
    long wanted = SYMBOL_ORDER_MARKET;
    if (command.price_kind == PRICE_LIMIT)
        wanted = SYMBOL_ORDER_LIMIT;
    if (command.price_kind == PRICE_STOP)
        wanted = SYMBOL_ORDER_STOP;
    if (command.stop_loss != 0)
        wanted |= SYMBOL_ORDER_SL;
    if (command.take_profit != 0)
        wanted |= SYMBOL_ORDER_TP;
    return kinds == 0 || (kinds & wanted) == wanted;
}

/// Why the broker would refuse this entry whatever its price, as a return code; 0 = it would not.
uint entry_refusal(const Command &command)
{
    if (SymbolInfoDouble(command.symbol, SYMBOL_TRADE_CONTRACT_SIZE) <= 0)
        return 0;  // the terminal has not got it yet: its zeros mean nothing
    int other_side = (command.side == SIDE_BUY) ? SIDE_SELL : SIDE_BUY;
    long against = g_account.is_hedging() ? 0 : open_lots(command.symbol, other_side);
    uint refusal = mode_refusal(command, against);
    if (refusal != 0)
        return refusal;
    if (!is_kind_allowed(command))
        return TRADE_RETCODE_INVALID_ORDER;
    long pendings = 0;
    long waiting = pending_lots(command.symbol, command.side, pendings);
    long pendings_max = AccountInfoInteger(ACCOUNT_LIMIT_ORDERS);
    if (command.price_kind != PRICE_MARKET && pendings_max > 0 && pendings >= pendings_max)
        return TRADE_RETCODE_LIMIT_ORDERS;
    long lots_max = to_scaled(SymbolInfoDouble(command.symbol, SYMBOL_VOLUME_LIMIT));
    long held = open_lots(command.symbol, command.side) + waiting - against;
    if (lots_max > 0 && held + command.volume > lots_max)
        return TRADE_RETCODE_LIMIT_VOLUME;
    return 0;
}

/// A pending stays until it is cancelled. Where its symbol does not know that, it stays for as long
/// as the symbol lets it: its end is told as any other.
void set_expiration(MqlTradeRequest &request)
{
    long modes = SymbolInfoInteger(request.symbol, SYMBOL_EXPIRATION_MODE);
    request.type_time = ORDER_TIME_GTC;
    if (modes == 0 || (modes & SYMBOL_EXPIRATION_GTC) != 0)
        return;
    request.type_time = ORDER_TIME_DAY;
    if ((modes & SYMBOL_EXPIRATION_SPECIFIED) != 0)
        request.type_time = ORDER_TIME_SPECIFIED;
    else if ((modes & SYMBOL_EXPIRATION_SPECIFIED_DAY) != 0)
        request.type_time = ORDER_TIME_SPECIFIED_DAY;
    if (request.type_time != ORDER_TIME_DAY)
        request.expiration = (datetime)((long)TimeTradeServer() + PENDING_DAYS * DAY_S);
}

/// Was a position opened before another one? Tickets decide within a millisecond.
bool is_older(const long time_msc, const ulong ticket, const long than_msc, const ulong than)
{
    return time_msc < than_msc || (time_msc == than_msc && ticket < than);
}

/// On an account that closes in the order of opening: does an older position of its symbol stand
/// before the one just selected? Selects others.
bool is_behind_older()
{
    if (AccountInfoInteger(ACCOUNT_FIFO_CLOSE) == 0)
        return false;
    string symbol = PositionGetString(POSITION_SYMBOL);
    ulong ticket = (ulong)PositionGetInteger(POSITION_TICKET);
    long time_msc = PositionGetInteger(POSITION_TIME_MSC);
    for (int i = 0; i < PositionsTotal(); i++)
    {
        ulong other = PositionGetTicket(i);
        if (other != 0 && other != ticket && PositionGetString(POSITION_SYMBOL) == symbol &&
            is_older(PositionGetInteger(POSITION_TIME_MSC), other, time_msc, ticket))
            return true;
    }
    return false;
}
