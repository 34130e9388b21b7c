#include "shm/role.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace millrace {
namespace {

std::string lock_path(const std::string& dir, const std::string& role) {
    return dir + "/locks/" + role + ".lock";
}

struct flock whole_file(short type) noexcept {
    struct flock lock{};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    return lock;
}

/// The kernel translates the owner's pid into the asker's namespace, 0 if it has none there.
int pid_of(const struct flock& held) noexcept {
    return held.l_pid > 0 ? held.l_pid : kPidOutOfSight;
}

/// First without O_CREAT and mkdir(): both wait for a file system that is frozen, also if there is
/// nothing to be made. A kill would wait with them, which needs a lock and no disk.
int open_lock_file(const std::string& dir, const std::string& role) {
    const std::string path = lock_path(dir, role);
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT) {
        return fd;
    }
    ::mkdir((dir + "/locks").c_str(), 0700);  // exists already, or open() says why not
    return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

}  // namespace

std::string process_text(int pid) {
    return pid == kPidOutOfSight ? "in another pid namespace" : "pid " + std::to_string(pid);
}

RoleLock::RoleLock(RoleLock&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}

RoleLock& RoleLock::operator=(RoleLock&& other) noexcept {
    if (this != &other) {
        release();
        fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
}

Result<RoleLock> RoleLock::try_acquire(const std::string& dir, const std::string& role,
                                       std::string& holder) {
    const int fd = open_lock_file(dir, role);
    if (fd < 0) {
        return {Errc::IoError, "cannot open the role's lock file", errno};
    }
    struct flock lock = whole_file(F_WRLCK);
    if (::fcntl(fd, F_SETLK, &lock) != 0) {
        const int why = errno;
        struct flock other = whole_file(F_WRLCK);
        if (::fcntl(fd, F_GETLK, &other) == 0 && other.l_type != F_UNLCK) {
            holder = process_text(pid_of(other));
        }
        ::close(fd);
        if (why == EACCES || why == EAGAIN) {
            return {Errc::NotOwner, "role is held by another process"};
        }
        return {Errc::IoError, "the file system refuses record locks", why};
    }
    RoleLock owned;
    owned.fd_ = fd;
    return owned;
}

int RoleLock::holder_pid(const std::string& dir, const std::string& role) {
    // For reading: to ask must be possible where a disk has gone read-only.
    const int fd = ::open(lock_path(dir, role).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    struct flock lock = whole_file(F_WRLCK);
    const bool held = ::fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    ::close(fd);
    return held ? pid_of(lock) : 0;
}

void RoleLock::release() noexcept {
    if (fd_ >= 0) {
        ::close(fd_);  // closing drops the lock
        fd_ = -1;
    }
}

std::uint64_t process_start_time(int pid) noexcept {
    char path[32];
    std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    char text[1024];
    const ssize_t n = ::read(fd, text, sizeof text - 1);
    ::close(fd);
    if (n <= 0) {
        return 0;
    }
    text[n] = '\0';
    // The command name is in parentheses and may hold spaces: count fields after the last one.
    const char* p = std::strrchr(text, ')');
    if (p == nullptr || p[1] == '\0' || p[2] == 'Z') {
        return 0;
    }
    p += 2;  // field 3
    for (int field = 3; field < 22 && p != nullptr; ++field) {
        p = std::strchr(p, ' ');
        p = p == nullptr ? nullptr : p + 1;
    }
    return p == nullptr ? 0 : std::strtoull(p, nullptr, 10);
}

}  // namespace millrace
