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

void detail::arm(Doorbell& bell) noexcept {
    if (g_has_membarrier) {
        bell.armed.store(1, std::memory_order_relaxed);
        // Full barrier on every registered process's running threads: pairs with the
        // publish-then-load order of ring() there.
        ::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
        return;
    }
    // Seq_cst exchange: store-load order against the fence in ring().
    bell.armed.exchange(1, std::memory_order_seq_cst);
}

void detail::sleep_on(Doorbell& bell, std::uint32_t seen, Nanos timeout) noexcept {
    const timespec ts{timeout.value / 1'000'000'000, timeout.value % 1'000'000'000};
    futex(bell.rings, FUTEX_WAIT, seen, &ts);
}

void ring(Doorbell& bell) noexcept {
    if (!g_has_membarrier) {
        // Pairs with the exchange in arm(): our publishing store is ordered before the load.
        std::atomic_thread_fence(std::memory_order_seq_cst);
    } else {
        // The compiler must not move the load up either; the sleeper's membarrier does the rest.
        std::atomic_signal_fence(std::memory_order_seq_cst);
    }
    if (bell.armed.load(std::memory_order_relaxed) == 0) [[likely]] {
        return;
    }
    bell.armed.store(0, std::memory_order_relaxed);
    // Release: pairs with the acquire in doorbell_wait().
    bell.rings.fetch_add(1, std::memory_order_release);
    futex(bell.rings, FUTEX_WAKE, 1, nullptr);
}

}  // namespace millrace
