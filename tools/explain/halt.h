// Halt: how far this build's engine comes through a log that no living pipeline vouches for.
#pragma once

#include "core/journal_record.h"
#include "tools/explain/state.h"
#include "tools/explain/where.h"

#include <functional>
#include <string>

namespace millrace::explain {

/// Applies the log behind its newest snapshot in a child process, which dies of a record at which
/// the engine halts.
/// @param notice names that record; left as it is if there is none.
/// @param apply for tests; what is done with each record. @return false to stop.
/// @return the last record that it came through; kWholeLog if it came to an end by itself.
[[nodiscard]] Sequence last_survived(
    const Where& where, std::string& notice,
    const std::function<bool(LogState&, const JournalRecord&)>& apply = {});

}  // namespace millrace::explain
