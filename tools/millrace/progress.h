// Progress of long work, for people who watch a terminal.
#pragma once

#include "persist/sqlite_backup.h"

namespace millrace {

/// On a terminal, one line of standard error that is written over; elsewhere nothing (empty).
[[nodiscard]] BackupProgress progress_on_terminal();

}  // namespace millrace
