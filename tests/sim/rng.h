// Rng: splitmix64. One stream per part: a draw added in one place does not reshuffle others.
#pragma once

#include "core/index_map.h"

#include <cstdint>

namespace millrace::sim {

class Rng {
public:
    explicit Rng(std::uint64_t seed) noexcept : state_{mix64(seed + 0x9E3779B97F4A7C15ULL)} {}

    std::uint64_t next() noexcept {
        state_ += 0x9E3779B97F4A7C15ULL;
        return mix64(state_);
    }
    /// 0 .. n-1; n > 0.
    std::uint64_t below(std::uint64_t n) noexcept { return next() % n; }
    /// True in `per_mille` of 1,000 cases.
    bool chance(std::uint64_t per_mille) noexcept { return below(1000) < per_mille; }

private:
    std::uint64_t state_;
};

}  // namespace millrace::sim
