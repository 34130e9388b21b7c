#include "persist/log_floor.h"

#include "persist/snapshot_file.h"

#include <vector>

namespace millrace {

LogFloor snapshot_floor(const std::string& directory) {
    const auto listed = list_snapshots(directory);
    const std::vector<Sequence> snapshots = listed ? listed.value() : std::vector<Sequence>{};
    for (auto at = snapshots.rbegin(); at != snapshots.rend(); ++at) {
        if (snapshot_header(directory, *at)) {
            return {*at, snapshot_name(*at)};
        }
    }
    return {};
}

std::string ends_below(const std::string& where, Sequence end, const LogFloor& floor) {
    if (end >= floor.seq) {
        return {};
    }
    return where + ": the journal ends at record " + std::to_string(end.value) + ", but record " +
           std::to_string(floor.seq.value) + " is known to have been durable" +
           (floor.by.empty() ? "" : ", by " + floor.by) +
           ": files are missing, damaged or older copies. Restore them from the standby or a "
           "backup";
}

}  // namespace millrace
