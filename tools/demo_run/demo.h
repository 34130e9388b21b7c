// Demo: one run from an empty folder to the report.
#pragma once

#include "tools/demo_run/options.h"

namespace millrace::demo {

/// Runs the demo, shows it, prints the report. SIGINT and SIGTERM end it early, in order.
/// @return exit status: 0 = nothing lost, doubled, in doubt or unexplained; 1 = something was;
///         2 = it could not be started; 130 = interrupted.
[[nodiscard]] int run_demo(const Options& options);

}  // namespace millrace::demo
