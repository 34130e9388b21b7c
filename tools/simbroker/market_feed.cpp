#include "tools/simbroker/market_feed.h"

#include "core/assert.h"

#include <algorithm>

namespace millrace::sim {
namespace {

// Ticks in one wake-up: at high speeds the sockets get their turn in between.
constexpr int kTicksMax = 20'000;

}  // namespace

MarketFeed::MarketFeed(EventLoop& loop, std::unique_ptr<market::TickSource> source,
                       FeedOptions options, OnQuote every, OnQuote conflated)
    : loop_{loop},
      source_{std::move(source)},
      options_{options},
      every_{std::move(every)},
      conflated_{std::move(conflated)} {
    ASSERT(options_.speed > 0);
}

MarketFeed::~MarketFeed() {
    loop_.cancel(timer_);
}

Nanos MarketFeed::due(Nanos recorded) const noexcept {
    const auto elapsed = static_cast<double>((recorded - options_.origin - skipped_).value);
    return start_monotonic_ + Nanos{static_cast<std::int64_t>(elapsed / options_.speed)};
}

void MarketFeed::start() {
    // The plan is in wall time (another process shares it), the timers are monotonic.
    const Nanos wall = EventLoop::wall_now();
    const Nanos start = options_.start.value == 0 ? wall : options_.start;
    start_monotonic_ = EventLoop::now() + (start - wall);
    next_ = source_ ? source_->next() : std::nullopt;
    if (next_ && options_.origin.value == 0) {
        options_.origin = next_->time;
    }
    if (next_) {
        last_time_ = next_->time;
    }
    play_due();
}

void MarketFeed::play_due() {
    timer_ = 0;
    const Nanos now = EventLoop::now();
    for (int i = 0; next_ && i < kTicksMax && due(next_->time) <= now; ++i) {
        const market::Tick tick = *next_;
        last_time_ = tick.time;
        inject(tick);
        ++played_;
        next_ = source_->next();
        const Nanos gap = next_ ? next_->time - last_time_ : Nanos{};
        if (options_.gap_max.value > 0 && gap > options_.gap_max) {
            skipped_ = skipped_ + (gap - options_.gap_max);
        }
    }
    ended_ = !next_;
    publish();
    const Nanos soon = now + kStep;
    const Nanos then = next_ ? std::max(soon, due(next_->time)) : now + seconds(1);
    // Dirty quotes of inject() and resend_all() wait a step at most.
    timer_ = loop_.at(std::min(then, now + millis(20)), [this] { play_due(); });
}

void MarketFeed::inject(const market::Tick& tick) {
    every_(tick);
    latest_[tick.symbol] = tick;
    dirty_[tick.symbol] = tick;
}

void MarketFeed::resend_all() {
    dirty_ = latest_;
}

void MarketFeed::publish() {
    for (const auto& [symbol, tick] : dirty_) {
        conflated_(tick);
    }
    dirty_.clear();
}

}  // namespace millrace::sim
