#include "tools/millrace/disk_probe.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "shm/clock.h"

namespace millrace {
namespace {

struct Probe {
    pid_t pid = -1;
    int end = -1;  // pidfd
};

/// In the child: system calls alone, for another thread may have held any lock at the fork. What is
/// open is closed: a role's lock must not outlive its owner in here.
[[noreturn]] void ask(const char* file) {
    ::syscall(SYS_close_range, 0U, ~0U, 0U);
    const int fd = ::open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)::unlink(file);
        (void)!::write(fd, "?", 1);
        (void)::fsync(fd);
    }
    ::_exit(0);
}

Probe begin(const std::string& directory) {
    const std::string file = directory + "/.probe." + std::to_string(::getpid());
    Probe probe;
    probe.pid = ::fork();
    if (probe.pid == 0) {
        ask(file.c_str());
    }
    if (probe.pid > 0) {
        probe.end = static_cast<int>(::syscall(SYS_pidfd_open, probe.pid, 0));
    }
    return probe;
}

/// @return false: no answer by `deadline`.
bool answered(const Probe& probe, std::int64_t deadline) {
    if (probe.end < 0) {
        return true;  // nobody could be asked: nothing is said of the disk
    }
    pollfd p{probe.end, POLLIN, 0};
    int n = 0;
    do {
        const std::int64_t left = std::max<std::int64_t>(deadline - monotonic_ns(), 0);
        n = ::poll(&p, 1, static_cast<int>(left / 1'000'000));
    } while (n < 0 && monotonic_ns() < deadline);
    ::close(probe.end);
    if (n <= 0) {
        (void)::kill(probe.pid, SIGKILL);  // ends when the disk answers, and is init's then
        return false;
    }
    (void)::waitpid(probe.pid, nullptr, 0);
    return true;
}

}  // namespace

std::string silent_directories(const std::vector<std::string>& directories, Nanos limit) {
    std::vector<Probe> probes;
    std::transform(directories.begin(), directories.end(), std::back_inserter(probes), begin);
    const std::int64_t deadline = monotonic_ns() + limit.value;
    std::string silent;
    for (std::size_t i = 0; i < probes.size(); ++i) {
        if (!answered(probes[i], deadline)) {
            silent += (silent.empty() ? "" : ", ") + directories[i];
        }
    }
    return silent;
}

}  // namespace millrace
