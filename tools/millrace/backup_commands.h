// `millrace backup` and `millrace restore`: the SQLite store by hand.
#pragma once

#include "tools/millrace/commands.h"

namespace millrace {

/// backup, restore.
void add_backup_commands(CLI::App& app, Command& command);

}  // namespace millrace
