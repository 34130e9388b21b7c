// What the tick log holds: a series' ticks in their order, back-filled ones in their places; gaps.
#pragma once

#include "persist/ticks/tick_files.h"

#include <functional>
#include <string>
#include <vector>

namespace millrace::ticklog {

struct QueryOptions {
    std::string symbol;      // canonical; "" = all
    std::uint64_t feed = 0;  // 0 = all
    TimeRange range;
    std::size_t skip = 0;              // the oldest of them are passed over
    std::size_t ticks_max = SIZE_MAX;  // the oldest of those behind
};

struct FoundTick {
    SeriesKey key;
    LogTick tick;  // seq 0 = back-filled
};

/// One gap as the log knows it.
struct FoundGap {
    SeriesKey key;
    std::uint64_t id = 0;
    Nanos from;
    Nanos to;
    std::uint64_t missing = 0;  // 0 = not known when it was opened
    std::uint64_t filled = 0;   // ticks of it in the files that are there
    GapResult result = GapResult::Open;
};

/// Reads the log, which may be being written. Ticks by time, among equal times as the source had
/// them. @param bad gets what could not be read, a sentence each.
/// Memory: some 120 bytes a tick found, but not more than twice for skip + ticks_max of them; of
/// the files a block at a time.
[[nodiscard]] std::vector<FoundTick> query_ticks(const std::string& directory,
                                                 const QueryOptions& options,
                                                 std::vector<std::string>& bad);

/// All gaps that the files tell of and that touch the range, oldest first.
[[nodiscard]] std::vector<FoundGap> query_gaps(const std::string& directory,
                                               const QueryOptions& options,
                                               std::vector<std::string>& bad);

}  // namespace millrace::ticklog
