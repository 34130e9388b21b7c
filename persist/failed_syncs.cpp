#include "persist/failed_syncs.h"

#include <filesystem>
#include <system_error>

#include "persist/sqlite_db.h"
#include "persist/sqlite_schema.h"

namespace millrace {
namespace {

constexpr int kBusyMs = 250;
constexpr const char* kKept = "1000";

Status open_store(SqliteDb& db, const std::string& path) noexcept {
    std::error_code ignored;
    if (path.empty() || !std::filesystem::exists(path, ignored)) {
        return {Errc::NotFound, "there is no SQLite store yet"};
    }
    return db.open(path, kBusyMs, SqliteOpen::Existing);
}

std::int64_t number(std::uint64_t value) noexcept {
    return static_cast<std::int64_t>(value);
}

}  // namespace

Status FailedSyncs::note(const FailedSync& f) noexcept {
    SqliteDb db;
    if (auto opened = open_store(db, path_); !opened) {
        return opened;
    }
    auto put = db.prepare(
        "INSERT INTO failed_syncs (sink, after_seq, after_k, to_seq, to_k, batch_rows, failures, "
        "error, first_failed_ns, last_failed_ns, sum) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,"
        "row_sum(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,NULL)) "
        "ON CONFLICT (sink, first_failed_ns) DO UPDATE SET after_seq = excluded.after_seq, "
        "after_k = excluded.after_k, to_seq = excluded.to_seq, to_k = excluded.to_k, "
        "batch_rows = excluded.batch_rows, failures = excluded.failures, error = excluded.error, "
        "last_failed_ns = excluded.last_failed_ns, synced_ns = NULL, sum = excluded.sum");
    if (!put) {
        return put.error();
    }
    return put.value()
        .bind_text(f.sink)
        .bind(number(f.after.seq.value))
        .bind(f.after.k)
        .bind(number(f.to.seq.value))
        .bind(f.to.k)
        .bind(number(f.batch_rows))
        .bind(number(f.failures))
        .bind_text(f.error)
        .bind(f.first_failed.value)
        .bind(f.last_failed.value)
        .run();
}

Status FailedSyncs::synced(const std::string& sink, Nanos now) noexcept {
    SqliteDb db;
    if (auto opened = open_store(db, path_); !opened) {
        return opened;
    }
    // A row that is not what was written stays so: its checksum does not come right by this.
    const std::string sum = kSqliteFailedSyncsSum.sum;
    const std::string synced_sum = sum.substr(0, sum.rfind("synced_ns")) + "?1)";
    auto set =
        db.prepare("UPDATE failed_syncs SET synced_ns = ?1, sum = CASE WHEN sum IS " + sum +
                   " THEN " + synced_sum + " ELSE sum END WHERE sink = ?2 AND synced_ns IS NULL");
    if (!set) {
        return set.error();
    }
    if (auto done = set.value().bind(now.value).bind_text(sink).run(); !done) {
        return done;
    }
    auto prune = db.prepare(
        std::string{"DELETE FROM failed_syncs WHERE sink = ? AND first_failed_ns NOT IN (SELECT "
                    "first_failed_ns FROM failed_syncs WHERE sink = ? ORDER BY first_failed_ns "
                    "DESC LIMIT "} +
        kKept + ")");
    return prune ? prune.value().bind_text(sink).bind_text(sink).run() : Status{prune.error()};
}

Result<std::uint64_t> FailedSyncs::open_rows(const std::string& sink) noexcept {
    SqliteDb db;
    if (auto opened = open_store(db, path_); !opened) {
        return opened.error();
    }
    auto find =
        db.prepare("SELECT count(*) FROM failed_syncs WHERE sink = ? AND synced_ns IS NULL");
    if (!find) {
        return find.error();
    }
    const auto row = find.value().bind_text(sink).row();
    return row ? Result<std::uint64_t>{static_cast<std::uint64_t>(find.value().column(0))}
               : Result<std::uint64_t>{row.error()};
}

}  // namespace millrace
