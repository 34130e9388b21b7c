// The command line's place as the one producer of a ring: a role, held for as long as it writes.
//
// Two locks, in this order: the role's file in the journal directory, which says who holds it and
// which every build knows; and a byte of the segment's own file, in memory, where a disk that is
// gone, shut down (XFS, ext4 after an error) or read-only keeps nobody from the kill switch. One of
// them is enough where the other's file cannot be opened.
#pragma once

#include "shm/role.h"
#include "shm/segment.h"

#include <cstdint>
#include <string>

namespace millrace {

/// The rings that commands write, each with a role of its own.
enum class AdminRing : std::uint8_t {
    Broker,  // "admin.broker"
    Engine,  // "admin"
};

class AdminRole {
public:
    AdminRole() = default;
    ~AdminRole() { release(); }
    AdminRole(AdminRole&& other) noexcept;
    AdminRole& operator=(AdminRole&& other) noexcept;

    /// @return NotOwner: another has it, `holder` may say who; IoError: neither lock can be had,
    /// `holder` says why.
    static Result<AdminRole> try_take(const Segment& segment, AdminRing ring, std::string& holder);

private:
    void release() noexcept;

    RoleLock file_;
    int segment_ = -1;
};

/// Waits up to 2 s for another command line to give up the role.
/// @param segment its header names the journal directory.
/// @return NotOwner: `message` names the holder's pid if that is known; IoError.
[[nodiscard]] Result<AdminRole> take_admin_role(const Segment& segment, AdminRing ring,
                                                std::string& message);

/// Sleeps a little between two looks at what another process is about to change.
/// @param since_ns when the waiting began (monotonic): quick answers are the rule, so the first
/// looks come soon after one another.
void admin_nap(std::int64_t since_ns);

}  // namespace millrace
