// How an effect becomes a row of ClickHouse's one table, and what two rows are compared by.
//
// One table for all kinds: a batch and the cursor behind it are one INSERT into one partition,
// which ClickHouse stores whole or not at all. Columns that a kind does not use are zero.
#pragma once

#include "core/effect.h"
#include "persist/effect_source.h"

#include <cstdint>
#include <string>
#include <vector>

namespace millrace {

/// What happened to the log that the rows are of. Another log is another history, from 1 on.
using ClickHouseHistory = std::uint64_t;

/// Kind of the rows that carry the cursor; the others are EffectKind.
inline constexpr std::uint8_t kClickHouseMark = 0;

/// One column.
struct ClickHouseColumn {
    std::string name;
    std::string type;
    unsigned kinds = 0;  // bit EffectKind: the kinds that use it; 0: every row has it
};
/// All columns in the order of the rows' bytes; documented in persist/CLICKHOUSE.md.
[[nodiscard]] const std::vector<ClickHouseColumn>& clickhouse_columns();
[[nodiscard]] bool clickhouse_uses(const ClickHouseColumn& column, EffectKind kind) noexcept;
/// "a, b, c" of all columns.
[[nodiscard]] std::string clickhouse_column_list();

/// The columns that tell what a row of `kind` describes: an order, an account ...
[[nodiscard]] const char* clickhouse_key(EffectKind kind) noexcept;

/// Appends `effect` in RowBinary.
void clickhouse_put(std::vector<std::byte>& out, ClickHouseHistory history, const Effect& effect);
/// What stands beside the cursor, for `millrace recover`. Zeros in rows of older builds.
struct ClickHouseFacts {
    std::uint32_t instance = 0;  // of the journal directory that is followed; 0 = not known
    bool whole = false;          // the history holds everything since its log began
};
/// Appends the row that says: everything up to `cursor` is stored.
void clickhouse_put_mark(std::vector<std::byte>& out, ClickHouseHistory history,
                         const EffectCursor& cursor, Nanos time, const ClickHouseFacts& facts = {});

/// SipHash-2-4 (key 0) of the row's columns as text: what clickhouse_hash_sql() gives there.
[[nodiscard]] std::uint64_t clickhouse_hash(const Effect& effect) noexcept;
[[nodiscard]] std::string clickhouse_hash_sql(EffectKind kind);

}  // namespace millrace
