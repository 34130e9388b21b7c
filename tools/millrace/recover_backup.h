// The SQLite store as it was when it was lost, as far as another disk has it: a backup, and what
// was shipped of the effects log behind it.
#pragma once

#include "persist/stored_state.h"
#include "tools/millrace/config.h"

#include <string>

namespace millrace {

/// The newest backup that comes back whole, read with what was shipped behind it. Unpacks it beside
/// the store, or beside the backups where that folder is gone, in a file of this process's own, and
/// removes it again.
/// @return NotFound: no backup will do; NoSpace: there is no room to unpack the newest that may,
/// and no older one is taken for that; IoError: the folder is not the one that backups went to, as
/// whose disk is not mounted, and nothing is taken of it. `message` says what was read, and what
/// was passed over.
[[nodiscard]] Result<StoredState> read_newest_backup(const Config& config,
                                                     const StoredLimits& limits,
                                                     std::string& message);

/// Puts the same in the place of the store, which is kept as .stale-<n> if there is one, so that
/// its history goes on in the journal that is made of `stored`.
/// @param stored as read_newest_backup() returned it. @param dry_run changes nothing.
/// @return a line for people: that it is there, or that it is not, and why.
[[nodiscard]] std::string put_store_back(const Config& config, const StoredState& stored,
                                         bool dry_run);

}  // namespace millrace
