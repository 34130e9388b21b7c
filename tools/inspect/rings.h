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

/// Copies record `number`, if its slot holds it before and after.
template <class T>
bool copy_record(const RingView<T>& ring, std::uint64_t number, T& out) noexcept {
    auto& slot = ring.slot(number);
    // Acquire: pairs with RingProducer::commit(); the payload is visible.
    if (slot.sequence.load(std::memory_order_acquire) != number) {
        return false;
    }
    // A live producer may lap us during this copy; the second look finds out. The fence keeps it
    // behind the copy.
    std::memcpy(static_cast<void*>(&out), &slot.payload, sizeof(T));
    std::atomic_thread_fence(std::memory_order_acquire);
    return slot.sequence.load(std::memory_order_relaxed) == number &&
           ring.control->read_cursor.load(std::memory_order_relaxed) < number + ring.capacity();
}

}  // namespace millrace::inspect
