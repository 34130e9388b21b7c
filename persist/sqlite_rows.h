// How an effect becomes a row. Internal to the SQLite store.
#pragma once

#include "core/effect.h"
#include "persist/sqlite_db.h"

#include <string>

namespace millrace {

/// The upsert for rows of `kind`; empty for a kind that has no table.
[[nodiscard]] std::string sqlite_upsert(EffectKind kind);

/// Binds `effect` to the statement made from sqlite_upsert(effect.kind) and runs it.
[[nodiscard]] Status sqlite_put(SqliteStatement& upsert, const Effect& effect) noexcept;

/// SELECT of all rows of `kind`, optionally of those with seq in [first, last].
[[nodiscard]] std::string sqlite_select(EffectKind kind, bool of_range);

/// The row that a statement made from sqlite_select(kind) stands at, as the effect that wrote it.
[[nodiscard]] Effect sqlite_get(const SqliteStatement& row, EffectKind kind) noexcept;

}  // namespace millrace
