#include "tools/demo_run/child.h"

#include "shm/clock.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <deque>
#include <fstream>

extern char** environ;

namespace millrace::demo {
namespace {

constexpr Nanos kPollEvery = millis(1);

void nap() noexcept {
    const timespec ts{0, kPollEvery.value};
    ::nanosleep(&ts, nullptr);
}

}  // namespace

Child::~Child() {
    if (running()) {
        signal(SIGKILL);
        (void)wait(seconds(5));
    }
}

Child& Child::operator=(Child&& other) noexcept {
    if (this != &other) {
        if (running()) {
            signal(SIGKILL);
            (void)wait(seconds(5));
        }
        pid_ = std::exchange(other.pid_, 0);
        status_ = other.status_;
    }
    return *this;
}

Result<Child> Child::spawn(const std::vector<std::string>& arguments, const std::string& log_path,
                           std::string& message) {
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (const std::string& a : arguments) {
        argv.push_back(const_cast<char*>(a.c_str()));  // posix_spawn does not write to them
    }
    argv.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawnattr_init(&attributes);
    constexpr int kAppend = O_WRONLY | O_CREAT | O_APPEND;
    ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log_path.c_str(), kAppend, 0600);
    ::posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
    // A group of its own: Ctrl-C reaches the demo, which then ends the others in order.
    ::posix_spawnattr_setpgroup(&attributes, 0);
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    Child child;
    const int error =
        ::posix_spawn(&child.pid_, argv[0], &files, &attributes, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&attributes);
    if (error != 0) {
        child.pid_ = 0;
        message = "cannot start " + arguments[0] + " (output to " + log_path + ")";
        return {Errc::IoError, "posix_spawn", error};
    }
    return child;
}

bool Child::running() noexcept {
    if (pid_ == 0) {
        return false;
    }
    int status = 0;
    const pid_t got = ::waitpid(pid_, &status, WNOHANG);
    if (got == 0) {
        return true;
    }
    status_ = got == pid_ ? status : 0;
    pid_ = 0;
    return false;
}

bool Child::wait(Nanos timeout) noexcept {
    const std::int64_t until = monotonic_ns() + timeout.value;
    while (running()) {
        if (monotonic_ns() >= until) {
            return false;
        }
        nap();
    }
    return true;
}

void Child::signal(int number) const noexcept {
    if (pid_ > 0) {
        ::kill(pid_, number);
    }
}

std::string Child::how_it_ended() const {
    if (WIFSIGNALED(status_)) {
        return "killed by signal " + std::to_string(WTERMSIG(status_));
    }
    return "exit status " + std::to_string(WEXITSTATUS(status_));
}

void become_subreaper() noexcept {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

void end_descendants() noexcept {
    const std::int64_t until = monotonic_ns() + seconds(5).value;
    const std::string own = "/proc/self/task/" + std::to_string(::getpid()) + "/children";
    while (monotonic_ns() < until) {
        std::ifstream list{own};
        int pid = 0;
        while (list >> pid) {
            ::kill(pid, SIGKILL);
        }
        if (::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD) {
            return;
        }
        nap();
    }
}

std::string tail_of(const std::string& path, std::size_t lines_max) {
    std::ifstream in{path};
    std::deque<std::string> lines;
    for (std::string line; std::getline(in, line);) {
        lines.push_back(line);
        if (lines.size() > lines_max) {
            lines.pop_front();
        }
    }
    std::string text;
    for (const std::string& line : lines) {
        text += "  " + line + "\n";
    }
    return text;
}

}  // namespace millrace::demo
