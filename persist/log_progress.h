// What a sink may conclude from an effects log that ends before its store's cursor.
#pragma once

#include "shm/segment.h"

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

}  // namespace millrace
