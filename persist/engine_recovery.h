// How an engine gets its state back: newest valid snapshot, then the journal files.
#pragma once

#include "core/engine.h"

#include <string>

namespace millrace {

/// Loads the newest valid snapshot at or below `at_most` into `engine`. A damaged one is passed
/// over (its name goes to `message`); with none at all the engine stays empty.
/// @return IoError if the directory cannot be read.
[[nodiscard]] Status load_state(const std::string& journal_dir, Sequence at_most, Engine& engine,
                                std::string& message);

/// Applies the journal files' records behind engine.seq() up to `end`, dropping all outputs.
/// @return NotFound if the files begin after engine.seq() (a snapshot is missing); BadChecksum,
/// BadChain if they are damaged inside. `message` names file and place.
[[nodiscard]] Status replay_files(const std::string& journal_dir, Sequence end, Engine& engine,
                                  std::string& message);

}  // namespace millrace
