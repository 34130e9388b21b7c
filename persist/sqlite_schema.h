// Tables, views and their versions. What each table holds: persist/SQLITE.md.
#pragma once

#include "persist/sqlite_db.h"

namespace millrace {

/// PRAGMA application_id of our files: "MRSQ". A file with tables and another id is not ours and
/// is never touched.
inline constexpr std::int64_t kSqliteApplicationId = 0x4D525351;
/// PRAGMA user_version that this build writes.
[[nodiscard]] std::int64_t sqlite_schema_version() noexcept;

/// The version from which on the cursor row says whether the store is whole.
inline constexpr std::int64_t kSqliteWholeVersion = 5;
/// SQL of one number, for a file of any version: 1 if its rows show that it was filled from the
/// log's beginning. It holds the alert of the log's first Start then, and alerts are never deleted.
[[nodiscard]] const char* sqlite_shows_whole() noexcept;

/// Brings an open file to this build's version, one transaction a step, and refreshes the words
/// that the views show. Running it on an up-to-date file changes no data.
/// @return BadMagic: a database of somebody else; BadVersion: made by a newer build; or what
/// SQLite said. In each case the file is as it was, or at a whole step in between.
[[nodiscard]] Status sqlite_migrate(SqliteDb& db) noexcept;

}  // namespace millrace
