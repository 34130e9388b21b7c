// `millrace account stop NAME... --flatten` (requirements R262, C23): ends an account's trading and
// its positions, in the order in which nothing new can begin behind what is closed:
//
//     paused (INACTIVE) ─▶ kill switch: cancel, flatten ─▶ the log says flat ─▶ kill switch off
//
// The account stays INACTIVE until `account resume`. Whatever stops this command half way leaves
// the account paused, and the kill switch in force: the safe side, and the command can be repeated.
// A kill that was in force before stays in force.
#pragma once

#include "tools/millrace/locate.h"

#include <string>
#include <vector>

namespace millrace {

struct StopRequest {
    Target target;
    std::vector<std::string> accounts;
    bool flatten = false;  // must be said: `account pause` is the one that keeps positions
    bool yes = false;      // do not ask; needed where nobody can be asked
    bool dry_run = false;
    int wait_s = 60;
};

/// Prints what stands open there, asks, does it, and waits.
/// @return the exit status: kExitNotClean if something is open after `wait_s`, which is named.
[[nodiscard]] int stop_accounts(const StopRequest& request);

}  // namespace millrace
