// The orderly stop: each stage hands on what it has before the next one goes.
#pragma once

#include "tools/millrace/worker.h"

#include <string>
#include <vector>

namespace millrace {

/// How long one stage may take to drain before it is killed.
inline constexpr Nanos kStopBound = seconds(10);

/// Stops `workers` in the order ingress, engine, broker, journal, replica, sinks; says what it
/// does. Sets core().stop_requested, so that the hot spare takes nothing over.
/// @return what was not clean, a sentence each. Empty: every worker ran, drained and ended by
/// itself without a fault, and the journal holds everything that was journalled.
/// @param bound how long each of them may take.
[[nodiscard]] std::vector<std::string> stop_in_order(Segment& segment,
                                                     const std::vector<Worker*>& workers,
                                                     Nanos bound = kStopBound);

}  // namespace millrace
