// TickServer: where terminals stream their ticks. It keeps the latest-tick table, and hands every
// tick on to a TickSink (the recorder's queue, the distribution).
//
// A symbol that several accounts' terminals tell has one owner at a time, whose quotes are in the
// table; when its link is cut, or is silent for kFeedSilence, another one that tells the symbol
// takes over with its latest quote at once.
#pragma once

#include "gateway/ticks/tick_peer.h"
#include "shm/tick_table.h"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

struct TickAccount {
    std::uint64_t login = 0;
    std::vector<std::byte> key;
    std::string symbol_prefix;
    std::string symbol_suffix;
};

/// A tick as it came from an account's terminal. `symbol` is canonical.
struct FeedTick {
    std::uint64_t feed = 0;
    Text<16> symbol;
    std::uint64_t seq = 0;
    Nanos time;  // the source's
    Price bid;
    Price ask;
    std::uint64_t same = 0;  // ticks of the symbol before it with its very time
};
struct FeedSymbol {
    std::uint64_t feed = 0;
    Text<16> symbol;
    std::uint64_t stream = 0;
    std::uint64_t seq = 0;
    Nanos time;
    std::uint64_t count = 0;
};

/// Who else wants to know. Called from TickServer::step(); must not block.
class TickSink {
public:
    virtual ~TickSink() = default;
    virtual void on_feed(std::uint64_t feed, bool up) = 0;
    virtual void on_symbol(const FeedSymbol& symbol) = 0;
    virtual void on_tick(const FeedTick& tick) = 0;
    /// The quote of a table row is another one. @param now UTC
    virtual void on_latest(std::uint32_t row, const FeedTick& tick, Nanos now) = 0;
    virtual void on_history(std::uint64_t request, const FeedTick& tick) = 0;
    virtual void on_history_end(std::uint64_t feed, std::uint64_t request, bool more,
                                bool from_start) = 0;
    /// A symbol of `feed` is not taken: its name without prefix and suffix is that of another one.
    virtual void on_refused(std::uint64_t feed, std::string_view name) {
        static_cast<void>(feed);
        static_cast<void>(name);
    }
};

struct TickServerOptions {
    net::ListenOptions listen;
    std::vector<TickAccount> accounts;
    std::string table_path;
    std::uint32_t symbols_max = 1024;
};

struct TickServerStats {
    std::uint64_t ticks = 0;
    std::uint64_t passed_over = 0;  // no price, no room in the table, or of a refused symbol
    std::uint64_t refused = 0;      // symbols whose name another one of the account has
    std::uint64_t takeovers = 0;    // of a symbol by another feed
    std::uint64_t silences = 0;     // of a feed, each looked at once
    std::uint64_t sessions = 0;
    std::uint64_t denied = 0;
    std::uint64_t bad_frames = 0;
};

/// What a source is asked for; see TickSink::on_history.
struct FeedRequest {
    std::uint64_t feed = 0;
    std::uint64_t request = 0;
    Text<16> symbol;
    Nanos from;
    Nanos to;
    std::uint32_t limit = 0;
};

/// Threads: one. After open() and each feed's first frames nothing here allocates or blocks.
class TickServer {
public:
    static constexpr Nanos kFeedSilence = millis(75);  // then another may take its symbols over
    static constexpr Nanos kFeedDead = seconds(3);     // then its connection is closed
    /// Ticks of one time, and numbers, that a terminal may claim; beyond, its words are none.
    static constexpr std::uint32_t kSameMax = 1'000'000;
    static constexpr std::uint64_t kSeqMax = 1ULL << 62U;

    /// @return what Listener and TickTableMap say; `message` names it.
    static Result<std::unique_ptr<TickServer>> open(TickServerOptions options, TickSink& sink,
                                                    std::string& message);
    ~TickServer();

    /// One round: accepts, reads, stores, sends.
    /// @param now UTC of a clock that never steps (shm/clock.h, Clock): waits are measured by it.
    /// @return frames handled.
    int step(Nanos now) noexcept;
    /// Readable when step() has something to do.
    [[nodiscard]] int wake_fd() const noexcept { return poller_.fd(); }
    /// @return false if the feed is not there, does not know the symbol, or does not read.
    [[nodiscard]] bool ask(const FeedRequest& request) noexcept;

    /// Tells `sink` on_feed() and on_symbol() again, as things are now, of all terminals: from the
    /// `at`-th of them on (0 = the first), `max` symbols, more or less; `at` moves.
    /// @return false: those were all.
    [[nodiscard]] bool tell_again(TickSink& sink, std::size_t& at, std::size_t max) const;

    [[nodiscard]] std::uint16_t port() const noexcept { return listener_.port(); }
    [[nodiscard]] const TickServerStats& stats() const noexcept { return stats_; }
    [[nodiscard]] const TickTableWriter& table() const noexcept { return table_; }

private:
    struct Peer;
    TickServer(TickServerOptions options, TickSink& sink, net::Listener listener,
               net::Poller poller, TickTableMap table);

    struct Teller {
        Peer* peer = nullptr;
        std::uint32_t index = 0;  // of its symbols
    };
    void accept_waiting(Nanos now) noexcept;
    int serve(Peer& peer, Nanos now) noexcept;
    [[nodiscard]] Status on_frame(Peer& peer, const wire::Frame& frame, Nanos now) noexcept;
    [[nodiscard]] Status on_hello(Peer& peer, const wire::Frame& frame, Nanos now) noexcept;
    [[nodiscard]] Status on_symbol(Peer& peer, const wire::Frame& frame) noexcept;
    [[nodiscard]] Status on_entries(Peer& peer, const wire::Frame& frame, Nanos now) noexcept;
    [[nodiscard]] Status on_history_end(Peer& peer, const wire::Frame& frame) noexcept;
    void on_live(Peer& peer, std::uint32_t index, const FeedTick& tick, Nanos now) noexcept;
    void show(std::uint32_t row, const FeedTick& tick, Nanos at) noexcept;
    void deny(Peer& peer, const char* why, Nanos now) noexcept;
    void drop(Peer& peer, Nanos now) noexcept;
    void hand_over(Peer& peer, Nanos now) noexcept;
    void sweep(Nanos now) noexcept;
    void settle(Peer& peer, Nanos now) noexcept;
    [[nodiscard]] bool speaks(const Peer& peer, Nanos now) const noexcept;
    [[nodiscard]] Text<16> canonical(const TickAccount& account, const char* name) const noexcept;

    TickServerOptions options_;
    TickSink& sink_;
    net::Listener listener_;
    net::Poller poller_;
    TickTableWriter table_;
    std::vector<std::unique_ptr<Peer>> peers_;
    std::vector<Peer*> owner_;                  // by row
    std::vector<std::vector<Teller>> tellers_;  // by row
    Nanos swept_;
    Nanos stepped_;
    Nanos resumed_;  // after a pause of ours: silence before it is nobody's
    TickServerStats stats_;
};

}  // namespace millrace
