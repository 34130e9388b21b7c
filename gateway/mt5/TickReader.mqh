// Reads a symbol's ticks from the terminal, each once: all that came since the last look, out of
// the terminal's cache of the latest ones. By the MQL5 reference these are at hand, but a call may wait
// for the trade server (45 s) where the terminal finds that it lacks some: a symbol's first one is
// made before there is anybody to wait, and after a slow one a while goes by without any.

#include "Symbols.mqh"

#define TICK_LOOK 32        // ticks asked for at first
#define TICK_LOOK_MAX 4096  // as many as the cache has
#define TICK_SLOW_MS 50     // a call that took so long waited for something
#define TICK_REST_MS 10000

ulong g_tick_rest_until_ms = 0;

/// The latest `count` ticks of a symbol. @return how many; -1 = none can be had now.
int copy_latest(const string symbol, MqlTick &ticks[], const int count)
{
    ulong begin_ms = now_ms();
    if (begin_ms < g_tick_rest_until_ms)
        return -1;
    int n = CopyTicks(symbol, ticks, COPY_TICKS_INFO, 0, (uint)count);
    ulong took_ms = now_ms() - begin_ms;
    if (took_ms >= TICK_SLOW_MS)
    {
        PrintFormat("millrace: CopyTicks of %s took %d ms: the latest tick alone for %d ms", symbol,
                    (int)took_ms, TICK_REST_MS);
        g_tick_rest_until_ms = now_ms() + TICK_REST_MS;
    }
    return n;
}

class TickReader
{
private:
    bool begun_;
    long msc_;      // the terminal's time of the last tick read, and how many of that time were
    int count_;
    bool partial_;  // or more: the list began with them
    long now_msc_;  // as the last look found the latest one
    double now_bid_;
    double now_ask_;

    /// The first of `ticks`, oldest first, that has not been read. @param hole set if there may
    /// be ticks between that one and the last that was.
    int begin_of(const MqlTick &ticks[], const int n, const int asked, bool &hole)
    {
        hole = false;
        if (!begun_)
            return n - 1;  // the latest: nobody was told of those before
        int after = n;
        while (after > 0 && ticks[after - 1].time_msc > msc_)
            after--;
        hole = partial_;
        if (partial_)
            return after;  // nobody knows how many of its very time were read
        int known = after;
        while (known > 0 && ticks[known - 1].time_msc == msc_)
            known--;
        // Not as far back as the last one that was read, or nothing says so.
        hole = known == 0 && (n == asked || after < count_);
        return MathMin(known + count_, after);
    }

    /// @param cut the terminal may have ticks of before the first of them.
    void remember(const MqlTick &ticks[], const int n, const bool cut)
    {
        bool still = partial_ && ticks[n - 1].time_msc == msc_;
        begun_ = true;
        msc_ = ticks[n - 1].time_msc;
        count_ = 0;
        for (int i = n - 1; i >= 0 && ticks[i].time_msc == msc_; i--)
            count_++;
        partial_ = still || (cut && count_ == n);
    }

public:
    TickReader() { reset(); }
    void reset()
    {
        begun_ = false;
        msc_ = 0;
        count_ = 0;
        partial_ = false;
        now_msc_ = 0;
        now_bid_ = 0;
        now_ask_ = 0;
    }

    /// @param ticks gets what is new, oldest first, from `begin` on. @param hole there were others
    /// before the first of them that the terminal does not tell any more.
    /// @return how many `ticks` has in all; `begin` or less = nothing is new.
    int read(const string symbol, MqlTick &ticks[], int &begin, bool &hole)
    {
        MqlTick now;
        begin = 0;
        hole = false;
        if (!SymbolInfoTick(symbol, now) || (now.bid <= 0 && now.ask <= 0))
            return 0;
        if (begun_ && now.time_msc == now_msc_ && now.bid == now_bid_ && now.ask == now_ask_)
            return 0;
        int asked = TICK_LOOK;
        int n = copy_latest(symbol, ticks, asked);
        if (n > 0)
            begin = begin_of(ticks, n, asked, hole);
        if (hole && n == asked)
        {
            asked = TICK_LOOK_MAX;
            n = copy_latest(symbol, ticks, asked);
            if (n > 0)
                begin = begin_of(ticks, n, asked, hole);
        }
        bool cut = hole || n == asked;
        if (n <= 0)  // it says nothing of the others
        {
            ArrayResize(ticks, 1);
            ticks[0] = now;
            n = 1;
            begin = 0;
            hole = begun_;
            cut = true;
        }
        remember(ticks, n, cut);
        // One that the list has not got yet is looked for again.
        bool whole = ticks[n - 1].bid == now.bid && ticks[n - 1].ask == now.ask;
        now_msc_ = whole ? now.time_msc : 0;
        now_bid_ = now.bid;
        now_ask_ = now.ask;
        return n;
    }
};
