// Pid files: what is to be found again, by those who come later, of processes that outlive who
// started them.
#pragma once

#include "tools/millrace/process.h"

#include <string>

namespace millrace {

/// In the process's folder: "PID START_TIME BOOT_ID", written by itself.
inline constexpr const char* kPidFile = "pid";

/// Writes it for this process. @return false if it cannot be written; errno says why. After a
/// power cut it may be empty, never half.
[[nodiscard]] bool write_pid_file(const std::string& folder);

/// @return pid 0 if there is none, or nothing in it, or it is of an earlier boot: its number and
/// its start time may be a stranger's by now. (One of a build that wrote no boot id is believed.)
[[nodiscard]] ProcessId read_pid_file(const std::string& folder);

}  // namespace millrace
