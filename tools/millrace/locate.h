// Which pipeline a command is about: given by --config or --segment, else by MILLRACE_SEGMENT,
// else the only one on this host.
#pragma once

#include "shm/segment.h"
#include "tools/millrace/config.h"

#include <cstdint>
#include <string>

namespace millrace {

struct Target {
    std::string config;    // --config FILE
    std::string segment;   // --segment NAME or path
    bool dry_run = false;  // the command says what it would do, and changes nothing
};

/// The configuration as far as it says which pipeline is meant, mistakes elsewhere in it or not; of
/// a file that does not, its newest backup that does. What stands in is told on standard error: an
/// operator has FILE in his run-book, and the way out must not hang on every line of it.
/// @return NotFound: `message` names the first mistake.
[[nodiscard]] Result<Config> config_that_locates(const std::string& file, std::string& message);

/// What a FILE stands for that says nothing.
enum class Doubt : std::uint8_t {
    Refuse,
    TakeTheOnlyOne,  // on this host: to stop sending is right in any pipeline. For a kill alone
};

/// Path of the segment.
/// @param folder where segments are looked for by name, or for being the only one.
/// @return NotFound: `message` lists what there is.
[[nodiscard]] Result<std::string> locate_segment(const Target& target, std::string& message,
                                                 Doubt doubt = Doubt::Refuse,
                                                 const std::string& folder = "/dev/shm");

/// Attaches to it for writing.
[[nodiscard]] Result<Segment> attach_target(const Target& target, std::string& message,
                                            Doubt doubt = Doubt::Refuse);

}  // namespace millrace
