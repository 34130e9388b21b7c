// Child processes of tests: each in a session of its own, dead with the test.
#pragma once

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <string>

namespace millrace::test {

/// What a child may answer besides success (0) and failure (1).
inline constexpr int kSkipped = 77;

/// Forks; the child runs `body` and exits with its result.
inline pid_t run_child(const std::function<int()>& body) {
    const pid_t parent = ::getpid();
    std::fflush(nullptr);  // or the child would print it again
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::setsid();
        ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        const int status = ::getppid() == parent ? body() : 1;
        std::fflush(nullptr);
        ::_exit(status);
    }
    return pid;
}

/// @return exit status; 128 + signal if it was killed by one (SIGBUS is 7).
inline int end_of(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) != child) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// In a child: runs `body` in a pid namespace of its own, with its own /proc; dead with the child.
/// @return what body returns; kSkipped where no namespace may be had.
inline int in_own_pid_namespace(const std::function<int()>& body) {
    const uid_t user = ::geteuid();
    if (::unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) {
        if (::unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS) != 0) {
            return kSkipped;
        }
        // Files of this user stay its own.
        if (FILE* map = std::fopen("/proc/self/uid_map", "w"); map != nullptr) {
            std::fprintf(map, "%u %u 1", user, user);
            std::fclose(map);
        }
    }
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    const pid_t first = ::fork();  // pid 1 there
    if (first == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        const int status = ::mount("proc", "/proc", "proc", 0, nullptr) == 0 ? body() : kSkipped;
        std::fflush(nullptr);
        ::_exit(status);
    }
    int status = 0;
    while (::waitpid(first, &status, 0) != first) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// In a child: a mount namespace of its own, with a file system of `type` at `at`.
/// @return false where no namespace may be had (the test then has to be skipped, loudly).
inline bool mount_private(const std::string& at, const char* type, const char* options) {
    if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
        return false;
    }
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    return ::mount("none", at.c_str(), type, 0, options) == 0;
}

}  // namespace millrace::test
