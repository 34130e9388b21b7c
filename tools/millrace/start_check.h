// What `up` has to know of the log before any stage runs: whether this build and this configuration
// may go on from it. The broker stage reads the same file and would go by it while the engine goes
// by the log.
#pragma once

#include "core/engine.h"
#include "shm/segment.h"
#include "tools/millrace/config.h"
#include "tools/millrace/config_records.h"

#include <string>

namespace millrace {

/// Sizes of the engine's tables. @param accounts "accounts_max", or the segment's.
[[nodiscard]] Capacity capacity_of(const Config& config, std::uint32_t accounts);

/// One reading of a journal directory: newest snapshot and the files behind it.
struct LogCheck {
    std::string refused;  // why no pipeline can start from it, with the mend; empty if it can
    bool whole = false;   // it was read to its end; if not, its stages will name why
    Sequence end;         // the last record that was read
    /// Nothing was ever journalled here: neither in a file, nor in the ring of `segment`.
    [[nodiscard]] bool has_not_begun(const Segment& segment) const;
};

/// Refuses another logic version, other sizes of the tables, and what of `records` the engine would
/// refuse in the state that the log gives.
/// @param engine_has hash of the configuration that the segment's engine has, 0 in a new one. With
/// these very records nothing is asked of an engine: the log is read and not applied.
[[nodiscard]] LogCheck check_log(const Config& config, const ConfigRecords& records,
                                 std::uint64_t engine_has);

/// Writes down the sizes of a log that begins now. @return empty, or why that cannot be.
[[nodiscard]] std::string begin_log(const Config& config);

}  // namespace millrace
