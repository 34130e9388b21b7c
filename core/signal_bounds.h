// Bounds of a signal's numbers. Wider than any broker's: they catch wrong units and rubbish, not
// bad trades. Held at the edge, where a source is told the field and the mend, and once more by the
// engine, because a strategy in shared memory writes its ring itself: sums of what is in here must
// not overflow.
#pragma once

#include "core/types.h"

namespace millrace {

inline constexpr std::int64_t kVolumeMax = 1'000'000 * kScale;     // 1e6 lots
inline constexpr std::int64_t kPriceMax = 1'000'000'000 * kScale;  // 1e9

}  // namespace millrace
