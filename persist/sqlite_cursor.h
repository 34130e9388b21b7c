// The row of the table `cursor`: how far a store has come, and of which log. One reader for all who
// ask. No effect of the log tells what the row holds besides, so it bears a checksum of its own.
#pragma once

#include "persist/effect_source.h"
#include "persist/sqlite_db.h"

#include <cstdint>

namespace millrace {

struct SqliteCursorRow {
    EffectCursor cursor;
    std::uint64_t effects = 0;   // stored since the file began
    Nanos updated;               // wall clock
    std::uint32_t instance = 0;  // of the journal directory; 0: unknown, or schema 3 and older
    /// It has everything since its log began; of schema 4 and older, if its rows show it.
    bool whole = false;
};

/// Of a file of any schema.
/// @return BadCursor: the row is gone, or its checksum (schema 6) says that it is not what was
/// written (who changes it by hand: sqlite_seal()); BadChecksum: so is the file; BadLayout: no
/// store of ours; Busy, IoError.
[[nodiscard]] Result<SqliteCursorRow> read_sqlite_cursor(SqliteDb& db) noexcept;

/// The statement that write_sqlite_cursor() runs, for this build's schema.
[[nodiscard]] Result<SqliteStatement> prepare_sqlite_cursor(SqliteDb& db) noexcept;
/// Writes the row, whatever it was.
[[nodiscard]] Status write_sqlite_cursor(SqliteStatement& put, const SqliteCursorRow& row) noexcept;

}  // namespace millrace
