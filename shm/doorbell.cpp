#include "shm/doorbell.h"

#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

namespace millrace {
namespace {

// Decided once per process by doorbell_setup(), before any stage runs; read-only afterwards.
bool g_has_membarrier = false;

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
    return g_has_membarrier;
}

bool detail::LinuxHost::has_membarrier() noexcept {
    return g_has_membarrier;
}

void detail::LinuxHost::heavy_fence() noexcept {
    ::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
}

void detail::LinuxHost::wait(AtomicU32& word, std::uint32_t seen, Nanos timeout) noexcept {
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
