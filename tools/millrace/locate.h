// Which pipeline a command is about: given by --config or --segment, else by MILLRACE_SEGMENT,
// else the only one on this host.
#pragma once

#include "shm/segment.h"

#include <string>

namespace millrace {

struct Target {
    std::string config;   // --config FILE
    std::string segment;  // --segment NAME or path
};

/// Path of the segment. @return NotFound: `message` lists what there is.
[[nodiscard]] Result<std::string> locate_segment(const Target& target, std::string& message);

/// Attaches to it for writing.
[[nodiscard]] Result<Segment> attach_target(const Target& target, std::string& message);

}  // namespace millrace
