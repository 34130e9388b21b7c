// `millrace recover --from STORE`: the lower rungs of the recovery ladder, for segment and journal
// directory lost.
//
// What it gives: nothing that the store knows is done again, and nothing that it does not know
// either. Orders in flight are IN_DOUBT and looked up; positions have their owners, so closes work.
// What it cannot give: what the log took in behind the store's cursor. Those signals are lost, and
// are refused if they come again (their stamps are older than the recovery); orders of that time
// stand in the brokers' books only.
#pragma once

#include "tools/millrace/config.h"

#include <string>

namespace millrace {

struct RecoverRequest {
    std::string from;  // redis, sqlite, clickhouse; best = the one that has come furthest
    bool dry_run = false;
    bool accept_gaps = false;  // take a store that is known not to hold everything
    bool take_backup = false;  // take its whole backup, though the store has come further
};

/// Reads the store (recover_rungs.h), makes a new journal directory of it (recover_build.h), and
/// says what that gives and what not. Refuses while a stage lives, while there is a segment, and
/// where there is a journal: those are better rungs. Refuses a store that lacks something that it
/// should hold, by name. Keeps every start out while it works, as a supervisor does.
/// @return an ExitCode; kExitRoleHeld: `up` or another such command keeps the journal.
[[nodiscard]] int recover_from_store(const Config& config, const RecoverRequest& request);

}  // namespace millrace
