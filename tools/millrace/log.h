// Log: what operators read. Asynchronous (spdlog), used by the supervisor and by startup code,
// never by a stage's duty cycle.
//
// Nobody waits for who reads it (a stopped terminal, a full pipe, a disk that does not answer):
// then the oldest lines go, and the log says where and how many. ALERTs have a queue of their own.
#pragma once

#include "tools/millrace/config.h"

#include <string>
#include <string_view>

namespace millrace {

/// Starts the log as configured: text for people, or one JSON object a line.
/// @param who names the process in each line, e.g. "up" or "journal".
/// @return false with `message` if the log file cannot be opened; standard error is used then.
bool log_start(const LogConfig& config, const std::string& who, std::string& message);
/// Writes out what is queued and stops. If no line gets out for two seconds, the rest is given up
/// and the process ends here, with `code`: a thread that waits in a write() cannot be ended alone.
/// (In a write to a disk that does not answer even that waits for the disk.)
/// Other threads may go on logging; their lines go nowhere from here on.
/// @return `code`
int log_stop(int code);

/// Threads: any. Before log_start() they write to standard error. One with the word ALERT in it is
/// lost only if more than a hundred others of its kind wait, never for other lines.
void log_debug(std::string_view text);
void log_info(std::string_view text);
void log_warn(std::string_view text);
void log_error(std::string_view text);

}  // namespace millrace
