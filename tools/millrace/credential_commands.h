// `millrace credential ...`: broker credentials from the command line.
//
// Secrets are read from a file or from standard input (without echo on a terminal), never from the
// command line, which every user of the host may read. After each change a backup is made.
#pragma once

#include "tools/millrace/commands.h"

namespace millrace {

/// init, add, rotate, lock, unlock, erase, list, backup, restore-test, restore.
void add_credential_commands(CLI::App& app, Command& command);

}  // namespace millrace
