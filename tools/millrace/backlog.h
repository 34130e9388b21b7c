// Backlog: does work wait for a stage? Looks at its input rings and cursors, changes nothing.
#pragma once

#include "shm/segment.h"

namespace millrace {

/// @param entry of the segment's stage table.
[[nodiscard]] bool has_backlog(const Segment& segment, const StageEntry& entry) noexcept;


}  // namespace millrace
