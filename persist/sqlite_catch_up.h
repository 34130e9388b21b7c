// Brings the SQLite store of a lost log up to where another store of that log has come, so that its
// history goes on in the log that is made of that one. Without it the sink finds that the new log
// begins behind its cursor, and begins anew: years of history in a file that was set aside.
#pragma once

#include "core/effect.h"
#include "persist/effect_source.h"

#include <cstdint>
#include <span>
#include <string>

namespace millrace {

struct SqliteCatchUp {
    std::string path;            // of the store; nothing runs that writes it
    std::uint32_t instance = 0;  // of the lost journal directory, by the other store
    EffectCursor to;             // how far that one has come
    Sequence from{UINT64_MAX};   // record that its rows were collected beyond
    Nanos not_before;  // what this store lacks must be younger: the other one has dropped the rest
};

/// How far the store has come, for its owner's eyes: read-only. @return {} if there is none, or it
/// cannot be read now.
[[nodiscard]] EffectCursor sqlite_cursor_at(const std::string& path) noexcept;

/// Whether it can be brought there: it is there already, or it is of the same log, not beyond it,
/// at the record that the rows were collected beyond, and was written last after `not_before`.
/// @return NotFound: no store; NotOwner: of another log, or it does not say of which; BadCursor: it
/// has come further, or stands at another record; Timeout: it was written too long ago; else as
/// SqliteStore::open(). `message`: a sentence for people.
[[nodiscard]] Status can_catch_up(const SqliteCatchUp& wish, std::string& message);

/// Stores the newest rows of what the other store has of records beyond its cursor, and that
/// cursor, in one transaction. Changes nothing where it is there already.
/// @param rows of records up to `wish.to`; older ones than it holds change nothing.
/// @return as can_catch_up(). Crash: all of it is there, or nothing.
[[nodiscard]] Status catch_up_sqlite(const SqliteCatchUp& wish, std::span<const Effect> rows,
                                     std::string& message);

}  // namespace millrace
