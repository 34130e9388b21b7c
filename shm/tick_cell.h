// TickCell: the latest quote of one symbol, a seqlock. One writer (the broker stage), any readers.
#pragma once

#include "core/types.h"

#include <atomic>
#include <cstdint>

namespace millrace {

/// A quote as a reader gets it. bid = 0: NO_PRICE.
struct Quote {
    Price bid;
    Price ask;
    Nanos time;
};

/// Even `version` = stable, odd = being written. The fields are atomics, so a torn read is a stale
/// value and never undefined behaviour; the version tells. `Atomic` is std::atomic, or the model
/// checker's (tests/model/).
template <template <class> class Atomic>
struct alignas(64) BasicTickCell {
    Atomic<std::uint64_t> version;
    Atomic<std::int64_t> bid;
    Atomic<std::int64_t> ask;
    Atomic<std::int64_t> time_ns;

    /// Writes a quote. Threads: the one writer. A version left odd by a writer that was killed
    /// inside is healed here: the next write makes it odd again (or keeps it) and ends even.
    void store(const Quote& q) noexcept {
        const std::uint64_t v = version.load(std::memory_order_relaxed) | 1U;
        version.store(v, std::memory_order_relaxed);
        // Release fields after the odd version: each store below is release so that a reader that
        // sees a new field (acquire) also sees the odd version.
        bid.store(q.bid.value, std::memory_order_release);
        ask.store(q.ask.value, std::memory_order_release);
        time_ns.store(q.time.value, std::memory_order_release);
        // Release: pairs with the first acquire in load(): an even version means whole fields.
        version.store(v + 1, std::memory_order_release);
    }

    /// Reads a quote in at most three tries.
    /// @return bid 0 (NO_PRICE) if the writer was in the way three times, or died inside.
    [[nodiscard]] Quote load() const noexcept {
        for (int attempt = 0; attempt < 3; ++attempt) {
            // Acquire: pairs with the last release in store().
            const std::uint64_t before = version.load(std::memory_order_acquire);
            // Acquire: pairs with the field releases; a newer field brings the odd version along.
            const Quote q{Price{bid.load(std::memory_order_acquire)},
                          Price{ask.load(std::memory_order_acquire)},
                          Nanos{time_ns.load(std::memory_order_acquire)}};
            if ((before & 1U) == 0 && version.load(std::memory_order_relaxed) == before) {
                return q;
            }
        }
        return {};
    }
};
using TickCell = BasicTickCell<std::atomic>;
static_assert(sizeof(TickCell) == 64);

}  // namespace millrace
