#include "tools/millrace/process.h"

#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>

#include "shm/clock.h"
#include "shm/role.h"
#include "tools/millrace/process_state.h"

extern char** environ;

namespace millrace {

bool ProcessId::alive() const noexcept {
    return pid > 0 && start_time != 0 && process_start_time(pid) == start_time;
}

char process_state(int pid) {
    std::ifstream in{"/proc/" + std::to_string(pid) + "/stat"};
    std::string text;
    std::getline(in, text);
    // The command name is in parentheses and may hold any sign: the state follows the last one.
    const std::size_t end = text.rfind(')');
    return end != std::string::npos && end + 2 < text.size() ? text[end + 2] : '\0';
}

bool ProcessId::stopped() const noexcept {
    const char state = process_state(pid);
    return state == 'T' || state == 't';
}

ProcessWatch& ProcessWatch::operator=(ProcessWatch&& o) noexcept {
    if (this != &o) {
        reset();
        fd_ = std::exchange(o.fd_, -1);
        id_ = std::exchange(o.id_, {});
    }
    return *this;
}

void ProcessWatch::reset() noexcept {
    if (fd_ >= 0) {
        ::close(fd_);
        fd_ = -1;
    }
    id_ = {};
}

Result<ProcessWatch> ProcessWatch::open(ProcessId id) {
    const long fd = ::syscall(SYS_pidfd_open, id.pid, 0);
    if (fd < 0) {
        const int why = errno;
        return why == ESRCH ? Error{Errc::NotFound, why, "no such process"}
                            : Error{Errc::Unsupported, why, "pidfd_open"};
    }
    ProcessWatch watch;
    watch.fd_ = static_cast<int>(fd);
    watch.id_ = id;
    // Looked at after the descriptor is held: from here on the pid cannot change hands unnoticed.
    // A zombie has no start time; then the descriptor is readable and dead() tells.
    const std::uint64_t now = process_start_time(id.pid);
    if (now != id.start_time && now != 0) {
        return {Errc::NotFound, "the pid belongs to another process now"};
    }
    return watch;
}

bool ProcessWatch::dead() const noexcept {
    return wait_dead(Nanos{0});
}

bool ProcessWatch::wait_dead(Nanos timeout) const noexcept {
    const std::int64_t deadline = monotonic_ns() + timeout.value;
    pollfd p{fd_, POLLIN, 0};
    while (true) {
        const std::int64_t left = deadline - monotonic_ns();
        const timespec ts{left > 0 ? left / 1'000'000'000 : 0, left > 0 ? left % 1'000'000'000 : 0};
        const int n = ::ppoll(&p, 1, &ts, nullptr);
        if (n > 0) {
            return true;
        }
        if (n == 0 || left <= 0) {
            return false;
        }
    }
}

void ProcessWatch::send(int signal) const noexcept {
    // ESRCH: it has ended, which is what dead() will say.
    (void)::syscall(SYS_pidfd_send_signal, fd_, signal, nullptr, 0);
}

Result<ProcessId> spawn(const std::vector<std::string>& arguments, std::string& message,
                        const std::string& crash_point) {
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (const std::string& a : arguments) {
        argv.push_back(const_cast<char*>(a.c_str()));
    }
    argv.push_back(nullptr);
    // Not by setenv(): other threads of ours may be reading the environment.
    std::string armed = "MILLRACE_CRASH_POINT=" + crash_point;
    std::vector<char*> environment;
    for (char** e = environ; *e != nullptr; ++e) {
        environment.push_back(*e);
    }
    if (!crash_point.empty()) {
        environment.insert(environment.begin(), armed.data());  // getenv() finds the first
    }
    environment.push_back(nullptr);
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t held;
    sigset_t all;
    ::sigemptyset(&held);
    ::sigaddset(&held, SIGTERM);
    ::sigaddset(&held, SIGINT);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes, &held);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setflags(&attributes,
                               POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int pid = 0;
    const int rc =
        ::posix_spawn(&pid, argv[0], nullptr, &attributes, argv.data(), environment.data());
    ::posix_spawnattr_destroy(&attributes);
    if (rc != 0) {
        message = "cannot start " + arguments[0] + ": " + std::strerror(rc);
        return {Errc::IoError, "spawn", rc};
    }
    return ProcessId{pid, process_start_time(pid)};
}

std::string describe_wait_status(int status) {
    if (WIFSIGNALED(status)) {
        const int signal = WTERMSIG(status);
        return "killed by signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
    }
    return "exit status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace millrace
