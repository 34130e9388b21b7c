// Answers "what were the ticks between these times?": from the memory of what was told, where that
// reaches back so far; else out of the terminal's own history, which has what came before this
// program was started or the memory has let go.
//
// By the MQL5 reference the call that reads the history may wait for the trade server, up to 45 s,
// where the terminal lacks something; nobody is served meanwhile, a kill neither. So it is made by
// whoever allows it (InpTickHistory), with no request on its way and no kill open, at most once a
// second, and a slow one is followed by a long time without any. By a count of ticks, not by
// CopyTicksRange: nobody knows how many a range has. A request that must wait stays; the other side
// asks again by itself, which takes its place.

#include "Ticks.mqh"

#define TICK_ANSWER_PLACES 4096  // of the memory that a round goes through
#define TICK_ANSWER_FRAMES 8     // and sends at most
#define TICK_HISTORY_EVERY_MS 1000
#define TICK_HISTORY_REST 20     // times as long as the call took
#define TICK_HISTORY_MAX 16384   // ticks of one call
#define MS_NS 1000000

bool TickFeed::on_backfill()
{
    if (!up_ || body_bytes != TICK_BACKFILL_BYTES || get_u32(body, 8) >= (uint)ArraySize(all_))
        return false;
    TickAsked asked;
    asked.request = get_u64(body, 0);
    asked.series = (int)get_u32(body, 8);
    asked.limit = get_u32(body, 12);
    asked.from_ns = get_i64(body, 16);
    asked.to_ns = get_i64(body, 24);
    asked.place = 0;
    asked.sent = 0;
    asked.older = false;
    asked.source = TICK_SOURCE_NONE;
    int waiting = -1;  // the oldest that has not been begun
    for (int i = ArraySize(asked_) - 1; i >= 0; i--)
    {
        if (asked_[i].source != TICK_SOURCE_NONE)
            continue;
        waiting = i;
        if (asked_[i].series == asked.series && asked_[i].from_ns == asked.from_ns &&
            asked_[i].to_ns == asked.to_ns)
        {
            asked_[i] = asked;  // the same again: only the new number is waited for
            return true;
        }
    }
    if (ArraySize(asked_) >= TICK_ASKED_MAX)
    {
        if (waiting < 0)
            return false;
        forget_asked(waiting);
    }
    int n = ArraySize(asked_);
    ArrayResize(asked_, n + 1, TICK_ASKED_MAX);
    asked_[n] = asked;
    return true;
}

void TickFeed::forget_asked(const int i)
{
    int n = ArraySize(asked_);
    for (int k = i + 1; k < n; k++)
        asked_[k - 1] = asked_[k];
    ArrayResize(asked_, n - 1, TICK_ASKED_MAX);
}

/// A piece of the answer to the oldest request that can be answered now.
void TickFeed::answer()
{
    int n = ArraySize(asked_);
    int i = 0;
    while (i < n && !is_begun(asked_[i]))
        i++;
    if (i < n && !answer_on(asked_[i]))
        forget_asked(i);
}

/// Chooses where the answer comes from, the first time. @return false: it has to wait.
bool TickFeed::is_begun(TickAsked &asked)
{
    if (asked.source != TICK_SOURCE_NONE)
        return true;
    bool by_memory = g_config.tick_history == TICK_HISTORY_NEVER || is_in_memory(asked);
    if (!by_memory && !may_read_history())
        return false;
    asked.source = TICK_SOURCE_MEMORY;
    if (by_memory)
        return true;
    history_begun_ = read_history(asked);
    if (history_begun_)
        asked.source = TICK_SOURCE_HISTORY;
    return true;
}

/// Has the memory all that there is, or must it do? A hole in the numbers counts as one tick,
/// however many there were: who filled it by the count would call whole what is not.
bool TickFeed::is_in_memory(const TickAsked &asked)
{
    int i = asked.series;
    bool has_hole = all_[i].hole_ns != 0 && asked.from_ns <= all_[i].hole_ns &&
                    asked.to_ns + MS_NS >= all_[i].first_hole_ns;
    return has_hole || asked.from_ns > all_[i].gone_ns;
}

bool TickFeed::may_read_history()
{
    if (history_begun_ || now_ms() < history_at_ms_ || g_executor.in_flight() > 0 ||
        g_kill_switch.is_waiting() || !g_link.is_open() || !g_account.ready())
        return false;
    return g_config.tick_history == TICK_HISTORY_ALWAYS ||
           (PositionsTotal() == 0 && OrdersTotal() == 0);
}

/// Into `found_`. @return false if the terminal has none, or cannot say.
bool TickFeed::read_history(const TickAsked &asked)
{
    long offset_ms = server_offset_s() * 1000;
    ulong from_msc = (ulong)MathMax(1, asked.from_ns / MS_NS + offset_ms);  // 0 = the latest
    uint limit = (asked.limit < TICK_HISTORY_MAX) ? asked.limit : TICK_HISTORY_MAX;
    uint count = limit + 2;
    MqlTick ticks[];
    g_link.announce_busy(BUSY_MS);
    ulong begin_ms = now_ms();
    ResetLastError();
    int n = CopyTicks(all_[asked.series].name, ticks, COPY_TICKS_INFO, from_msc, count);
    bool timed_out = GetLastError() != 0;
    ulong took_ms = now_ms() - begin_ms;
    g_link.forgive_silence();
    heard_ms = now_ms();
    history_at_ms_ = now_ms() + MathMax((ulong)TICK_HISTORY_EVERY_MS, took_ms * TICK_HISTORY_REST);
    if (took_ms >= TICK_SLOW_MS)
        PrintFormat("millrace: ticks of %s out of the history took %d ms: no more for %d ms",
                    all_[asked.series].name, (int)took_ms, (int)(history_at_ms_ - now_ms()));
    if (n <= 0)
        return false;
    ToldTick t;
    ZeroMemory(t);
    t.series = asked.series;
    int found = 0;
    bool reaches_back = false;
    found_more_ = n == (int)count;
    ArrayResize(found_, n);
    for (int i = 0; i < n; i++)
    {
        t.time_ns = (ticks[i].time_msc - offset_ms) * MS_NS;
        reaches_back = reaches_back || t.time_ns <= asked.from_ns;
        if (t.time_ns < asked.from_ns)
            continue;
        if (t.time_ns > asked.to_ns || found == (int)limit)
        {
            found_more_ = t.time_ns <= asked.to_ns;
            break;
        }
        t.bid = to_scaled(ticks[i].bid);
        t.ask = to_scaled(ticks[i].ask);
        found_[found] = t;
        found++;
    }
    ArrayResize(found_, found);
    found_at_ = 0;
    found_whole_ = reaches_back && !timed_out;
    return true;
}

/// The next piece of an answer. @return false: that was its end.
bool TickFeed::answer_on(TickAsked &asked)
{
    if (asked.source == TICK_SOURCE_HISTORY)
        return answer_history(asked);
    uchar b[];
    ArrayResize(b, TICK_ENTRIES_MAX * TICK_ENTRY_BYTES);
    int entries = 0;
    int frames = 0;
    bool more = false;
    ulong place = asked.place;
    if (place < kept_.begin())  // what was there is gone, so nothing more is known of before it
    {
        place = kept_.begin();
        asked.older = false;
    }
    ulong stop_at = place + TICK_ANSWER_PLACES;
    ulong end = stop_at < kept_.end() ? stop_at : kept_.end();
    while (place < end && frames < TICK_ANSWER_FRAMES && !more)
    {
        ToldTick t;
        kept_.at(place, t);
        bool ours = t.series == asked.series && t.time_ns <= asked.to_ns;
        bool inside = ours && t.time_ns >= asked.from_ns;
        asked.older = asked.older || (ours && !inside);
        more = inside && asked.sent >= asked.limit;
        if (inside && !more)
        {
            put_tick(b, entries * TICK_ENTRY_BYTES, t, false);
            entries++;
            asked.sent++;
        }
        place++;
        if (entries == TICK_ENTRIES_MAX)
        {
            send(TICK_FRAME_HISTORY, asked.request, b, entries * TICK_ENTRY_BYTES);
            entries = 0;
            frames++;
        }
    }
    if (entries > 0)
        send(TICK_FRAME_HISTORY, asked.request, b, entries * TICK_ENTRY_BYTES);
    asked.place = place;
    if (!more && place < kept_.end())
        return true;
    // Of before the first that is kept, and of a hole, it knows nothing.
    end_answer(asked, more, asked.older && all_[asked.series].hole_ns < asked.from_ns);
    return false;
}

/// The same out of the terminal's history.
bool TickFeed::answer_history(const TickAsked &asked)
{
    uchar b[];
    ArrayResize(b, TICK_ENTRIES_MAX * TICK_ENTRY_BYTES);
    int n = ArraySize(found_);
    for (int frames = 0; frames < TICK_ANSWER_FRAMES && found_at_ < n; frames++)
    {
        int entries = 0;
        while (entries < TICK_ENTRIES_MAX && found_at_ < n)
        {
            put_tick(b, entries * TICK_ENTRY_BYTES, found_[found_at_], false);
            entries++;
            found_at_++;
        }
        send(TICK_FRAME_HISTORY, asked.request, b, entries * TICK_ENTRY_BYTES);
    }
    if (found_at_ < n)
        return true;
    history_begun_ = false;
    end_answer(asked, found_more_, found_whole_);
    return false;
}

void TickFeed::end_answer(const TickAsked &asked, const bool more, const bool whole)
{
    uchar b[TICK_HISTORY_END_BYTES];
    put_u64(b, 0, asked.request);
    put_u32(b, 8, (more ? TICK_HISTORY_MORE : 0) | (whole ? TICK_HISTORY_FROM_START : 0));
    put_u32(b, 12, 0);
    send(TICK_FRAME_HISTORY_END, 0, b, TICK_HISTORY_END_BYTES);
}
