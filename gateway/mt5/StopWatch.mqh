// Compares the stops of our open positions with what they were at the last look, long after the
// fill. Who took a stop away is written nowhere, so it goes by what happened to the position: a
// stop that is gone together with a deal of the server's own (rollover), with another ticket or with
// a part of the lots was dropped by the server, and is set again. One that is gone with a split or
// another corporate action is told only: its price belongs to the time before. Any other was taken
// away by a person or by the engine, who meant it; so was one that was moved. A restart forgets the
// last look.

#include "Stops.mqh"

#define WATCHED_MAX 1024
// Between the halves of a rollover a position is in no list.
#define WATCH_AWAY_MS 120000

struct Watched
{
    ulong position;  // identifier
    ulong ticket;
    int side;
    long volume;
    long stop_loss;  // as they were when both were last looked at, 0 = there was none
    long take_profit;
    ulong seen_ms;
    ulong touched_ms;  // when a deal of the server's own was seen; 0 = none lately
    ulong dealt;       // that deal, the last one
    bool reshaped;     // it was of a split, or of the like
    bool anew;         // a stop went together with the ticket or a part of the lots
    ulong missed_ms;   // since when a stop is gone; 0 = none is
    ulong hushed_ms;   // not looked at before
};

class StopWatch
{
private:
    Watched all_[];
    ulong next_ms_;

    /// What the server did to a position may be told so much later than it shows, or before.
    ulong wait_ms() { return (ulong)g_config.answer_ms; }

    int find(const ulong position)
    {
        for (int i = 0; i < ArraySize(all_); i++)
            if (all_[i].position == position)
                return i;
        return -1;
    }

    void remove(const int i)
    {
        int n = ArraySize(all_);
        all_[i] = all_[n - 1];
        ArrayResize(all_, n - 1, 64);
    }

    void read(Watched &w);
    void look();
    void compare(const int i, const Watched &now);

public:
    StopWatch() { reset(); }
    void reset()
    {
        ArrayResize(all_, 0);
        next_ms_ = 0;
    }

    /// The engine changes, or has just changed, its stops: what they were counts no more, and what
    /// the list of positions shows may be older than the change.
    void forget(const ulong ticket)
    {
        if (g_config.stops_ms == 0)
            return;
        int n = ArraySize(all_);
        int at = 0;
        while (at < n && all_[at].position != ticket && all_[at].ticket != ticket)
            at++;
        if (at == n && n >= WATCHED_MAX)
            return;
        Watched w;
        ZeroMemory(w);
        w.position = (at < n) ? all_[at].position : ticket;
        w.seen_ms = now_ms();
        w.hushed_ms = now_ms() + (ulong)g_config.stops_ms;
        if (at == n)
            ArrayResize(all_, n + 1, 64);
        all_[at] = w;
    }

    /// The server has dealt in a position for its own books. Told again it is not anew.
    /// @param reshapes its prices are not what they were.
    void on_technical(const ulong position, const ulong deal, const bool reshapes)
    {
        if (reshapes)
            g_stops.only_tell(position);
        int i = find(position);
        if (i < 0 || deal <= all_[i].dealt)
            return;
        all_[i].dealt = deal;
        all_[i].touched_ms = MathMax(1, now_ms());
        all_[i].reshaped = all_[i].reshaped || reshapes;
    }

    void update();
};

/// The position just selected.
void StopWatch::read(Watched &w)
{
    w.position = (ulong)PositionGetInteger(POSITION_IDENTIFIER);
    w.ticket = (ulong)PositionGetInteger(POSITION_TICKET);
    w.side = (PositionGetInteger(POSITION_TYPE) == POSITION_TYPE_BUY) ? SIDE_BUY : SIDE_SELL;
    w.volume = to_scaled(PositionGetDouble(POSITION_VOLUME));
    w.stop_loss = to_scaled(PositionGetDouble(POSITION_SL));
    w.take_profit = to_scaled(PositionGetDouble(POSITION_TP));
    w.seen_ms = now_ms();
    w.touched_ms = 0;
    w.dealt = 0;
    w.reshaped = false;
    w.anew = false;
    w.missed_ms = 0;
    w.hushed_ms = 0;
}

void StopWatch::look()
{
    Watched now;
    read(now);
    int i = find(now.position);
    if (i >= 0 && now_ms() < all_[i].hushed_ms)
    {
        all_[i].seen_ms = now_ms();
        return;
    }
    if (i >= 0)
    {
        compare(i, now);
        return;
    }
    int n = ArraySize(all_);
    if ((now.stop_loss == 0 && now.take_profit == 0) || n >= WATCHED_MAX)
        return;
    ArrayResize(all_, n + 1, 64);
    all_[n] = now;
}

void StopWatch::compare(const int i, const Watched &now)
{
    ulong magic = (ulong)PositionGetInteger(POSITION_MAGIC);
    Watched before = all_[i];
    bool turned = now.side != before.side;
    bool gone = !turned && ((before.stop_loss != 0 && now.stop_loss == 0) ||
                            (before.take_profit != 0 && now.take_profit == 0));
    bool anew = now.ticket != before.ticket || now.volume < before.volume;
    all_[i] = now;
    all_[i].dealt = before.dealt;
    if (before.touched_ms != 0 && now_ms() < before.touched_ms + wait_ms())
    {
        all_[i].touched_ms = before.touched_ms;
        all_[i].reshaped = before.reshaped;
    }
    if (!gone)
        return;
    all_[i].anew = (before.missed_ms == 0) ? anew : before.anew;
    // Fewer lots may also be a split's, whose deal is not there yet.
    bool dropped = all_[i].touched_ms != 0 ||
                   (all_[i].anew && g_account.deals_explain(now.position, now.volume));
    if (!dropped && before.missed_ms != 0 && now_ms() >= before.missed_ms + wait_ms())
        return;  // somebody meant it
    all_[i].stop_loss = (now.stop_loss == 0) ? before.stop_loss : now.stop_loss;
    all_[i].take_profit = (now.take_profit == 0) ? before.take_profit : now.take_profit;
    all_[i].missed_ms = (before.missed_ms != 0) ? before.missed_ms : MathMax(1, now_ms());
    if (!dropped)
        return;  // the server's deal may be told yet
    bool only_told = all_[i].reshaped;
    Watched lost = all_[i];
    all_[i].touched_ms = 0;  // once for each time that it was dealt in
    all_[i].anew = false;
    PrintFormat("millrace: the server has dropped stops of position %s",
                IntegerToString((long)now.position));
    g_stops.restore(magic, lost.position, now.side, lost.stop_loss, lost.take_profit);
    if (!only_told)
        return;
    PrintFormat("millrace: with a split or the like: they are not set again, see to it");
    g_stops.only_tell(lost.position);
    remove(i);
}

void StopWatch::update()
{
    ulong modified;
    while (g_executor.take_modified(modified))
        forget(modified);
    if (g_config.stops_ms == 0 || now_ms() < next_ms_ || !g_account.ready() ||
        g_executor.in_flight() > 0)
        return;
    next_ms_ = now_ms() + (ulong)g_config.stops_ms;
    for (int i = 0; i < PositionsTotal(); i++)
    {
        if (PositionGetTicket(i) == 0)
            return;  // the list changed under us
        if (g_account.is_ours((ulong)PositionGetInteger(POSITION_MAGIC)))
            look();
    }
    for (int i = ArraySize(all_) - 1; i >= 0; i--)
        if (now_ms() >= all_[i].seen_ms + WATCH_AWAY_MS)
            remove(i);
}

StopWatch g_stop_watch;
