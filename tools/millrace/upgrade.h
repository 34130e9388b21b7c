// `millrace upgrade`: lets this build go on with a log that a build of another logic version wrote.
//
//     stopped clean by the old build:  | ... record N | snapshot at N, version 3 |
//     what this adds, in a new epoch:  | Jump, Start (version 4) | snapshot behind them, version 4
//     |
//
// Nothing that was there is changed or removed. Killed anywhere, it can be run again: until the new
// snapshot is in place it begins anew from the old one, afterwards there is nothing to do.
#pragma once

#include <string>

namespace millrace {

/// @param dry_run says what would be done and changes nothing.
/// @return exit status; what is wrong, and the mend, stands on standard error.
[[nodiscard]] int upgrade_logic(const std::string& config_file, bool dry_run);

}  // namespace millrace
