// What a process under seccomp may ask of the kernel. In children only: a filter stays for good.
#pragma once

#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace millrace::test {

inline constexpr std::uint32_t kNumberAt = offsetof(seccomp_data, nr);
/// Low half of a system call's `i`-th argument (little-endian, as both our machines are).
constexpr std::uint32_t argument_at(unsigned i) noexcept {
    return static_cast<std::uint32_t>(offsetof(seccomp_data, args) + i * sizeof(std::uint64_t));
}

/// @return false where the kernel takes no filter (the test then has to be skipped, loudly).
inline bool take_filter(std::vector<sock_filter> steps) {
    const sock_fprog program{static_cast<unsigned short>(steps.size()), steps.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

/// From here on membarrier() fails with EPERM, as in a strict container.
inline bool forbid_membarrier() {
    return take_filter({
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumberAt),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    });
}

/// From here on this process dies by SIGSYS if it asks for a barrier or a futex that does not reach
/// other processes.
inline bool forbid_private_wakes() {
    return take_filter({
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumberAt),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument_at(0)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MEMBARRIER_CMD_QUERY, 6, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 5, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 4, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument_at(1)),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, FUTEX_PRIVATE_FLAG, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    });
}

}  // namespace millrace::test
