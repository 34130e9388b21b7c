// Retention: removes the oldest journal and effects files once there are more bytes of them than
// configured. Never what a start or a sink still needs.
#pragma once

#include "core/types.h"

#include <cstdint>
#include <string>

namespace millrace {

struct RetentionLimits {
    std::uint64_t bytes_max = 0;  // of journal files, and of effects files, each
    /// The store's cursor: effects beyond it stay, up to twice bytes_max. Then the store is cut
    /// off (it rebuilds itself from what is left) so that the disk does not fill.
    Sequence stored;
};
struct Retained {
    std::uint32_t journal_files = 0;  // removed
    std::uint32_t effects_files = 0;
    bool store_cut_off = false;
    std::string trouble;  // what could not be read or removed; empty if nothing
};

/// Journal files go only if every record in them is older than the oldest snapshot: any of the
/// snapshots and the files behind it make a whole state.
/// Threads: any one; readers hold what they have open.
[[nodiscard]] Retained prune(const std::string& journal_dir, const RetentionLimits& limits);

}  // namespace millrace
