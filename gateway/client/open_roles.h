// A role taken once in the whole process, too. A POSIX lock is granted again to the process that
// holds it, and lost when any descriptor of its file is closed: two clients of one name in one
// process would both believe to be the only producer. This keeps them apart.
#pragma once

#include "shm/role.h"

#include <string>

namespace millrace {

class OpenRole {
public:
    OpenRole() = default;
    ~OpenRole();
    OpenRole(OpenRole&& other) noexcept;
    OpenRole& operator=(OpenRole&& other) noexcept;

    /// As RoleLock::try_acquire(), but NotOwner also when this process holds the role already.
    /// In a child of fork() everything the parent held counts as not held.
    /// Threads: any.
    static Result<OpenRole> take(const std::string& journal_dir, const std::string& role,
                                 std::string& holder);

private:
    RoleLock lock_;
    std::string key_;  // empty = nothing held
    int pid_ = 0;      // of the process that took it
};

}  // namespace millrace
