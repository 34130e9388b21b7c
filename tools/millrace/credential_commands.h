// `millrace credential ...`: broker credentials from the command line.
//
// Secrets are read from a file or from standard input (without echo on a terminal), never from the
// command line, which every user of the host may read. After each change a backup is made.
#pragma once

#include "tools/millrace/commands.h"
#include "tools/millrace/config.h"

#include <string>
#include <vector>

namespace millrace {

/// init, add, rotate, lock, unlock, erase, list, backup, restore-test, restore.
void add_credential_commands(CLI::App& app, Command& command);

/// Locks the credentials of accounts that were disabled; does nothing without "credentials" in the
/// configuration. @return false and a reason in `message` if one could not be locked.
[[nodiscard]] bool lock_credentials(const Config& config, const std::vector<std::string>& accounts,
                                    const std::string& why, std::string& message);

}  // namespace millrace
