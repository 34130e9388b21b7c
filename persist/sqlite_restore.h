// Which backup a lost store is made of again: the newest that comes back whole and that the effects
// log still goes on from.
#pragma once

#include "persist/sqlite_backup.h"

namespace millrace {

struct RestoredStore {
    SqliteBackup from;
    EffectCursor cursor;
};

/// Restores into the new file `to`. Looks at where the log is before it unpacks anything.
/// @param log is asked whether it goes on from a backup's cursor, and then stands there.
/// @param passed_over a sentence for each newer backup that would not do, and why.
/// @return NotFound: there is no backup that would do; NoSpace, IoError, Busy: none can be restored
/// now, ask again; `to` does not exist then.
/// Crash: `to` is there whole or not at all.
[[nodiscard]] Result<RestoredStore> restore_newest_backup(const SqliteBackupOptions& options,
                                                          const std::string& to, EffectSource& log,
                                                          std::vector<std::string>& passed_over);

}  // namespace millrace
