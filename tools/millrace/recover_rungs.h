// The lower rungs of the recovery ladder: what each store that the configuration names still holds
// of the engine's state, and which of them a journal is best made of.
#pragma once

#include "persist/stored_state.h"
#include "tools/millrace/config.h"

#include <optional>
#include <string>
#include <vector>

namespace millrace {

/// A backup that nobody takes unasked in the place of a store with gaps.
struct HeldBackup {
    std::optional<EffectCursor> cursor;  // of one that is whole; nothing: it was not read
    std::string why;                     // what there is to choose between; or why it was not read
};

struct StoreRung {
    std::string name;                  // redis, sqlite, clickhouse
    std::optional<StoredState> state;  // what it holds, whole; gaps are named in it
    std::string why;                   // it has none; what was read in its place; or what could be
    Errc code = Errc::Ok;              // of why it has none; NotFound also if it is not configured
    std::int64_t read_ns = 0;          // time that reading took
    std::optional<HeldBackup> held;    // it has gaps, and this was not taken in its place
};

/// What is read of a store for `config`: as much as the engine's ledger has room for.
[[nodiscard]] StoredLimits stored_limits(const Config& config);

/// Reads one store, every row of it that counts; writes nothing there. SQLite: the store, or in
/// its place, if it is lost or damaged or has gaps that they have not, the newest backup that comes
/// back whole and what was shipped behind it. Of a store with gaps and a backup that is behind it
/// neither is chosen unasked: the store is given, `held` and `why` name both. Without the room to
/// unpack the newest backup a store with gaps is given, too, and a lost one is NoSpace; so,
/// IoError, where the folder of the backups is not the one that they went to.
[[nodiscard]] StoreRung read_rung(const std::string& name, const Config& config,
                                  const StoredLimits& limits);
/// All that the configuration names, in the ladder's order.
[[nodiscard]] std::vector<StoreRung> read_rungs(const Config& config, const StoredLimits& limits);

/// Whether it is there and could not be read: it is loading, locked, or does not answer. What it
/// holds may be more than any other does.
[[nodiscard]] bool may_hold_more(const StoreRung& rung) noexcept;

/// The whole one that has come furthest; of several the one that is higher on the ladder.
/// @return nullptr if none will do, or if it cannot be told: they follow different logs, one
/// may_hold_more(), or a backup was held back that has come further, or may have. `why` says it for
/// people.
[[nodiscard]] const StoreRung* best_rung(const std::vector<StoreRung>& rungs, std::string& why);

/// What it holds, or why not, in a line.
[[nodiscard]] std::string to_string(const StoreRung& rung);

/// ISO 8601, UTC, to the second.
[[nodiscard]] std::string time_text(Nanos at);

}  // namespace millrace
