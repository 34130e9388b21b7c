// Evidence of a poisonous record: how often an engine died of it by its own fault. It lies in the
// segment's error log, one entry a record, and so outlives the engine, whoever takes its place
// before the supervisor looks, and the supervisor itself.
#pragma once

#include "shm/segment.h"

namespace millrace {

/// Deaths at one record that stop the engine (DESIGN rule 5).
inline constexpr std::uint64_t kPoisonDeaths = 2;

/// Counts a death at `seq`. Async-signal-safe: it is called in the handler of a crash. If the error
/// log is full, it is not counted, and only the supervisor's own memory tells.
void note_engine_death(const Segment& segment, Sequence seq) noexcept;

/// @return how often note_engine_death() was called for `seq` in this segment.
[[nodiscard]] std::uint64_t engine_deaths(const Segment& segment, Sequence seq) noexcept;

/// True if `seq` has been the end of kPoisonDeaths engines, and no operator has taken it out of the
/// log since.
[[nodiscard]] bool is_poison(const Segment& segment, Sequence seq);

}  // namespace millrace
