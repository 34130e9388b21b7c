// Plays ticks in (scaled) time: every one to the trade server, conflated ones to a callback.
#pragma once

#include "tools/market/tick.h"
#include "tools/simbroker/event_loop.h"

#include <functional>
#include <map>
#include <memory>

namespace millrace::sim {

struct FeedOptions {
    double speed = 1.0;  // recorded seconds a second; > 0
    Nanos origin;        // recorded time that plays at `start`; 0 = that of the first tick
    Nanos start;         // wall clock; 0 = now
    Nanos gap_max;       // longer recorded gaps are shortened to this; 0 = played in full
};

class MarketFeed {
public:
    using OnQuote = std::function<void(const market::Tick&)>;

    /// Quotes younger than this are put together into one frame a symbol.
    static constexpr Nanos kStep = millis(1);

    /// @param every each tick, in order. @param conflated the latest of a symbol, once a step.
    MarketFeed(EventLoop& loop, std::unique_ptr<market::TickSource> source, FeedOptions options,
               OnQuote every, OnQuote conflated);
    ~MarketFeed();
    MarketFeed(const MarketFeed&) = delete;
    MarketFeed& operator=(const MarketFeed&) = delete;

    void start();
    /// A quote from elsewhere (the control line), now.
    void inject(const market::Tick& tick);
    /// Sends the latest quote of every symbol with the next step: a listener is new.
    void resend_all();
    [[nodiscard]] bool ended() const noexcept { return ended_; }
    [[nodiscard]] std::uint64_t played() const noexcept { return played_; }

private:
    void play_due();
    void publish();
    [[nodiscard]] Nanos due(Nanos recorded) const noexcept;

    EventLoop& loop_;
    std::unique_ptr<market::TickSource> source_;
    FeedOptions options_;
    OnQuote every_;
    OnQuote conflated_;
    std::optional<market::Tick> next_;
    Nanos skipped_;  // recorded time cut out of gaps
    Nanos last_time_;
    Nanos start_monotonic_;
    bool ended_ = false;
    std::uint64_t played_ = 0;
    EventLoop::TimerId timer_ = 0;
    std::map<Text<16>, market::Tick> latest_;
    std::map<Text<16>, market::Tick> dirty_;
};

}  // namespace millrace::sim
