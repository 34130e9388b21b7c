// Who this process works for, as its admin commands say it.
#pragma once

#include "core/actor.h"
#include "tools/millrace/roles.h"

namespace millrace {

/// The user who logged in (the kernel's login uid, which `sudo` keeps; where there is none, the
/// process's own), this process's uid and this host. A user without a name is his number.
/// @param look_up false: the number in any case. A name may be a directory's that does not answer.
[[nodiscard]] Actor this_actor(bool look_up);

/// The same person, not cut to what a record has room for. Waits for a directory of users.
[[nodiscard]] Login this_login();

}  // namespace millrace
