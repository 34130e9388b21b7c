// Progress of long work, for people who watch a terminal.
#pragma once

#include "persist/sqlite_backup.h"

#include <string>

namespace millrace {

/// On a terminal, one line of standard error that is written over; elsewhere nothing (empty).
[[nodiscard]] BackupProgress progress_on_terminal();

/// A line for somebody who waits at a terminal; elsewhere nothing.
void tell_on_terminal(const std::string& line);

}  // namespace millrace
