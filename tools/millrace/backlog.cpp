#include "tools/millrace/backlog.h"

#include "tools/inspect/rings.h"

namespace millrace {
namespace {

template <class T>
bool has_unread(const Segment& segment, std::uint32_t index) noexcept {
    const auto ring = segment.ring<T>(index);
    const std::uint64_t next = ring.control->read_cursor.load(std::memory_order_acquire) + 1;
    // Zero: a damaged cursor of a source's ring, which nobody works on.
    // Acquire: pairs with the producer's commit.
    return next != 0 && ring.slot(next).sequence.load(std::memory_order_acquire) == next;
}

bool unread(const Segment& s, std::uint32_t index) noexcept {
    switch (s.ring_entry(index).kind) {
        case RingKind::Signals: return has_unread<SignalSlot>(s, index);
        case RingKind::Results: return has_unread<ResultSlot>(s, index);
        case RingKind::Admin: return has_unread<AdminSlot>(s, index);
        case RingKind::AdminBroker: return has_unread<KillSlot>(s, index);
        case RingKind::Orders:
        case RingKind::Session: return has_unread<OrderSlot>(s, index);
        case RingKind::Reports: return has_unread<ReportSlot>(s, index);
        case RingKind::Journal: return has_unread<JournalRecord>(s, index);
        case RingKind::Holdings: return has_unread<Holding>(s, index);
    }
    return false;
}

/// An account's queue waits for its terminal, which is no fault of the stage.
bool counts(RingKind kind) noexcept {
    return kind != RingKind::Session;
}

}  // namespace

bool has_backlog(const Segment& segment, const StageEntry& entry) noexcept {
    const CoreCells& core = segment.core();
    // Relaxed: a hint; the caller looks again before it acts, seconds later.
    const auto cell = [](const AtomicU64& c) { return c.load(std::memory_order_relaxed); };
    if (&entry == &segment.stage(StageId::Replica)) {
        return cell(core.durable) > cell(core.replica_applied);
    }
    if (&entry == &segment.stage(StageId::Sqlite)) {
        return cell(core.replica_applied) > cell(core.sqlite_seq);
    }
    if (&entry == &segment.stage(StageId::Redis)) {
        return cell(core.replica_applied) > cell(core.redis_seq);
    }
    if (&entry == &segment.stage(StageId::ClickHouse)) {
        return cell(core.replica_applied) > cell(core.clickhouse_seq);
    }
    for (std::uint32_t i = 0; i < segment.ring_count(); ++i) {
        const RingEntry& ring = segment.ring_entry(i);
        if (counts(ring.kind) && ring.doorbell < kStages &&
            &entry == &segment.stage(static_cast<StageId>(ring.doorbell)) && unread(segment, i)) {
            return true;
        }
    }
    return false;
}

namespace {

/// The sequence of the last record in the journal's ring, 0 if there is none. The journal stage may
/// have released it long ago: its slot is written again only a lap later, and nobody is at that
/// while nothing stands behind it.
Sequence seq_of_last(const RingView<JournalRecord>& ring) noexcept {
    // As for a ring in use: the engine may be alive, or its heir be at work already.
    const auto at = inspect::read_cursors(ring);
    if (!at || at.value().written == 0) {
        return Sequence{};
    }
    const std::uint64_t number = at.value().written;
    auto& slot = ring.slot(number);
    // Acquire: pairs with the release in RingProducer::commit(); the payload of `number` is there.
    if (slot.sequence.load(std::memory_order_acquire) != number) {
        return Sequence{};
    }
    const std::uint64_t seq =
        std::atomic_ref<std::uint64_t>{slot.payload.seq.value}.load(std::memory_order_relaxed);
    // Acquire: pairs with the release in commit() of any later record: had we read what was written
    // for one, the looks below would see the words that its producer published before. (It fills
    // slot number + capacity only after it has published all before, of which the next is one.)
    // That a plain store into a slot stays behind the release store before it is x86's promise, not
    // that of C++ or of ARM.
    std::atomic_thread_fence(std::memory_order_acquire);
    const bool is_last =
        slot.sequence.load(std::memory_order_relaxed) == number &&
        ring.slot(number + 1).sequence.load(std::memory_order_relaxed) != number + 1;
    return is_last ? Sequence{seq} : Sequence{};
}

}  // namespace

Sequence last_journalled(const Segment& segment) noexcept {
    return seq_of_last(segment.ring<JournalRecord>("journal"));
}

Sequence record_in_flight(const Segment& segment) noexcept {
    const Sequence last = last_journalled(segment);
    // Acquire: pairs with the engine's release; the outputs of all up to here are published.
    const std::uint64_t completed = segment.core().completed.load(std::memory_order_acquire);
    return last.value > completed ? last : Sequence{};
}

}  // namespace millrace
