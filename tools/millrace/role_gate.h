// Holds a command line against "operators" of the pipeline that it is about, before it does
// anything (roles.h).
#pragma once

#include <CLI/CLI.hpp>

namespace millrace {

/// @param app parsed.
/// @return whether this user may give that command; else it says on standard error who may and what
/// his role is, and the pipeline's error log has the refusal. What only looks, what only says what
/// it would do (`--dry-run`) and `kill` read no file and are always permitted.
[[nodiscard]] bool permitted(const CLI::App& app);

}  // namespace millrace
