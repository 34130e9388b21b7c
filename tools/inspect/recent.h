// Latencies of the last seconds: what the histograms of a segment have counted since a look some
// time ago. In the segment they only grow, so a stall that is on moves no p99 of a whole day.
#pragma once

#include "tools/inspect/view.h"

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace millrace::inspect {

/// Threads: one. Memory: 46 KiB a look, eleven looks at most.
class RecentLatencies {
public:
    /// The look compared with is the newest one that is at least so old, while there is any.
    static constexpr Nanos kWindow{10'000'000'000};
    /// Looks are kept so far apart at least.
    static constexpr Nanos kStep{1'000'000'000};

    /// Looks at the histograms of `segment` and sets `view.recent`; it stays empty at the first
    /// look at a segment.
    /// @param view a picture of `segment`, taken just now. @param now grows from call to call.
    void look(const Segment& segment, Nanos now, PipelineView& view);

private:
    struct Look {
        Nanos at;
        std::vector<std::uint64_t> counts;  // hop by hop, all buckets
        std::array<std::uint64_t, kHops> sums{};
        std::array<std::uint64_t, kHops> largest{};  // since the segment was made
    };

    [[nodiscard]] static Look take(const Segment& segment, Nanos now);
    [[nodiscard]] static HopStat between(const Look& before, const Look& now, std::uint32_t hop);

    std::deque<Look> looks_;  // oldest first
    std::string uuid_;        // of the segment that they are of
};

}  // namespace millrace::inspect
