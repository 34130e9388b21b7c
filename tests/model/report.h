// What every model test prints, and the loop over the mutants of one header.
#pragma once

#include "tests/model/explorer.h"

#include <string>
#include <vector>

namespace millrace::model {

/// Explores in full, prints one line of counts (and the trace of a violation).
/// @return true if nothing was violated and everything was explored.
[[nodiscard]] bool holds(const Scenario& scenario);

/// True if `outcome` shows that the explored code is wrong, which running out of room does not:
/// that fails the test.
[[nodiscard]] bool is_caught(const Outcome& outcome);

/// Weakens each order of `header` (as in "ring/spsc_ring.h") to relaxed, one at a time, and
/// explores the scenarios in turn until one fails; prints where. The scenarios must have been
/// explored before, so that the sites are known.
/// @return the mutants that no scenario catches, as printed.
[[nodiscard]] std::vector<std::string> survivors(const std::string& header,
                                                 const std::vector<Scenario>& scenarios);

/// Lines of `header` with an order stronger than relaxed that no scenario has executed.
[[nodiscard]] std::vector<std::string> unexplored_lines(const std::string& header);

/// MILLRACE_LONG is set.
[[nodiscard]] bool long_run();

}  // namespace millrace::model
