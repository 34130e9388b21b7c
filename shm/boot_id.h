// The boot that this is: what tells a process's number of now from one of before.
#pragma once

#include <string>

namespace millrace {

/// This boot's id, of the kernel; empty if it tells none. Threads: any.
[[nodiscard]] std::string read_boot_id();

}  // namespace millrace
