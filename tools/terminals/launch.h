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

/// Never returns but with what went wrong, which standard error is told as well.
/// @param lock_fd of TerminalProcess::start(); it closes when this becomes the command.
[[nodiscard]] int launch(const TerminalConfig& terminal, const std::string& folder, int lock_fd);

}  // namespace millrace::terminals
