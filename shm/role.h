// RoleLock: who owns a role (engine, journal, producer of ring X), proven by the kernel.
//
// A POSIX record lock on a file in the journal directory. The kernel releases it when the process
// dies, at once, however it dies; a stopped process keeps it; a forked child does not inherit it.
// (OFD locks and flock do get inherited, and on a file that an io_uring has registered they outlive
// the process by 22-33 ms: these files are never given to a ring.)
// Mind: POSIX drops the lock when *any* descriptor of the file is closed in this process; nothing
// but this class opens these files.
#pragma once

#include "core/result.h"

#include <cstdint>
#include <limits>
#include <string>

namespace millrace {

/// Stands for a process that holds a lock and has no pid here: it lives in a pid namespace that
/// this one does not see (another container over the same files). No process has this pid.
inline constexpr int kPidOutOfSight = std::numeric_limits<int>::max();

/// "pid 12", or that it lives in another pid namespace.
[[nodiscard]] std::string process_text(int pid);

class RoleLock {
public:
    RoleLock() = default;
    ~RoleLock() { release(); }
    RoleLock(RoleLock&& other) noexcept;
    RoleLock& operator=(RoleLock&& other) noexcept;

    /// Tries to become the owner of `role` in `journal_dir` (file locks/<role>.lock).
    /// @return NotOwner if a living process holds it; `holder` then names its pid,
    /// or says that it lives in another pid namespace. IoError with errno if the directory cannot
    /// be written. Threads: startup only. Within one process a role can be taken once.
    static Result<RoleLock> try_acquire(const std::string& journal_dir, const std::string& role,
                                        std::string& holder);

    /// Pid of the current holder as this process sees it, 0 if none, kPidOutOfSight if it has none
    /// here. Takes nothing.
    static int holder_pid(const std::string& journal_dir, const std::string& role);

    void release() noexcept;
    [[nodiscard]] bool held() const noexcept { return fd_ >= 0; }

private:
    int fd_ = -1;
};

/// Field 22 of /proc/PID/stat (clock ticks since boot): tells a re-used pid from the old process.
/// 0 if there is no such process or it is a zombie.
[[nodiscard]] std::uint64_t process_start_time(int pid) noexcept;

}  // namespace millrace
