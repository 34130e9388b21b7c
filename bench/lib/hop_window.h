// Quantiles of what a histogram of a live segment counted between two looks at it.
#pragma once

#include "shm/histogram.h"

#include <array>
#include <cstdint>

namespace millrace::bench {

using HopCounts = std::array<std::uint64_t, Histogram::kBuckets>;

/// The counters as they are now. Threads: any; what is on its way belongs to the next look.
[[nodiscard]] HopCounts counts_of(const Histogram& h);

/// Quantile `q` (0..1) of what came between two looks, ns, at least 1. Straight lines inside a
/// bucket: else a round would be one of few values, each 6 % from the next.
[[nodiscard]] double quantile_between(const HopCounts& before, const HopCounts& after, double q);

}  // namespace millrace::bench
