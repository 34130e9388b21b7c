// What becomes of the SQLite store's history when a journal is made of another store.
#pragma once

#include "persist/stored_state.h"
#include "tools/millrace/config.h"

#include <string>

namespace millrace {

/// Brings it up to where `stored` is, if that is Redis and the two are of one log; puts it back if
/// `stored` was read of a backup of it; so it goes on in the new one. Before that one is made:
/// killed between, the next recover finds two that agree.
/// @param from name of the store that the journal is made of. @param dry_run changes nothing.
/// @return a line for people: how far it was brought, or that it will be set aside, and why.
[[nodiscard]] std::string keep_history(const Config& config, const std::string& from,
                                       const StoredState& stored, bool dry_run);

}  // namespace millrace
