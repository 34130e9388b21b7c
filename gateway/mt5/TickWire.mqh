// Frames of the tick protocol (gateway/TICKS.md), and the ticks that were told last.

#include "Frames.mqh"

#define TICK_WIRE_VERSION 1

#define TICK_FRAME_CHALLENGE 1
#define TICK_FRAME_HELLO 2
#define TICK_FRAME_WELCOME 3
#define TICK_FRAME_DENIED 4
#define TICK_FRAME_SYMBOL 5
#define TICK_FRAME_TICKS 6
#define TICK_FRAME_BACKFILL 7
#define TICK_FRAME_HISTORY 8
#define TICK_FRAME_HISTORY_END 9
#define TICK_FRAME_HEARTBEAT 10

#define TICK_HELLO_BYTES 88
#define TICK_HELLO_SIGNED_BYTES 56
#define TICK_HELLO_NONCE_AT 24
#define TICK_WELCOME_BYTES 40
#define TICK_WELCOME_SIGNED_BYTES 8
#define TICK_SYMBOL_BYTES 40
#define TICK_ENTRY_BYTES 40
#define TICK_ENTRIES_MAX 24
#define TICK_BACKFILL_BYTES 32
#define TICK_HISTORY_END_BYTES 16
#define TICK_HISTORY_MORE 1
#define TICK_HISTORY_FROM_START 2

/// A tick as it is told.
struct ToldTick
{
    int series;
    uint same;  // of its symbol before it with its very time
    ulong seq;  // of its symbol in this stream; 0 = there is none
    long time_ns;
    long bid;
    long ask;
};

void put_tick(uchar &b[], const int at, const ToldTick &t, const bool live)
{
    put_u32(b, at, (uint)t.series);
    put_u32(b, at + 4, live ? t.same : (uint)0);
    put_u64(b, at + 8, live ? t.seq : (ulong)0);
    put_i64(b, at + 16, t.time_ns);
    put_i64(b, at + 24, t.bid);
    put_i64(b, at + 32, t.ask);
}

/// The ticks told last, all symbols together, by their place in the whole stream: what back-fill is
/// answered from. It asks nobody, so it makes nobody wait.
class TickMemory
{
private:
    ToldTick kept_[];
    ulong begin_;
    ulong end_;

public:
    TickMemory() { reset(1); }
    void reset(const int size)
    {
        ArrayResize(kept_, size);
        begin_ = 0;
        end_ = 0;
    }
    /// Places of the oldest one, and behind the latest.
    ulong begin() { return begin_; }
    ulong end() { return end_; }
    bool is_full() { return end_ - begin_ == (ulong)ArraySize(kept_); }
    void at(const ulong place, ToldTick &t) { t = kept_[(int)(place % (ulong)ArraySize(kept_))]; }
    void add(const ToldTick &t)
    {
        ulong size = (ulong)ArraySize(kept_);
        kept_[(int)(end_ % size)] = t;
        end_++;
        if (end_ - begin_ > size)
            begin_ = end_ - size;
    }
};
