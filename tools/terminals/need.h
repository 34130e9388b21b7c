// Which accounts cannot wait for their terminals: those with orders in doubt, or with positions.
#pragma once

#include "tools/millrace/config.h"

#include <string>
#include <vector>

namespace millrace::terminals {

/// Asks the newest snapshot and the log behind it. Reads files: once, before terminals are started.
/// @param names of accounts.
/// @param message why nothing could be found out; then the order of starts is the configuration's.
/// @return for each name, whether the account has orders that are not final, or positions.
[[nodiscard]] std::vector<bool> accounts_in_need(const Config& config,
                                                 const std::vector<std::string>& names,
                                                 std::string& message);

}  // namespace millrace::terminals
