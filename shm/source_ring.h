// Rings that a source writes itself: a strategy's or the Redis source's signals and results. All
// others are between stages of ours.
//
// Attaching to a segment does not judge their numbers: who uses such a ring checks it, so that
// what a source damages stops that source alone.
#pragma once

#include "shm/layout.h"

namespace millrace {

[[nodiscard]] inline bool is_of_source(const RingEntry& ring) noexcept {
    return ring.owner_id != kNoId &&
           (ring.kind == RingKind::Signals || ring.kind == RingKind::Results);
}

}  // namespace millrace
