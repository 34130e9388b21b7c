// How an effect becomes a row. Internal to the SQLite store.
#pragma once

#include "core/effect.h"
#include "persist/sqlite_db.h"

#include <string>
#include <string_view>

namespace millrace {

/// The upsert for rows of `kind`; empty for a kind that has no table.
[[nodiscard]] std::string sqlite_upsert(EffectKind kind);

/// The same, but it puts back a row that was found wrong in a store that had come to record `upto`,
/// whatever the row says; one that was written since, up to `now`, stays.
[[nodiscard]] std::string sqlite_put_back(EffectKind kind, Sequence upto, Sequence now);

/// DELETE of the row that sqlite_bind_key() names, if `seq` and `k`, bound behind it, wrote it.
[[nodiscard]] std::string sqlite_delete_row(EffectKind kind);

/// Binds `effect` to the statement made from one of the first two for its kind, and runs it.
[[nodiscard]] Status sqlite_put(SqliteStatement& upsert, const Effect& effect) noexcept;

/// SELECT of all rows of `kind`, optionally of those with seq in [first, last].
[[nodiscard]] std::string sqlite_select(EffectKind kind, bool of_range);

/// SELECT of the one row that an effect of `kind` writes, once its key is bound.
[[nodiscard]] std::string sqlite_select_row(EffectKind kind);
void sqlite_bind_key(SqliteStatement& select_row, const Effect& effect) noexcept;
/// That key with its table's, as one string.
[[nodiscard]] std::string sqlite_key(const Effect& effect);
/// The table of `kind`, for people.
[[nodiscard]] std::string_view sqlite_table(EffectKind kind) noexcept;

/// A row as the effect that wrote it.
struct StoredRow {
    Effect effect;
    /// Every column is of the type, length and range that sqlite_put() gives it. A flipped bit in
    /// the header of a record makes NULL of a 0, or TEXT of a BLOB: it reads the same, but no query
    /// that asks for it finds it.
    bool as_put = true;
};
/// The row that a statement made from sqlite_select...(kind) stands at.
[[nodiscard]] StoredRow sqlite_get(const SqliteStatement& row, EffectKind kind) noexcept;

}  // namespace millrace
