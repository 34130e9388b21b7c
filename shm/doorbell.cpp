#include "shm/doorbell.h"

#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <ctime>

namespace millrace {
namespace {

// Decided once per process by doorbell_setup(), before any stage runs; read-only afterwards.
bool g_has_membarrier = false;

// True once this process was refused a barrier. Others may have it and ring without a fence (a
// seccomp filter is one process's own), so that a wake to us can be lost: then we sleep in short
// naps. The other way round nothing is lost: who rings from such a process pays a full fence, and a
// process stays registered, whatever it is forbidden later. Relaxed: a thread that does not see it
// yet is refused its own barrier before it sleeps.
std::atomic<bool> g_blind{true};

/// The longest nap of a process whose wakes can be lost. 200 looks a second of a parked thread.
constexpr Nanos kBlindNapMax = millis(5);

long futex(AtomicU32& word, int op, std::uint32_t value, const timespec* timeout) noexcept {
    // Not FUTEX_PRIVATE: the word is shared between processes.
    return ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), op, value, timeout,
                     nullptr, 0);
}

}  // namespace

bool doorbell_setup() noexcept {
    const long commands = ::syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    g_has_membarrier =
        commands > 0 && (commands & MEMBARRIER_CMD_GLOBAL_EXPEDITED) != 0 &&
        ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0;
    g_blind.store(!g_has_membarrier, std::memory_order_relaxed);
    return g_has_membarrier;
}

bool detail::LinuxHost::has_membarrier() noexcept {
    return g_has_membarrier;
}

void detail::LinuxHost::heavy_fence() noexcept {
    if (::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) != 0) {
        g_blind.store(true, std::memory_order_relaxed);
        full_fence();  // for those who ring with one
    }
}

void detail::LinuxHost::wait(AtomicU32& word, std::uint32_t seen, Nanos timeout) noexcept {
    if (g_blind.load(std::memory_order_relaxed)) {
        timeout = std::min(timeout, kBlindNapMax);
    }
    const timespec ts{timeout.value / 1'000'000'000, timeout.value % 1'000'000'000};
    futex(word, FUTEX_WAIT, seen, &ts);
}

void detail::LinuxHost::wake(AtomicU32& word) noexcept {
    futex(word, FUTEX_WAKE, 1, nullptr);
}

void ring(Doorbell& bell) noexcept {
    detail::ring_bell<detail::LinuxHost>(bell);
}

}  // namespace millrace
