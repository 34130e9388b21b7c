// What an account that was disabled gets: its broker credentials are LOCKED (requirement C22),
// until it is resumed.
#pragma once

#include "tools/millrace/config.h"

#include <string>
#include <vector>

namespace millrace {

/// Reasons that a lock is stored with, and that resuming an account undoes.
inline constexpr const char* kLockedDisabled = "the account was disabled";
inline constexpr const char* kLockedByBroker = "the broker disabled the account";

/// Locks the credentials of accounts that were disabled; does nothing without "credentials" in the
/// configuration. @return false and a reason in `message` if one could not be locked: also if there
/// is no store, or it lacks an account that a backup holds, as a restore would bring that back.
[[nodiscard]] bool lock_credentials(const Config& config, const std::vector<std::string>& accounts,
                                    const std::string& why, std::string& message);

/// Unlocks those of `accounts` that were locked for one of the reasons above: not what an operator
/// locked by a command of its own. Does nothing without "credentials" in the configuration.
/// @param unlocked gets their names.
/// @return false and a reason in `message` if one could not be looked at or unlocked, or there is
/// no backup of it.
[[nodiscard]] bool unlock_credentials(const Config& config,
                                      const std::vector<std::string>& accounts,
                                      std::vector<std::string>& unlocked, std::string& message);

}  // namespace millrace
