// SqliteFeed: what another store is filled from where the effects log has lost its beginning: the
// rows of the SQLite store that still matter, each as the effect that wrote it last.
#pragma once

#include "core/effect.h"
#include "persist/effect_source.h"
#include "persist/sqlite_db.h"

#include <atomic>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace millrace {

struct SqliteFeedOptions {
    std::string path;
    Nanos ended_since;    // what ended, or closed, before this is left out, and
    Nanos signals_since;  // signals accepted before this; unless something that stands needs them
    const std::atomic<bool>* stop = nullptr;  // true: what is being read fails; outlives the feed
};

/// Threads: one. Blocks for as long as SQLite takes to find the first rows of a kind.
class SqliteFeed {
public:
    explicit SqliteFeed(SqliteFeedOptions options) : options_{std::move(options)} {}

    /// Takes the store's state as of now: a reader's transaction, which holds up checkpoints of the
    /// file until this is gone.
    /// @return NotFound: no store, or none that has come to anything; BadCursor: its cursor row is
    /// not what was written; Busy, BadChecksum, IoError.
    [[nodiscard]] Status open() noexcept;
    /// How far the store had come.
    [[nodiscard]] const EffectCursor& cursor() const noexcept { return cursor_; }
    /// Whether it holds everything since its log began.
    [[nodiscard]] bool whole() const noexcept { return whole_; }

    /// Appends the next rows: definitions, accounts, positions, orders, deals, signals; and an
    /// alert if the kill switch was ever used. In no order of records.
    /// @param rows_max of them, at the most. @return whether there may be more.
    [[nodiscard]] Result<bool> next(std::vector<Effect>& out, std::size_t rows_max) noexcept;

private:
    [[nodiscard]] Status read_cursor() noexcept;
    [[nodiscard]] Status find_needed() noexcept;
    [[nodiscard]] std::string select(EffectKind kind) const;

    SqliteFeedOptions options_;
    EffectCursor cursor_;
    bool whole_ = false;
    std::size_t at_ = 0;  // of the kinds
    bool reading_ = false;
    bool found_ = false;  // the intents of the orders that are given
    // In this order: a statement ends before its connection does.
    SqliteDb db_;
    SqliteStatement rows_;
};

}  // namespace millrace
