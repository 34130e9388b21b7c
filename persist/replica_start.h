// Where a replica begins: the snapshot from which the effects log can be gone on with, or, if what
// that would take is gone, the oldest one that the journal still follows.
#pragma once

#include "core/engine.h"
#include "persist/core_stage.h"
#include "persist/effects_log.h"
#include "persist/journal_reader.h"

#include <memory>
#include <optional>
#include <string>

namespace millrace {

struct ReplicaStart {
    std::unique_ptr<Engine> engine;  // with the snapshot's state, or empty
    JournalReader reader;            // behind it
    /// The log must begin anew behind this mark: effects of records up to it that the log has not
    /// are lost, because the journal files that they were made of are gone.
    std::optional<LogCursor> anew;
};

/// Begins at the newest snapshot at or below `limit` whose effects the log has, all of them, so
/// that nothing is missing behind it. One of an older build does not say which these are: then only
/// one at or below the log's last mark will do, or any if the log has come through whole.
/// @param effects as opened; not changed.
/// @param journal outlives what is returned.
/// @param message what went wrong, or, if nothing did, what was passed over.
/// @return as load_state() and JournalReader::open().
[[nodiscard]] Result<ReplicaStart> find_replica_start(const CoreOptions& options, Sequence limit,
                                                      const EffectsWriter& effects,
                                                      LogSource& journal, std::string& message);

}  // namespace millrace
