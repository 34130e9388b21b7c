#include "bench/lib/hop_window.h"

#include <algorithm>

namespace millrace::bench {

HopCounts counts_of(const Histogram& h) {
    HopCounts out{};
    for (std::size_t i = 0; i < out.size(); ++i) {
        // Relaxed: a counter.
        out[i] = h.buckets[i].load(std::memory_order_relaxed);
    }
    return out;
}

double quantile_between(const HopCounts& before, const HopCounts& after, double q) {
    double total = 0;
    for (std::size_t i = 0; i < after.size(); ++i) {
        total += static_cast<double>(after[i] - before[i]);
    }
    double seen = 0;
    for (std::size_t i = 0; i < after.size(); ++i) {
        const auto here = static_cast<double>(after[i] - before[i]);
        if (here > 0 && seen + here >= q * total) {
            const double low = i == 0 ? 0 : static_cast<double>(Histogram::upper_of(i - 1));
            const double high = static_cast<double>(Histogram::upper_of(i));
            return std::max(1.0, low + (high - low) * (q * total - seen) / here);
        }
        seen += here;
    }
    return 1.0;
}

}  // namespace millrace::bench
