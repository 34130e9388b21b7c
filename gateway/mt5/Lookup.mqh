// Looking a magic number up in the account: active orders first, then history, because an order
// moves from the one to the other and read this way round it cannot slip through between the two.

#include "Account.mqh"

#define ORDER_NOT_SEEN -1

/// One deal of the order looked up. The deal has been selected by its ticket.
void add_deal(Found &f, const ulong ticket)
{
    long volume = to_scaled(HistoryDealGetDouble(ticket, DEAL_VOLUME));
    double sum = f.price * (double)f.volume;
    sum += HistoryDealGetDouble(ticket, DEAL_PRICE) * (double)volume;
    f.volume += volume;
    if (f.volume > 0)
        f.price = sum / (double)f.volume;
    f.deal = ticket;
    f.order = (ulong)HistoryDealGetInteger(ticket, DEAL_ORDER);
    f.position = (ulong)HistoryDealGetInteger(ticket, DEAL_POSITION_ID);
    f.opens = HistoryDealGetInteger(ticket, DEAL_ENTRY) != DEAL_ENTRY_OUT;
    f.side = side_of_deal(HistoryDealGetInteger(ticket, DEAL_TYPE));
    f.time_msc = HistoryDealGetInteger(ticket, DEAL_TIME_MSC);
    f.symbol = HistoryDealGetString(ticket, DEAL_SYMBOL);
    int n = ArraySize(f.deals);
    ArrayResize(f.deals, n + 1);
    f.deals[n] = ticket;
}

/// How it stands, from the order's state (ORDER_NOT_SEEN: only deals, or nothing) and its deals.
/// @param executed what the order itself says was done, 1e-8 lots.
void settle_found(Found &f, const bool active, const long state, const long executed)
{
    if (state == ORDER_NOT_SEEN)
    {
        // The history of orders may come later than that of deals.
        f.stage = (f.volume == 0) ? FOUND_NOTHING : FOUND_FLYING;
        if (f.volume > 0 && f.requested > 0 && f.volume >= f.requested)
        {
            f.stage = FOUND_SETTLED;
            f.status = STATUS_FILLED;
        }
        return;
    }
    f.stage = FOUND_FLYING;
    bool working = state == ORDER_STATE_PLACED || state == ORDER_STATE_PARTIAL;
    if (active && f.pending && working)
    {
        f.stage = FOUND_SETTLED;
        f.status = (f.volume > 0) ? STATUS_PARTIAL : STATUS_NEW;
    }
    if (active)
        return;
    if (f.volume < executed || (state == ORDER_STATE_FILLED && f.volume == 0))
        return;  // the order is over, its deals are not all there yet
    f.stage = FOUND_SETTLED;
    if (f.volume > 0)
        f.status = (f.volume >= f.requested) ? STATUS_FILLED : STATUS_CANCELED;
    else if (state == ORDER_STATE_REJECTED)
        f.status = STATUS_REJECTED;
    else
        f.status = (state == ORDER_STATE_EXPIRED) ? STATUS_EXPIRED : STATUS_CANCELED;
}

bool is_own_reason(const long reason)
{
    bool by_server = reason == ORDER_REASON_SL || reason == ORDER_REASON_TP ||
                     reason == ORDER_REASON_SO;
    bool by_hand = reason == ORDER_REASON_CLIENT || reason == ORDER_REASON_MOBILE ||
                   reason == ORDER_REASON_WEB;
    return !by_server && !by_hand;  // those come under the position's magic
}

/// Which of several orders of one magic tells what became of it: one with deals, else one that was
/// filled, else the last. A refused one may stand before it (10030 and another filling mode).
int rank_of(const ulong order, const long state)
{
    for (int i = 0; i < HistoryDealsTotal(); i++)
        if ((ulong)HistoryDealGetInteger(HistoryDealGetTicket(i), DEAL_ORDER) == order)
            return 3;
    return (state == ORDER_STATE_FILLED || state == ORDER_STATE_PARTIAL) ? 2 : 1;
}

bool Account::look_up(const ulong magic, const long since_s, const long expected, Found &f)
{
    clear_found(f);
    f.requested = expected;
    long state = ORDER_NOT_SEEN;
    long executed = 0;
    bool active = false;
    for (int i = 0; i < OrdersTotal(); i++)
    {
        ulong ticket = OrderGetTicket(i);  // selects it
        if (ticket == 0)
            return false;  // the list changed under us
        if ((ulong)OrderGetInteger(ORDER_MAGIC) != magic)
            continue;
        active = true;
        f.order = ticket;
        state = OrderGetInteger(ORDER_STATE);
        f.pending = is_pending_type(OrderGetInteger(ORDER_TYPE));
        f.side = side_of_order(OrderGetInteger(ORDER_TYPE));
        f.requested = to_scaled(OrderGetDouble(ORDER_VOLUME_INITIAL));
        f.price = OrderGetDouble(ORDER_PRICE_OPEN);
        f.time_msc = OrderGetInteger(ORDER_TIME_SETUP_MSC);
        f.symbol = OrderGetString(ORDER_SYMBOL);
        break;
    }
    long from = (since_s > 0) ? since_s - DAY_S : (long)TimeTradeServer() - LOOK_BACK_S;
    if (!connected_ || !HistorySelect((datetime)MathMax(0, from), TimeTradeServer() + DAY_S))
        return false;
    int best = 0;
    for (int i = 0; i < HistoryOrdersTotal(); i++)
    {
        ulong ticket = HistoryOrderGetTicket(i);
        if (ticket == 0)
            return false;
        if ((ulong)HistoryOrderGetInteger(ticket, ORDER_MAGIC) != magic ||
            !is_own_reason(HistoryOrderGetInteger(ticket, ORDER_REASON)))
            continue;
        int rank = rank_of(ticket, HistoryOrderGetInteger(ticket, ORDER_STATE));
        bool another_works = active && ticket != f.order && rank == 1;
        if (another_works || rank < best)
            continue;
        best = rank;
        active = false;
        f.order = ticket;
        state = HistoryOrderGetInteger(ticket, ORDER_STATE);
        f.pending = is_pending_type(HistoryOrderGetInteger(ticket, ORDER_TYPE));
        f.side = side_of_order(HistoryOrderGetInteger(ticket, ORDER_TYPE));
        double initial = HistoryOrderGetDouble(ticket, ORDER_VOLUME_INITIAL);
        f.requested = to_scaled(initial);
        executed = to_scaled(initial - HistoryOrderGetDouble(ticket, ORDER_VOLUME_CURRENT));
        f.price = HistoryOrderGetDouble(ticket, ORDER_PRICE_OPEN);
        f.time_msc = HistoryOrderGetInteger(ticket, ORDER_TIME_SETUP_MSC);
        f.symbol = HistoryOrderGetString(ticket, ORDER_SYMBOL);
    }
    ulong order = f.order;
    for (int i = 0; i < HistoryDealsTotal(); i++)
    {
        ulong ticket = HistoryDealGetTicket(i);
        if (ticket == 0)
            return false;
        if ((ulong)HistoryDealGetInteger(ticket, DEAL_MAGIC) != magic ||
            !is_trade(HistoryDealGetInteger(ticket, DEAL_TYPE)) ||
            is_server_deal(HistoryDealGetInteger(ticket, DEAL_REASON)))
            continue;
        if (order == 0 || (ulong)HistoryDealGetInteger(ticket, DEAL_ORDER) == order)
            add_deal(f, ticket);
    }
    settle_found(f, active, state, executed);
    if (f.stage == FOUND_SETTLED && !name_position(magic, f))
        f.stage = FOUND_FLYING;
    return true;
}

bool Account::name_position(const ulong magic, Found &f)
{
    if (f.position != 0 || f.volume == 0 || !f.opens || !is_hedging())
        return true;
    for (int i = 0; i < PositionsTotal(); i++)
    {
        if (PositionGetTicket(i) == 0 || (ulong)PositionGetInteger(POSITION_MAGIC) != magic)
            continue;
        f.position = (ulong)PositionGetInteger(POSITION_IDENTIFIER);
        return true;
    }
    return (long)TimeTradeServer() * 1000 - f.time_msc >= TECHNICAL_S * 1000;  // it is gone
}

long Account::open_volume(const ulong position_id)
{
    if (!HistorySelectByPosition((long)position_id))
        return -1;
    long opened = 0;
    long closed = 0;
    long rolling = 0;  // closed by the server, and not opened again yet
    long young_msc = (long)(TimeTradeServer() - TECHNICAL_S) * 1000;
    for (int i = 0; i < HistoryDealsTotal(); i++)
    {
        ulong ticket = HistoryDealGetTicket(i);
        if (ticket == 0)
            return -1;
        if (!is_trade(HistoryDealGetInteger(ticket, DEAL_TYPE)))
            continue;
        long volume = to_scaled(HistoryDealGetDouble(ticket, DEAL_VOLUME));
        long entry = HistoryDealGetInteger(ticket, DEAL_ENTRY);
        if (is_technical(HistoryDealGetInteger(ticket, DEAL_REASON)))
        {
            if (entry == DEAL_ENTRY_IN)
                rolling = 0;
            else if (HistoryDealGetInteger(ticket, DEAL_TIME_MSC) >= young_msc)
                rolling += volume;
        }
        if (entry == DEAL_ENTRY_INOUT)
            return -1;  // reversed: its volumes do not tell
        if (entry == DEAL_ENTRY_IN)
            opened += volume;
        else
            closed += volume;
    }
    if (opened == 0)
        return -1;
    closed -= rolling;
    return (opened > closed) ? opened - closed : 0;
}

bool Account::net_of_deals(const ulong position_id, long &net, long &ours)
{
    net = 0;
    ours = 0;
    if (!HistorySelectByPosition((long)position_id))
        return false;
    for (int i = 0; i < HistoryDealsTotal(); i++)
    {
        ulong ticket = HistoryDealGetTicket(i);
        if (ticket == 0)
            return false;
        long type = HistoryDealGetInteger(ticket, DEAL_TYPE);
        if (!is_trade(type))
            continue;
        long volume = to_scaled(HistoryDealGetDouble(ticket, DEAL_VOLUME));
        long signed_volume = (side_of_deal(type) == SIDE_BUY) ? volume : -volume;
        ulong magic = (ulong)HistoryDealGetInteger(ticket, DEAL_MAGIC);
        net += signed_volume;
        if (magic == KILL_MAGIC || is_ours(magic))
            ours += signed_volume;
    }
    return true;
}

bool Account::deals_explain(const ulong position_id, const long volume)
{
    long net = 0;
    long ours = 0;
    if (!net_of_deals(position_id, net, ours) || (net != volume && net != -volume))
        return false;
    for (int i = 0; i < HistoryDealsTotal(); i++)
    {
        ulong ticket = HistoryDealGetTicket(i);
        long age_s = (long)TimeTradeServer() - HistoryDealGetInteger(ticket, DEAL_TIME_MSC) / 1000;
        if (is_reshaping(HistoryDealGetInteger(ticket, DEAL_REASON)) && age_s < DAY_S)
            return false;
    }
    return true;
}

ulong Account::own_of(const ulong position_id)
{
    if (!HistorySelectByPosition((long)position_id))
        return 0;
    for (int i = 0; i < HistoryDealsTotal(); i++)
    {
        ulong ticket = HistoryDealGetTicket(i);
        if (ticket != 0 && is_ours((ulong)HistoryDealGetInteger(ticket, DEAL_MAGIC)))
            return (ulong)HistoryDealGetInteger(ticket, DEAL_MAGIC);
    }
    return 0;
}

ulong Account::opener_of(const ulong position_id)
{
    if (!HistorySelectByPosition((long)position_id))
        return 0;
    for (int i = 0; i < HistoryDealsTotal(); i++)
    {
        ulong ticket = HistoryDealGetTicket(i);
        if (ticket != 0 && is_trade(HistoryDealGetInteger(ticket, DEAL_TYPE)))
            return (ulong)HistoryDealGetInteger(ticket, DEAL_MAGIC);
    }
    return 0;
}

void Account::look_up_ticket(const ulong magic, const ulong order, const ulong deal, Found &f)
{
    if (order == 0 && deal == 0)
        return;
    if (deal != 0 && f.volume == 0 && HistoryDealSelect(deal) &&
        is_trade(HistoryDealGetInteger(deal, DEAL_TYPE)))
        add_deal(f, deal);
    if (order == 0 || !HistoryOrderSelect(order))
    {
        if (f.stage == FOUND_NOTHING && f.volume > 0)
            f.stage = FOUND_FLYING;
        return;
    }
    double initial = HistoryOrderGetDouble(order, ORDER_VOLUME_INITIAL);
    f.order = order;
    f.pending = is_pending_type(HistoryOrderGetInteger(order, ORDER_TYPE));
    f.requested = to_scaled(initial);
    f.symbol = HistoryOrderGetString(order, ORDER_SYMBOL);
    settle_found(f, false, HistoryOrderGetInteger(order, ORDER_STATE),
                 to_scaled(initial - HistoryOrderGetDouble(order, ORDER_VOLUME_CURRENT)));
    if (f.stage == FOUND_SETTLED && !name_position(magic, f))
        f.stage = FOUND_FLYING;
}

/// All deals of an order in the history selected. @param untold those that nobody has been told of.
/// @return false if a list could not be read.
bool add_deals_of(const ulong order, Found &f, ulong &untold[])
{
    for (int i = 0; i < HistoryDealsTotal(); i++)
    {
        ulong ticket = HistoryDealGetTicket(i);
        if (ticket == 0)
            return false;
        if ((ulong)HistoryDealGetInteger(ticket, DEAL_ORDER) != order ||
            !is_trade(HistoryDealGetInteger(ticket, DEAL_TYPE)))
            continue;
        add_deal(f, ticket);
        if (g_journal.deals.contains(ticket))
            continue;
        int n = ArraySize(untold);
        ArrayResize(untold, n + 1);
        untold[n] = ticket;
    }
    return true;
}

bool Account::look_up_untold(const ulong magic, const ulong order, const ulong position,
                             long &dealt, Found &f)
{
    ulong untold[];
    ArrayResize(untold, 0);
    if (position != 0 && (!HistorySelectByPosition((long)position) ||
                          !add_deals_of(order, f, untold)))
        return false;
    // A gateway may name the position late: by time, as the scan found the deal.
    datetime from = (datetime)MathMax(0, g_journal.scanned_s - DAY_S);
    if (f.volume == 0 && (!HistorySelect(from, TimeTradeServer() + DAY_S) ||
                          !add_deals_of(order, f, untold)))
        return false;
    dealt = f.volume;
    look_up_ticket(magic, order, 0, f);  // by all of them: is it over?
    f.volume = 0;
    f.price = 0;
    ArrayResize(f.deals, 0);
    for (int i = 0; i < ArraySize(untold); i++)
        if (HistoryDealSelect(untold[i]))
            add_deal(f, untold[i]);
    if (!name_position(magic, f))
        f.stage = FOUND_FLYING;
    return ArraySize(f.deals) == ArraySize(untold);
}

bool Account::highest_intent(ulong &intent)
{
    intent = 0;
    for (int i = 0; i < PositionsTotal(); i++)
    {
        if (PositionGetTicket(i) == 0)
            return false;
        intent = MathMax(intent, own_intent((ulong)PositionGetInteger(POSITION_MAGIC)));
    }
    for (int i = 0; i < OrdersTotal(); i++)
    {
        if (OrderGetTicket(i) == 0)
            return false;
        intent = MathMax(intent, own_intent((ulong)OrderGetInteger(ORDER_MAGIC)));
    }
    if (!HistorySelect(0, TimeTradeServer() + DAY_S))
        return false;
    for (int i = 0; i < HistoryDealsTotal(); i++)
    {
        ulong ticket = HistoryDealGetTicket(i);
        if (ticket == 0)
            return false;
        intent = MathMax(intent, own_intent((ulong)HistoryDealGetInteger(ticket, DEAL_MAGIC)));
    }
    for (int i = 0; i < HistoryOrdersTotal(); i++)
    {
        ulong ticket = HistoryOrderGetTicket(i);
        if (ticket == 0)
            return false;
        intent = MathMax(intent, own_intent((ulong)HistoryOrderGetInteger(ticket, ORDER_MAGIC)));
    }
    return true;
}
