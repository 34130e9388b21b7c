// Streams the ticks of the named symbols to millrace-ticks, on a socket of its own. Each tick gets
// its symbol's next number and is kept for a while; what the socket does not take is passed over,
// and only the latest of it goes out as soon as there is room. The other side sees by the numbers
// what is missing, and asks for it.
//
// Commands come first: nothing here waits for the network but a connection attempt, for
// TICK_CONNECT_MS and while no request is on its way, and no round does more than a bounded piece.

#include "Holdings.mqh"
#include "TickReader.mqh"
#include "TickWire.mqh"

#define TICK_CONNECT_MS 100
#define TICK_IO_MS 5              // of a send for which the socket said it has room
#define TICK_HEARTBEAT_MS 25
#define TICK_SILENCE_MS 3000
#define TICK_GREETING_MS 5000     // from the connection to WELCOME
#define TICK_STABLE_MS 5000       // a connection that held for so long was one
#define TICK_ALERT_AFTER 10       // attempts in a row that led to none
#define TICK_LATE_FACTOR 5        // and from there on so many times as far apart
#define TICK_OUT_BYTES_MAX 16384  // beyond that live ticks are passed over
#define TICKS_KEPT 65536
#define TICK_ASKED_MAX 64         // back-fill requests that wait

// Where a request is answered from (TickAnswers.mqh).
#define TICK_SOURCE_NONE 0  // not begun
#define TICK_SOURCE_MEMORY 1
#define TICK_SOURCE_HISTORY 2

/// A symbol in the stream.
struct TickSeries
{
    string name;
    TickReader reader;
    ToldTick last;
    long hole_ns;  // of the first tick after the last hole; 0 = there has been none
    long first_hole_ns;
    long gone_ns;  // no tick after this time has left the memory; NUMBER_MAX = there is none in it
    bool named;    // on this connection
    bool behind;   // `last` has not been sent
};

/// A back-fill request, and how far its answer is.
struct TickAsked
{
    ulong request;
    int series;
    uint limit;
    long from_ns;
    long to_ns;
    ulong place;
    uint sent;
    bool older;  // a tick of before the range is known
    int source;
};

class TickFeed : public FrameStream
{
private:
    TickSeries all_[];
    TickMemory kept_;
    TickAsked asked_[];
    uchar live_[];
    int live_count_;
    uchar nonce_[NONCE_BYTES];
    ulong stream_;  // 0 = not drawn yet
    bool greeted_;
    bool up_;
    ulong opened_ms_;
    ulong retry_at_ms_;
    int failures_;  // in a row
    ToldTick found_[];  // in the terminal's history: an answer on its way, to this place
    int found_at_;
    bool found_more_;
    bool found_whole_;
    bool history_begun_;  // `found_` is a request's
    ulong history_at_ms_; // not read again before

    string server() { return g_config.tick_host == "" ? g_config.host : g_config.tick_host; }
    void connect();
    void drop(const string why);
    bool take_frames();
    bool on_frame();
    bool on_challenge();
    bool on_welcome();
    bool on_backfill();
    void look(const int i);
    void push(const int i, const MqlTick &tick, const bool hole);
    bool add_live(const ToldTick &t);
    void send_live();
    void tell_symbol(const int i);
    void send_behind();
    void answer();
    void forget_asked(const int i);
    bool is_begun(TickAsked &asked);
    bool is_in_memory(const TickAsked &asked);
    bool may_read_history();
    bool read_history(const TickAsked &asked);
    bool answer_on(TickAsked &asked);
    bool answer_history(const TickAsked &asked);
    void end_answer(const TickAsked &asked, const bool more, const bool whole);

public:
    TickFeed() : FrameStream(TICK_WIRE_VERSION) { reset(); }
    void reset();
    void watch(const string symbol);
    bool is_wanted() { return g_config.tick_port > 0 && ArraySize(all_) > 0; }
    /// Ticks are to be streamed, and for long nobody has taken them.
    bool is_away() { return is_wanted() && !up_ && failures_ >= TICK_ALERT_AFTER; }
    void update();
    void stop();
};

void TickFeed::reset()
{
    ArrayResize(all_, 0);
    ArrayResize(asked_, 0);
    ArrayResize(live_, TICK_ENTRIES_MAX * TICK_ENTRY_BYTES);
    live_count_ = 0;
    kept_.reset(g_config.tick_port > 0 ? TICKS_KEPT : 1);
    g_tick_rest_until_ms = 0;
    history_begun_ = false;
    history_at_ms_ = 0;
    stream_ = 0;
    greeted_ = false;
    up_ = false;
    opened_ms_ = 0;
    retry_at_ms_ = 0;
    failures_ = 0;
}

/// Before the first update().
void TickFeed::watch(const string symbol)
{
    if (g_config.tick_port <= 0 || symbol == "" || StringLen(symbol) > TEXT_BYTES)
        return;
    int n = ArraySize(all_);
    ArrayResize(all_, n + 1, 16);
    all_[n].name = symbol;
    all_[n].reader.reset();
    ZeroMemory(all_[n].last);
    all_[n].last.series = n;
    all_[n].hole_ns = 0;
    all_[n].first_hole_ns = 0;
    all_[n].gone_ns = (long)NUMBER_MAX;
    all_[n].named = false;
    all_[n].behind = false;
    MqlTick ticks[];
    CopyTicks(symbol, ticks, COPY_TICKS_INFO, 0, 1);  // the first one may take the terminal long
}

// -- connection ----------------------------------------------------------------------------------

void TickFeed::connect()
{
    if (now_ms() < retry_at_ms_ || g_executor.in_flight() > 0)
        return;
    opened_ms_ = now_ms();
    if (!open_socket(server(), g_config.tick_port, TICK_CONNECT_MS, TICK_IO_MS))
        drop("no connection");
}

void TickFeed::drop(const string why)
{
    bool held = up_ && now_ms() >= opened_ms_ + TICK_STABLE_MS;
    if (up_)
        PrintFormat("millrace: the stream of ticks ended: %s", why);
    close_socket();
    ArrayResize(asked_, 0);
    history_begun_ = false;
    live_count_ = 0;
    greeted_ = false;
    up_ = false;
    failures_ = held ? 0 : failures_ + 1;
    ulong pause = (ulong)g_config.tick_retry_ms;
    retry_at_ms_ = now_ms() + (failures_ >= TICK_ALERT_AFTER ? pause * TICK_LATE_FACTOR : pause);
    if (failures_ == TICK_ALERT_AFTER)
        Alert("millrace: ticks are not taken at ", server(), ":",
              IntegerToString(g_config.tick_port), ": ", why,
              ". Is millrace-ticks there, and its address allowed?");
    for (int i = 0; i < ArraySize(all_); i++)
    {
        all_[i].named = false;
        all_[i].behind = all_[i].last.seq > 0;
    }
}

bool TickFeed::on_challenge()
{
    uchar hello[TICK_HELLO_BYTES];
    uchar mac[];
    if (greeted_ || body_bytes != CHALLENGE_BYTES ||
        !draw_nonce(body, (ulong)MathRand(), nonce_))
        return false;
    if (stream_ == 0)  // another one with each run: the numbers begin anew
        stream_ = get_u64(nonce_, 0) | 1;
    ArrayInitialize(hello, 0);
    put_u64(hello, 0, g_config.login);
    put_u64(hello, 8, stream_);
    put_u32(hello, 16, (uint)TerminalInfoInteger(TERMINAL_BUILD));
    for (int i = 0; i < NONCE_BYTES; i++)
        hello[TICK_HELLO_NONCE_AT + i] = nonce_[i];
    if (!sign_after(body, hello, TICK_HELLO_SIGNED_BYTES, mac))
        return false;
    for (int i = 0; i < MAC_BYTES; i++)
        hello[TICK_HELLO_SIGNED_BYTES + i] = mac[i];
    send(TICK_FRAME_HELLO, 0, hello, TICK_HELLO_BYTES);
    greeted_ = true;
    return true;
}

/// Who has not got the key gets no ticks.
bool TickFeed::on_welcome()
{
    if (!greeted_ || up_ || body_bytes != TICK_WELCOME_BYTES ||
        !is_signed_after(nonce_, body, TICK_WELCOME_SIGNED_BYTES))
        return false;
    up_ = true;
    return true;
}

/// @return false: the connection is of no use.
bool TickFeed::on_frame()
{
    switch (frame_type)
    {
        case TICK_FRAME_CHALLENGE:
            return on_challenge();
        case TICK_FRAME_WELCOME:
            return on_welcome();
        case TICK_FRAME_BACKFILL:
            return on_backfill();
        case TICK_FRAME_HEARTBEAT:
            return up_;
        case TICK_FRAME_DENIED:
            PrintFormat("millrace: ticks are denied: %s",
                        get_text(body, 0, MathMin(body_bytes, DENIED_BYTES)));
            return false;
    }
    return false;
}

bool TickFeed::take_frames()
{
    bool alive = read();
    int what = next();
    while (what == FRAME_READY)
    {
        if (!on_frame())
            return false;
        what = next();
    }
    return alive && what == FRAME_NONE;
}

// -- ticks in ------------------------------------------------------------------------------------

void TickFeed::look(const int i)
{
    MqlTick ticks[];
    int begin;
    bool hole;
    int n = all_[i].reader.read(all_[i].name, ticks, begin, hole);
    for (int k = begin; k < n; k++)
        push(i, ticks[k], hole && k == begin);
}

/// The symbol's next tick. @param hole there were others before it: a number at least is nobody's.
void TickFeed::push(const int i, const MqlTick &tick, const bool hole)
{
    ToldTick t = all_[i].last;
    // Its time in UTC; never back, whatever the server's clock does.
    long time_ns = (tick.time_msc - server_offset_s() * 1000) * 1000000;
    bool later = t.seq == 0 || time_ns > t.time_ns;
    if (t.seq == 0)
        all_[i].gone_ns = time_ns - 1;
    t.same = later ? 0 : t.same + 1;
    t.time_ns = later ? time_ns : t.time_ns;
    t.seq += hole ? 2 : 1;
    t.bid = to_scaled(tick.bid);
    t.ask = to_scaled(tick.ask);
    all_[i].last = t;
    if (hole)
        all_[i].hole_ns = t.time_ns;
    if (hole && all_[i].first_hole_ns == 0)
        all_[i].first_hole_ns = t.time_ns;
    if (kept_.is_full())
    {
        ToldTick gone;
        kept_.at(kept_.begin(), gone);
        all_[gone.series].gone_ns = gone.time_ns;
    }
    kept_.add(t);
    all_[i].behind = !(up_ && all_[i].named && add_live(t));
}

// -- frames out ----------------------------------------------------------------------------------

/// @return false if there is no room.
bool TickFeed::add_live(const ToldTick &t)
{
    if (live_count_ == TICK_ENTRIES_MAX)
        send_live();
    if (live_count_ == TICK_ENTRIES_MAX)
        return false;
    put_tick(live_, live_count_ * TICK_ENTRY_BYTES, t, true);
    live_count_++;
    return true;
}

void TickFeed::send_live()
{
    if (live_count_ == 0)
        return;
    // What the socket takes at once is no reason to pass ticks over. A break shows in update().
    if (waiting_bytes() > TICK_OUT_BYTES_MAX)
        write_out();
    if (waiting_bytes() > TICK_OUT_BYTES_MAX)
        return;
    send(TICK_FRAME_TICKS, 0, live_, live_count_ * TICK_ENTRY_BYTES);
    live_count_ = 0;
}

/// Its numbers so far are told, so what was before is the other side's to ask for.
void TickFeed::tell_symbol(const int i)
{
    uchar b[TICK_SYMBOL_BYTES];
    ulong seq = all_[i].last.seq;
    ArrayInitialize(b, 0);
    put_u32(b, 0, (uint)i);
    put_u32(b, 4, seq > 0 ? all_[i].last.same + 1 : (uint)0);
    put_text(b, 8, TEXT_BYTES, all_[i].name);
    put_u64(b, 24, seq);
    put_i64(b, 32, all_[i].last.time_ns);
    send(TICK_FRAME_SYMBOL, 0, b, TICK_SYMBOL_BYTES);
    all_[i].named = true;
    all_[i].behind = seq > 0;
}

/// The latest of every symbol that was passed over: conflated.
void TickFeed::send_behind()
{
    for (int i = 0; i < ArraySize(all_) && waiting_bytes() <= TICK_OUT_BYTES_MAX; i++)
    {
        if (!all_[i].named)
            tell_symbol(i);
        if (all_[i].behind)
            all_[i].behind = !add_live(all_[i].last);
    }
}

// -- duty cycle ----------------------------------------------------------------------------------

/// One round: what is new, and as much of it out as there is room for.
void TickFeed::update()
{
    if (!is_wanted())
        return;
    if (!is_open())
        connect();
    else if (!take_frames())
        drop("refused, or the other side is gone");
    for (int i = 0; i < ArraySize(all_) && g_account.connected(); i++)
        look(i);
    if (!is_open())
        return;
    if (up_)
    {
        send_behind();
        send_live();
    }
    bool alive = write_out();
    if (alive && up_ && waiting_bytes() == 0)  // live ticks go first
    {
        answer();
        if (now_ms() >= sent_ms + TICK_HEARTBEAT_MS)
            send_number(TICK_FRAME_HEARTBEAT, (ulong)wall_ns());
        alive = write_out();
    }
    bool late = up_ ? now_ms() >= heard_ms + TICK_SILENCE_MS
                    : now_ms() >= opened_ms_ + TICK_GREETING_MS;
    if (!alive)
        drop("the other side is gone");
    else if (late)
        drop("silence");
}

void TickFeed::stop()
{
    close_socket();
    up_ = false;
    greeted_ = false;
}

TickFeed g_ticks;
