// What the session does with a command: journal, then act, then answer; and what a death left open.

#include "Session.mqh"

void Session::run_batch()
{
    // Between two commands, which may block, what has come meanwhile is read: a kill acts at once.
    int done = 0;
    while (done < ArraySize(batch_) && state_ == STATE_UP)
    {
        Incoming incoming;
        incoming = batch_[done];
        done++;
        on_command(incoming);
        // Not at the end of the batch: with each command a blocking call may have passed.
        send_events();
        if (!g_link.flush())
        {
            drop("the other side is gone");
            return;
        }
        if (done < ArraySize(batch_) && !take_frames())
            return;  // what is not journalled is sent again by the other side
    }
    ArrayResize(batch_, 0);
}

void Session::on_command(const Incoming &incoming)
{
    Command command;
    command = incoming.command;
    g_link.rx_ack_due = true;
    if (incoming.seq <= g_journal.command_seq)
        return;  // a resend of what is journalled: its events speak for it
    bool stale = command.generation < g_journal.generation || command.epoch < g_journal.epoch;
    // Kill switch and scan go by the tag in WELCOME: an order of another one would escape them.
    bool other_tag = magic_tag(command.magic) != g_journal.magic_tag;
    if (stale || other_tag)
    {
        Event refused;
        make_unsent(command, STATUS_REJECTED, stale ? 0 : REASON_WIRE_NOT_TRADING,
                    stale ? CODE_STALE : CODE_OTHER_TAG, refused);
        if (command.type == COMMAND_QUERY)
        {
            // It carries the magic of the order it asks about: Unsent would speak of that one.
            refused.type = EVENT_QUERY_UNKNOWN;
            refused.ord_status = STATUS_IN_DOUBT;
        }
        g_journal.add_event(refused, 0);
        g_journal.received_without_intent(incoming.seq);
        return;
    }
    if (command.type == COMMAND_QUERY)
    {
        // Answer first, number second: a death between them answers twice, the other order never.
        answer_query(command);
        g_journal.received_without_intent(incoming.seq);
        return;
    }
    int known = g_journal.find(command.magic);
    if (known >= 0)
    {
        Intent before;
        g_journal.intent_at(known, before);
        if (before.state == INTENT_ANSWERED)
            g_journal.add_event(before.answer, 0);
        g_journal.received_without_intent(incoming.seq);
        return;
    }
    if (!command.resent)
        raise_floor(command);
    else if (g_journal.intact != INTACT_YES && magic_intent(command.magic) > g_journal.floor_intent)
        g_journal.remember_intact(g_journal.intact, magic_intent(command.magic));
    if (command.type == COMMAND_MODIFY || command.type == COMMAND_CLOSE)
        g_stops.forget(command.position_ticket);
    if (command.type == COMMAND_MODIFY)
        g_stop_watch.forget(command.position_ticket);
    Intent intent;
    intent.seq = incoming.seq;
    intent.received_ms = incoming.received_ms;
    intent.received_ns = wall_ns() - (long)(now_ms() - intent.received_ms) * 1000000;
    intent.answered_ms = 0;
    intent.command = command;
    intent.state = INTENT_RECEIVED;
    intent.is_confirmed = false;
    intent.order = 0;
    intent.deal = 0;
    intent.stops_over = false;
    clear_event(intent.answer);
    g_journal.received(intent);
    if (!command.resent)
    {
        submit(command.magic);
        return;
    }
    int n = ArraySize(resent_);
    ArrayResize(resent_, n + 1, 64);
    resent_[n] = command.magic;
    retry_resent();
}

void Session::submit(const ulong magic)
{
    if (g_executor.submit(magic) != SUBMIT_WAIT)
        return;
    int n = ArraySize(waiting_);
    ArrayResize(waiting_, n + 1, 64);
    waiting_[n] = magic;
}

/// A command that an earlier session may have brought already: what the account shows of it is its
/// answer. Without a trace it is sent only if the journal can vouch for never having had it; else
/// nobody knows, and the engine's look-up decides. Never Unsent: that would be proof. @return false
/// if the account cannot be believed yet.
bool Session::settle_resent(const ulong magic)
{
    int known = g_journal.find(magic);
    if (known < 0 || g_journal.state_at(known) != INTENT_RECEIVED)
        return true;
    if (!g_account.ready())
        return false;
    Intent intent;
    Found f;
    g_journal.intent_at(known, intent);
    if (!g_account.look_up(magic, 0, intent.command.volume, f))
        return false;
    if (f.stage == FOUND_SETTLED)
    {
        answer_found(intent.command, f);
        return true;
    }
    Event e;
    if (is_changed(intent.command))
    {
        make_changed(intent.command, TRADE_RETCODE_DONE, e);
        answer(magic, e);
        return true;
    }
    if (f.stage == FOUND_NOTHING && g_journal.vouches_for(magic_intent(magic)))
    {
        submit(magic);
        return true;
    }
    make_refused(intent.command, TRADE_RETCODE_CONNECTION, e);
    answer(magic, e);
    return true;
}

void Session::retry_resent()
{
    int kept = 0;
    int n = ArraySize(resent_);
    for (int i = 0; i < n; i++)
        if (!settle_resent(resent_[i]))
            resent_[kept++] = resent_[i];
    ArrayResize(resent_, kept, 64);
}

/// After a loss the first new entry shows which intents were handed out before it. Entries go out
/// about in the order of their intents, but one that the engine holds back goes out late: what has
/// been asked about since the loss, and what the account shows, was handed out before it too.
void Session::raise_floor(const Command &command)
{
    bool first_entry = command.type == COMMAND_OPEN && magic_attempt(command.magic) == 0;
    if (g_journal.intact == INTACT_YES || !first_entry || magic_intent(command.magic) == 0)
        return;
    ulong shown = 0;
    if (!g_account.ready() || !g_account.highest_intent(shown))
        return;  // the next entry, once the account can be believed
    shown = MathMax(shown, g_journal.floor_intent);
    g_journal.remember_intact(INTACT_YES, MathMax(shown, magic_intent(command.magic) - 1));
}

void Session::retry_waiting()
{
    int kept = 0;
    int n = ArraySize(waiting_);
    for (int i = 0; i < n; i++)
    {
        if (g_executor.submit(waiting_[i]) == SUBMIT_WAIT)
            waiting_[kept++] = waiting_[i];
    }
    ArrayResize(waiting_, kept, 64);
}

/// At the start: what was received and not sent is sent now, if ttl and kill permit.
void Session::take_over()
{
    for (int i = 0; i < g_journal.count(); i++)
    {
        if (g_journal.state_at(i) != INTENT_RECEIVED)
            continue;
        Intent intent;
        g_journal.intent_at(i, intent);
        if (intent.command.resent)
        {
            int n = ArraySize(resent_);
            ArrayResize(resent_, n + 1, 64);
            resent_[n] = g_journal.magic_at(i);
            continue;
        }
        int n = ArraySize(waiting_);
        ArrayResize(waiting_, n + 1, 64);
        waiting_[n] = g_journal.magic_at(i);
    }
}

/// What a death left at the server: looked up, as soon as the account's lists can be believed;
/// without a trace it stays open, and the engine's look-up decides.
void Session::settle_after_restart()
{
    if (settled_ || !g_account.ready())
        return;
    settled_ = true;
    for (int i = 0; i < g_journal.count(); i++)
    {
        Intent intent;
        g_journal.intent_at(i, intent);
        if (intent.received_ms != 0 || intent.state != INTENT_SENDING)
            continue;
        Found f;
        Event e;
        long since_s = intent.received_ns / 1000000000 + server_offset_s();
        bool readable = g_account.look_up(intent.command.magic, since_s, intent.command.volume, f);
        if (readable && f.stage != FOUND_SETTLED)
            g_account.look_up_ticket(intent.command.magic, intent.order, intent.deal, f);
        if (readable && f.stage == FOUND_SETTLED)
        {
            answer_found(intent.command, f);
            continue;
        }
        make_refused(intent.command, TRADE_RETCODE_CONNECTION, e);
        if (readable && is_changed(intent.command))
            make_changed(intent.command, TRADE_RETCODE_DONE, e);
        answer(intent.command.magic, e);
    }
}
