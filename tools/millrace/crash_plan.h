// Crash plan: which start of which stage dies at which crash point (core/crash_point.h). For tests
// of the whole pipeline; without the environment variable nothing is ever armed.
//
//     MILLRACE_CRASH_STAGES="journal=journal.before_submit:20,-,journal.before_durable;sqlite=..."
//
// The first start of a stage takes the first entry of its list, a restart the next; "-" and
// whatever comes after the list's end are not armed. Stages are named as in `millrace stage NAME`.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace millrace {

inline constexpr const char* kCrashPlanVariable = "MILLRACE_CRASH_STAGES";

/// Entry number `start` (from 0) of `stage` in `plan`; empty = not armed.
[[nodiscard]] std::string planned_crash(std::string_view plan, std::string_view stage,
                                        std::size_t start);

/// The same from the environment.
[[nodiscard]] std::string planned_crash(const std::string& stage, std::size_t start);

}  // namespace millrace
