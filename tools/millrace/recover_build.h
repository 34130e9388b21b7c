// A new journal directory out of what a store knows (persist/stored_state.h), for the loss of the
// old one: book of ids, snapshot, effects log, reservation and an empty first file.
//
//     what the store knows | a gap that nobody knows | the new log
//     ... record N         |  (ids are never used)   | N + 2^40, orders + 2^32, epochs + 2^16
//
// It is the lost directory's heir: it has its instance, so the terminals take it, and a higher
// epoch than they have seen, so they would refuse the old one should it come back.
#pragma once

#include "core/engine.h"
#include "persist/stored_state.h"
#include "tools/millrace/config.h"

#include <cstdint>
#include <string>
#include <vector>

namespace millrace {

/// A netting account whose positions somebody must compare before it trades.
struct PausedAccount {
    std::string name;
    bool entries_stopped = false;  // it was reduce-only, or nobody knows that it was not
};

/// What was made, or would be.
struct RecoveredJournal {
    std::uint64_t epoch = 0;
    std::uint64_t seq = 0;
    std::uint64_t next_intent = 0;
    std::uint32_t instance = 0;  // 0 = a new one will be drawn
    std::uint32_t from_s = 0;    // Unix time: signals stamped before it are refused unless known
    std::uint32_t signals = 0;
    std::uint32_t live_orders = 0;
    std::uint32_t open_positions = 0;
    std::uint32_t left_out = 0;         // orders that act on something the store does not know
    std::vector<PausedAccount> paused;  // closes of them could open the other side
    std::vector<std::string> unsure;    // the others whose entries somebody may have stopped
    bool watches_losses = false;        // some account has a loss limit, which measures anew
    bool killed = false;                // entries are killed: the store says that they once were
};

/// Makes it of `stored` in `config.journal.dir`, which has no journal; with `dry_run` only says
/// what it would be.
/// @return BadInput: the configuration lacks what the store's orders need, or has another magic
/// tag; NoSpace, IoError. `message` says it for people.
/// Crash: a start is refused until it has been run again, or it is all there.
[[nodiscard]] Result<RecoveredJournal> build_journal(const Config& config,
                                                     const StoredState& stored, bool dry_run,
                                                     std::string& message);

}  // namespace millrace
