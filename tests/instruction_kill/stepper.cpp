#include "tests/instruction_kill/stepper.h"

#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace millrace {
namespace {

constexpr int kRefused = 77;

/// A marker: the tracer sees a SIGTRAP that no single step causes.
inline void mark() {
#if defined(__x86_64__)
    asm volatile("int3" ::: "memory");
#endif
}

[[noreturn]] void be_traced(const std::function<void()>& prepare,
                            const std::function<void()>& body) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::setsid();
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) {
        ::_exit(kRefused);
    }
    prepare();
    mark();
    body();
    mark();
    ::_exit(0);
}

/// Waits for the child's next stop. @return false if it ended instead (and is reaped).
bool stopped(pid_t child, int& status) {
    while (::waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            return false;
        }
    }
    return WIFSTOPPED(status);
}

/// True if the stop is a marker and not the end of a single step.
bool at_marker(pid_t child) {
    siginfo_t info{};
    return ::ptrace(PTRACE_GETSIGINFO, child, nullptr, &info) == 0 && info.si_code == SI_KERNEL;
}

void kill_and_reap(pid_t child) {
    ::kill(child, SIGKILL);  // our own child, not reaped yet
    int status = 0;
    while (::waitpid(child, &status, 0) >= 0 ? !WIFSIGNALED(status) : errno == EINTR) {
    }
}

}  // namespace

Stepped step(const std::function<void()>& prepare, const std::function<void()>& body,
             std::uint64_t count) {
    Stepped result;
#if defined(__x86_64__)
    const pid_t child = ::fork();
    if (child < 0) {
        result.refused = true;
        return result;
    }
    if (child == 0) {
        be_traced(prepare, body);
    }
    int status = 0;
    if (!stopped(child, status) || !at_marker(child)) {
        if (WIFSTOPPED(status)) {
            kill_and_reap(child);
        }
        result.refused = true;
        return result;
    }
    while (result.instructions < count) {
        if (::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0 || !stopped(child, status)) {
            result.refused = true;
            return result;
        }
        if (at_marker(child)) {
            result.reached_end = true;
            break;
        }
        ++result.instructions;
    }
    kill_and_reap(child);
#else
    (void)prepare;
    (void)body;
    (void)count;
    result.refused = true;
#endif
    return result;
}

}  // namespace millrace
