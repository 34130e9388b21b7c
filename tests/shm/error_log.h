// The distinct-error log of a segment as text: what a failed test prints.
#pragma once

#include "shm/segment.h"

#include <string>

namespace millrace::test {

/// A line for each distinct error: "COUNT x TEXT".
inline std::string error_log(const Segment& segment) {
    std::string out;
    for (std::uint32_t i = 0; i < kErrors; ++i) {
        const ErrorEntry& e = segment.error(i);
        if (e.count.load() != 0) {
            out += std::to_string(e.count.load()) + " x " + e.text + "\n";
        }
    }
    return out;
}

}  // namespace millrace::test
