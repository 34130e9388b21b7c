#include "tools/market/generator.h"

#include "core/assert.h"
#include "tools/market/text.h"

#include <algorithm>

namespace millrace::market {

std::uint64_t Random::next() noexcept {
    state_ += 0x9E37'79B9'7F4A'7C15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58'476D'1CE4'E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D0'49BB'1331'11EBULL;
    return z ^ (z >> 31);
}

TickGenerator::TickGenerator(std::vector<SymbolInfo> symbols, GeneratorOptions options)
    : options_{options}, random_{options.seed}, time_{options.start} {
    ASSERT(!symbols.empty());
    for (SymbolInfo& info : symbols) {
        const std::int64_t start = info.typical_price.value;
        walks_.push_back({std::move(info), start});
    }
}

std::int64_t TickGenerator::gap_ns() noexcept {
    // Geometric by halving: exponential enough, and integer arithmetic alone.
    std::int64_t gap = static_cast<std::int64_t>(
        random_.below(static_cast<std::uint64_t>(options_.mean_gap_ns) + 1));
    for (int i = 0; i < 6 && random_.below(2) == 0; ++i) {
        gap += options_.mean_gap_ns / 2;
    }
    return std::max<std::int64_t>(gap, 1);
}

Tick TickGenerator::step(Walk& walk) noexcept {
    const SymbolInfo& info = walk.info;
    const std::int64_t tick = info.tick_size.value;
    // A step is a few hundred-thousandths of the price, now and then ten times that.
    const std::int64_t reach = std::max<std::int64_t>(1, walk.mid / 50'000 / tick);
    const std::int64_t burst = random_.below(500) == 0 ? 10 : 1;
    const auto span = static_cast<std::uint64_t>(2 * reach * burst + 1);
    walk.mid += (static_cast<std::int64_t>(random_.below(span)) - reach * burst) * tick;
    walk.mid = std::clamp(walk.mid, info.typical_price.value / 2, info.typical_price.value * 2);
    walk.mid = round_to_step(walk.mid, tick);
    std::int64_t spread = info.typical_spread.value;
    spread += static_cast<std::int64_t>(random_.below(4)) * tick;
    if (random_.below(200) == 0) {
        spread *= 5;
    }
    const std::int64_t below_mid = round_to_step(spread / 2, tick);
    return {time_, to_text<16>(info.name), Price{walk.mid - below_mid},
            Price{walk.mid - below_mid + std::max(round_to_step(spread, tick), tick)}};
}

std::optional<Tick> TickGenerator::next() {
    if (options_.ticks_max != 0 && made_ == options_.ticks_max) {
        return std::nullopt;
    }
    // The first round quotes every symbol, so that nothing has to wait for its first price.
    const bool first_round = made_ < walks_.size();
    if (!first_round) {
        time_ = time_ + Nanos{gap_ns()};
    }
    const std::uint64_t which = first_round ? made_ : random_.below(walks_.size());
    ++made_;
    return step(walks_[which]);
}

}  // namespace millrace::market
