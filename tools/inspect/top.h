// `inspect top`: the picture, redrawn five times a second.
#pragma once

#include <cstdint>
#include <string>

namespace millrace::inspect {

struct TopOptions {
    std::string path;
    std::uint32_t interval_ms = 200;
    std::uint32_t frames = 0;  // 0 = until the user leaves
    bool json = false;         // a JSON document a frame, one per line
};

/// Draws until q, Ctrl-C or SIGTERM. Follows the path when another segment takes its place.
/// @return 0; 1 and a message on stderr if there is nothing to show at the start.
int run_top(const TopOptions& options);

}  // namespace millrace::inspect
