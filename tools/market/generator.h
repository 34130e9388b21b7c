// Ticks from a seed: a random walk a symbol with realistic spreads, the same on every machine.
#pragma once

#include "tools/market/symbols.h"
#include "tools/market/tick.h"

#include <vector>

namespace millrace::market {

/// splitmix64: small, fast, and (unlike <random>'s distributions) the same on every library.
class Random {
public:
    explicit Random(std::uint64_t seed) noexcept : state_{seed} {}
    [[nodiscard]] std::uint64_t next() noexcept;
    /// Uniform in 0..bound-1. @param bound > 0.
    [[nodiscard]] std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }
    /// True with this probability, in millionths.
    [[nodiscard]] bool chance_ppm(std::uint64_t ppm) noexcept { return below(1'000'000) < ppm; }

private:
    std::uint64_t state_;
};

struct GeneratorOptions {
    std::uint64_t seed = 1;
    Nanos start;                             // time of the first tick
    std::int64_t mean_gap_ns = 100'000'000;  // between ticks of all symbols together
    std::uint64_t ticks_max = 0;             // 0 = endless
};

/// Endless random-walk ticks: exponential gaps, steps of a few points, spreads that widen now and
/// then, prices kept within a factor of two of where they began.
class TickGenerator final : public TickSource {
public:
    /// @param symbols at least one.
    TickGenerator(std::vector<SymbolInfo> symbols, GeneratorOptions options);
    [[nodiscard]] std::optional<Tick> next() override;

private:
    struct Walk {
        SymbolInfo info;
        std::int64_t mid = 0;  // 1e-8
    };
    [[nodiscard]] std::int64_t gap_ns() noexcept;
    [[nodiscard]] Tick step(Walk& walk) noexcept;

    std::vector<Walk> walks_;
    GeneratorOptions options_;
    Random random_;
    Nanos time_;
    std::uint64_t made_ = 0;
};

}  // namespace millrace::market
