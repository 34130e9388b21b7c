#include "tools/millrace/admin_role.h"

#include <chrono>
#include <thread>

#include "shm/clock.h"

namespace millrace {
namespace {

constexpr std::int64_t kLockWaitNs = 2'000'000'000;

}  // namespace

void admin_nap(std::int64_t since_ns) {
    const bool early = monotonic_ns() - since_ns < 2'000'000;
    std::this_thread::sleep_for(std::chrono::microseconds{early ? 20 : 1000});
}

Result<RoleLock> take_admin_role(const Segment& segment, const char* role, std::string& message) {
    const std::string dir = segment.header().journal_dir;
    const std::int64_t begin = monotonic_ns();
    while (true) {
        std::string holder;
        auto lock = RoleLock::try_acquire_for_command(dir, role, holder);
        if (lock) {
            return lock;
        }
        if (lock.code() != Errc::NotOwner) {
            message = "cannot lock " + dir + "/locks/" + role + ".lock: " + lock.error().what;
            return lock;
        }
        if (monotonic_ns() - begin > kLockWaitNs) {
            message = "another command line (" + holder +
                      ") has been at work for 2 s; try again when it is done";
            return lock;
        }
        admin_nap(begin);
    }
}

}  // namespace millrace
