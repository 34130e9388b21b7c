// The first moments of a terminal's process, in a program image of our own: it makes itself known,
// sets the stage, and becomes the configured command.
#pragma once

#include "tools/millrace/terminal_config.h"

#include <string>

namespace millrace::terminals {

/// In the terminal's folder: what its processes print. Begun anew at a start if it is longer than
/// kOutputBytesMax; `output.1` is the older one.
inline constexpr const char* kOutputFile = "output";
inline constexpr std::uintmax_t kOutputBytesMax = 1U << 20;

/// Exit statuses of launch(): the command cannot be run, as shells say it; and it was not come to,
/// for reasons that are not the command's: no room for its pid file, its folder is not there.
inline constexpr int kCannotRun = 127;
inline constexpr int kNotBegun = 125;

/// What TerminalProcess::start() keeps open for it; all of it closes when this becomes the command.
struct LaunchFds {
    int lock = -1;
    int tell = -1;  // a pipe for what went wrong
};

/// Never returns but with one of the two statuses, when `tell` has the reason.
[[nodiscard]] int launch(const TerminalConfig& terminal, const std::string& folder, LaunchFds fds);

}  // namespace millrace::terminals
