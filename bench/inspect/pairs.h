// Paired comparison: the ratio of B to A with its 95 % interval.
#pragma once

#include <vector>

namespace millrace::bench {

struct Interval {
    double ratio = 1;  // geometric mean of B/A
    double low = 1;    // 95 %, Student's t over the logarithms
    double high = 1;
    /// Nothing that these pairs could show.
    [[nodiscard]] bool includes_one() const noexcept { return low <= 1 && high >= 1; }
};

/// @param a, b one value per pair, > 0, as many of one as of the other, at least two.
[[nodiscard]] Interval compare(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace millrace::bench
