// Doorbells: how a stage with nothing to do sleeps, and how its producers wake it.
//
// Asymmetric Dekker: the sleeper arms the bell, issues a process-wide memory barrier
// (membarrier), looks at its rings once more and sleeps. A producer publishes, then looks at
// `armed` with a plain load: no fence on its path. Either its store was visible to the sleeper's
// last look, or the barrier made `armed` visible to its load.
// A process that is refused membarrier pays a full fence on both sides and sleeps in naps of a few
// milliseconds, for those who ring it may use none. The steps are in doorbell_protocol.h.
#pragma once

#include "shm/doorbell_protocol.h"
#include "shm/layout.h"

#include <utility>

namespace millrace {

/// Registers this process for global expedited membarriers; call once at start in every process
/// that maps the segment.
/// @return false if the kernel refuses (too old, or a seccomp filter): then this process's naps
/// are capped, whatever the others have.
bool doorbell_setup() noexcept;

/// Sleeps until `bell` rings or `timeout` passes, or for no reason: look again. `idle()` is the
/// sleeper's last look: it must return true if there is still nothing to do. Threads: the bell's
/// one owner. A killed sleeper leaves `armed` set; the cost is one needless wake call, which clears
/// it. The owner's next doorbell_wait() arms and disarms as ever.
template <class Idle>
void doorbell_wait(Doorbell& bell, Nanos timeout, Idle&& idle) noexcept;

/// Wakes the owner if it sleeps or is about to. After the publishing store.
/// Threads: any. One plain load when nobody sleeps.
/// Crash: killed inside, the wake is owed by the next ring() of whoever; ring once after attaching
/// as a producer's heir, or the sleeper's timeout makes it good.
void ring(Doorbell& bell) noexcept;

namespace detail {

/// The host's part of the protocol: membarrier, fences, futex.
struct LinuxHost {
    static bool has_membarrier() noexcept;
    static void heavy_fence() noexcept;  // a full barrier on every registered process's threads
    // Keeps the compiler from moving the load up; the sleeper's heavy fence does the rest.
    static void light_fence() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }
    static void full_fence() noexcept { std::atomic_thread_fence(std::memory_order_seq_cst); }
    static void wait(AtomicU32& word, std::uint32_t seen, Nanos timeout) noexcept;
    static void wake(AtomicU32& word) noexcept;
};

inline void arm(Doorbell& bell) noexcept {
    arm_bell<LinuxHost>(bell);
}
inline void sleep_on(Doorbell& bell, std::uint32_t seen, Nanos timeout) noexcept {
    LinuxHost::wait(bell.rings, seen, timeout);
}

}  // namespace detail

template <class Idle>
void doorbell_wait(Doorbell& bell, Nanos timeout, Idle&& idle) noexcept {
    detail::wait_on_bell<detail::LinuxHost>(bell, timeout, std::forward<Idle>(idle));
}

}  // namespace millrace
