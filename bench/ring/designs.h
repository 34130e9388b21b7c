// Alternatives to our ring's layout, for ring/adr/0001: what each decision is worth. One-by-one
// throughput only; crash safety and statistics are left out alike.
#pragma once

#include "bench/ring/queues.h"

namespace millrace::bench {

/// Asks for a line to be moved from this core's caches to the shared one (CLDEMOTE, a hint; no
/// operation where it is unknown).
inline void demote(const void* line) noexcept {
#if defined(__x86_64__)
    asm volatile(".byte 0x0f, 0x1c, 0x07" ::"D"(line) : "memory");  // cldemote (%rdi)
#else
    static_cast<void>(line);
#endif
}

enum class Demote { Nobody, Producer, Consumer };

/// In which slot record `n` lies: in line, or 64 slots from the one before it, so that nobody's
/// hardware prefetcher follows.
template <bool kTransposed>
constexpr std::size_t place(std::uint64_t n) noexcept {
    constexpr std::size_t kRow = 64;
    const std::size_t i = n % kCapacity;
    return kTransposed ? i % kRow * (kCapacity / kRow) + i / kRow : i;
}

/// The sequence word inside the slot.
/// @tparam kApart bytes between producer's and consumer's own data.
/// @tparam kLag records between two stores of the read cursor, at most.
/// @tparam kAhead slots that the producer asks for to write, ahead of its own; 0 = none.
/// @tparam kLook slots that the consumer asks for to read, ahead of its own; 0 = none.
/// @tparam kDemote who moves a slot's line to the shared cache when done with it.
/// @tparam kTransposed see place().
template <std::size_t W, std::size_t kApart, std::uint64_t kLag, std::uint64_t kAhead = 0,
          std::uint64_t kLook = 0, Demote kDemote = Demote::Nobody, bool kTransposed = false>
struct InSlot {
    static constexpr bool kProcesses = true;
    struct alignas(64) Slot {
        std::atomic<std::uint64_t> sequence{0};
        std::array<std::uint64_t, W - 1> words;
    };
    alignas(128) std::byte front[128] = {};
    alignas(128) std::atomic<std::uint64_t> read{0};
    alignas(kApart) std::uint64_t written = 0;  // the producer's own, right beside it or 128 away
    std::uint64_t read_cache = 0;
    alignas(128) Slot slots[kCapacity];

    struct Near {
        explicit Near(InSlot& queue) : q{queue} {}
        bool push(std::uint64_t n, std::uint64_t stamp) noexcept {
            if (q.written - q.read_cache >= kCapacity) {
                q.read_cache = q.read.load(std::memory_order_acquire);  // pairs with release()
                if (q.written - q.read_cache >= kCapacity) {
                    return false;
                }
            }
            if constexpr (kAhead != 0) {
                __builtin_prefetch(&q.slots[place<kTransposed>(q.written + kAhead)], 1, 3);
            }
            Slot& slot = q.slots[place<kTransposed>(q.written)];
            write_words(slot.words, 1, n, stamp);
            slot.sequence.store(++q.written, std::memory_order_release);  // pairs with pop()
            if constexpr (kDemote == Demote::Producer) {
                demote(&slot);
            }
            return true;
        }
        InSlot& q;
    };
    struct Far {
        explicit Far(InSlot& queue) : q{queue} {}
        Got pop() noexcept {
            if constexpr (kLook != 0) {
                __builtin_prefetch(&q.slots[place<kTransposed>(next - 1 + kLook)], 0, 3);
            }
            Slot& slot = q.slots[place<kTransposed>(next - 1)];
            if (slot.sequence.load(std::memory_order_acquire) != next) {  // pairs with push()
                if (released != next - 1) {
                    release(next - 1);
                }
                return {};
            }
            const Got got{next, slot.words.back(), next + sum_words(slot.words)};
            if constexpr (kDemote == Demote::Consumer) {
                demote(&slot);
            }
            if (++next - 1 - released >= kLag) {
                release(next - 1);
            }
            return got;
        }
        void release(std::uint64_t n) noexcept {
            q.read.store(n, std::memory_order_release);  // pairs with push()
            released = n;
        }
        InSlot& q;
        std::uint64_t next = 1;
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
