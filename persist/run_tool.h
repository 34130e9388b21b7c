// Runs another program with bytes in and bytes out, and a limit of time.
#pragma once

#include "core/result.h"

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace millrace {

struct ToolRun {
    std::vector<std::string> words;  // program, found by PATH, and so on
    std::vector<std::pair<std::string, std::string>> variables{};  // over our environment
    std::span<const std::byte> input{};
    int timeout_s = 60;
};

/// Feeds `input`, collects standard output, waits for the end. The child is killed at the limit.
/// @param complaint its standard error, at most 2 KiB.
/// @return Unsupported: no such program; Timeout; IoError: it failed.
[[nodiscard]] Result<std::vector<std::byte>> run_tool(const ToolRun& run, std::string& complaint);

}  // namespace millrace
