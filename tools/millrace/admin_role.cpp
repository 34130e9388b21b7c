#include "tools/millrace/admin_role.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "shm/clock.h"

namespace millrace {
namespace {

constexpr std::int64_t kLockWaitNs = 2'000'000'000;

const char* role_of(AdminRing ring) noexcept {
    return ring == AdminRing::Broker ? "admin.broker" : "admin";
}

/// Locks the ring's byte. Of the open file and not of the process, which opens and closes this file
/// whenever it attaches, and would drop a lock of its own with that.
/// @return the descriptor that holds it; NotOwner, IoError.
Result<int> lock_in_segment(const std::string& path, AdminRing ring) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return {Errc::IoError, "cannot open the segment's file", errno};
    }
    struct flock byte{};
    byte.l_type = F_WRLCK;
    byte.l_whence = SEEK_SET;
    byte.l_start = static_cast<off_t>(ring);
    byte.l_len = 1;
    if (::fcntl(fd, F_OFD_SETLK, &byte) == 0) {
        return fd;
    }
    const int why = errno;
    ::close(fd);
    if (why == EACCES || why == EAGAIN) {
        return {Errc::NotOwner, "role is held by another process"};
    }
    return {Errc::IoError, "the segment's file cannot be locked", why};
}

}  // namespace

AdminRole::AdminRole(AdminRole&& other) noexcept
    : file_{std::move(other.file_)}, segment_{std::exchange(other.segment_, -1)} {}

AdminRole& AdminRole::operator=(AdminRole&& other) noexcept {
    if (this != &other) {
        release();
        file_ = std::move(other.file_);
        segment_ = std::exchange(other.segment_, -1);
    }
    return *this;
}

void AdminRole::release() noexcept {
    if (segment_ >= 0) {
        ::close(segment_);  // closing drops the lock
        segment_ = -1;
    }
    file_.release();
}

Result<AdminRole> AdminRole::try_take(const Segment& segment, AdminRing ring, std::string& holder) {
    const std::string dir = segment.header().journal_dir;
    AdminRole role;
    auto file = RoleLock::try_acquire(dir, role_of(ring), holder);
    if (!file && file.code() == Errc::NotOwner) {
        return file.error();
    }
    auto in_segment = lock_in_segment(segment.path(), ring);
    if (!in_segment && in_segment.code() == Errc::NotOwner) {
        holder = "its pid is not known";
        return in_segment.error();
    }
    if (!file && !in_segment) {
        holder = "cannot lock " + dir + "/locks/" + role_of(ring) +
                 ".lock: " + std::strerror(file.error().sys_errno) + ", nor " + segment.path() +
                 ": " + std::strerror(in_segment.error().sys_errno);
        return file.error();
    }
    if (file) {
        role.file_ = std::move(file).value();
    }
    if (in_segment) {
        role.segment_ = in_segment.value();
    }
    return role;
}

void admin_nap(std::int64_t since_ns) {
    const bool early = monotonic_ns() - since_ns < 2'000'000;
    std::this_thread::sleep_for(std::chrono::microseconds{early ? 20 : 1000});
}

Result<AdminRole> take_admin_role(const Segment& segment, AdminRing ring, std::string& message) {
    const std::int64_t begin = monotonic_ns();
    while (true) {
        std::string holder;
        auto role = AdminRole::try_take(segment, ring, holder);
        if (role) {
            return role;
        }
        if (role.code() != Errc::NotOwner) {
            message = holder;
            return role;
        }
        if (monotonic_ns() - begin > kLockWaitNs) {
            message = "another command line (" + holder +
                      ") has been at work for 2 s; try again when it is done";
            return role;
        }
        admin_nap(begin);
    }
}

}  // namespace millrace
