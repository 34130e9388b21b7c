// The one ring: single producer, single consumer, fixed slots of n x 64 bytes in shared memory.
//
// A slot is { sequence word, payload }. Record number n (1-based) lies in slot (n - 1) & mask and
// is visible exactly when that slot's sequence word equals n. There is no shared write cursor:
//
//     producer:  write payload; sequence.store(n, release)
//     consumer:  sequence.load(acquire) == n ? read payload
//     consumer:  read_cursor.store(n, release)          slots up to n may be written again
//     producer:  read_cursor.load(acquire)              before it writes slot n + capacity
//
// So a hop costs one line transfer (word and payload travel together), nothing is claimed ahead,
// and a producer killed at any instruction leaves either a visible record or none. The price is
// that a new producer finds its place by looking: from read_cursor up to the first slot whose word
// does not match (attach()). A new consumer continues at read_cursor.
//
// This folder makes no syscall: parking and waking are in shm/doorbell.h. `Policy` supplies the
// atomics, so a model checker can run this very code.
#pragma once

#include "core/result.h"
#include "core/types.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

namespace millrace {

/// Production atomics. A model checker passes its own type with the same members.
struct StdPolicy {
    using AtomicU64 = std::atomic<std::uint64_t>;
    /// Slots ahead of the claimed one whose lines a producer asks for (0 = none). Between cores
    /// that share a cache records of 128 bytes have two speeds without it (ring/adr/0001).
    static constexpr std::uint64_t kAskAhead = 8;
    /// For inspectors that copy a slot and look afterwards; the ring's own ends have no fence.
    static void fence(std::memory_order order) noexcept { std::atomic_thread_fence(order); }
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

/// Asks for all lines of `slot` to be written soon: a hint, which changes nothing that is read.
template <class Slot>
inline void ask_to_write(const Slot& slot) noexcept {
    const char* line = reinterpret_cast<const char*>(&slot);
    for (std::size_t at = 0; at < sizeof slot; at += 64) {
#if defined(__x86_64__)
        // The builtin asks for it to be read, unless the compiler is told of a newer processor.
        asm volatile("prefetchw %0" ::"m"(line[at]));
#else
        __builtin_prefetch(line + at, 1, 3);
#endif
    }
}

/// Records that RingConsumer::take() keeps at most before it releases them.
inline constexpr std::uint64_t kTakeLagMax = 32;

inline constexpr std::uint64_t kRingMagic = 0x31474E4952524C4DULL;  // "MLRRING1"

/// Head of a ring in the segment. Three parts on lines of their own: what never changes, what the
/// consumer writes, what the producer writes. Counters are relaxed: each has one writer and is
/// read by inspectors only.
template <class Policy = StdPolicy>
struct RingControl {
    std::uint64_t magic = 0;         // written last at creation
    std::uint32_t slot_bytes = 0;    // n x 64
    std::uint32_t capacity = 0;      // power of two
    std::uint32_t payload_kind = 0;  // RingKind of shm/layout.h
    std::uint32_t reserved = 0;

    // Consumer's line.
    alignas(kCacheLineBytes) typename Policy::AtomicU64 read_cursor;  // records released so far
    typename Policy::AtomicU64 consumer_generation;

    // Producer's line. write_hint trails the truth (the slots) and is for inspectors.
    alignas(kCacheLineBytes) typename Policy::AtomicU64 write_hint;
    typename Policy::AtomicU64 full_stalls;
    typename Policy::AtomicU64 high_water;
    typename Policy::AtomicU64 producer_generation;
    typename Policy::AtomicU64 high_water_ns;  // caller's clock when it was reached; 0 = not told
    typename Policy::AtomicU64 stall_ns;       // time in which publishes were refused, see below
};
static_assert(sizeof(RingControl<>) == 3 * kCacheLineBytes);
// Whose line each field is on, not only how long the whole is.
static_assert(offsetof(RingControl<>, reserved) < kCacheLineBytes);
static_assert(offsetof(RingControl<>, read_cursor) == kCacheLineBytes);
static_assert(offsetof(RingControl<>, consumer_generation) == kCacheLineBytes + 8);
static_assert(offsetof(RingControl<>, write_hint) == 2 * kCacheLineBytes);
static_assert(offsetof(RingControl<>, full_stalls) == 2 * kCacheLineBytes + 8);
static_assert(offsetof(RingControl<>, high_water) == 2 * kCacheLineBytes + 16);
static_assert(offsetof(RingControl<>, producer_generation) == 2 * kCacheLineBytes + 24);
static_assert(offsetof(RingControl<>, high_water_ns) == 2 * kCacheLineBytes + 32);
static_assert(offsetof(RingControl<>, stall_ns) == 2 * kCacheLineBytes + 40);

/// One slot. `T` must fill it: sizeof(T) + 8 is a multiple of 64.
template <class T, class Policy = StdPolicy>
struct RingSlot {
    typename Policy::AtomicU64 sequence;
    T payload;
};

template <class T>
inline constexpr bool kRingPayload = std::is_trivially_copyable_v<T> && (sizeof(T) + 8) % 64 == 0;

/// Payload T padded to the next slot size, for types that do not fill a slot by themselves.
template <class T>
struct Padded {
    static constexpr std::size_t kPad = 64 - (sizeof(T) + 8) % 64;
    T value;
    std::byte pad[kPad] = {};
};

/// Where a ring lies. Both pointers into the mapping; slots are 64-byte aligned.
template <class T, class Policy = StdPolicy>
struct RingView {
    RingControl<Policy>* control = nullptr;
    RingSlot<T, Policy>* slots = nullptr;

    [[nodiscard]] std::uint64_t capacity() const noexcept { return control->capacity; }
    [[nodiscard]] RingSlot<T, Policy>& slot(std::uint64_t n) const noexcept {
        ASSERT(n != 0);
        return slots[(n - 1) & (control->capacity - 1)];
    }

    /// The number of the last visible record, found by looking at the slots.
    /// @return BadCursor if the words contradict read_cursor (see below); nothing is changed.
    /// Threads: any, but exact only while no producer is active. Reads at most `capacity` words.
    [[nodiscard]] Result<std::uint64_t> find_write_cursor() const noexcept {
        // Acquire: pairs with the consumer's release; nothing below it may still be in use.
        const std::uint64_t read = control->read_cursor.load(std::memory_order_acquire);
        std::uint64_t n = read;
        std::uint64_t found = 0;
        // Acquire: pairs with commit(); the payload of what we count as visible is visible.
        while (n < read + capacity() &&
               (found = slot(n + 1).sequence.load(std::memory_order_acquire)) == n + 1) {
            ++n;
        }
        if (n < read + capacity() && found > n + 1) {
            return {Errc::BadCursor, "ring: slot behind the last record holds a later one"};
        }
        // What was read must still stand in its slot, unless the producer has lapped it since.
        if (read != 0) {
            const std::uint64_t last = slot(read).sequence.load(std::memory_order_relaxed);
            if (last != read && last != read + capacity()) {
                return {Errc::BadCursor, "ring: slot at read cursor holds another record"};
            }
        }
        return n;
    }
};

/// The producing end. One object per ring per process; the role lock makes it the only one.
template <class T, class Policy = StdPolicy>
class RingProducer {
    static_assert(kRingPayload<T>);

public:
    RingProducer() = default;

    /// Takes the place of a producer that is proven dead (or of none).
    /// @return BadCursor if the ring contradicts itself; see RingView::find_write_cursor.
    [[nodiscard]] static Result<RingProducer> attach(RingView<T, Policy> view) noexcept {
        auto written = view.find_write_cursor();
        if (!written) {
            return written.error();
        }
        RingProducer p;
        p.view_ = view;
        p.slots_ = view.slots;
        p.mask_ = view.capacity() - 1;
        p.written_ = written.value();
        p.cached_read_ = view.control->read_cursor.load(std::memory_order_acquire);
        return p;
    }

    /// The next free slot's payload, or nullptr if the ring is full (counted, nothing changed).
    /// What is written there is invisible until commit(). Claiming twice gives the same slot.
    [[nodiscard]] T* claim() noexcept {
        if (written_ - cached_read_ > mask_) [[unlikely]] {
            if (free_slots() == 0) {
                bump(view_.control->full_stalls);
                return nullptr;
            }
        }
        return &asked(0).payload;
    }

    /// Claims up to `wanted` slots, to be written through claimed() and made visible by
    /// commit_batch(). They may wrap around the end of the ring. Nothing is visible and nothing is
    /// reserved until then: claiming again, in whatever way, starts at the same slot.
    /// @return how many may be written: 0 if the ring is full (counted), else 1 .. wanted, and less
    /// than the capacity: the slot of the last record is not among them, or a producer killed while
    /// it fills the batch would leave its heir a torn last() (found by tests/model).
    [[nodiscard]] std::uint64_t claim_batch(std::uint64_t wanted) noexcept {
        wanted = std::min(wanted, std::max<std::uint64_t>(mask_, 1));
        std::uint64_t free = capacity() - (written_ - cached_read_);
        if (free < wanted) {
            free = free_slots();
            if (free == 0) {
                bump(view_.control->full_stalls);
            }
        }
        claimed_ = free < wanted ? free : wanted;
        return claimed_;
    }

    /// The payload of the `i`-th slot of the batch, i < what claim_batch() returned.
    [[nodiscard]] T& claimed(std::uint64_t i) noexcept {
        ASSERT(i < claimed_);
        return asked(i).payload;
    }

    /// Makes the first `count` slots of the batch visible, one after the other; the rest of the
    /// claim is dropped. Wait-free; `count` stores.
    /// @return the number of the last one published.
    /// Crash: killed between two stores, the records before exist and those after never did. (Last
    /// to first, the batch would appear at once, but a producer killed half-way would leave numbers
    /// that its heir's next record makes visible.)
    std::uint64_t commit_batch(std::uint64_t count) noexcept {
        ASSERT(count <= claimed_);
        claimed_ = 0;
        for (; count > 0; --count) {
            commit();
        }
        return written_;
    }

    /// Copies as many of `records` as there is room for and makes them visible.
    /// @return how many, from the front.
    [[nodiscard]] std::size_t try_publish_batch(std::span<const T> records) noexcept {
        const std::uint64_t n = records.empty() ? 0 : claim_batch(records.size());
        for (std::uint64_t i = 0; i < n; ++i) {
            std::memcpy(static_cast<void*>(&claimed(i)), &records[i], sizeof(T));
        }
        return n == 0 ? 0 : (commit_batch(n), n);
    }

    /// Makes the claimed slot visible. Wait-free; one store.
    /// @return its number, 1-based.
    /// Crash: killed before the store, the record never existed; after it, it will be delivered.
    std::uint64_t commit() noexcept {
        // After a refused claim() this would write over a record that nobody has read yet.
        ASSERT(written_ - cached_read_ <= mask_);
        auto& slot = next_slot(0);
        ++written_;
        // Release: pairs with the acquire in RingConsumer::peek(); payload before number. Of a
        // batch each store is one: whoever sees a number sees all numbers before it.
        slot.sequence.store(written_, std::memory_order_release);
        return written_;
    }

    /// Copies `record` into the next slot and makes it visible.
    /// @return its number; Errc::RingFull if no slot is free (nothing changed).
    /// Threads: the one producer. Wait-free; no allocation, no syscall.
    [[nodiscard]] Result<std::uint64_t> try_publish(const T& record) noexcept {
        T* slot = claim();
        if (slot == nullptr) {
            return Errc::RingFull;
        }
        std::memcpy(static_cast<void*>(slot), &record, sizeof(T));
        return commit();
    }

    /// Slots that may be written now; refreshes the cached read cursor.
    [[nodiscard]] std::uint64_t free_slots() noexcept {
        // Acquire: pairs with the release in RingConsumer::release(): the consumer is done with
        // the slots before we write them again.
        cached_read_ = view_.control->read_cursor.load(std::memory_order_acquire);
        return capacity() - (written_ - cached_read_);
    }

    /// Records published so far.
    [[nodiscard]] std::uint64_t written() const noexcept { return written_; }

    /// The last published record, or nullptr if none ever was. Stays in place for a full lap.
    /// After a predecessor's death it is whole unless the capacity is 1.
    [[nodiscard]] const T* last() const noexcept {
        return written_ == 0 ? nullptr : &view_.slot(written_).payload;
    }

    /// Publishes statistics for inspectors. Once per duty cycle is enough.
    /// @param now_ns the caller's clock; 0 = no times are noted. stall_ns grows by the time since
    /// the last call if a publish was refused meanwhile, so it is too large by one call at most.
    void publish_stats(std::int64_t now_ns = 0) noexcept {
        auto* c = view_.control;
        const auto now = static_cast<std::uint64_t>(now_ns);
        const std::uint64_t stalls = c->full_stalls.load(std::memory_order_relaxed);
        if (stalls != stalls_seen_ && stats_ns_ != 0 && now > stats_ns_) {
            c->stall_ns.store(c->stall_ns.load(std::memory_order_relaxed) + now - stats_ns_,
                              std::memory_order_relaxed);
        }
        stalls_seen_ = stalls;
        stats_ns_ = now;
        c->write_hint.store(written_, std::memory_order_relaxed);
        const std::uint64_t depth = written_ - c->read_cursor.load(std::memory_order_relaxed);
        if (depth > c->high_water.load(std::memory_order_relaxed)) {
            c->high_water.store(depth, std::memory_order_relaxed);
            c->high_water_ns.store(now, std::memory_order_relaxed);
        }
    }

private:
    // Single writer: load and store, no read-modify-write.
    static void bump(typename Policy::AtomicU64& counter) noexcept {
        counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }

    [[nodiscard]] std::uint64_t capacity() const noexcept { return mask_ + 1; }
    /// The slot of record written_ + 1 + i.
    [[nodiscard]] RingSlot<T, Policy>& next_slot(std::uint64_t i) const noexcept {
        return slots_[(written_ + i) & mask_];
    }

    /// The same, to be written now; one behind it soon. Only one that is known to be free: lines
    /// that the consumer has not read yet would go back and forth.
    [[nodiscard]] RingSlot<T, Policy>& asked(std::uint64_t i) const noexcept {
        if constexpr (Policy::kAskAhead != 0) {
            if (written_ + i + Policy::kAskAhead - cached_read_ <= mask_) [[likely]] {
                ask_to_write(next_slot(i + Policy::kAskAhead));
            }
        }
        return next_slot(i);
    }

    RingView<T, Policy> view_{};
    RingSlot<T, Policy>* slots_ = nullptr;  // copies of what the view says: no second look per hop
    std::uint64_t mask_ = 0;                // capacity - 1
    std::uint64_t written_ = 0;
    std::uint64_t cached_read_ = 0;
    std::uint64_t claimed_ = 0;  // slots of the batch being written
    std::uint64_t stalls_seen_ = 0;
    std::uint64_t stats_ns_ = 0;
};

/// The consuming end. May look ahead of what it has released: a killed consumer gets everything
/// above read_cursor again (at least once; the stages make it effectively once).
template <class T, class Policy = StdPolicy>
class RingConsumer {
    static_assert(kRingPayload<T>);

public:
    RingConsumer() = default;

    /// Continues where the last consumer released.
    [[nodiscard]] static Result<RingConsumer> attach(RingView<T, Policy> view) noexcept {
        auto written = view.find_write_cursor();
        if (!written) {
            return written.error();
        }
        RingConsumer c;
        c.view_ = view;
        c.slots_ = view.slots;
        c.mask_ = view.capacity() - 1;
        c.lag_max_ = std::clamp<std::uint64_t>(view.capacity() / 8, 1, kTakeLagMax);
        // Relaxed: only this role's owners write it, and the one before is proven dead.
        c.released_ = view.control->read_cursor.load(std::memory_order_relaxed);
        c.next_ = c.released_ + 1;
        return c;
    }

    /// The next unread record, or nullptr if none is visible. Does not move.
    [[nodiscard]] const T* peek() const noexcept {
        auto& slot = slots_[(next_ - 1) & mask_];
        // Acquire: pairs with the release in RingProducer::commit().
        if (slot.sequence.load(std::memory_order_acquire) != next_) {
            return nullptr;
        }
        shown_ = next_;
        return &slot.payload;
    }

    /// Steps over the record that peek() showed. Its slot stays ours until release().
    void advance() noexcept {
        // A step over what was never seen ends as a read cursor beyond the last record, which every
        // heir of either end refuses. (Judged by what peek() saw: the slot is the producer's.)
        ASSERT(shown_ == next_);
        ++next_;
    }

    /// Gives back every slot up to and including record `n` (n < position()). One store; call it
    /// per batch, or per record where the producer counts on each slot.
    void release(std::uint64_t n) noexcept {
        ASSERT(n < next_);
        // Release: pairs with the acquire in RingProducer::claim(): our reads are done.
        view_.control->read_cursor.store(n, std::memory_order_release);
        released_ = n;
    }
    /// Gives back everything stepped over.
    void release() noexcept { release(next_ - 1); }

    /// Steps to the next record and shows it; nullptr if none is visible. Asking for a record says
    /// that those before it are done: they are released in batches of min(capacity / 8, 32), and
    /// all of them whenever the ring is found empty. The record shown is kept until the next call.
    /// One cursor store in 32 instead of one each is what makes one-by-one consumers fast; where
    /// the producer counts on each slot, use peek(), advance() and release().
    /// Crash: killed, the consumer gets up to 32 records again that it had done.
    [[nodiscard]] const T* take() noexcept {
        const T* record = peek();
        if (record == nullptr) [[unlikely]] {
            if (released_ != next_ - 1) {
                release();
            }
            return nullptr;
        }
        if (next_ - 1 - released_ >= lag_max_) [[unlikely]] {
            release();
        }
        advance();
        return record;
    }

    /// Calls `handle(const T&)` for at most `limit` records, then releases them in one store.
    /// @return records handled.
    template <class Handler>
    std::size_t poll(std::size_t limit, Handler&& handle) noexcept {
        std::size_t done = 0;
        for (; done < limit; ++done) {
            const T* record = peek();
            if (record == nullptr) {
                break;
            }
            handle(*record);
            advance();
        }
        if (done > 0) {
            release();
        }
        return done;
    }

    /// Number of the record that peek() would show.
    [[nodiscard]] std::uint64_t position() const noexcept { return next_; }

    /// Skips forward to record `n` without reading: the records before it are known to be handled
    /// (their effects are in the journal). Never goes back.
    /// @return false, and nothing is changed, if the last of them is not in the ring: it is
    /// damaged, or not the ring that they came from.
    [[nodiscard]] bool skip_to(std::uint64_t n) noexcept {
        ASSERT(n >= next_);
        // Relaxed: nothing is read by it. What is unreleased still stands in its slot.
        if (n != next_ &&
            slots_[(n - 2) & mask_].sequence.load(std::memory_order_relaxed) != n - 1) {
            return false;
        }
        next_ = n;
        return true;
    }

private:
    RingView<T, Policy> view_{};
    RingSlot<T, Policy>* slots_ = nullptr;  // copies of what the view says: no second look per hop
    std::uint64_t mask_ = 0;                // capacity - 1
    std::uint64_t next_ = 1;
    std::uint64_t released_ = 0;       // our own read_cursor, without reading the shared line
    std::uint64_t lag_max_ = 1;        // records that take() keeps unreleased
    mutable std::uint64_t shown_ = 0;  // the record that peek() saw last
};

}  // namespace millrace
