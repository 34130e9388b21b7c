// What an account that was disabled gets: its broker credentials are LOCKED (requirement C22).
#pragma once

#include "tools/millrace/config.h"

#include <string>
#include <vector>

namespace millrace {

/// Locks the credentials of accounts that were disabled; does nothing without "credentials" in the
/// configuration. @return false and a reason in `message` if one could not be locked: also if there
/// is no store, or it lacks an account that a backup holds, as a restore would bring that back.
[[nodiscard]] bool lock_credentials(const Config& config, const std::vector<std::string>& accounts,
                                    const std::string& why, std::string& message);

}  // namespace millrace
