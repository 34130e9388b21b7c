// Backlog: does work wait for a stage? Looks at its input rings and cursors, changes nothing.
#pragma once

#include "shm/segment.h"

namespace millrace {

/// @param entry of the segment's stage table.
[[nodiscard]] bool has_backlog(const Segment& segment, const StageEntry& entry) noexcept;

/// The newest record in the ring `journal`, whether or not it is on disk; none (0) if nothing was
/// ever journalled in this segment, or where it is being written. Exact while no engine runs.
[[nodiscard]] Sequence last_journalled(const Segment& segment) noexcept;

/// The record that the engine has journalled and not finished; none (0) if it is at rest.
/// Exact only while no engine runs.
[[nodiscard]] Sequence record_in_flight(const Segment& segment) noexcept;

}  // namespace millrace
