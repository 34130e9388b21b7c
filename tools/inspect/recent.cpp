#include "tools/inspect/recent.h"

#include <algorithm>
#include <span>

namespace millrace::inspect {
namespace {

/// What was counted since. A counter that went back was damaged, or is another life's: nothing.
std::uint64_t grown(std::uint64_t before, std::uint64_t now) noexcept {
    return now > before ? now - before : 0;
}

/// As Histogram::quantile(), of `total` values in `counts`.
std::uint64_t quantile(std::span<const std::uint64_t> counts, std::uint64_t total,
                       std::uint64_t num, std::uint64_t den) noexcept {
    const std::uint64_t rank = (total * num + den - 1) / den;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts.size() && rank > 0; ++i) {
        seen += counts[i];
        if (seen >= rank) {
            return Histogram::upper_of(i);
        }
    }
    return 0;
}

}  // namespace

RecentLatencies::Look RecentLatencies::take(const Segment& segment, Nanos now) {
    Look look;
    look.at = now;
    look.counts.reserve(kHops * Histogram::kBuckets);
    for (std::uint32_t hop = 0; hop < kHops; ++hop) {
        const Histogram& h = segment.hop(static_cast<Hop>(hop));
        // Relaxed: counters; the picture may be of some microseconds.
        for (const auto& bucket : h.buckets) {
            look.counts.push_back(bucket.load(std::memory_order_relaxed));
        }
        look.sums[hop] = h.sum.load(std::memory_order_relaxed);
        look.largest[hop] = h.max.load(std::memory_order_relaxed);
    }
    return look;
}

HopStat RecentLatencies::between(const Look& before, const Look& now, std::uint32_t hop) {
    std::array<std::uint64_t, Histogram::kBuckets> counts{};
    const std::size_t first = hop * Histogram::kBuckets;
    HopStat s;
    s.name = hop_name(hop);
    for (std::size_t i = 0; i < counts.size(); ++i) {
        counts[i] = grown(before.counts[first + i], now.counts[first + i]);
        s.count += counts[i];
    }
    s.mean = s.count == 0 ? 0 : grown(before.sums[hop], now.sums[hop]) / s.count;
    // A bucket's upper end can lie above the largest value that was ever seen.
    const auto at = [&](std::uint64_t num, std::uint64_t den) {
        return std::min(quantile(counts, s.count, num, den), now.largest[hop]);
    };
    s.p50 = at(50, 100);
    s.p90 = at(90, 100);
    s.p99 = at(99, 100);
    s.p999 = at(999, 1000);
    s.max = at(1, 1);  // within its bucket: the segment keeps the exact one of its whole life only
    return s;
}

void RecentLatencies::look(const Segment& segment, Nanos now, PipelineView& view) {
    if (uuid_ != view.header.uuid) {
        uuid_ = view.header.uuid;
        looks_.clear();
    }
    while (looks_.size() > 1 && now - looks_[1].at >= kWindow) {
        looks_.pop_front();
    }
    Look newest = take(segment, now);
    view.recent.reset();
    if (!looks_.empty()) {
        RecentStat recent{now - looks_.front().at, {}};
        for (std::uint32_t hop = 0; hop < kHops; ++hop) {
            recent.hops[hop] = between(looks_.front(), newest, hop);
        }
        view.recent = recent;
    }
    if (looks_.empty() || now - looks_.back().at >= kStep) {
        looks_.push_back(std::move(newest));
    }
}

}  // namespace millrace::inspect
