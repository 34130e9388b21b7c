// The two logs, read from one end to the other, a record at a time: neither is ever held in memory.
#pragma once

#include "core/effect.h"
#include "core/journal_record.h"
#include "shm/segment.h"

#include <functional>
#include <string>

namespace millrace::explain {

/// What a log covers.
struct LogRange {
    Sequence first;  // 0 = it holds nothing
    Sequence last;
    Nanos first_time;
    Nanos last_time;
    [[nodiscard]] bool empty() const noexcept { return first.value == 0; }
    void widen(Sequence seq, Nanos time) noexcept {
        if (empty()) {
            first = seq;
            first_time = time;
        }
        last = seq;
        last_time = time;
    }
};
struct Scanned {
    LogRange range;
    bool cut = false;   // effects: the log's beginning is gone, or it was begun anew
    std::string fault;  // why it was not read to its end, with file and place; empty = it was
};

/// Hands every record of the journal in `directory` to `take`, until that says false.
/// @param segment of the running pipeline: read up to its durable mark; nullptr: as the files lie.
[[nodiscard]] Scanned scan_journal(const std::string& directory, const Segment* segment,
                                   const std::function<bool(const JournalRecord&)>& take);

/// The same for the effects log, from the place where it last began.
[[nodiscard]] Scanned scan_effects(const std::string& directory,
                                   const std::function<bool(const Effect&)>& take);

}  // namespace millrace::explain
