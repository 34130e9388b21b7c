// What is seen from outside of a stage that was killed: read from the segment, nothing is asked.
#pragma once

#include "shm/segment.h"

#include <cstdint>

namespace millrace::bench {

/// Longest that a recovery is waited for.
inline constexpr Nanos kPatience = seconds(20);

/// One recovery, in ns after the kill; -1 = not within kPatience.
struct Recovery {
    std::int64_t detected = -1;  // the stage table says dead, or somebody else has the role
    std::int64_t attached = -1;  // the role has a new owner
    std::int64_t first = -1;     // its first item of work, by its own stamp
    std::int64_t drained = -1;   // everything is handled that was waiting when it attached

    [[nodiscard]] bool complete() const noexcept { return first >= 0 && drained >= 0; }
};

/// The stage runs and has worked since it took its role.
[[nodiscard]] bool works(const Segment& segment, StageId id);

/// Generation of the stage's role, to be noted before the kill.
[[nodiscard]] std::uint64_t generation_of(const Segment& segment, StageId id);

/// Looks every 20 us or so until all is known or kPatience has passed.
/// @param generation of the owner that was killed.
/// @param killed segment clock, just before the kill.
/// Threads: one of its own; it only reads.
[[nodiscard]] Recovery watch(const Segment& segment, StageId victim, std::uint64_t generation,
                             Nanos killed);

}  // namespace millrace::bench
