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

}  // namespace millrace
