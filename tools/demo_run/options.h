// What the demo was asked to do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace millrace::demo {

struct Options {
    std::vector<std::string> ticks;  // files; empty = generated
    std::string signals;             // trade file; empty = generated
    double speed = 1.0;              // recorded seconds a second
    bool shift_signals = false;
    std::uint32_t seconds = 20;
    bool seconds_given = false;
    std::uint32_t accounts = 8;
    std::uint32_t rate = 40;  // generated signals a second
    bool threads = false;
    bool chaos = true;
    std::string keep;  // folder to leave everything in; "" = a temporary one
    bool json = false;
    std::uint64_t seed = 1;

    [[nodiscard]] bool recorded_ticks() const noexcept { return !ticks.empty(); }
    [[nodiscard]] bool recorded_signals() const noexcept { return !signals.empty(); }
};

/// Reads the command line. @return false if the process is to end with `exit_status` (help was
/// printed, or a mistake answered on standard error).
[[nodiscard]] bool parse_options(int argc, char** argv, Options& options, int& exit_status);

}  // namespace millrace::demo
