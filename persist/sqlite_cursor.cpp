#include "persist/sqlite_cursor.h"

#include <string>

#include "persist/sqlite_schema.h"

namespace millrace {
namespace {

/// The versions of the schema from which on a column is there.
constexpr std::int64_t kInstanceVersion = 4;
constexpr std::int64_t kSumVersion = 6;

std::uint64_t bits(const SqliteStatement& row, int column) noexcept {
    return static_cast<std::uint64_t>(row.column(column));
}

}  // namespace

Result<SqliteCursorRow> read_sqlite_cursor(SqliteDb& db) noexcept {
    const auto version = db.number("PRAGMA user_version");
    if (!version) {
        return version.error();
    }
    const std::int64_t v = version.value();
    auto select =
        db.prepare(std::string{"SELECT epoch, seq, k, chain, effects, updated_ns, "} +
                   (v >= kInstanceVersion ? "instance, " : "0, ") +
                   (v >= kSqliteWholeVersion ? "whole OR " : "") + sqlite_shows_whole() + ", " +
                   (v >= kSumVersion ? std::string{"sum IS "} + kSqliteCursorSum.sum : "1") +
                   " FROM cursor WHERE id = 1");
    if (!select) {
        return select.error();
    }
    SqliteStatement& s = select.value();
    const auto row = s.row();
    if (!row) {
        return row.error();
    }
    if (!row.value()) {
        return {Errc::BadCursor, "the cursor row is gone"};
    }
    if (s.column(8) == 0) {
        return {Errc::BadCursor, "the cursor row is not what was written"};
    }
    return SqliteCursorRow{
        {bits(s, 0), Sequence{bits(s, 1)}, static_cast<std::uint32_t>(s.column(2)), bits(s, 3)},
        bits(s, 4),
        Nanos{s.column(5)},
        static_cast<std::uint32_t>(s.column(6)),
        s.column(7) != 0};
}

Result<SqliteStatement> prepare_sqlite_cursor(SqliteDb& db) noexcept {
    return db.prepare(
        "INSERT OR REPLACE INTO cursor (id, epoch, seq, k, chain, effects, updated_ns, instance, "
        "whole, sum) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, "
        "row_sum(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8))");
}

Status write_sqlite_cursor(SqliteStatement& put, const SqliteCursorRow& row) noexcept {
    return put.bind(static_cast<std::int64_t>(row.cursor.epoch))
        .bind(static_cast<std::int64_t>(row.cursor.seq.value))
        .bind(row.cursor.k)
        .bind(static_cast<std::int64_t>(row.cursor.chain))
        .bind(static_cast<std::int64_t>(row.effects))
        .bind(row.updated.value)
        .bind(row.instance)
        .bind(row.whole ? 1 : 0)
        .run();
}

}  // namespace millrace
