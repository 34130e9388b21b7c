// What the session sends, and its duty cycle.

#include "Queries.mqh"

void Session::offer_info()
{
    // One on its way at most: a state that is overtaken by the next needs no queue.
    bool outstanding = g_journal.waiting_events() > 0 && info_event_ >= g_journal.first_waiting();
    bool first = info_ms_ == 0;
    if (outstanding || (!first && now_ms() < info_ms_ + INFO_EVERY_MS))
        return;
    double equity = AccountInfoDouble(ACCOUNT_EQUITY);
    double balance = AccountInfoDouble(ACCOUNT_BALANCE);
    double free_margin = MathMax(AccountInfoDouble(ACCOUNT_MARGIN_FREE), 0.0);
    int permissions = g_account.is_allowed() ? INFO_MAY_TRADE : 0;
    if (!g_account.connected())
        permissions |= INFO_SERVER_AWAY;
    else if (!g_account.ready())
        permissions |= INFO_SETTLING;
    if (g_kill_switch.is_waiting())
        permissions |= INFO_KILL_WAITS;
    if (g_stops.missing())
        permissions |= INFO_STOPS_MISSING;
    if (g_ticks.is_away())
        permissions |= INFO_TICKS_AWAY;
    if (g_account.is_forbidden())
        permissions |= INFO_BROKER_FORBIDS;
    if (!first && equity == info_equity_ && balance == info_balance_ &&
        free_margin == info_free_margin_ && permissions == info_permissions_)
        return;
    Event e;
    clear_event(e);
    e.type = EVENT_ACCOUNT_INFO;
    e.permissions = permissions;
    e.equity = to_scaled(equity);
    e.balance = to_scaled(balance);
    e.price = to_scaled(free_margin);
    e.retcode = (uint)AccountInfoInteger(ACCOUNT_LEVERAGE);
    e.broker_time_ns = wall_ns();
    g_journal.add_event(e, 0);
    info_event_ = g_journal.event_seq;
    info_ms_ = now_ms();
    info_equity_ = equity;
    info_balance_ = balance;
    info_free_margin_ = free_margin;
    info_permissions_ = permissions;
}

void Session::send_events()
{
    g_link.send_rx_ack();
    while (g_journal.waiting_events() > 0 && sent_event_ < g_journal.event_seq &&
           g_link.waiting_bytes() < OUT_BYTES_MAX)
    {
        ulong next = MathMax(sent_event_ + 1, g_journal.first_waiting());
        Event e;
        uchar b[EVENT_BYTES];
        g_journal.waiting_event(next, e);
        put_event(b, 0, e);
        g_link.send(FRAME_EVENT, next, b, EVENT_BYTES);
        sent_event_ = next;
    }
    bool all_sent = g_journal.waiting_events() == 0 || sent_event_ >= g_journal.event_seq;
    if (sync_done_due_ && all_sent)
    {
        uchar nothing[];
        sync_done_due_ = false;
        g_link.send(FRAME_SYNC_DONE, 0, nothing, 0);
    }
    if (now_ms() >= g_link.sent_ms + HEARTBEAT_MS)
        g_link.send_number(FRAME_HEARTBEAT, (ulong)wall_ns());
}

/// A quote. @return false if it was not sent because the receiver does not keep up: the next one
/// takes its place.
bool Session::send_tick(const string symbol, const double bid, const double ask)
{
    if (state_ != STATE_UP || g_link.waiting_bytes() > 0)
        return false;
    uchar b[40];
    put_text(b, 0, TEXT_BYTES, symbol);
    put_i64(b, 16, to_scaled(bid));
    put_i64(b, 24, to_scaled(ask));
    put_i64(b, 32, wall_ns());
    g_link.send(FRAME_TICK, 0, b, 40);
    return g_link.flush();
}

/// Has everything been told, and is nothing received left to be carried out?
bool Session::is_quiet()
{
    bool all_sent = g_journal.waiting_events() == 0 || sent_event_ >= g_journal.event_seq;
    return all_sent && !sync_done_due_ && ArraySize(waiting_) == 0 && ArraySize(resent_) == 0;
}

/// One round: read, act, follow up, send.
void Session::update()
{
    g_account.update();
    settle_after_restart();
    if (!g_link.is_open() && g_link.connect())
        state_ = STATE_CHALLENGED;
    if (g_link.is_open() && take_frames())
        run_batch();
    g_kill_switch.update();
    retry_resent();
    retry_waiting();
    g_executor.follow(g_scanner.hinted());
    g_stops.update();
    g_stop_watch.update();
    g_scanner.update();
    if (state_ == STATE_UP)
    {
        last_up_ms_ = now_ms();
        g_facts.update(sessions_);
        offer_info();
        send_events();
        g_specs.update(sessions_);
        g_holdings.update(sessions_, is_quiet());
    }
    g_kill_switch.on_dead_man(g_config.dead_man_s > 0 &&
                              now_ms() - last_up_ms_ >= (ulong)g_config.dead_man_s * 1000);
    if (g_link.is_open() && !g_link.flush())
        drop("the other side is gone");
    if (g_link.is_open() && now_ms() >= g_link.heard_ms + SILENCE_MS)
        drop("three heartbeats missed");
    g_journal.flush();
    if (g_journal.wants_compaction())
        g_journal.compact();
}

/// An orderly end: what can be sent is sent.
void Session::stop()
{
    if (state_ == STATE_UP)
    {
        send_events();
        g_link.flush();
    }
    g_link.close();
    state_ = STATE_CLOSED;
}

Session g_session;
