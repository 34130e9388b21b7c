// Calls code with the payload type that a ring's kind stands for.
#pragma once

#include "shm/segment.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace millrace::inspect {

/// Calls `f(RingView<T>)` for ring `index` of `segment`.
/// @return what f returns; `otherwise` for a kind that this build does not know.
template <class R, class F>
R with_ring(const Segment& segment, std::uint32_t index, R otherwise, F&& f) {
    switch (segment.ring_entry(index).kind) {
        case RingKind::Signals: return f(segment.ring<SignalSlot>(index));
        case RingKind::Results: return f(segment.ring<ResultSlot>(index));
        case RingKind::Admin: return f(segment.ring<AdminSlot>(index));
        case RingKind::AdminBroker: return f(segment.ring<KillSlot>(index));
        case RingKind::Orders:
        case RingKind::Session: return f(segment.ring<OrderSlot>(index));
        case RingKind::Reports: return f(segment.ring<ReportSlot>(index));
        case RingKind::Journal: return f(segment.ring<JournalRecord>(index));
        case RingKind::Holdings: return f(segment.ring<Holding>(index));
    }
    return otherwise;
}

/// Cursors of a ring as they stood at about one moment.
struct Cursors {
    std::uint64_t read = 0;
    std::uint64_t written = 0;
};

/// What one walk over the slots from the read cursor on found.
struct Walk {
    Cursors at;
    std::uint64_t ended_by = 0;  // word that ended it; 0 = none did: a full ring
    std::uint64_t behind = 0;    // word of the slot at the read cursor; 0 = the cursor is 0
    std::uint64_t moved = 0;     // records that were released meanwhile
};

template <class T, class Policy>
Walk walk_slots(const RingView<T, Policy>& ring) noexcept {
    Walk w;
    // Acquire, here and at the words: pairs with RingConsumer::release() and
    // RingProducer::commit(). It also keeps the loads in this order, which is what the judgement of
    // a walk rests on.
    const std::uint64_t read = ring.control->read_cursor.load(std::memory_order_acquire);
    std::uint64_t n = read;
    while (n < read + ring.capacity()) {
        const std::uint64_t word = ring.slot(n + 1).sequence.load(std::memory_order_acquire);
        if (word != n + 1) {
            w.ended_by = word;
            break;
        }
        ++n;
    }
    w.behind = read == 0 ? 0 : ring.slot(read).sequence.load(std::memory_order_acquire);
    // Relaxed: what came before it is held in place by the acquires above, and nothing rests on
    // what comes after. It is no older than what a word of the next lap was published after.
    w.moved = ring.control->read_cursor.load(std::memory_order_relaxed) - read;
    w.at = {read, n};
    return w;
}

/// Reads both cursors of a ring that may be in use. A word that ends the walk and is smaller than
/// the number looked for says exactly how far the producer was at that moment; a greater one says
/// that it has lapped us and nothing else.
/// @return BadCursor if the slots contradict the read cursor. `written` was true at one moment;
/// `read` may be too small by what was released during the walk.
template <class T, class Policy>
Result<Cursors> read_cursors(const RingView<T, Policy>& ring) noexcept {
    constexpr int kTries = 8;
    const std::uint64_t capacity = ring.capacity();
    Cursors lapped;
    for (int i = 0; i < kTries; ++i) {
        const Walk w = walk_slots(ring);
        const std::uint64_t next = w.at.written + 1;
        if (w.moved == 0) {
            // Nothing of this lap can have been released: what the slots say is so. (A greater
            // word is damage then, and for the census of slots to name.)
            if (w.at.read != 0 && w.behind != w.at.read && w.behind != w.at.read + capacity) {
                return {Errc::BadCursor, "ring: slot at read cursor holds another record"};
            }
            return w.at;
        }
        if (w.ended_by < next && w.moved < capacity) {
            return w.at;
        }
        const std::uint64_t most = w.at.read + w.moved + capacity;
        if (w.ended_by > most || (w.ended_by > next && (w.ended_by - next) % capacity != 0)) {
            return w.at;  // no record's word: damage again
        }
        // At least this far: it was published, and the consumer was not more than a lap behind.
        const std::uint64_t least = w.ended_by > next ? w.ended_by : w.at.written;
        lapped = {least - std::min(least, capacity), least};
    }
    // Lapped in each walk: a ring that is this fast and not empty is best called full.
    return lapped;
}

/// Records behind the last visible one that a producer may be writing: no stage fills a batch, all
/// claim one slot. Their slots still carry the numbers of the lap before.
inline constexpr std::uint64_t kBeingWrittenMax = 1;

/// Whether a thread's stores are seen in the order in which it makes them, and a look that follows
/// another one sees no older memory: true on x86 (TSO). copy_record() needs it for a record that is
/// released: the producer says `before` by a release store and then fills the slot by plain ones,
/// which a release does not hold back (tests/model/inspect_model_test.cpp shows what that allows).
#if defined(__x86_64__) || defined(__i386__)
inline constexpr bool kStoresAreInOrder = true;
#else
inline constexpr bool kStoresAreInOrder = false;
#endif

/// As copy_record(), with `copy(payload)` as what copies.
template <bool kInOrder = kStoresAreInOrder, class T, class Policy, class Copy>
bool copy_if_whole(const RingView<T, Policy>& ring, std::uint64_t number, Copy&& copy) noexcept {
    auto& slot = ring.slot(number);
    // Acquire: pairs with RingProducer::commit(); the payload is visible.
    if (slot.sequence.load(std::memory_order_acquire) != number) {
        return false;
    }
    copy(slot.payload);
    // Acquire, after what are plain loads: all looks below come after the copy, so what was not so
    // then was not so during it. Pairs with the producer's stores, which x86 keeps in order.
    Policy::fence(std::memory_order_acquire);
    if (slot.sequence.load(std::memory_order_relaxed) != number) {
        return false;
    }
    // Unreleased: the producer waits for the cursor before it touches the slot. (A store that it
    // makes after that look is seen no earlier than the cursor: multi-copy atomicity, which x86
    // and AArch64 have.)
    if (ring.control->read_cursor.load(std::memory_order_relaxed) < number) {
        return true;
    }
    if (!kInOrder) {
        return false;
    }
    // Released: it comes to this slot only after it has published `before`.
    const std::uint64_t before = number + ring.capacity() - kBeingWrittenMax;
    return ring.slot(before).sequence.load(std::memory_order_relaxed) < before;
}

/// Copies record `number`, if its slot holds it and nobody can have begun to write the slot again.
/// @return false for the record in whose slot the next one is made, live or left by a killed
/// producer: its number says nothing about its bytes. Where stores may overtake each other (not
/// x86) false for every record that is released.
template <class T, class Policy>
bool copy_record(const RingView<T, Policy>& ring, std::uint64_t number, T& out) noexcept {
    return copy_if_whole(ring, number, [&out](const T& payload) {
        std::memcpy(static_cast<void*>(&out), &payload, sizeof(T));
    });
}

}  // namespace millrace::inspect
