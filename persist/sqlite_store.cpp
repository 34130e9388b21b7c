#include "persist/sqlite_store.h"

#include "persist/sqlite_layout.h"
#include "persist/sqlite_rows.h"
#include "persist/sqlite_schema.h"

#include <filesystem>
#include <system_error>

namespace millrace {
namespace {

/// Pages of 4 KiB in the write-ahead log before SQLite moves them into the file.
constexpr int kCheckpointPages = 2000;
constexpr int kWalBytesMax = 64 << 20;  // what the write-ahead log is cut back to

Status check_for_damage(SqliteDb& db, const SqliteStoreOptions& options) noexcept {
    std::error_code none;
    const std::uintmax_t bytes = std::filesystem::file_size(options.path, none);
    const auto answer = db.long_text("PRAGMA quick_check(1)", none ? 0 : bytes, options.go_on);
    if (!answer) {
        return answer.error();
    }
    if (answer.value() != "ok") {
        return {Errc::BadChecksum, "quick_check found damage"};
    }
    return ok_status();
}

Status use_wal(SqliteDb& db, bool full_sync) noexcept {
    const auto mode = db.text("PRAGMA journal_mode = WAL");
    if (!mode) {
        return mode.error();
    }
    if (mode.value() != "wal") {
        return {Errc::Unsupported,
                "this file system has no write-ahead log (WAL needs shared "
                "memory); put the store on a local disk"};
    }
    return db.exec(std::string{"PRAGMA synchronous = "} + (full_sync ? "FULL" : "NORMAL") +
                   "; PRAGMA wal_autocheckpoint = " + std::to_string(kCheckpointPages) +
                   "; PRAGMA journal_size_limit = " + std::to_string(kWalBytesMax) +
                   "; PRAGMA temp_store = MEMORY");
}

}  // namespace

Status SqliteStore::failed(const char* doing, const Status& status) noexcept {
    const std::string_view what = status.error().what;
    const std::string_view said = db_.message();
    // SQLite's own words name the table or the file; ours where it has none.
    const bool more = said.find(what) != std::string_view::npos;
    message_ = path_ + ": " + doing + ": " + std::string{more ? said : what};
    return status;
}

Status SqliteStore::open(const SqliteStoreOptions& options) noexcept {
    ASSERT(!is_open());
    path_ = options.path;
    Status opened = open_steps(options);
    if (!opened) {
        close();
    }
    return opened;
}

Status SqliteStore::open_steps(const SqliteStoreOptions& options) noexcept {
    if (auto done = db_.open(options.path, options.busy_ms); !done) {
        return failed("cannot open", done);
    }
    if (options.quick_check) {
        if (auto done = check_for_damage(db_, options); !done) {
            return failed("checking", done);
        }
    }
    if (auto done = sqlite_migrate(db_); !done) {
        return failed("bringing the tables up to date", done);
    }
    // After the file is known to be ours: WAL mode is written into it.
    if (auto done = use_wal(db_, options.full_sync); !done) {
        return failed("switching to WAL", done);
    }
    if (auto done = prepare(); !done) {
        return failed("preparing statements", done);
    }
    if (auto done = read_cursor(options.instance); !done) {
        return failed("reading the cursor", done);
    }
    return ok_status();
}

void SqliteStore::close() noexcept {
    upserts_ = {};
    put_cursor_ = {};
    row_ = {};
    db_.close();
}

Status SqliteStore::prepare() noexcept {
    for (std::size_t kind = 1; kind < kKinds; ++kind) {
        const std::string sql = sqlite_upsert(static_cast<EffectKind>(kind));
        ASSERT(!sql.empty());
        auto made = db_.prepare(sql);
        if (!made) {
            return made.error();
        }
        upserts_[kind] = std::move(made).value();
    }
    auto made = prepare_sqlite_cursor(db_);
    if (!made) {
        return made.error();
    }
    put_cursor_ = std::move(made).value();
    return ok_status();
}

Status SqliteStore::read_cursor(std::uint32_t instance) noexcept {
    const auto row = read_sqlite_cursor(db_);
    if (!row) {
        // Where it stands nobody knows then: as good as lost.
        return row.code() == Errc::BadCursor ? Status{Errc::BadChecksum, row.error().what}
                                             : Status{row.error()};
    }
    row_ = row.value();
    row_.instance = instance != 0 ? instance : row_.instance;
    return ok_status();
}

Status SqliteStore::write_rows(std::span<const Effect> effects) noexcept {
    last_.look_at(effects);
    for (std::size_t i = 0; i < effects.size(); ++i) {
        const Effect& effect = effects[i];
        const auto kind = static_cast<std::size_t>(effect.kind);
        if (kind == 0 || kind >= kKinds) {
            return {Errc::BadInput, "effect of a kind that this build does not know"};
        }
        if (!last_[i]) {
            continue;
        }
        if (auto done = sqlite_put(upserts_[kind], effect); !done) {
            return done;
        }
    }
    return ok_status();
}

/// Runs `work` in a transaction; nothing of it stays if it fails.
template <class Work>
Status SqliteStore::transact(const char* doing, Work work) noexcept {
    Status done = db_.exec("BEGIN IMMEDIATE");
    if (done) {
        done = work();
    }
    if (done) {
        done = db_.exec("COMMIT");
    }
    if (done) {
        return done;
    }
    Status result = failed(doing, done);
    if (db_.in_transaction()) {
        // If even this fails, closing the connection drops the transaction.
        (void)db_.exec("ROLLBACK");
    }
    return result;
}

Status SqliteStore::store(std::span<const Effect> effects, const EffectCursor& cursor,
                          Nanos now) noexcept {
    // A cursor never goes back: a log that does is another log (see the sink).
    ASSERT(cursor.seq >= row_.cursor.seq);
    const SqliteCursorRow next{cursor, row_.effects + effects.size(), now, row_.instance,
                               row_.whole};
    const Status done = transact("storing effects", [&] {
        const Status written = write_rows(effects);
        return written ? write_sqlite_cursor(put_cursor_, next) : written;
    });
    row_ = done ? next : row_;
    return done;
}

Status SqliteStore::renew() noexcept {
    return transact("writing again what the log does not tell", [&] {
        Status done = db_.exec("DELETE FROM cursor");
        done = done ? write_sqlite_cursor(put_cursor_, row_) : done;
        return done ? sqlite_renew_rows(db_) : done;
    });
}

Status SqliteStore::put_back(std::span<const Effect> effects, std::span<const Effect> extra,
                             Sequence upto) noexcept {
    return transact("putting rows back", [&] {
        const Status removed = remove_rows(extra);
        return removed ? put_back_rows(effects, upto) : removed;
    });
}

Status SqliteStore::remove_rows(std::span<const Effect> rows) noexcept {
    for (const Effect& row : rows) {
        auto remove = db_.prepare(sqlite_delete_row(row.kind));
        if (!remove) {
            return remove.error();
        }
        sqlite_bind_key(remove.value(), row);
        const auto seq = static_cast<std::int64_t>(row.seq.value);
        if (auto done = remove.value().bind(seq).bind(row.k).run(); !done) {
            return done;
        }
        const auto removed = db_.number("SELECT changes()");
        if (!removed || removed.value() == 0) {
            return {Errc::BadChecksum, "a row is not where its key belongs"};
        }
    }
    return ok_status();
}

Status SqliteStore::put_back_rows(std::span<const Effect> effects, Sequence upto) noexcept {
    std::array<SqliteStatement, kKinds> statements;
    for (const Effect& effect : effects) {
        SqliteStatement& put = statements[static_cast<std::size_t>(effect.kind) % kKinds];
        if (!put.is_prepared()) {
            auto made = db_.prepare(sqlite_put_back(effect.kind, upto, row_.cursor.seq));
            if (!made) {
                return made.error();
            }
            put = std::move(made).value();
        }
        if (auto done = sqlite_put(put, effect); !done) {
            return done;
        }
    }
    return ok_status();
}

Status SqliteStore::note(Nanos now, std::string_view event, std::string_view detail) noexcept {
    auto insert = db_.prepare(
        "INSERT INTO store_events (at_ns, event, detail, sum) VALUES (?1, ?2, ?3, "
        "row_sum(?1, ?2, ?3))");
    if (!insert) {
        return failed("noting an event", insert.error());
    }
    auto done = insert.value().bind(now.value).bind_text(event).bind_text(detail).run();
    return done ? done : failed("noting an event", done);
}

Status SqliteStore::checkpoint() noexcept {
    const auto busy = db_.number("PRAGMA wal_checkpoint(TRUNCATE)");
    if (!busy) {
        return failed("checkpoint", busy.error());
    }
    if (busy.value() != 0) {
        return failed("checkpoint", Status{Errc::Busy, "a reader holds the write-ahead log"});
    }
    return ok_status();
}

}  // namespace millrace
