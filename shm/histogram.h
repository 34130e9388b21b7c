// Histogram: log-linear latency counters in shared memory (HdrHistogram's idea: a power of two
// split into 16 linear steps, so a value is at most 6.25 % off). Mergeable; one writer.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace millrace {

/// Counts of values in nanoseconds, 0 .. 2^42 (73 minutes), larger ones in the last bucket.
struct Histogram {
    static constexpr unsigned kSubBits = 4;
    static constexpr std::size_t kSub = std::size_t{1} << kSubBits;
    static constexpr std::size_t kPowers = 39;
    static constexpr std::size_t kBuckets = (kPowers + 1) * kSub;

    std::atomic<std::uint64_t> total;
    std::atomic<std::uint64_t> sum;
    std::atomic<std::uint64_t> max;
    std::atomic<std::uint64_t> buckets[kBuckets];

    [[nodiscard]] static constexpr std::size_t index_of(std::uint64_t v) noexcept {
        if (v < kSub) {
            return static_cast<std::size_t>(v);
        }
        const auto power = static_cast<unsigned>(std::bit_width(v)) - 1 - kSubBits;
        const std::size_t i = (power + 1) * kSub + ((v >> power) & (kSub - 1));
        return i < kBuckets ? i : kBuckets - 1;
    }
    /// Largest value that bucket `i` holds.
    [[nodiscard]] static constexpr std::uint64_t upper_of(std::size_t i) noexcept {
        if (i < kSub) {
            return i;
        }
        const std::size_t power = i / kSub - 1;
        return ((kSub + i % kSub + 1) << power) - 1;
    }

    /// Counts one value; negative ones (clock of another host) count as 0.
    /// Threads: the one writer. Relaxed: counters order nothing, readers want a recent picture.
    void record(std::int64_t value_ns) noexcept {
        const auto v = static_cast<std::uint64_t>(value_ns < 0 ? 0 : value_ns);
        bump(buckets[index_of(v)], 1);
        bump(total, 1);
        bump(sum, v);
        if (v > max.load(std::memory_order_relaxed)) {
            max.store(v, std::memory_order_relaxed);
        }
    }

    /// Upper bound of the bucket that holds the quantile `num/den` (p99 = 99/100); 0 if empty.
    [[nodiscard]] std::uint64_t quantile(std::uint64_t num, std::uint64_t den) const noexcept {
        std::uint64_t count = 0;
        for (const auto& b : buckets) {
            count += b.load(std::memory_order_relaxed);
        }
        const std::uint64_t rank = (count * num + den - 1) / den;
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < kBuckets && rank > 0; ++i) {
            seen += buckets[i].load(std::memory_order_relaxed);
            if (seen >= rank) {
                return upper_of(i);
            }
        }
        return 0;
    }

private:
    static void bump(std::atomic<std::uint64_t>& c, std::uint64_t n) noexcept {
        c.store(c.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
};
static_assert(Histogram::index_of(Histogram::upper_of(100)) == 100);
static_assert(Histogram::index_of(Histogram::upper_of(100) + 1) == 101);

}  // namespace millrace
