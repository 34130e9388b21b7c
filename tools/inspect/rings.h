// Calls code with the payload type that a ring's kind stands for.
#pragma once

#include "shm/segment.h"

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
    }
    return otherwise;
}

/// Cursors of a ring as they stood at about one moment.
struct Cursors {
    std::uint64_t read = 0;
    std::uint64_t written = 0;
};

/// Reads both cursors of a ring that may be in use.
/// @return BadCursor if the slots contradict the read cursor.
template <class T>
Result<Cursors> read_cursors(const RingView<T>& ring) noexcept {
    // The check can be fooled by a ring that goes a full lap and more while we look: once more
    // then. A ring at rest gives the same answer each time.
    constexpr int kTries = 4;
    Result<std::uint64_t> written{Errc::BadCursor};
    std::uint64_t read = 0;
    for (int i = 0; i < kTries && !written; ++i) {
        // Acquire: pairs with RingConsumer::release(); never beyond what find_write_cursor finds.
        read = ring.control->read_cursor.load(std::memory_order_acquire);
        written = ring.find_write_cursor();
    }
    if (!written) {
        return written.error();
    }
    // The consumer may have gone on between the two loads, and the producer behind it.
    const std::uint64_t capacity = ring.capacity();
    const bool lapped = written.value() > read + capacity;
    return Cursors{lapped ? written.value() - capacity : read, written.value()};
}

/// Records behind the last visible one that a producer may be writing: no stage fills a batch, all
/// claim one slot. Their slots still carry the numbers of the lap before.
inline constexpr std::uint64_t kBeingWrittenMax = 1;

/// Copies record `number`, if its slot holds it and nobody can have begun to write the slot again.
/// @return false for the record in whose slot the next one is made, live or left by a killed
/// producer: its number says nothing about its bytes.
template <class T, class Policy>
bool copy_record(const RingView<T, Policy>& ring, std::uint64_t number, T& out) noexcept {
    auto& slot = ring.slot(number);
    // Acquire: pairs with RingProducer::commit(); the payload is visible.
    if (slot.sequence.load(std::memory_order_acquire) != number) {
        return false;
    }
    std::memcpy(static_cast<void*>(&out), &slot.payload, sizeof(T));
    // All looks below come after the copy: what was not so then was not so during it.
    std::atomic_thread_fence(std::memory_order_acquire);
    if (slot.sequence.load(std::memory_order_relaxed) != number) {
        return false;
    }
    // Unreleased: the producer waits for the cursor before it touches the slot.
    if (ring.control->read_cursor.load(std::memory_order_relaxed) < number) {
        return true;
    }
    // Released: it comes to this slot only after it has published `before`.
    const std::uint64_t before = number + ring.capacity() - kBeingWrittenMax;
    return ring.slot(before).sequence.load(std::memory_order_relaxed) < before;
}

}  // namespace millrace::inspect
