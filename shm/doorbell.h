// Doorbells: how a stage with nothing to do sleeps, and how its producers wake it.
//
// Asymmetric Dekker: the sleeper arms the bell, issues a process-wide memory barrier
// (membarrier), looks at its rings once more and sleeps. A producer publishes, then looks at
// `armed` with a plain load: no fence on its path. Either its store was visible to the sleeper's
// last look, or the barrier made `armed` visible to its load.
// Where membarrier is refused, the producer pays a full fence (ring_if_armed's slow variant).
#pragma once

#include "shm/layout.h"

namespace millrace {

/// Registers this process for global expedited membarriers; call once at start in every process
/// that maps the segment.
/// @return false if the kernel refuses; then every process must use fences (it is a property of
/// the host, so all agree).
bool doorbell_setup() noexcept;

/// Sleeps until `bell` rings or `timeout` passes. `idle()` is the sleeper's last look: it must
/// return true if there is still nothing to do.
/// Threads: the bell's one owner. A killed sleeper leaves `armed` set; the cost is one needless
/// wake call, which clears it.
template <class Idle>
void doorbell_wait(Doorbell& bell, Nanos timeout, Idle&& idle) noexcept;

/// Wakes the owner if it sleeps or is about to. After the publishing store.
/// Threads: any. One plain load when nobody sleeps.
void ring(Doorbell& bell) noexcept;

namespace detail {
void arm(Doorbell& bell) noexcept;                                  // store + barrier
void sleep_on(Doorbell& bell, std::uint32_t seen, Nanos timeout) noexcept;
}  // namespace detail

template <class Idle>
void doorbell_wait(Doorbell& bell, Nanos timeout, Idle&& idle) noexcept {
    // Acquire: pairs with the release in ring(); a bump seen here means its cause is visible too.
    const std::uint32_t seen = bell.rings.load(std::memory_order_acquire);
    detail::arm(bell);
    if (idle()) {
        detail::sleep_on(bell, seen, timeout);
    }
    // Relaxed: only the owner arms, and a late ring() is harmless.
    bell.armed.store(0, std::memory_order_relaxed);
}

}  // namespace millrace
