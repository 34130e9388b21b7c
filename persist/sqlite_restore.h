// Which backup a lost store is made of again: the newest that comes back whole and that the effects
// log still goes on from.
#pragma once

#include "persist/sqlite_backup.h"

#include <functional>
#include <string>
#include <vector>

namespace millrace {

struct RestoredStore {
    SqliteBackup from;
    EffectCursor cursor;
};

/// Whether a log that ends before this record may still come to it (replica_has_come_to()).
using MayStillCome = std::function<bool(Sequence)>;

/// Restores into the new file `to`. Looks at where the log is before it unpacks anything.
/// @param log is asked whether it goes on from a backup's cursor, and then stands there.
/// @param passed_over a sentence for each newer backup that would not do, and why.
/// @param may_come asked about a backup that is ahead of the log; nothing: the log stays as it is.
/// @return NotFound: there is no backup that would do; TornTail: the newest that might is ahead of
/// a log that may still come to it; NoSpace, IoError, Busy: none can be restored now. But for the
/// first, ask again; `to` does not exist then.
/// Crash: `to` is there whole or not at all.
[[nodiscard]] Result<RestoredStore> restore_newest_backup(const SqliteBackupOptions& options,
                                                          const std::string& to, EffectSource& log,
                                                          std::vector<std::string>& passed_over,
                                                          const MayStillCome& may_come = {});

}  // namespace millrace
