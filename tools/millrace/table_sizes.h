// The sizes of the engine's tables that a journal directory was begun with.
//
//     <journal dir>/sizes.json   {"version": 1, "accounts_max": 64, "capacity": {"members": ...}}
//
// The log does not say them, and with others the same records give another state. A snapshot does,
// but there is none in the first minute. Written once, before the first record. Directories of
// builds before this one have none: they are held to their snapshots alone.
#pragma once

#include "core/engine.h"
#include "core/result.h"

#include <string>

namespace millrace {

/// @return NotFound: there is none; BadInput, BadVersion, IoError: `message` names the file and the
/// mend. It is never guessed at.
[[nodiscard]] Result<Capacity> load_table_sizes(const std::string& journal_dir,
                                                std::string& message);

/// Crash: the file is there whole or not at all. @return IoError, NoSpace: `message` names it.
[[nodiscard]] Status save_table_sizes(const std::string& journal_dir, const Capacity& sizes,
                                      std::string& message);

}  // namespace millrace
