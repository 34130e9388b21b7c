// Hdr: log-linear histogram of nanoseconds after HdrHistogram (which Debian 12 has for Java and Go
// only): each power of two in 128 linear steps, so a value is at most 1/128 = 0.78 % off.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace millrace::bench {

/// Counts of values 0 .. 2^42 ns, larger ones in the last bucket. Not for sharing between threads;
/// trivially copyable, so that it may lie in memory that two processes share.
class Hdr {
public:
    static constexpr unsigned kSubBits = 7;
    static constexpr std::size_t kSub = std::size_t{1} << kSubBits;
    static constexpr std::size_t kBuckets = (42 - kSubBits + 1) * kSub;

    [[nodiscard]] static constexpr std::size_t index_of(std::uint64_t v) noexcept {
        if (v < kSub) {
            return static_cast<std::size_t>(v);
        }
        const auto power = static_cast<unsigned>(std::bit_width(v)) - 1 - kSubBits;
        return std::min((power + 1) * kSub + ((v >> power) & (kSub - 1)), kBuckets - 1);
    }
    /// Largest value of bucket `i`.
    [[nodiscard]] static constexpr std::uint64_t upper_of(std::size_t i) noexcept {
        const std::size_t power = i / kSub;
        return i < kSub ? i : ((kSub + i % kSub + 1) << (power - 1)) - 1;
    }

    /// Negative values (two clocks that disagree by a few ns) count as 0.
    void add(std::int64_t ns) noexcept {
        const auto v = static_cast<std::uint64_t>(std::max<std::int64_t>(ns, 0));
        ++counts_[index_of(v)];
        ++total_;
        max_ = std::max(max_, v);
    }
    void add(const Hdr& other) noexcept {
        for (std::size_t i = 0; i < kBuckets; ++i) {
            counts_[i] += other.counts_[i];
        }
        total_ += other.total_;
        max_ = std::max(max_, other.max_);
    }
    /// @param q 0 .. 1. @return upper end of the bucket that holds it, at most max(); 0 if empty.
    [[nodiscard]] std::uint64_t quantile(double q) const noexcept {
        const auto rank = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(total_)));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < kBuckets && total_ > 0; ++i) {
            seen += counts_[i];
            if (seen >= std::max<std::uint64_t>(rank, 1)) {
                return std::min(upper_of(i), max_);
            }
        }
        return max_;
    }
    [[nodiscard]] std::uint64_t total() const noexcept { return total_; }
    [[nodiscard]] std::uint64_t max() const noexcept { return max_; }
    [[nodiscard]] std::uint64_t count(std::size_t i) const noexcept { return counts_[i]; }

private:
    std::array<std::uint64_t, kBuckets> counts_{};
    std::uint64_t total_ = 0;
    std::uint64_t max_ = 0;
};
static_assert(Hdr::index_of(Hdr::upper_of(1000)) == 1000);
static_assert(Hdr::index_of(Hdr::upper_of(1000) + 1) == 1001);

}  // namespace millrace::bench
