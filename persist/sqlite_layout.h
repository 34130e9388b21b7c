// What a store holds that no effect of the log tells of, looked at: its tables and views, the words
// that the views show, and the rows that bear a checksum. Small: it may be looked at each second.
#pragma once

#include "persist/sqlite_db.h"

#include <string>

namespace millrace {

/// How the header, the tables, indexes and views of a store differ from what this build makes of an
/// empty file; empty: in nothing. Others beside them may be there.
[[nodiscard]] Result<std::string> sqlite_odd_layout(SqliteDb& db);

/// Which rows of `names`, `failed_syncs` and `store_events` are not what was written; empty: none.
[[nodiscard]] Result<std::string> sqlite_odd_rows(SqliteDb& db);

/// Writes the words anew, and marks what cannot be: a row of which nobody knows what it was says so
/// itself. In a transaction of the caller's.
[[nodiscard]] Status sqlite_renew_rows(SqliteDb& db) noexcept;

}  // namespace millrace
