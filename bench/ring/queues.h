// The queues that are measured, all behind one face: Near (producing end) and Far (consuming end),
// each made where it runs. A message has `W` words: number n, n + 1, ..., and a stamp in the last
// one. All words are written in place where the queue allows it, and all are read.
#pragma once

#ifndef NDEBUG
#error "rivals are measured without their debugging checks: compile with NDEBUG"
#endif

#include <readerwriterqueue/readerwriterqueue.h>
#include <boost/lockfree/spsc_queue.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/types.h"
#include "ring/spsc_ring.h"

/// Compiled more than once, with other optimisation each time, this says which: the linker would
/// keep one of several instances of the same name for all.
#ifndef MILLRACE_BENCH_BUILD
#define MILLRACE_BENCH_BUILD plain
#endif

namespace millrace::bench::inline MILLRACE_BENCH_BUILD {

inline constexpr std::size_t kCapacity = 4096;

/// What the consuming end hands on of a message. number 0 = there was none.
struct Got {
    std::uint64_t number = 0;
    std::uint64_t stamp = 0;
    std::uint64_t sum = 0;  // of all words
};

/// @param first which word `words[0]` is: our ring's number is word 0 and not part of the payload.
inline void write_words(std::span<std::uint64_t> words, std::uint64_t first, std::uint64_t n,
                        std::uint64_t stamp) noexcept {
    for (std::size_t i = 0; i + 1 < words.size(); ++i) {
        words[i] = n + first + i;
    }
    words.back() = stamp;
}
inline std::uint64_t sum_words(std::span<const std::uint64_t> words) noexcept {
    std::uint64_t sum = 0;
    for (const std::uint64_t w : words) {
        sum += w;
    }
    return sum;
}
/// The sum of all words of all messages 1 .. n whose stamp is 0.
template <std::size_t W>
constexpr std::uint64_t expected_sum(std::uint64_t n) noexcept {
    return (W - 1) * (n * (n + 1) / 2) + n * ((W - 1) * (W - 2) / 2);
}

/// On lines of its own, as our slots are: whoever uses a queue for such records writes it so. (Not
/// kCacheLineBytes, which is two lines: that would make a message of 64 bytes one of 128.)
template <std::size_t W>
struct alignas(64) Message {
    std::array<std::uint64_t, W> words;
    Message() = default;
    Message(std::uint64_t n, std::uint64_t stamp) noexcept { write_words(words, 0, n, stamp); }
    [[nodiscard]] Got got() const noexcept { return {words[0], words[W - 1], sum_words(words)}; }
};
static_assert(sizeof(Message<8>) == 64 && sizeof(Message<16>) == 128);

/// Limit: a number and a stamp on one line, overwritten without asking. A message that nobody
/// looked at in time is gone, so of its tail nothing can be said.
struct HandOff {
    static constexpr bool kProcesses = true;
    static constexpr bool kOverwrites = true;
    alignas(kCacheLineBytes) std::atomic<std::uint64_t> number{0};
    std::atomic<std::uint64_t> stamp{0};

    struct Near {
        explicit Near(HandOff& q) : line{q} {}
        bool push(std::uint64_t n, std::uint64_t x) noexcept {
            line.stamp.store(x, std::memory_order_relaxed);
            line.number.store(n, std::memory_order_release);  // pairs with pop()
            return true;
        }
        HandOff& line;
    };
    struct Far {
        explicit Far(HandOff& q) : line{q} {}
        Got pop() noexcept {
            const std::uint64_t n = line.number.load(std::memory_order_acquire);  // with push()
            if (n == last) {
                return {};
            }
            last = n;
            return {n, line.stamp.load(std::memory_order_relaxed), n};
        }
        HandOff& line;
        std::uint64_t last = 0;
    };
};

/// For comparison: messages alone, 512 at a time for one flag; nothing else is shared. What is lost
/// beside it is what saying "there is one more" for each message costs. No limit: see limits.h.
template <std::size_t W>
struct BareStream {
    static constexpr bool kProcesses = true;
    static constexpr std::uint64_t kChunk = 512;
    alignas(128) std::atomic<std::uint64_t> write{0};
    alignas(128) std::atomic<std::uint64_t> read{0};
    alignas(128) Message<W> slots[kCapacity];

    struct Near {
        explicit Near(BareStream& stream) : q{stream} {}
        ~Near() { q.write.store(written, std::memory_order_release); }  // what fills no chunk
        bool push(std::uint64_t n, std::uint64_t stamp) noexcept {
            if (written % kChunk == 0 &&  // acquire: pairs with pop(), its reads are done
                written - q.read.load(std::memory_order_acquire) > kCapacity - kChunk) {
                return false;
            }
            write_words(q.slots[written % kCapacity].words, 0, n, stamp);
            if (++written % kChunk == 0) {
                q.write.store(written, std::memory_order_release);  // pairs with pop()
            }
            return true;
        }
        BareStream& q;
        std::uint64_t written = 0;
    };
    struct Far {
        explicit Far(BareStream& stream) : q{stream} {}
        Got pop() noexcept {
            if (taken == seen) {
                q.read.store(taken, std::memory_order_release);  // pairs with push()
                seen = q.write.load(std::memory_order_acquire);  // pairs with push()
                if (taken == seen) {
                    return {};
                }
            }
            return q.slots[taken++ % kCapacity].got();
        }
        BareStream& q;
        std::uint64_t taken = 0;
        std::uint64_t seen = 0;
    };
};

/// Ours: the production header. One by one by take(), batches by claim_batch() and poll().
template <std::size_t W>
struct Ours {
    static constexpr bool kProcesses = true;
    struct Payload {
        std::array<std::uint64_t, W - 1> words;
    };
    RingControl<> control;
    alignas(kCacheLineBytes) RingSlot<Payload> slots[kCapacity];

    Ours() {
        control.capacity = kCapacity;
        control.slot_bytes = sizeof(RingSlot<Payload>);
        control.magic = kRingMagic;
    }
    struct Near {
        explicit Near(Ours& q)
            : ring{RingProducer<Payload>::attach({&q.control, q.slots}).value()} {}
        bool push(std::uint64_t n, std::uint64_t stamp) noexcept {
            Payload* slot = ring.claim();
            if (slot == nullptr) {
                return false;
            }
            write_words(slot->words, 1, n, stamp);
            ring.commit();
            return true;
        }
        std::size_t push_batch(std::uint64_t n, std::size_t count) noexcept {
            const std::uint64_t k = ring.claim_batch(count);
            for (std::uint64_t i = 0; i < k; ++i) {
                write_words(ring.claimed(i).words, 1, n + i, 0);
            }
            ring.commit_batch(k);
            return k;
        }
        RingProducer<Payload> ring;
    };
    struct Far {
        explicit Far(Ours& q)
            : ring{RingConsumer<Payload>::attach({&q.control, q.slots}).value()} {}
        Got pop() noexcept {
            const Payload* p = ring.take();
            if (p == nullptr) {
                return {};
            }
            const std::uint64_t n = ring.position() - 1;
            return {n, p->words.back(), n + sum_words(p->words)};
        }
        std::size_t pop_batch(std::size_t limit, std::uint64_t& sum) noexcept {
            return ring.poll(
                limit, [&](const Payload& p) { sum += ring.position() + sum_words(p.words); });
        }
        RingConsumer<Payload> ring;
    };
};

/// Ours as the product uses it where the producer counts on each slot, or a crash may repeat one
/// record at most: looked at, then given back, one by one.
template <std::size_t W>
struct OursReleasedEach : Ours<W> {
    using typename Ours<W>::Near;
    using typename Ours<W>::Payload;
    struct Far {
        explicit Far(OursReleasedEach& q)
            : ring{RingConsumer<Payload>::attach({&q.control, q.slots}).value()} {}
        Got pop() noexcept {
            const Payload* p = ring.peek();
            if (p == nullptr) {
                return {};
            }
            const std::uint64_t n = ring.position();
            const Got got{n, p->words.back(), n + sum_words(p->words)};
            ring.advance();
            ring.release();
            return got;
        }
        RingConsumer<Payload> ring;
    };
};

/// Ours where all W words are the user's, as they are in the rivals: the number takes a line more.
template <std::size_t W>
struct OursWholePayload {
    static constexpr bool kProcesses = true;
    struct Payload {
        std::array<std::uint64_t, W> words;
        std::array<std::uint64_t, 7> unused;  // of the line more: a slot is full lines
    };
    RingControl<> control;
    alignas(kCacheLineBytes) RingSlot<Payload> slots[kCapacity];

    OursWholePayload() {
        control.capacity = kCapacity;
        control.slot_bytes = sizeof(RingSlot<Payload>);
        control.magic = kRingMagic;
    }
    struct Near {
        explicit Near(OursWholePayload& q)
            : ring{RingProducer<Payload>::attach({&q.control, q.slots}).value()} {}
        bool push(std::uint64_t n, std::uint64_t stamp) noexcept {
            Payload* slot = ring.claim();
            if (slot == nullptr) {
                return false;
            }
            write_words(slot->words, 0, n, stamp);
            ring.commit();
            return true;
        }
        RingProducer<Payload> ring;
    };
    struct Far {
        explicit Far(OursWholePayload& q)
            : ring{RingConsumer<Payload>::attach({&q.control, q.slots}).value()} {}
        Got pop() noexcept {
            const Payload* p = ring.take();
            if (p == nullptr) {
                return {};
            }
            return {p->words[0], p->words.back(), sum_words(p->words)};
        }
        RingConsumer<Payload> ring;
    };
};

/// The cached-cursor design as the well-known queues have it (rigtorp/SPSCQueue): each side keeps a
/// copy of the other's index and looks again only when it says full or empty; one slot stays free;
/// in-place writing and reading.
template <std::size_t W>
struct CachedCursor {
    static constexpr bool kProcesses = true;
    static constexpr std::size_t kSlots = kCapacity + 1;
    alignas(64) std::atomic<std::size_t> write{0};
    alignas(64) std::size_t read_cache = 0;
    alignas(64) std::atomic<std::size_t> read{0};
    alignas(64) std::size_t write_cache = 0;
    alignas(kCacheLineBytes) Message<W> slots[kSlots];

    struct Near {
        explicit Near(CachedCursor& queue) : q{queue} {}
        bool push(std::uint64_t n, std::uint64_t stamp) noexcept {
            const std::size_t at = q.write.load(std::memory_order_relaxed);
            const std::size_t next = at + 1 == kSlots ? 0 : at + 1;
            if (next == q.read_cache) {
                q.read_cache = q.read.load(std::memory_order_acquire);  // pairs with pop()
                if (next == q.read_cache) {
                    return false;
                }
            }
            write_words(q.slots[at].words, 0, n, stamp);
            q.write.store(next, std::memory_order_release);  // pairs with pop()
            return true;
        }
        /// A range by one store, as such queues offer it.
        std::size_t push_batch(std::uint64_t n, std::size_t count) noexcept {
            const std::size_t at = q.write.load(std::memory_order_relaxed);
            std::size_t free = room(at);
            if (free < count) {
                q.read_cache = q.read.load(std::memory_order_acquire);  // pairs with pop_batch()
                free = room(at);
            }
            const std::size_t k = std::min(free, count);
            std::size_t next = at;
            for (std::size_t i = 0; i < k; ++i) {
                write_words(q.slots[next].words, 0, n + i, 0);
                next = next + 1 == kSlots ? 0 : next + 1;
            }
            if (k > 0) {
                q.write.store(next, std::memory_order_release);  // pairs with pop_batch()
            }
            return k;
        }
        [[nodiscard]] std::size_t room(std::size_t at) const noexcept {
            return q.read_cache + (q.read_cache > at ? 0 : kSlots) - at - 1;
        }
        CachedCursor& q;
    };
    struct Far {
        explicit Far(CachedCursor& queue) : q{queue} {}
        Got pop() noexcept {
            const std::size_t at = q.read.load(std::memory_order_relaxed);
            if (at == q.write_cache) {
                q.write_cache = q.write.load(std::memory_order_acquire);  // pairs with push()
                if (at == q.write_cache) {
                    return {};
                }
            }
            const Got got = q.slots[at].got();
            q.read.store(at + 1 == kSlots ? 0 : at + 1, std::memory_order_release);  // with push()
            return got;
        }
        std::size_t pop_batch(std::size_t limit, std::uint64_t& sum) noexcept {
            std::size_t at = q.read.load(std::memory_order_relaxed);
            std::size_t there = filled(at);
            if (there < limit) {
                q.write_cache = q.write.load(std::memory_order_acquire);  // pairs with push_batch()
                there = filled(at);
            }
            const std::size_t k = std::min(there, limit);
            for (std::size_t i = 0; i < k; ++i) {
                sum += sum_words(q.slots[at].words);
                at = at + 1 == kSlots ? 0 : at + 1;
            }
            if (k > 0) {
                q.read.store(at, std::memory_order_release);  // pairs with push_batch()
            }
            return k;
        }
        [[nodiscard]] std::size_t filled(std::size_t at) const noexcept {
            return q.write_cache + (q.write_cache < at ? kSlots : 0) - at;
        }
        CachedCursor& q;
    };
};

/// boost::lockfree::spsc_queue of fixed capacity; read in place by consume_one().
template <std::size_t W>
struct Boost {
    static constexpr bool kProcesses = true;
    boost::lockfree::spsc_queue<Message<W>, boost::lockfree::capacity<kCapacity>> queue;

    struct Near {
        explicit Near(Boost& b) : q{b.queue} {}
        bool push(std::uint64_t n, std::uint64_t stamp) noexcept {
            return q.push(Message<W>{n, stamp});
        }
        std::size_t push_batch(std::uint64_t n, std::size_t count) noexcept {
            for (std::size_t i = 0; i < count; ++i) {
                batch[i] = Message<W>{n + i, 0};
            }
            return q.push(batch.data(), count);
        }
        decltype(Boost::queue)& q;
        std::array<Message<W>, 64> batch;
    };
    struct Far {
        explicit Far(Boost& b) : q{b.queue} {}
        Got pop() noexcept {
            Got got;
            q.consume_one([&](const Message<W>& m) { got = m.got(); });
            return got;
        }
        std::size_t pop_batch(std::size_t /*all*/, std::uint64_t& sum) noexcept {
            return q.consume_all([&](const Message<W>& m) { sum += sum_words(m.words); });
        }
        decltype(Boost::queue)& q;
    };
};

/// moodycamel::ReaderWriterQueue of one block, as the others have: built in place, read in place by
/// peek() and pop(). It is on the heap, so it cannot join two processes.
template <std::size_t W>
struct Moodycamel {
    static constexpr bool kProcesses = false;
    moodycamel::ReaderWriterQueue<Message<W>, 2 * kCapacity> queue{kCapacity};

    struct Near {
        explicit Near(Moodycamel& m) : q{m.queue} {}
        bool push(std::uint64_t n, std::uint64_t stamp) noexcept { return q.try_emplace(n, stamp); }
        decltype(Moodycamel::queue)& q;
    };
    struct Far {
        explicit Far(Moodycamel& m) : q{m.queue} {}
        Got pop() noexcept {
            const Message<W>* m = q.peek();
            if (m == nullptr) {
                return {};
            }
            const Got got = m->got();
            q.pop();
            return got;
        }
        decltype(Moodycamel::queue)& q;
    };
};

}  // namespace millrace::bench::inline MILLRACE_BENCH_BUILD
