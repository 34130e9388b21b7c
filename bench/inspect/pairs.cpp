#include "bench/inspect/pairs.h"

#include "core/assert.h"

#include <cmath>
#include <iterator>

namespace millrace::bench {
namespace {

/// Two-sided 95 % quantile of Student's t; 1.96 for many degrees of freedom.
double student(std::size_t freedom) {
    constexpr double kTable[] = {12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23,
                                 2.20,  2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10, 2.09, 2.09,
                                 2.08,  2.07, 2.07, 2.06, 2.06, 2.06, 2.05, 2.05, 2.05, 2.04};
    return freedom <= std::size(kTable) ? kTable[freedom - 1] : 1.96 + 2.4 / double(freedom);
}

}  // namespace

Interval compare(const std::vector<double>& a, const std::vector<double>& b) {
    ASSERT(a.size() == b.size());
    ASSERT(a.size() >= 2);
    const auto n = static_cast<double>(a.size());
    double mean = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        mean += std::log(b[i] / a[i]) / n;
    }
    double squares = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double d = std::log(b[i] / a[i]) - mean;
        squares += d * d;
    }
    const double half = student(a.size() - 1) * std::sqrt(squares / (n - 1) / n);
    return {std::exp(mean), std::exp(mean - half), std::exp(mean + half)};
}

}  // namespace millrace::bench
