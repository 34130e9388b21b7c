// Variants of the production ring, for ring/adr/0001: what each decision is worth. Each is the
// production header itself with one thing changed, through its own functions or its policy, so that
// it differs from the product in nothing else. One-by-one throughput only.
#pragma once

#include "bench/ring/hints.h"
#include "bench/ring/queues.h"

namespace millrace::bench {

/// Both ends' own lines 64 bytes apart instead of 128: a pair of lines that adjacent-line prefetch
/// fetches together.
struct Apart64Policy {
    using AtomicU64 = std::atomic<std::uint64_t>;
    static constexpr std::uint64_t kAskAhead = StdPolicy::kAskAhead;
};

/// A producer that asks for the lines of other slots than the shipped one does.
template <std::uint64_t kSlots>
struct AskAhead : StdPolicy {
    static constexpr std::uint64_t kAskAhead = kSlots;
};

enum class Demote { Nobody, Producer, Consumer };

/// What a variant changes; as it stands, nothing.
struct AsShipped {
    using Policy = StdPolicy;
    static constexpr std::uint64_t kLag = 0;  // records between two releases; 0 = by take()
    // Slots ahead that the producer asks for to write, free or not; 0 = as the policy says.
    static constexpr std::uint64_t kAheadAnyway = 0;
    static constexpr std::uint64_t kLook = 0;  // slots ahead that the consumer asks for to read
    static constexpr Demote kDemote = Demote::Nobody;
    static constexpr std::uint64_t kRoom = 1;    // free slots that end the wait of a full ring
    static constexpr bool kNonTemporal = false;  // the payload is written past the caches
};

}  // namespace millrace::bench

template <>
struct millrace::RingControl<millrace::bench::Apart64Policy> {
    std::uint64_t magic = 0;
    std::uint32_t slot_bytes = 0;
    std::uint32_t capacity = 0;
    alignas(64) std::atomic<std::uint64_t> read_cursor;
    alignas(64) std::atomic<std::uint64_t> write_hint;
    std::atomic<std::uint64_t> full_stalls;
};

namespace millrace::bench {

/// @tparam Change derived from AsShipped.
template <std::size_t W, class Change>
struct Changed {
    static constexpr bool kProcesses = true;
    using Policy = typename Change::Policy;
    struct Payload {
        std::array<std::uint64_t, W - 1> words;
    };
    RingControl<Policy> control;
    alignas(kCacheLineBytes) RingSlot<Payload, Policy> slots[kCapacity];

    Changed() {
        control.capacity = kCapacity;
        control.slot_bytes = sizeof(RingSlot<Payload, Policy>);
        control.magic = kRingMagic;
    }
    using Slot = RingSlot<Payload, Policy>;
    const Slot& slot(std::uint64_t index) const noexcept { return slots[index % kCapacity]; }

    struct Near {
        explicit Near(Changed& queue)
            : q{queue},
              ring{RingProducer<Payload, Policy>::attach({&queue.control, queue.slots}).value()} {}

        bool push(std::uint64_t n, std::uint64_t stamp) noexcept {
            if (Change::kRoom > 1 && waits) {
                if (ring.free_slots() < Change::kRoom) {
                    return false;
                }
                waits = false;
            }
            Payload* slot = ring.claim();
            if (slot == nullptr) {
                waits = true;
                return false;
            }
            ask_ahead();
            if constexpr (Change::kNonTemporal) {
                write_words_past_caches(slot->words, n);
            } else {
                write_words(slot->words, 1, n, stamp);
            }
            ring.commit();
            if constexpr (Change::kDemote == Demote::Producer) {
                demote(&q.slot(ring.written() - 1));
            }
            return true;
        }

        void ask_ahead() noexcept {
            if constexpr (Change::kAheadAnyway != 0) {
                ask_to_write(q.slot(ring.written() + Change::kAheadAnyway));
            }
        }

        Changed& q;
        RingProducer<Payload, Policy> ring;
        bool waits = false;
    };

    struct Far {
        explicit Far(Changed& queue)
            : q{queue},
              ring{RingConsumer<Payload, Policy>::attach({&queue.control, queue.slots}).value()} {}

        Got pop() noexcept {
            if constexpr (Change::kDemote == Demote::Consumer) {
                if (ring.position() > 1) {
                    demote(&q.slot(ring.position() - 2));
                }
            }
            if constexpr (Change::kLook != 0) {
                ask_to_read(q.slot(ring.position() - 1 + Change::kLook));
            }
            const Payload* p = next();
            if (p == nullptr) {
                return {};
            }
            const std::uint64_t n = ring.position() - 1;
            return {n, p->words.back(), n + sum_words(p->words)};
        }

        /// take() as it is, or with another lag.
        const Payload* next() noexcept {
            if constexpr (Change::kLag == 0) {
                return ring.take();
            }
            const Payload* p = ring.peek();
            if (p == nullptr) {
                if (released != ring.position() - 1) {
                    release();
                }
                return nullptr;
            }
            if (ring.position() - 1 - released >= Change::kLag) {
                release();
            }
            ring.advance();
            return p;
        }
        void release() noexcept {
            ring.release();
            released = ring.position() - 1;
        }

        Changed& q;
        RingConsumer<Payload, Policy> ring;
        std::uint64_t released = 0;
    };
};

/// Cached cursors with our slots and with both cursors published in batches only: the best that
/// design can do. A record may stay invisible until the producer's batch is full, so it is no
/// candidate for a hop; it shows what the word in the slot costs or saves.
template <std::size_t W, std::uint64_t kLag>
struct CursorBatched {
    static constexpr bool kProcesses = true;
    alignas(128) std::atomic<std::uint64_t> write{0};
    alignas(128) std::atomic<std::uint64_t> read{0};
    alignas(128) Message<W> slots[kCapacity];

    struct Near {
        explicit Near(CursorBatched& queue) : q{queue} {}
        bool push(std::uint64_t n, std::uint64_t stamp) noexcept {
            if (written - read_cache >= kCapacity) {
                q.write.store(written, std::memory_order_release);  // pairs with pop()
                read_cache = q.read.load(std::memory_order_acquire);
                if (written - read_cache >= kCapacity) {
                    return false;
                }
            }
            write_words(q.slots[written % kCapacity].words, 0, n, stamp);
            if (++written % kLag == 0) {
                q.write.store(written, std::memory_order_release);
            }
            return true;
        }
        ~Near() { q.write.store(written, std::memory_order_release); }
        CursorBatched& q;
        std::uint64_t written = 0;
        std::uint64_t read_cache = 0;
    };
    struct Far {
        explicit Far(CursorBatched& queue) : q{queue} {}
        Got pop() noexcept {
            if (next == write_cache) {
                q.read.store(next, std::memory_order_release);
                write_cache = q.write.load(std::memory_order_acquire);
                if (next == write_cache) {
                    return {};
                }
            }
            const Got got = q.slots[next++ % kCapacity].got();
            if (next % kLag == 0) {
                q.read.store(next, std::memory_order_release);
            }
            return got;
        }
        CursorBatched& q;
        std::uint64_t next = 0;
        std::uint64_t write_cache = 0;
    };
};

}  // namespace millrace::bench
