// Answering "what became of this magic?" (gateway/BRIDGE.md, look-up by magic).

#include "Commands.mqh"

#define NEGATIVES_MIN 3
#define NEGATIVES_MAX 1000

/// What the account shows of a command, by its magic or, where there is no order of its own, by
/// what it was to change. @param others deals that `e` tells of besides its own. @param readable
/// false = the lists could not be read. @return false if no trace.
bool Session::answer_from_account(const Command &command, Event &e, ulong &others[],
                                  bool &readable)
{
    Found f;
    long since_s = 0;
    int known = g_journal.find(command.magic);
    if (known >= 0)
    {
        Intent intent;
        g_journal.intent_at(known, intent);
        since_s = intent.received_ns / 1000000000 + server_offset_s();
    }
    readable = g_account.look_up(command.magic, since_s, command.volume, f);
    if (!readable)
        return false;
    if (known >= 0 && f.stage != FOUND_SETTLED)
    {
        Intent said;
        g_journal.intent_at(known, said);
        g_account.look_up_ticket(command.magic, said.order, said.deal, f);
    }
    if (f.stage == FOUND_FLYING)
    {
        make_event(EVENT_QUERY_UNKNOWN, command, e);
        e.ord_status = STATUS_IN_DOUBT;
        e.retcode = TRADE_RETCODE_TIMEOUT;
        return true;
    }
    if (f.stage == FOUND_NOTHING)
    {
        if (known < 0 || !is_changed(command))
            return false;
        make_changed(command, TRADE_RETCODE_DONE, e);
        e.type = EVENT_QUERY_FOUND;
        return true;
    }
    make_found(EVENT_QUERY_FOUND, command, f, e);
    if (f.position != 0)
        g_stops.on_fill(command.magic, f.order, f.position);
    others_of(f, others);
    return true;
}

/// A request without an answer, or one that a lost journal may have sent, counts as absent only
/// after it had time to show up, in a connection that was not broken. @param known index of the
/// intent or -1.
bool Session::has_settled(const int known)
{
    ulong quiet_since = g_account.connected_ms();
    if (known >= 0)
    {
        Intent intent;
        g_journal.intent_at(known, intent);
        quiet_since = MathMax(quiet_since, intent.answered_ms);
    }
    return g_account.ready() && now_ms() - quiet_since >= (ulong)g_config.settle_ms;
}

/// Counts one more reading without a trace, if the last one is a third of the settling time ago. A
/// broken connection starts it anew. @return how many.
int Session::count_negative(const ulong magic)
{
    int n = ArraySize(negatives_);
    int at = 0;
    while (at < n && negatives_[at].magic != magic)
        at++;
    if (at == n)
    {
        if (n >= NEGATIVES_MAX)
            at = 0;  // forgotten ones take longer, no more
        else
            ArrayResize(negatives_, n + 1, 64);
        negatives_[at].magic = magic;
        negatives_[at].count = 0;
        negatives_[at].last_ms = 0;
    }
    if (negatives_[at].last_ms < g_account.connected_ms())
        negatives_[at].count = 0;
    bool first = negatives_[at].count == 0;
    if (first || now_ms() - negatives_[at].last_ms >= (ulong)g_config.settle_ms / 3)
    {
        negatives_[at].count++;
        negatives_[at].last_ms = now_ms();
    }
    return negatives_[at].count;
}

/// Without the journal's proof, and after a reading without a trace. Never what the server gave a
/// ticket for or called done: time alone unsays nothing.
bool Session::is_absent(const ulong magic, const int known)
{
    if (known >= 0)
    {
        Intent intent;
        g_journal.intent_at(known, intent);
        if (intent.is_confirmed || intent.order != 0 || intent.answer.order_ticket != 0)
            return false;
    }
    if (!g_account.ready())
        return false;
    Found again;  // read twice: one empty reading says nothing
    if (!g_account.look_up(magic, 0, 0, again) || again.stage != FOUND_NOTHING)
        return false;
    return count_negative(magic) >= NEGATIVES_MIN && has_settled(known);
}

void Session::answer_query(const Command &asked)
{
    Command command;
    command = asked;
    Event e;
    make_event(EVENT_QUERY_UNKNOWN, command, e);
    e.ord_status = STATUS_IN_DOUBT;
    int known = g_journal.find(command.magic);
    Event stored;
    clear_event(stored);
    if (known >= 0)
    {
        Intent intent;
        g_journal.intent_at(known, intent);
        stored = intent.answer;
        command = intent.command;
        if (intent.state != INTENT_ANSWERED)
        {
            e.ord_status = STATUS_PENDING_NEW;  // on its way; its Outcome follows for certain
            g_journal.add_event(e, 0);
            return;
        }
    }
    bool readable = true;
    Event shown;
    ulong others[];
    bool trace = answer_from_account(command, shown, others, readable);
    if (trace)
    {
        e = shown;  // the account outweighs whatever answer we got
    }
    else if (known >= 0 &&
             (stored.type == EVENT_UNSENT || !leaves_open(stored.retcode)))
    {
        e = stored;
        e.type = EVENT_QUERY_FOUND;
    }
    else
    {
        bool never_seen = known < 0 && g_journal.vouches_for(magic_intent(command.magic));
        if (known < 0 && !never_seen && magic_intent(command.magic) > g_journal.floor_intent)
            g_journal.remember_intact(g_journal.intact, magic_intent(command.magic));
        if (never_seen || (readable && is_absent(command.magic, known)))
        {
            e.type = EVENT_QUERY_ABSENT;
            e.ord_status = STATUS_REJECTED;
        }
    }
    e.broker_time_ns = (e.broker_time_ns != 0) ? e.broker_time_ns : wall_ns();
    g_journal.add_event(e, 0, others);
}
