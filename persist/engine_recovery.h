// How an engine gets its state back: newest valid snapshot, then the journal files.
#pragma once

#include "core/engine.h"

#include <string>

namespace millrace {

struct CoreCells;  // shm/layout.h

/// What `made` and `now` differ in, by the names of the configuration, and the mend; empty if in
/// nothing. Capacities are not journalled: with others the same records give another state.
[[nodiscard]] std::string other_capacity(const Capacity& made, const Capacity& now);

/// Loads the newest valid snapshot at or below `at_most` into `engine`. A damaged one is passed
/// over (its name goes to `message`, also if all is well then: somebody should be told); with none
/// at all the engine stays empty.
/// @param upgrade_from a logic version whose snapshot is taken too, its image migrated; 0 = none.
/// @return IoError if the directory cannot be read; BadVersion if the newest snapshot is of another
/// logic version or of other capacities than `engine`: `message` names both and the mend. Nothing
/// older is tried then, nor the log from its start: this engine would make another state of it.
[[nodiscard]] Status load_state(const std::string& journal_dir, Sequence at_most, Engine& engine,
                                std::string& message, std::uint32_t upgrade_from = 0);

/// Applies the journal files' records behind engine.seq() up to `end`, dropping all outputs.
/// @return NotFound if the files begin after engine.seq() (a snapshot is missing); BadChecksum,
/// BadChain if they are damaged inside; BadVersion at a Start of another logic version. `message`
/// names file and place, or record and mend.
/// @param core of the segment that the log belongs to, as DirectorySource takes it.
[[nodiscard]] Status replay_files(const std::string& journal_dir, Sequence end, Engine& engine,
                                  std::string& message, const CoreCells* core = nullptr);

}  // namespace millrace
