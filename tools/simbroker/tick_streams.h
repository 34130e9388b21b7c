// The tick sockets of the simulated terminals: every tick of the market, in each account's own
// symbol names, to millrace-ticks.
#pragma once

#include "gateway/ticks/tick_feed.h"
#include "tools/market/tick.h"
#include "tools/simbroker/config.h"
#include "tools/simbroker/event_loop.h"

#include <memory>
#include <string>
#include <vector>

namespace millrace::sim {

struct TickStreamOptions {
    std::string address;  // empty = none
    std::uint16_t port = 0;
    std::uint32_t accounts = 1;  // so many of the first accounts stream
};

/// Threads: the simulator's.
class TickStreams {
public:
    TickStreams(EventLoop& loop, const TickStreamOptions& options,
                const std::vector<AccountEntry>& accounts);
    ~TickStreams();
    TickStreams(const TickStreams&) = delete;
    TickStreams& operator=(const TickStreams&) = delete;

    void push(const market::Tick& tick);
    /// `what`: cut, stall (neither reads nor writes) or resume. @param login 0 = all.
    /// @return false for another word.
    bool disturb(const std::string& what, std::uint64_t login);
    /// Of all of them together.
    [[nodiscard]] TickFeedStats stats() const noexcept;

private:
    struct Stream {
        std::uint64_t login = 0;
        std::string prefix;
        std::string suffix;
        std::unique_ptr<TickFeed> feed;
    };
    void step();

    EventLoop& loop_;
    std::vector<Stream> streams_;
    std::map<Text<16>, Nanos> newest_;
    EventLoop::TimerId timer_ = 0;
};

}  // namespace millrace::sim
