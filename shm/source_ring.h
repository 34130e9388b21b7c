// Rings that belong to one of many: a source's signals and results, which it writes itself, and an
// account's queue at the broker stage. All others carry what is everybody's.
//
// Attaching to a segment does not judge their numbers: who uses such a ring checks it, so that
// damage in it stops that source or that account alone.
#pragma once

#include "shm/layout.h"

namespace millrace {

[[nodiscard]] inline bool is_of_source(const RingEntry& ring) noexcept {
    return ring.owner_id != kNoId &&
           (ring.kind == RingKind::Signals || ring.kind == RingKind::Results);
}

/// True if the ring's user has to check it (Segment::check_ring): attaching does not.
[[nodiscard]] inline bool is_judged_by_its_user(const RingEntry& ring) noexcept {
    return is_of_source(ring) || ring.kind == RingKind::Session;
}

}  // namespace millrace
