// Goes through the account's history for what happened without a command of ours: pendings filled
// or taken away, SL, TP, stop-out, closes by hand, trades of others. The lists are the truth; an
// event of the terminal only says "look now". Each deal and each pending's end is told once.

#include "StopWatch.mqh"

#define SCAN_EVERY_MS 1000
#define SCAN_HINTED_MS 20
#define MARK_EVERY_S 60

/// A deal as the scan reads it, before anything else selects another part of the history.
struct Deal
{
    ulong ticket;
    ulong order;
    ulong position;
    ulong magic;
    long type;
    long entry;
    long reason;
    long time_msc;
    double volume;
    double price;
    string symbol;
};

class Scanner
{
private:
    ulong scanned_ms_;
    bool hinted_;

    bool set_baseline();
    bool collect_deals(Deal &found[]);
    bool collect_ends(ulong &tickets[]);
    void tell_technical(const Deal &deals[]);
    void tell_deal(const Deal &deal);
    bool tell_own(const Deal &deal);
    void tell_exec(const Deal &deal, const int kind, const ulong magic, const int status);
    void tell_exec(const Deal &deal, const int kind, const ulong magic, const int status,
                   const ulong &others[]);
    ulong owner_of(const ulong position);
    void tell_end(const ulong ticket);

public:
    Scanner() { reset(); }
    void reset()
    {
        scanned_ms_ = 0;
        hinted_ = false;
    }
    void hint() { hinted_ = true; }
    bool hinted() { return hinted_; }
    void update();
};

/// Deals and orders that are older than the journal are another's to tell. @return false if the
/// history could not be read.
bool Scanner::set_baseline()
{
    if (g_journal.has_baseline)
        return true;
    if (!HistorySelect(0, TimeTradeServer() + DAY_S))
        return false;
    ulong deal = 0;
    ulong order = 0;
    for (int i = 0; i < HistoryDealsTotal(); i++)
        deal = MathMax(deal, HistoryDealGetTicket(i));
    for (int i = 0; i < HistoryOrdersTotal(); i++)
        order = MathMax(order, HistoryOrderGetTicket(i));
    g_journal.remember_baseline(deal, order, (long)TimeTradeServer());
    // An account that shows nothing proves nothing: its history may not be there yet. A new journal
    // vouches from the first new entry on (Session::raise_floor).
    if (g_journal.intact == INTACT_FRESH)
        g_journal.remember_intact(INTACT_NO, g_journal.floor_intent);
    return true;
}

/// Copies what has not been told. @return false if the list could not be read as a whole.
bool Scanner::collect_deals(Deal &found[])
{
    ArrayResize(found, 0);
    datetime from = (datetime)MathMax(0, g_journal.scanned_s - DAY_S);
    if (!HistorySelect(from, TimeTradeServer() + DAY_S))
        return false;
    for (int i = 0; i < HistoryDealsTotal(); i++)
    {
        ulong ticket = HistoryDealGetTicket(i);
        if (ticket == 0)
            return false;
        if (g_journal.deals.contains(ticket))
            continue;
        int n = ArraySize(found);
        ArrayResize(found, n + 1, 64);
        found[n].ticket = ticket;
        found[n].order = (ulong)HistoryDealGetInteger(ticket, DEAL_ORDER);
        found[n].position = (ulong)HistoryDealGetInteger(ticket, DEAL_POSITION_ID);
        found[n].magic = (ulong)HistoryDealGetInteger(ticket, DEAL_MAGIC);
        found[n].type = HistoryDealGetInteger(ticket, DEAL_TYPE);
        found[n].entry = HistoryDealGetInteger(ticket, DEAL_ENTRY);
        found[n].reason = HistoryDealGetInteger(ticket, DEAL_REASON);
        found[n].time_msc = HistoryDealGetInteger(ticket, DEAL_TIME_MSC);
        found[n].volume = HistoryDealGetDouble(ticket, DEAL_VOLUME);
        found[n].price = HistoryDealGetDouble(ticket, DEAL_PRICE);
        found[n].symbol = HistoryDealGetString(ticket, DEAL_SYMBOL);
    }
    return true;
}

/// Pendings of ours that are over without having been filled whole, in the history just selected.
bool Scanner::collect_ends(ulong &tickets[])
{
    ArrayResize(tickets, 0);
    for (int i = 0; i < HistoryOrdersTotal(); i++)
    {
        ulong ticket = HistoryOrderGetTicket(i);
        if (ticket == 0)
            return false;
        long state = HistoryOrderGetInteger(ticket, ORDER_STATE);
        bool over = state == ORDER_STATE_CANCELED || state == ORDER_STATE_EXPIRED ||
                    state == ORDER_STATE_REJECTED;
        if (!over || !is_pending_type(HistoryOrderGetInteger(ticket, ORDER_TYPE)) ||
            !g_account.is_ours((ulong)HistoryOrderGetInteger(ticket, ORDER_MAGIC)) ||
            g_journal.orders.contains(ticket))
            continue;
        int n = ArraySize(tickets);
        ArrayResize(tickets, n + 1, 64);
        tickets[n] = ticket;
    }
    return true;
}

void Scanner::tell_exec(const Deal &deal, const int kind, const ulong magic, const int status)
{
    ulong none[];
    tell_exec(deal, kind, magic, status, none);
}

/// @param others deals that are told with it.
void Scanner::tell_exec(const Deal &deal, const int kind, const ulong magic, const int status,
                        const ulong &others[])
{
    Event e;
    clear_event(e);
    e.type = EVENT_EXEC;
    e.exec_kind = kind;
    e.ord_status = status;
    e.side = side_of_deal(deal.type);
    e.magic = magic;
    e.retcode = TRADE_RETCODE_DONE;
    e.order_ticket = deal.order;
    e.deal_ticket = deal.ticket;
    e.position_id = deal.position;
    e.volume = to_scaled(deal.volume);
    e.requested = e.volume;
    e.price = to_scaled(deal.price);
    e.symbol = deal.symbol;
    e.broker_time_ns = utc_ns(deal.time_msc);
    add_quote(e);
    g_journal.add_event(e, 0, others);
}

/// A deal under a magic of ours. @return false if it must be looked at again later.
bool Scanner::tell_own(const Deal &deal)
{
    bool of_pending = false;
    if (HistoryOrderSelect(deal.order))
        of_pending = is_pending_type(HistoryOrderGetInteger(deal.order, ORDER_TYPE));
    else if (OrderSelect(deal.order))
        of_pending = is_pending_type(OrderGetInteger(ORDER_TYPE));
    else
        return false;  // the history of orders comes later
    int known = g_journal.find(deal.magic);
    if (known >= 0 && g_journal.state_at(known) != INTENT_ANSWERED)
        return false;  // its answer tells it
    if (of_pending)
    {
        Found named;
        clear_found(named);
        named.opens = deal.entry != DEAL_ENTRY_OUT;
        named.volume = to_scaled(deal.volume);
        named.position = deal.position;
        named.time_msc = deal.time_msc;
        if (!g_account.name_position(deal.magic, named))
            return false;
        Deal fill = deal;
        fill.position = named.position;
        bool working = OrderSelect(deal.order);
        tell_exec(fill, EXEC_PENDING_FILLED, deal.magic, working ? STATUS_PARTIAL : STATUS_FILLED);
        g_stops.on_fill(deal.magic, deal.order, fill.position);
        return true;
    }
    if (known < 0)
    {
        g_journal.remember_deal(deal.ticket);  // of a lost journal: the engine looks it up
        return true;
    }
    // Executed after all, although the answer did not say so; or once more. By its own order, and
    // only what has not been told: there may be two orders of one magic.
    Intent intent;
    Found f;
    clear_found(f);
    g_journal.intent_at(known, intent);
    long dealt = 0;
    if (!g_account.look_up_untold(deal.magic, deal.order, deal.position, dealt, f) ||
        f.stage != FOUND_SETTLED)
        return false;
    // A death may have kept an answer and lost the list of its deals: they are in what it told.
    if (intent.answer.order_ticket == deal.order && intent.answer.volume >= dealt)
    {
        g_journal.remember_deals(f.deals);
        return true;
    }
    answer_found(intent.command, f);
    if (f.position != 0)
        g_stops.on_fill(deal.magic, deal.order, f.position);
    return true;
}

/// Our magic that opened a position, else our first in it: on netting accounts a hand may have
/// begun it. 0 = none of ours, or not there yet.
ulong Scanner::owner_of(const ulong position)
{
    ulong opener = g_account.opener_of(position);
    return g_account.is_ours(opener) ? opener : g_account.own_of(position);
}

/// A rollover closes a position and opens it again, under the same identifier: for us nothing has
/// happened. What the lots have become more or less by is told, once both halves are there or the
/// second has stayed away.
void Scanner::tell_technical(const Deal &deals[])
{
    for (int i = 0; i < ArraySize(deals); i++)
    {
        if (!is_technical(deals[i].reason) || !is_trade(deals[i].type) ||
            g_journal.deals.contains(deals[i].ticket))
            continue;
        ulong owner = owner_of(deals[i].position);
        if (owner == 0)
            continue;
        long more = 0;  // of the position, 1e-8 lots
        int last = i;
        for (int j = i; j < ArraySize(deals); j++)
        {
            if (deals[j].position != deals[i].position || !is_technical(deals[j].reason) ||
                !is_trade(deals[j].type))
                continue;
            g_stop_watch.on_technical(deals[j].position, deals[j].ticket,
                                      is_reshaping(deals[j].reason));
            long volume = to_scaled(deals[j].volume);
            more += (deals[j].entry == DEAL_ENTRY_IN) ? volume : -volume;
            last = j;
        }
        long waited_ms = (long)TimeTradeServer() * 1000 - deals[last].time_msc;
        if (more != 0 && waited_ms < TECHNICAL_S * 1000)
            continue;
        ulong with_it[];
        ArrayResize(with_it, 0);
        int n = 0;
        for (int j = i; j < ArraySize(deals); j++)
        {
            if ((j == last && more != 0) || deals[j].position != deals[i].position ||
                !is_technical(deals[j].reason) || !is_trade(deals[j].type))
                continue;
            ArrayResize(with_it, n + 1, 16);
            with_it[n++] = deals[j].ticket;
        }
        if (more == 0)
        {
            g_journal.remember_deals(with_it);
            continue;
        }
        Deal change = deals[last];
        change.volume = from_scaled((more > 0) ? more : -more);
        // Fewer lots are a deal against the position, whichever half came last.
        if ((change.entry == DEAL_ENTRY_IN) != (more > 0))
            change.type = (change.type == DEAL_TYPE_BUY) ? DEAL_TYPE_SELL : DEAL_TYPE_BUY;
        // What part of a hand's position is ours by now nobody says: a human has to look.
        bool opened = owner == g_account.opener_of(change.position);
        tell_exec(change, (more > 0 || !opened) ? EXEC_FOREIGN : EXEC_BY_HAND, owner,
                  STATUS_FILLED, with_it);
    }
}

void Scanner::tell_deal(const Deal &deal)
{
    if (g_journal.deals.contains(deal.ticket))
        return;  // told together with an earlier one of this scan
    if (!is_trade(deal.type))
    {
        g_journal.remember_deal(deal.ticket);  // balance, credit, commission, swap
        return;
    }
    ulong opener = g_account.opener_of(deal.position);
    if (is_technical(deal.reason) && (opener == 0 || owner_of(deal.position) != 0))
        return;  // tell_technical() does, or waits for its other half, or to learn whose it is
    // Some servers put the position's magic on a close by hand.
    bool by_hand = is_human(deal.reason) && deal.entry != DEAL_ENTRY_IN && deal.magic == opener;
    if (!by_hand && !is_server_deal(deal.reason) && g_account.is_ours(deal.magic))
    {
        tell_own(deal);
        return;
    }
    if (opener == 0 && g_account.is_ours(deal.magic))
        opener = deal.magic;
    if (deal.magic == KILL_MAGIC && !g_account.is_ours(opener))
        opener = g_account.own_of(deal.position);  // our part of a position that a hand began
    if (!g_account.is_ours(opener))
    {
        tell_exec(deal, EXEC_FOREIGN, deal.magic, STATUS_FILLED);
        return;
    }
    int kind = EXEC_BY_HAND;
    if (deal.magic == KILL_MAGIC)
        kind = EXEC_KILL;
    else if (deal.reason == DEAL_REASON_SL)
        kind = EXEC_STOP_LOSS;
    else if (deal.reason == DEAL_REASON_TP)
        kind = EXEC_TAKE_PROFIT;
    else if (deal.reason == DEAL_REASON_SO)
        kind = EXEC_STOP_OUT;
    else if (deal.entry == DEAL_ENTRY_IN)
        kind = EXEC_FOREIGN;  // somebody added to a netting position of ours
    tell_exec(deal, kind, opener, STATUS_FILLED);
}

void Scanner::tell_end(const ulong ticket)
{
    // A cancel of ours that is still on its way tells it by its own answer.
    for (int i = 0; i < g_journal.count(); i++)
    {
        if (g_journal.state_at(i) == INTENT_ANSWERED)
            continue;
        Intent intent;
        g_journal.intent_at(i, intent);
        if (intent.command.type == COMMAND_CANCEL && intent.command.order_ticket == ticket)
            return;
    }
    if (!HistoryOrderSelect(ticket))
        return;
    ulong magic = (ulong)HistoryOrderGetInteger(ticket, ORDER_MAGIC);
    int known = g_journal.find(magic);
    if (known >= 0 && g_journal.state_at(known) != INTENT_ANSWERED)
        return;  // first the answer that it was placed
    bool expired = HistoryOrderGetInteger(ticket, ORDER_STATE) == ORDER_STATE_EXPIRED;
    bool rejected = HistoryOrderGetInteger(ticket, ORDER_STATE) == ORDER_STATE_REJECTED;
    Event e;
    clear_event(e);
    e.type = EVENT_EXEC;
    e.exec_kind = EXEC_PENDING_CANCELED;
    e.ord_status = STATUS_CANCELED;
    e.reason = expired ? REASON_WIRE_EXPIRED : 0;
    e.side = side_of_order(HistoryOrderGetInteger(ticket, ORDER_TYPE));
    e.magic = magic;
    if (rejected)
        e.retcode = TRADE_RETCODE_REJECT_CANCEL;
    e.order_ticket = ticket;
    e.requested = to_scaled(HistoryOrderGetDouble(ticket, ORDER_VOLUME_CURRENT));
    e.symbol = HistoryOrderGetString(ticket, ORDER_SYMBOL);
    e.broker_time_ns = utc_ns(HistoryOrderGetInteger(ticket, ORDER_TIME_DONE_MSC));
    add_quote(e);
    g_journal.add_event(e, 0);
}

/// On every hint of the terminal (soon), and each second without one.
void Scanner::update()
{
    ulong since = now_ms() - scanned_ms_;
    bool first = scanned_ms_ == 0;
    bool due = first || since >= SCAN_EVERY_MS || (hinted_ && since >= SCAN_HINTED_MS);
    if (!g_account.ready() || !due)
        return;
    scanned_ms_ = now_ms();
    hinted_ = false;
    // The tag is known from the first session on; before it nothing is ours.
    if (!set_baseline() || g_journal.command_epoch == 0)
        return;
    Deal deals[];
    ulong ends[];
    if (!collect_deals(deals) || !collect_ends(ends))
        return;  // a failed read says nothing; the next one will
    tell_technical(deals);
    for (int i = 0; i < ArraySize(deals); i++)
        tell_deal(deals[i]);
    for (int i = 0; i < ArraySize(ends); i++)
        tell_end(ends[i]);
    if ((long)TimeTradeServer() >= g_journal.scanned_s + MARK_EVERY_S)
        g_journal.remember_scanned((long)TimeTradeServer());
}

Scanner g_scanner;
