// Which directories lie on a disk that does not answer.
#pragma once

#include "core/types.h"

#include <string>
#include <vector>

namespace millrace {

/// How long a disk may take to write and flush a small file before it counts as silent.
inline constexpr Nanos kProbeMax = seconds(1);

/// Writes and flushes a file of no name in each of `directories`, in a process of its own each, all
/// at once: whoever asks a dead disk waits in the kernel, and must not be this process.
/// @return those without an answer within `limit`, "A, B"; empty if all answered, if only by an
/// error. Their processes are left to the kernel. Threads: any; forks.
[[nodiscard]] std::string silent_directories(const std::vector<std::string>& directories,
                                             Nanos limit = kProbeMax);

}  // namespace millrace
