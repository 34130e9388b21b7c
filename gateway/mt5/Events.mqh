// What the frames say: events about a command, and about what the account shows of it.

#include "Symbols.mqh"

/// Codes after which the request is known to be over, one way or the other. A list, because a code
/// that is not in it, of today or of a later build, must count as open.
bool is_definite(const uint code)
{
    return code == TRADE_RETCODE_REQUOTE || (code >= 10006 && code <= 10010) ||
           (code >= 10013 && code <= 10030) || (code >= 10032 && code <= 10036) ||
           code == 10038 || (code >= 10040 && code <= 10046);
}

/// Answers that leave open whether the server executed the request.
bool leaves_open(const uint code) { return !is_definite(code); }

bool is_done(const uint code)
{
    return code == TRADE_RETCODE_DONE || code == TRADE_RETCODE_DONE_PARTIAL ||
           code == TRADE_RETCODE_PLACED;
}

/// Server time in ms to UTC in ns.
long utc_ns(const long server_msc) { return (server_msc - server_offset_s() * 1000) * 1000000; }

void add_quote(Event &e)
{
    double bid;
    double ask;
    if (e.symbol != "" && read_quote(e.symbol, bid, ask))
    {
        e.bid = to_scaled(bid);
        e.ask = to_scaled(ask);
    }
}

/// An event about a command, with nothing done.
void make_event(const int type, const Command &command, Event &e)
{
    clear_event(e);
    e.type = type;
    e.magic = command.magic;
    e.side = command.side;
    e.requested = command.volume;
    e.symbol = command.symbol;
    e.broker_time_ns = wall_ns();
}

void make_unsent(const Command &command, const int status, const int reason, const uint code,
                 Event &e)
{
    make_event(EVENT_UNSENT, command, e);
    e.ord_status = status;
    e.reason = reason;
    e.retcode = code;
    add_quote(e);
}

/// A return code with nothing executed, or nothing known.
void make_refused(const Command &command, const uint code, Event &e)
{
    make_event(EVENT_OUTCOME, command, e);
    e.retcode = code;
    e.ord_status = leaves_open(code) ? STATUS_IN_DOUBT : STATUS_REJECTED;
    add_quote(e);
}

/// A change of a position or of a pending order is done, or needed nothing.
void make_changed(const Command &command, const uint code, Event &e)
{
    make_event(EVENT_OUTCOME, command, e);
    e.retcode = code;
    e.ord_status = STATUS_FILLED;
    e.order_ticket = command.order_ticket;
    e.position_id = command.position_ticket;
    add_quote(e);
}

/// Return code of what the account shows.
uint code_of(const Found &f)
{
    switch (f.status)
    {
        case STATUS_FILLED: return TRADE_RETCODE_DONE;
        case STATUS_NEW: return TRADE_RETCODE_PLACED;
        case STATUS_PARTIAL: return TRADE_RETCODE_DONE_PARTIAL;
        case STATUS_REJECTED: return TRADE_RETCODE_REJECT;
    }
    if (f.volume > 0)
        return TRADE_RETCODE_DONE_PARTIAL;
    return f.pending ? TRADE_RETCODE_PLACED : TRADE_RETCODE_CANCEL;
}

/// What the account shows, as an event of `type`. Only for settled ones.
void make_found(const int type, const Command &command, const Found &f, Event &e)
{
    make_event(type, command, e);
    e.ord_status = f.status;
    e.retcode = code_of(f);
    e.side = f.side;
    e.order_ticket = f.order;
    e.deal_ticket = f.deal;
    e.position_id = f.position;
    e.volume = f.volume;
    e.requested = f.requested;
    e.price = to_scaled(f.price);
    if (f.symbol != "")
        e.symbol = f.symbol;
    if (f.time_msc > 0)
        e.broker_time_ns = utc_ns(f.time_msc);
    if (type == EVENT_OUTCOME && f.volume == 0 && !f.pending)
        e.ord_status = STATUS_REJECTED;  // a market order that ended with nothing
    add_quote(e);
}

/// Answers an intent for good. Events are sent by the session, from the journal.
void answer(const ulong magic, const Event &e) { g_journal.add_event(e, magic); }

/// The deals of `f` besides its last that nobody has been told of.
void others_of(const Found &f, ulong &others[])
{
    int n = 0;
    ArrayResize(others, 0);
    for (int i = 0; i < ArraySize(f.deals); i++)
    {
        if (f.deals[i] == f.deal || g_journal.deals.contains(f.deals[i]))
            continue;
        ArrayResize(others, n + 1, 16);
        others[n++] = f.deals[i];
    }
}

/// Answers with what the account shows; its deals are told with it.
void answer_found(const Command &command, const Found &f)
{
    Event e;
    make_found(EVENT_OUTCOME, command, f, e);
    ulong others[];
    others_of(f, others);
    g_journal.add_event(e, command.magic, others);
}
