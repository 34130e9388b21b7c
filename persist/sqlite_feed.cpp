#include "persist/sqlite_feed.h"

#include <array>

#include "persist/sqlite_cursor.h"
#include "persist/sqlite_files.h"
#include "persist/sqlite_needed.h"
#include "persist/sqlite_rows.h"
#include "persist/sqlite_schema.h"

namespace millrace {
namespace {

constexpr int kBusyMs = 1'000;
constexpr std::array kKinds = {EffectKind::Definition, EffectKind::Account,   EffectKind::Position,
                               EffectKind::Order,      EffectKind::Execution, EffectKind::Signal,
                               EffectKind::Alert};

std::string since(Nanos time) {
    return " > " + std::to_string(time.value);
}

// Found once: each of its parts goes over a table of years.
constexpr const char* kNeeded = "(SELECT intent FROM temp.needed)";

}  // namespace

Status SqliteFeed::open() noexcept {
    if (!sqlite_file_exists(options_.path)) {
        return {Errc::NotFound, "there is no store"};
    }
    Status done = db_.open(options_.path, kBusyMs, SqliteOpen::ReadOnly);
    if (done) {
        db_.stop_when(options_.stop);
    }
    done = done ? db_.exec("BEGIN") : done;
    return done ? read_cursor() : done;
}

Status SqliteFeed::read_cursor() noexcept {
    const auto version = db_.number("PRAGMA user_version");
    if (!version) {
        return version.error();
    }
    if (version.value() != sqlite_schema_version()) {
        return {Errc::NotFound, "the store is of another build"};  // its sink brings it up to date
    }
    const auto row = read_sqlite_cursor(db_);
    if (!row) {
        return row.error();
    }
    cursor_ = row.value().cursor;
    whole_ = row.value().whole;
    return cursor_ == EffectCursor{} ? Status{Errc::NotFound, "the store is empty"} : ok_status();
}

/// Orders that are given: with the newest one, which says how far ids have come.
Status SqliteFeed::find_needed() noexcept {
    const Status done = db_.exec(
        "PRAGMA temp_store = MEMORY; CREATE TEMP TABLE needed (intent INTEGER PRIMARY KEY);"
        "INSERT OR IGNORE INTO temp.needed SELECT intent FROM (" +
        sqlite_needed_intents() + " UNION " + sqlite_share_intents() +
        " UNION SELECT intent FROM orders WHERE time_ns" + since(options_.ended_since) +
        " UNION SELECT " + kSqliteOpener + " FROM positions WHERE time_ns" +
        since(options_.ended_since) +
        " UNION SELECT max(intent) FROM orders) WHERE intent IS NOT NULL");
    found_ = done.ok();
    return done;
}

std::string SqliteFeed::select(EffectKind kind) const {
    const std::string all = sqlite_select(kind, false);
    switch (kind) {
        case EffectKind::Position:
            return all + " WHERE volume > 0 OR time_ns" + since(options_.ended_since);
        case EffectKind::Order: return all + " WHERE intent IN " + kNeeded;
        case EffectKind::Execution:
            return all +
                   " WHERE (seq, k) IN (SELECT x.seq, x.k FROM orders AS o JOIN executions AS x"
                   " ON x.magic BETWEEN (o.magic & ~7) AND (o.magic | 7) WHERE o.intent IN " +
                   kNeeded + ")";
        case EffectKind::Signal:
            return all + " WHERE reason = 0 AND (accepted_ns" + since(options_.signals_since) +
                   " OR id IN (SELECT signal FROM orders WHERE intent IN " + kNeeded + "))";
        case EffectKind::Alert:
            return all +
                   " WHERE code = " + std::to_string(static_cast<unsigned>(AlertCode::Killed)) +
                   " LIMIT 1";
        default: return all;
    }
}

Result<bool> SqliteFeed::next(std::vector<Effect>& out, std::size_t rows_max) noexcept {
    if (!found_) {
        if (auto done = find_needed(); !done) {
            return done.error();
        }
    }
    for (std::size_t n = 0; at_ < kKinds.size() && n < rows_max;) {
        if (!reading_) {
            auto made = db_.prepare(select(kKinds[at_]));
            if (!made) {
                return made.error();
            }
            rows_ = std::move(made).value();
            reading_ = true;
        }
        const auto row = rows_.row();
        if (!row) {
            return row.error();
        }
        if (row.value()) {
            const StoredRow stored = sqlite_get(rows_, kKinds[at_]);
            if (!stored.as_put) {
                return {Errc::BadChecksum, "a row is not as it was written"};
            }
            out.push_back(stored.effect);
            ++n;
        } else {
            reading_ = false;
            ++at_;
        }
    }
    return at_ < kKinds.size();
}

}  // namespace millrace
