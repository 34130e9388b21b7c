// Compares the rows of the SQLite store with what the effects log says of them. SQLite keeps no
// checksums: a bit that flips in a value of a sound row is found by nothing else, and gets into
// every backup.
#pragma once

#include "core/effect.h"
#include "persist/effect_source.h"

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace millrace {

struct SqliteAuditFindings {
    /// Beyond so many wrong rows the file is as good as lost.
    static constexpr std::size_t kWrongMax = 10'000;

    Sequence upto;           // record that the store had come to
    std::uint64_t rows = 0;  // that are as the log says
    /// What the log says of rows that are missing, or not that; in its order.
    std::vector<Effect> wrong{};
    std::string first{};  // of them, for people
};

/// Compares every row that the log still has an effect of, as of one moment: a reader's
/// transaction, which holds up checkpoints until the log was read through. Rows that only older
/// effects wrote are not looked at.
/// @param log a reader of its own. @param stop gives up soon after it turns true; may be nullptr.
/// @return NotFound, BadChain, TornTail: the store does not follow this log, or is ahead of it;
/// BadChecksum: damaged, or more wrong rows than kWrongMax; Timeout: given up; Busy, IoError.
/// Threads: any; blocks for as long as both take to read, a second for each half million effects.
[[nodiscard]] Result<SqliteAuditFindings> audit_sqlite(const std::string& path, EffectSource& log,
                                                       const std::atomic<bool>* stop);

}  // namespace millrace
