// A history that has everything a recovery must tell apart: orders in every state with and without
// fills and positions, closes that live, that executed and that came to nothing, old signals,
// paused groups. For comparing what the readers of the stores make of it.
#pragma once

#include "persist/stored_state.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace millrace::sqlite_test {

/// The newest row of each thing, and all deals; times end at `now`. Numbered from record 1 on.
[[nodiscard]] std::vector<Effect> random_history(std::uint64_t seed, Nanos now);

/// Behind all of it.
[[nodiscard]] EffectCursor end_of(const std::vector<Effect>& history);

/// Whether two readers give the same state; else what differs first.
[[nodiscard]] ::testing::AssertionResult same_state(const StoredState& a, const StoredState& b);

}  // namespace millrace::sqlite_test
