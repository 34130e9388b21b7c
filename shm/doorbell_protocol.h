// The doorbell's steps, typed on the bell's atomics and on what they need of the host, so that the
// model checker runs these very lines (tests/model/doorbell_model_test.cpp). Use shm/doorbell.h.
//
// `armed` holds a *ticket*: 0 = nobody sleeps, else 2 x (rings as the sleeper saw it) + 1. A ringer
// bumps `rings`, wakes, and only then takes away the ticket that it had seen, and only if it still
// stands. So
//   - a ringer killed or stopped anywhere inside leaves the ticket: the next ring(), its heir's or
//     another producer's, wakes the sleeper (clearing first would lose the wake with the ringer);
//   - a late clearing cannot hit a newer arming: that one has another ticket, unless no ring came
//     between, and then the bump keeps the sleeper from sleeping.
// (A ticket comes again after 2^31 rings; a ringer would have to be stopped inside for that long.)
//
// Nothing here needs acquire or release: the fence between arming and the last look orders what
// the look sees, and the rings themselves carry their records' order.
#pragma once

#include "core/types.h"

#include <atomic>
#include <cstdint>

namespace millrace::detail {

/// The sleeper's first half: from here on ring_bell() wakes. Then it must look once more.
template <class Host, class Bell>
void arm_bell(Bell& bell) noexcept {
    const std::uint32_t ticket = (bell.rings.load(std::memory_order_relaxed) << 1U) | 1U;
    bell.armed.store(ticket, std::memory_order_relaxed);
    if (Host::has_membarrier()) {
        // Pairs with the light fence in ring_bell(): either that producer's publishing store is
        // visible to our last look, or our ticket is visible to its load.
        Host::heavy_fence();
    } else {
        // Pairs with the full fence in ring_bell(). A seq_cst exchange of `armed` would not do:
        // the look after it may be satisfied before its store (C++, and AArch64 in fact).
        Host::full_fence();
    }
}

template <class Host, class Bell, class Idle>
void wait_on_bell(Bell& bell, Nanos timeout, Idle&& idle) noexcept {
    // Before arming: a bump after this load keeps the futex from sleeping.
    const std::uint32_t seen = bell.rings.load(std::memory_order_relaxed);
    arm_bell<Host>(bell);
    if (idle()) {
        Host::wait(bell.rings, seen, timeout);
    }
    // Relaxed: only the owner arms, and a late ring is harmless.
    bell.armed.store(0, std::memory_order_relaxed);
}

template <class Host, class Bell>
void ring_bell(Bell& bell) noexcept {
    if (Host::has_membarrier()) {
        Host::light_fence();  // our publishing store stays before the load; pairs with arm_bell()
    } else {
        Host::full_fence();  // the same
    }
    std::uint32_t ticket = bell.armed.load(std::memory_order_relaxed);
    if (ticket == 0) [[likely]] {
        return;
    }
    bell.rings.fetch_add(1, std::memory_order_relaxed);
    Host::wake(bell.rings);
    // Last: until here the wake may still be owed. Fails if the sleeper has disarmed or armed anew.
    bell.armed.compare_exchange_strong(ticket, 0, std::memory_order_relaxed,
                                       std::memory_order_relaxed);
}

}  // namespace millrace::detail
