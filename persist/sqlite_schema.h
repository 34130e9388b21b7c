// Tables, views and their versions. What each table holds: persist/SQLITE.md.
#pragma once

#include "persist/sqlite_db.h"

#include <string>

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

/// A table that no effect of the log tells of: each row has the checksum that this SQL gives, `sum`
/// (from schema 6 on).
struct SqliteSummed {
    const char* table;
    const char* sum;
};
inline constexpr SqliteSummed kSqliteCursorSum{
    "cursor", "row_sum(epoch, seq, k, chain, effects, updated_ns, instance, whole)"};
inline constexpr SqliteSummed kSqliteFailedSyncsSum{
    "failed_syncs",
    "row_sum(sink, after_seq, after_k, to_seq, to_k, batch_rows, failures, error, first_failed_ns, "
    "last_failed_ns, synced_ns)"};
inline constexpr SqliteSummed kSqliteStoreEventsSum{"store_events",
                                                    "row_sum(at_ns, event, detail)"};
/// SQL that gives its rows the checksum of what they hold: for who changes them by hand.
[[nodiscard]] std::string sqlite_seal(const SqliteSummed& table);

/// Writes the table `names` anew. In a transaction of the caller's.
[[nodiscard]] Status sqlite_put_words(SqliteDb& db) noexcept;

/// Brings an open file to this build's version, one transaction a step, and refreshes the words
/// that the views show. Running it on an up-to-date file changes no data.
/// @return BadMagic: a database of somebody else; BadVersion: made by a newer build; or what
/// SQLite said. In each case the file is as it was, or at a whole step in between.
[[nodiscard]] Status sqlite_migrate(SqliteDb& db) noexcept;

}  // namespace millrace
