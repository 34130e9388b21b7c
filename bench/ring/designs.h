// Alternatives to our ring's layout, for ring/adr/0001: what each decision is worth. One-by-one
// throughput only; crash safety and statistics are left out alike.
#pragma once

#include "bench/ring/queues.h"

namespace millrace::bench {

/// The sequence word inside the slot.
/// @tparam kApart bytes between producer's and consumer's own data.
/// @tparam kLag records between two stores of the read cursor, at most.
/// @tparam kAhead slots that the producer asks for to write, ahead of its own; 0 = none.
/// @tparam kLook slots that the consumer asks for to read, ahead of its own; 0 = none.
template <std::size_t W, std::size_t kApart, std::uint64_t kLag, std::uint64_t kAhead = 0,
          std::uint64_t kLook = 0>
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
                __builtin_prefetch(&q.slots[(q.written + kAhead) % kCapacity], 1, 3);
            }
            Slot& slot = q.slots[q.written % kCapacity];
            write_words(slot.words, 1, n, stamp);
            slot.sequence.store(++q.written, std::memory_order_release);  // pairs with pop()
            return true;
        }
        InSlot& q;
    };
    struct Far {
        explicit Far(InSlot& queue) : q{queue} {}
        Got pop() noexcept {
            if constexpr (kLook != 0) {
                __builtin_prefetch(&q.slots[(next - 1 + kLook) % kCapacity], 0, 3);
            }
            Slot& slot = q.slots[(next - 1) % kCapacity];
            if (slot.sequence.load(std::memory_order_acquire) != next) {  // pairs with push()
                if (released != next - 1) {
                    release(next - 1);
                }
                return {};
            }
            const Got got{next, slot.words.back(), next + sum_words(slot.words)};
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
