// Log: what operators read. Asynchronous (spdlog), used by the supervisor and by startup code,
// never by a stage's duty cycle.
#pragma once

#include "tools/millrace/config.h"

#include <string>
#include <string_view>

namespace millrace {

/// Starts the log as configured: text for people, or one JSON object a line.
/// @param who names the process in each line, e.g. "up" or "journal".
/// @return false with `message` if the log file cannot be opened; standard error is used then.
bool log_start(const LogConfig& config, const std::string& who, std::string& message);
/// Writes out what is queued and stops.
void log_stop();

/// Threads: any. Before log_start() they write to standard error.
void log_debug(std::string_view text);
void log_info(std::string_view text);
void log_warn(std::string_view text);
void log_error(std::string_view text);

}  // namespace millrace
