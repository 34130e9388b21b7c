// What a sink may conclude from how far the effects log has come: that a log which ends before its
// store's cursor will stay so; that its store lacks nothing.
#pragma once

#include "shm/segment.h"

#include <algorithm>

namespace millrace {

/// False while the replica may still bring the effects log to record `seq`: it writes again what a
/// power cut took from the log, or all of it if its files are gone, and until it has done so a
/// store that stands further on is right. True if it serves and has applied that record, or all
/// that is durable: then the log will not come there as it is.
/// Threads: any.
[[nodiscard]] inline bool replica_has_come_to(const Segment& segment, Sequence seq) noexcept {
    // Relaxed: a picture; the sinks look at it again and again.
    const auto state = static_cast<StageState>(
        segment.stage(StageId::Replica).state.load(std::memory_order_relaxed));
    const bool serves = state == StageState::Running || state == StageState::Standby ||
                        state == StageState::Draining;
    const CoreCells& core = segment.core();
    // Acquire: pairs with the replica's release; effects up to there are in the files. First what
    // follows, then what leads.
    const std::uint64_t applied = core.replica_applied.load(std::memory_order_acquire);
    const std::uint64_t durable = core.durable.load(std::memory_order_acquire);
    return serves && applied != 0 && (applied >= seq.value || applied >= durable);
}

/// Up to which record a store has everything, for the cells that say so. Its cursor goes from mark
/// to mark of the log, and a record without effects has none: behind one, in a night without
/// trading, a store that lacks nothing would stand below the log's end for ever, and a stage that
/// has nothing to do would count as one with work waiting.
/// Threads: the sink's.
class StoredUpTo {
public:
    /// Before the log is read.
    void begin_reading(const Segment& segment) noexcept {
        // Acquire: pairs with the replica's release; effects up to there are in the files.
        seen_ = Sequence{segment.core().replica_applied.load(std::memory_order_acquire)};
    }
    /// It was read to its end, and all of it is stored.
    void at_end() noexcept { upto_ = std::max(upto_, seen_); }
    /// The store may stand elsewhere: opened anew, or another one.
    void forget() noexcept { upto_ = {}; }
    /// @param cursor of the store, all zero if it has none: then nothing is said of it.
    [[nodiscard]] std::uint64_t of(Sequence cursor) const noexcept {
        return cursor.value == 0 ? 0 : std::max(upto_, cursor).value;
    }

private:
    Sequence seen_;
    Sequence upto_;
};

}  // namespace millrace
