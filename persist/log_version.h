// Which logic version a log was written by, and what a start or an upgrade may do with it.
//
//     ... records of version 3 | snapshot at N (3) | Jump, Start (4) | snapshot at N+2 (4) | ...
//                                                    ^ `millrace upgrade` writes these
//
// Another version's decisions would make another state of the same records, and nothing would tell.
// So whoever applies records refuses a snapshot or a Start record of another version.
#pragma once

#include "core/engine.h"
#include "core/journal_record.h"
#include "core/result.h"
#include "core/types.h"

#include <cstdint>
#include <string>

namespace millrace {

/// Builds before this one left no snapshot at their stop, and images of a format without a number:
/// no upgrade can begin from their logs.
inline constexpr std::uint32_t kFirstUpgradableLogic = 4;

/// True unless `record` is a Start of another logic version than this build's.
[[nodiscard]] bool is_of_this_logic(const JournalRecord& record) noexcept;

/// How to begin anew without the old log. Ids and epochs begin again in a new directory: under the
/// old tag executors could answer new orders with what they know of old ones of the same magic, so
/// they refuse a directory that is not the one they have served.
inline constexpr const char* kBeginAnew =
    "close or hand over what is open at the brokers, then start with an empty \"journal.dir\", "
    "another \"risk.magic_tag\" (order ids begin again, and must not meet the old ones) and the "
    "terminals' intent journals moved away (they refuse another directory); the old one stays "
    "readable: `millrace inspect dump log --journal DIR`";

/// "WHAT was made by logic version 4, this build has 5: ..." with the mend.
[[nodiscard]] std::string other_logic(const std::string& what, std::uint32_t version);

/// The end of a log, as a start finds it.
struct LogVersion {
    std::uint32_t version = 0;  // of the newest valid snapshot, else of the first Start; 0 = none
    Sequence snapshot;          // its record; 0 = no snapshot
    std::string snapshot_file;  // its name in the directory
    Sequence last;              // last valid record of the log
    std::uint64_t inputs = 0;   // records behind the snapshot that are neither Jump nor Start
    std::uint32_t other = 0;    // a version that a Start behind the snapshot names beside `version`
    Capacity made_with{};       // sizes of the tables in the snapshot, if that is of this logic
    [[nodiscard]] bool is_ours() const noexcept {
        return version == 0 || (version == logic_version() && other == 0);
    }
    /// Why this build must not apply it: other_logic() of the snapshot or of the log; empty: it
    /// may.
    [[nodiscard]] std::string refused(const std::string& journal_dir) const;
};

/// Reads the newest valid snapshot's head and the records behind it. Damaged snapshots are passed
/// over; each adds a sentence to `message`.
/// @return IoError, BadChecksum, BadChain, NotFound (the log begins behind the snapshot): `message`
/// names file and place.
[[nodiscard]] Result<LogVersion> read_log_version(const std::string& journal_dir,
                                                  std::string& message);

/// The same of a log that is read for it. Empty too if it cannot be read, which whoever reads it
/// next will name.
[[nodiscard]] std::string refused_logic(const std::string& journal_dir);

}  // namespace millrace
