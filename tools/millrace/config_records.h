// Configuration -> the admin records that tell the engine about it. Pure but for the id book that
// the caller hands in.
#pragma once

#include "core/admin.h"
#include "tools/millrace/config.h"
#include "tools/millrace/id_book.h"

#include <vector>

namespace millrace {

struct ConfigRecords {
    std::vector<AdminRecord> records;  // RiskLimits, definitions, members, ConfigCommit: in order
    std::uint64_t hash = 0;            // of all records before the commit; never 0
};

/// Gives every name of `config` its id and makes the records. Members that `ids` knows and
/// `config` no longer has become DefineMember with enabled = 0.
/// @param mistakes gets what does not fit the fixed tables (an id beyond accounts_max, ...).
[[nodiscard]] ConfigRecords make_config_records(const Config& config, IdBook& ids,
                                                std::vector<Mistake>& mistakes);

/// What the engine is told of a symbol.
[[nodiscard]] SymbolSpec symbol_spec(const SymbolConfig& symbol, SymbolId id);

/// What one record says, for the log: "DefineAccount a1 (login 1001)".
[[nodiscard]] std::string describe(const AdminRecord& record);

}  // namespace millrace
