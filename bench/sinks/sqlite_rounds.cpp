#include "bench/sinks/rounds.h"
#include "persist/last_of_row.h"
#include "persist/sqlite_files.h"
#include "persist/sqlite_rows.h"
#include "persist/sqlite_store.h"
#include "shm/clock.h"

#include <array>
#include <utility>

namespace millrace::bench {
namespace {

constexpr std::size_t kBatchRows = 2000;  // SqliteSinkOptions::batch_rows
constexpr std::size_t kKinds = 8;         // EffectKind is 1..7

/// A new store with its tables. @return its path.
std::string fresh(const std::string& folder) {
    const std::string path = folder + "/store.db";
    must(sqlite_remove(path).ok(), "removing", path);
    SqliteStore store;
    must(store.open({path, false, false, 250}).ok(), "opening", store.message());
    return path;
}

/// Upserts become inserts that replace: no question which of two rows is newer, no cursor.
std::string bare_insert(EffectKind kind) {
    const std::string upsert = sqlite_upsert(kind);
    return "INSERT OR REPLACE" + upsert.substr(6, upsert.find(" ON CONFLICT") - 6);
}

/// What of a batch is written: SqliteStore writes the last word on each row.
enum class Words { All, Last };

std::int64_t by_hand(const std::string& path, const std::vector<History::Batch>& batches,
                     Words words) {
    SqliteDb db;
    must(db.open(path, 250).ok() &&
             db.exec("PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 2000").ok(),
         "by hand", db.message());
    std::array<SqliteStatement, kKinds> inserts;
    for (std::size_t kind = 1; kind < kKinds; ++kind) {
        auto made = db.prepare(bare_insert(static_cast<EffectKind>(kind)));
        must(made.ok(), "by hand", db.message());
        inserts[kind] = std::move(made).value();
    }
    LastOfRow last;
    const std::int64_t began = monotonic_ns();
    for (const History::Batch& batch : batches) {
        bool ok = db.exec("BEGIN IMMEDIATE").ok();
        if (words == Words::Last) {
            last.look_at(batch.effects);
        }
        for (std::size_t i = 0; i < batch.effects.size(); ++i) {
            const Effect& e = batch.effects[i];
            if (words == Words::All || last[i]) {
                ok = ok && sqlite_put(inserts[static_cast<std::size_t>(e.kind)], e).ok();
            }
        }
        must(ok && db.exec("COMMIT").ok(), "by hand", db.message());
    }
    return monotonic_ns() - began;
}

}  // namespace

void sqlite_round(const std::string& folder, const History& history, Results& results) {
    const auto batches = history.batches(kBatchRows);
    {
        const std::string path = fresh(folder);
        SqliteStore store;
        must(store.open({path, false, false, 250}).ok(), "opening", store.message());
        const std::int64_t began = monotonic_ns();
        for (const History::Batch& batch : batches) {
            must(store.store(batch.effects, batch.cursor, Nanos{wall_ns()}).ok(), "storing",
                 store.message());
        }
        note(results, kSqliteGroup, "millrace", Part::Ours, history.rows(), monotonic_ns() - began);
    }
    note(results, kSqliteGroup, "INSERT OR REPLACE by hand of the last words, 2000 a transaction",
         Part::Rival, history.rows(), by_hand(fresh(folder), batches, Words::Last));
    note(results, kSqliteGroup, "INSERT OR REPLACE by hand of every word, 2000 a transaction",
         Part::Rival, history.rows(), by_hand(fresh(folder), batches, Words::All));
    note(results, kSqliteGroup, "INSERT OR REPLACE by hand of every word, one transaction",
         Part::Rival, history.rows(),
         by_hand(fresh(folder), history.batches(history.rows()), Words::All));
}

}  // namespace millrace::bench
