// SqliteStore: the file that effects become rows of, and the cursor that says how far it has come.
//
// The cursor is stored in the transaction of the rows that it covers, so a file always tells
// exactly which effects it holds. Applying an effect again, or an older one late, changes nothing.
#pragma once

#include "core/effect.h"
#include "persist/effect_source.h"
#include "persist/last_of_row.h"
#include "persist/sqlite_cursor.h"
#include "persist/sqlite_db.h"

#include <array>
#include <functional>
#include <span>
#include <string>

namespace millrace {

struct SqliteStoreOptions {
    std::string path;
    bool full_sync = false;   // true: a commit survives power loss; false: the cursor steps back
    bool quick_check = true;  // read the whole file for damage when opening it
    int busy_ms = 250;        // how long one call waits for another program's lock
    std::function<bool()> go_on{};  // SqliteDb::long_text() of the check
    std::uint32_t instance = 0;     // of the journal directory, noted beside the cursor; 0: unknown
};

class SqliteStore {
public:
    /// Opens or makes the file: checks it, brings its schema up to date, reads its cursor.
    /// @return BadChecksum: damaged, or its cursor's row is; BadLayout: so is its schema; BadMagic:
    /// not ours; BadVersion: newer than this build; Busy: locked; NoSpace, IoError. The file is
    /// unchanged by a refusal.
    [[nodiscard]] Status open(const SqliteStoreOptions& options) noexcept;
    void close() noexcept;
    [[nodiscard]] bool is_open() const noexcept { return db_.is_open(); }

    /// Stores `effects` and `cursor` in one transaction.
    /// @param now wall time for the cursor row.
    /// @return as open(). Nothing of it is stored then, but after IoError, when it may be: open
    /// again and believe the cursor.
    /// Crash: before the commit nothing of it is there, after it everything.
    [[nodiscard]] Status store(std::span<const Effect> effects, const EffectCursor& cursor,
                               Nanos now) noexcept;

    /// Puts back rows that were found wrong when the file had come to record `upto`, as the log's
    /// `effects` have them, and removes `extra` rows; what was written since stays. In one
    /// transaction. @return as store(): nothing of it is done then; BadChecksum also if a row
    /// cannot be found by its key.
    [[nodiscard]] Status put_back(std::span<const Effect> effects, std::span<const Effect> extra,
                                  Sequence upto) noexcept;

    /// Writes again, in one transaction, what no effect tells of and this knows: the cursor's row
    /// and the words; rows of which nobody knows what they were are marked. @return as store().
    [[nodiscard]] Status renew() noexcept;

    /// Notes what befell the store itself (table store_events).
    [[nodiscard]] Status note(Nanos now, std::string_view event, std::string_view detail) noexcept;

    /// Moves everything from the write-ahead log into the file, so that it may be renamed alone.
    [[nodiscard]] Status checkpoint() noexcept;

    [[nodiscard]] const EffectCursor& cursor() const noexcept { return row_.cursor; }
    /// Whether it holds everything since its log began: written with the cursor. For a store that
    /// has none yet; of one that was filled from a log without its beginning it is never true.
    void set_whole(bool whole) noexcept { row_.whole = whole; }
    [[nodiscard]] bool whole() const noexcept { return row_.whole; }
    /// The last failure in SQLite's words, with what was being done.
    [[nodiscard]] const std::string& message() const noexcept { return message_; }

private:
    static constexpr std::size_t kKinds = 8;  // EffectKind is 1..7

    [[nodiscard]] Status open_steps(const SqliteStoreOptions& options) noexcept;
    [[nodiscard]] Status prepare() noexcept;
    [[nodiscard]] Status read_cursor(std::uint32_t instance) noexcept;
    [[nodiscard]] Status write_rows(std::span<const Effect> effects) noexcept;
    [[nodiscard]] Status put_back_rows(std::span<const Effect> effects, Sequence upto) noexcept;
    [[nodiscard]] Status remove_rows(std::span<const Effect> rows) noexcept;
    template <class Work>
    [[nodiscard]] Status transact(const char* doing, Work work) noexcept;
    Status failed(const char* doing, const Status& status) noexcept;

    SqliteDb db_;
    std::array<SqliteStatement, kKinds> upserts_;
    SqliteStatement put_cursor_;
    LastOfRow last_;       // in the batch under way
    SqliteCursorRow row_;  // as it was written last
    std::string path_;
    std::string message_;
};

}  // namespace millrace
