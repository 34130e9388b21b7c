// Audit: which admin commands the journal holds: who gave them, where, when, and whether the engine
// took them. And what else changed the log's course: starts of an engine, upgrades, skipped
// records.
#pragma once

#include "tools/explain/logs.h"
#include "tools/explain/where.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace millrace::explain {

struct AuditEntry {
    JournalRecord record;
    std::string what;           // in words
    std::string answer;         // the engine's refusal in words; empty: taken, or not known
    std::uint32_t folded = 0;   // records of the configuration that this one ends
    bool answer_known = false;  // the state before it could be made, so `answer` is for certain
};
struct AuditOptions {
    Nanos since;               // entries at or after it; 0 = all
    Nanos until;               // entries before it; 0 = all
    bool definitions = false;  // each record of a configuration too
};
/// Reads the journal once and hands each entry to `take`, in order.
/// @return what the journal covers, and what of it could not be read.
[[nodiscard]] Scanned audit(const Where& where, const AuditOptions& options,
                            const std::function<void(const AuditEntry&)>& take);

[[nodiscard]] std::string audit_text(const AuditEntry& entry);
/// One JSON object on one line.
[[nodiscard]] std::string audit_json(const AuditEntry& entry);

}  // namespace millrace::explain
