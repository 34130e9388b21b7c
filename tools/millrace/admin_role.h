// The command line's place as the one producer of a ring: a role, held for as long as it writes.
#pragma once

#include "shm/role.h"
#include "shm/segment.h"

#include <cstdint>
#include <string>

namespace millrace {

/// Waits up to 2 s for another command line to give up `role`.
/// @param segment its header names the journal directory.
/// @return NotOwner: `message` names the holder's pid; IoError.
[[nodiscard]] Result<RoleLock> take_admin_role(const Segment& segment, const char* role,
                                               std::string& message);

/// Sleeps a little between two looks at what another process is about to change.
/// @param since_ns when the waiting began (monotonic): quick answers are the rule, so the first
/// looks come soon after one another.
void admin_nap(std::int64_t since_ns);

}  // namespace millrace
