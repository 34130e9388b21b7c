#include "tools/inspect/hist.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <map>

#include "tools/inspect/view.h"

namespace millrace::inspect {

std::vector<Bucket> read_buckets(const Segment& segment, Hop hop) {
    const Histogram& h = segment.hop(hop);
    std::vector<Bucket> out;
    for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
        // Relaxed: counters; the picture may be of some microseconds.
        const std::uint64_t n = h.buckets[i].load(std::memory_order_relaxed);
        if (n != 0) {
            out.push_back({Histogram::upper_of(i), n});
        }
    }
    return out;
}

std::string render_hist(const Segment& segment, Hop hop, unsigned width) {
    const std::vector<Bucket> buckets = read_buckets(segment, hop);
    std::map<std::uint64_t, std::uint64_t> powers;  // upper end -> count
    std::uint64_t total = 0;
    std::uint64_t most = 1;
    for (const Bucket& b : buckets) {
        auto& n = powers[std::bit_ceil(b.upper_ns + 1)];
        n += b.count;
        most = std::max(most, n);
        total += b.count;
    }
    std::string out =
        fmt::format("{}  {} values\n", hop_name(static_cast<std::uint32_t>(hop)), total);
    constexpr unsigned kColumns = 34;  // before the bar
    const std::uint64_t bar_max = width > kColumns ? width - kColumns : 1;
    std::uint64_t so_far = 0;
    for (const auto& [upper, n] : powers) {
        so_far += n;
        const auto share = [&](std::uint64_t x) {
            return 100.0 * static_cast<double>(x) / static_cast<double>(total);
        };
        out += fmt::format("< {:>7} {:>6} {:>6.2f}% {:>7.3f}% {}\n",
                           human_ns(static_cast<std::int64_t>(upper)), human_count(n), share(n),
                           share(so_far),
                           std::string(std::max<std::uint64_t>(1, n * bar_max / most), '#'));
    }
    return out;
}

nlohmann::ordered_json hist_json(const Segment& segment, Hop hop) {
    nlohmann::ordered_json buckets = nlohmann::ordered_json::array();
    std::uint64_t total = 0;
    for (const Bucket& b : read_buckets(segment, hop)) {
        buckets.push_back({{"upper_ns", b.upper_ns}, {"count", b.count}});
        total += b.count;
    }
    return {
        {"hop", hop_name(static_cast<std::uint32_t>(hop))}, {"count", total}, {"buckets", buckets}};
}

}  // namespace millrace::inspect
