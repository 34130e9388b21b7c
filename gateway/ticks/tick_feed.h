// TickFeed: a terminal's end of the tick protocol (the simulated broker's, and tests'). It numbers
// ticks, sends them as they come, keeps the last of them to answer back-fill, and never waits: what
// the socket does not take is passed over and known by its number.
#pragma once

#include "gateway/ticks/tick_frames.h"

#include <deque>
#include <map>
#include <string>
#include <vector>

namespace millrace {

struct TickFeedOptions {
    std::string address = "127.0.0.1";  // IP literal
    std::uint16_t port = 0;
    std::uint64_t login = 0;
    std::vector<std::byte> key;
    std::uint64_t stream = 0;          // 0 = drawn
    std::size_t kept_max = 1U << 20U;  // ticks kept for back-fill, all symbols together
    Nanos reconnect = millis(500);
};

struct TickFeedStats {
    std::uint64_t pushed = 0;
    std::uint64_t sent = 0;         // live
    std::uint64_t passed_over = 0;  // while there was no connection, or no room in it
    std::uint64_t answered = 0;     // ticks of back-fill
    std::uint64_t requests = 0;
    std::uint64_t sessions = 0;
    std::uint64_t refused = 0;  // ticks of a symbol whose name is empty or too long
};

/// Threads: one.
class TickFeed {
public:
    explicit TickFeed(TickFeedOptions options);

    /// The next tick of a symbol (the account's own name, 1..16 bytes; others are counted and not
    /// sent). Times of a symbol must not go back. Goes out with the next step(), or at once when a
    /// frame is full.
    void push(std::string_view symbol, Nanos time, Price bid, Price ask);
    /// Connects, reads, answers, sends what waits. Never blocks. @param now any steady clock
    void step(Nanos now);
    /// Ends the connection as a cut would; it comes back after `reconnect`.
    void cut(Nanos now);
    /// Holds the connection but neither reads nor writes, as a stalled terminal does.
    void set_stalled(bool stalled) noexcept { stalled_ = stalled; }

    [[nodiscard]] bool up() const noexcept { return link_ == Link::Up; }
    /// Why the last connection ended; empty if none has.
    [[nodiscard]] const std::string& last_error() const noexcept { return last_error_; }
    [[nodiscard]] const TickFeedStats& stats() const noexcept { return stats_; }

    static constexpr Nanos kHeartbeat = millis(25);
    /// Nothing heard of the server for so long: the connection is begun anew.
    static constexpr Nanos kServerDead = seconds(3);

private:
    enum class Link : std::uint8_t { Down, Connecting, Greeting, Up };
    struct Kept {
        std::uint64_t seq = 0;
        Nanos time;
        Price bid;
        Price ask;
        std::uint32_t same = 0;  // before it with its very time
    };
    struct Series {
        std::string name;
        std::uint32_t index = 0;
        std::uint64_t seq = 0;
        Nanos time;
        std::uint64_t count = 0;
        std::deque<Kept> kept;
        bool named = false;   // on this connection
        bool behind = false;  // the latest has not been sent
    };
    struct Answer {
        tick_wire::Backfill asked{};
        std::size_t at = 0;  // next in kept
        std::uint32_t sent = 0;
        bool open = false;
    };

    void connect(Nanos now);
    void lost(std::string why, Nanos now);
    void read(Nanos now);
    [[nodiscard]] bool on_frame(const wire::Frame& frame);
    [[nodiscard]] bool on_challenge(const wire::Frame& frame);
    void name(Series& series);
    void send_live(Series& series, const Kept& tick);
    void send_batch();
    void send_behind();
    void send_answer();
    [[nodiscard]] bool send_history(Answer& answer, const Series& series);
    void end_history(const Answer& answer, const Series& series);
    void forget_oldest();
    void flush(Nanos now);

    TickFeedOptions options_;
    net::Poller poller_;
    net::Connection socket_;
    wire::FrameReader reader_{tick_wire::kVersion};
    Link link_ = Link::Down;
    bool stalled_ = false;
    wire::Nonce nonce_{};
    std::string last_error_;
    Nanos connect_at_;
    Nanos sent_at_;
    Nanos heard_;
    std::vector<Series> series_;
    std::map<std::string, std::uint32_t, std::less<>> index_;
    std::deque<std::uint32_t> order_;  // of kept ticks, by symbol: the oldest is forgotten first
    std::vector<tick_wire::TickEntry> batch_;
    std::deque<Answer> answers_;
    TickFeedStats stats_;
};

}  // namespace millrace
