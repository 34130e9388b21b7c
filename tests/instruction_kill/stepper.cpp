#include "tests/instruction_kill/stepper.h"

#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>

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

#if defined(__x86_64__)
void show_next(pid_t child, const EachInstruction& each) {
    std::array<unsigned char, 16> code{};  // an instruction has 15 bytes at most
    errno = 0;
    const long at = ::ptrace(PTRACE_PEEKUSER, child, offsetof(user, regs.rip), nullptr);
    for (std::size_t i = 0; i < code.size() && errno == 0; i += sizeof(long)) {
        const long word = ::ptrace(PTRACE_PEEKTEXT, child, at + static_cast<long>(i), nullptr);
        if (errno == 0) {  // else the page ends here
            std::memcpy(&code[i], &word, sizeof word);
        }
    }
    each(code);
}
#endif

void kill_and_reap(pid_t child) {
    ::kill(child, SIGKILL);  // our own child, not reaped yet
    int status = 0;
    while (::waitpid(child, &status, 0) >= 0 ? !WIFSIGNALED(status) : errno == EINTR) {
    }
}

}  // namespace

Stepped step(const std::function<void()>& prepare, const std::function<void()>& body,
             std::uint64_t count, const EachInstruction& each) {
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
        if (each) {
            show_next(child, each);
        }
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
    (void)each;
    result.refused = true;
#endif
    return result;
}

const char* waits_or_leaves(std::span<const unsigned char> code) noexcept {
    std::size_t i = 0;
    const auto is_prefix = [](unsigned char b) {
        // Operand and address size, repetition, segments, REX.
        return b == 0x66 || b == 0x67 || b == 0xF2 || b == 0xF3 || b == 0x2E || b == 0x36 ||
               b == 0x3E || b == 0x26 || b == 0x64 || b == 0x65 || (b & 0xF0U) == 0x40;
    };
    for (; i + 2 < code.size() && (is_prefix(code[i]) || code[i] == 0xF0); ++i) {
        if (code[i] == 0xF0) {
            return "lock";
        }
    }
    const bool in_memory = (code[i + 1] >> 6U) != 3;
    if ((code[i] == 0x86 || code[i] == 0x87) && in_memory) {
        return "xchg";  // locks without saying so
    }
    if (code[i] != 0x0F) {
        return nullptr;
    }
    if (code[i + 1] == 0x05) {
        return "syscall";
    }
    if (code[i + 1] == 0xAE && code[i + 2] >= 0xE8) {
        return code[i + 2] >= 0xF8 ? "sfence" : code[i + 2] >= 0xF0 ? "mfence" : "lfence";
    }
    return nullptr;
}

}  // namespace millrace
