#include "tests/chaos/frozen_disk.h"

#include <linux/fs.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace millrace::chaos {
namespace {

constexpr const char* kBytes = "128m";

std::string because(const char* what) {
    return std::string{what} + ": " + std::strerror(errno);
}

bool run(const std::string& command) {
    return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

// What the guard is told, a byte each.
constexpr char kFreezes = 'f';
constexpr char kThawed = 't';

/// False: there is no guard.
bool tell(int guard, char what) {
    return ::send(guard, &what, 1, MSG_NOSIGNAL) == 1;
}

/// In the guard: until the other end of `test` is closed. Its time runs only from a freeze to its
/// thaw: a test that starts slowly is not thawed by surprise, and each freeze is guarded. Nothing
/// of the test's is kept open: who reads its output waits for the end of that.
[[noreturn]] void guard(int test, int root) {
    for (int fd = 0; fd < 1024; ++fd) {
        if (fd != test && fd != root) {
            ::close(fd);
        }
    }
    bool frozen = false;
    for (;;) {
        pollfd word{test, POLLIN, 0};
        const int n =
            ::poll(&word, 1, frozen ? static_cast<int>(kFrozenMax.value / 1'000'000) : -1);
        if (n == 0) {
            ::ioctl(root, FITHAW, 0);
            frozen = false;
        }
        if (n <= 0) {
            continue;
        }
        char said[64];
        const ssize_t got = ::recv(test, said, sizeof said, 0);
        if (got <= 0) {
            break;
        }
        frozen = said[got - 1] == kFreezes;
    }
    ::ioctl(root, FITHAW, 0);
    ::_exit(0);
}

}  // namespace

std::unique_ptr<FreezableDisk> FreezableDisk::make(std::string& why) {
    std::unique_ptr<FreezableDisk> disk{new FreezableDisk};
    why = disk->mount();
    if (why.empty() && !disk->start_guard()) {
        why = because("no guard process");
    }
    // Seen to work once, before anything depends on it.
    if (why.empty() && !disk->freeze()) {
        why = because("this file system cannot be frozen");
    }
    disk->thaw();
    return why.empty() ? std::move(disk) : nullptr;
}

std::string FreezableDisk::mount() {
    const std::string backing = dir_ / "backing";
    const std::string mounted = dir_ / "disk";
    const std::string image = backing + "/image";
    std::filesystem::create_directories(backing);
    std::filesystem::create_directories(mounted);
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
        return because("no mount namespace of its own");
    }
    if (::mount("none", backing.c_str(), "tmpfs", 0, "size=160m") != 0) {
        return because("mounting a tmpfs");
    }
    if (!run("truncate -s " + std::string{kBytes} + " " + image) ||
        !run("mkfs.ext4 -q -E lazy_itable_init=1,nodiscard " + image)) {
        return "mkfs.ext4 does not make a file system";
    }
    device_ = std::make_unique<testing::LoopDevice>(image);
    if (!device_->ready()) {
        return because("no loop device");
    }
    if (::mount(device_->path().c_str(), mounted.c_str(), "ext4", 0, nullptr) != 0) {
        return because("mounting a loop device");
    }
    root_ = ::open(mounted.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return root_ < 0 ? because("opening the mount point") : "";
}

/// No child of ours, so that it outlives whoever ends all of them.
bool FreezableDisk::start_guard() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return false;
    }
    const pid_t between = ::fork();
    if (between == 0) {
        ::setsid();
        const pid_t child = ::fork();
        if (child == 0) {
            guard(ends[0], root_);
        }
        ::_exit(child > 0 ? 0 : 1);
    }
    ::close(ends[0]);
    guard_ = ends[1];
    int status = -1;
    return between > 0 && ::waitpid(between, &status, 0) == between && status == 0;
}

FreezableDisk::~FreezableDisk() {
    thaw();
    if (root_ >= 0) {
        ::close(root_);
    }
    ::umount2((dir_ / "disk").c_str(), MNT_DETACH);
    ::umount2((dir_ / "backing").c_str(), MNT_DETACH);
    if (guard_ >= 0) {
        ::close(guard_);
    }
}

bool FreezableDisk::freeze() const {
    return tell(guard_, kFreezes) && ::ioctl(root_, FIFREEZE, 0) == 0;
}

void FreezableDisk::thaw() const {
    if (root_ >= 0) {
        ::ioctl(root_, FITHAW, 0);
        (void)tell(guard_, kThawed);
    }
}

void FreezableDisk::fill() const {
    const std::string path = dir_ / "disk/filler";
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    static const char kZeros[256 * 1024] = {};
    for (std::size_t bytes = sizeof kZeros; fd >= 0 && bytes >= 4096;) {
        bytes = ::write(fd, kZeros, bytes) > 0 ? bytes : bytes / 2;
    }
    if (fd >= 0) {
        ::close(fd);
    }
}

void FreezableDisk::make_room() const {
    ::unlink((dir_ / "disk/filler").c_str());
}

bool FreezableDisk::shut_down() const {
    // EXT4_IOC_SHUTDOWN and EXT4_GOING_FLAGS_NOLOGFLUSH of the kernel's fs/ext4/ext4.h, which is in
    // no header of its interface; XFS has the same two.
    constexpr unsigned long kShutdown = _IOR('X', 125, std::uint32_t);
    std::uint32_t without_log = 2;
    return ::ioctl(root_, kShutdown, &without_log) == 0;
}

}  // namespace millrace::chaos
