#include "persist/clickhouse_store.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "persist/clickhouse_schema.h"
#include "shm/clock.h"

namespace millrace {
namespace {

/// Tokens came with 22.2; windows for tables without replicas a year before.
constexpr int kTokensFromMajor = 22;
constexpr int kTokensFromMinor = 2;
// The server's numbers of failures.
constexpr int kNoSuchColumn = 16;
constexpr int kUnknownIdentifier = 47;

std::string sql_text(const std::string& text) {
    return "'" + text + "'";  // names from the configuration: letters, digits and _
}

/// Name of a batch: the same batch sent again has the same.
std::string token_of(const ClickHousePlace& from, const EffectCursor& to) {
    return "millrace-" + std::to_string(from.history) + "-" +
           std::to_string(from.cursor.seq.value) + "." + std::to_string(from.cursor.k) + "-" +
           std::to_string(to.seq.value) + "." + std::to_string(to.k) + "-" +
           std::to_string(to.chain);
}

}  // namespace

ClickHouseStore::ClickHouseStore(ClickHouseStoreOptions options)
    : options_{std::move(options)}, http_{options_.server} {}

std::string ClickHouseStore::table() const {
    return clickhouse_name(options_.database, kClickHouseTable);
}

Status ClickHouseStore::failed(const char* doing, const Status& status) noexcept {
    const bool said = status.code() != Errc::BadMagic && !http_.message().empty();
    message_ = std::string{doing} + ": " + (said ? http_.message() : status.error().what);
    return status;
}

Result<std::string> ClickHouseStore::query(const std::string& sql) noexcept {
    auto answer = http_.query(sql);
    if (!answer) {
        message_ = http_.message();
    }
    return answer;
}

Result<std::vector<std::string>> ClickHouseStore::lines(const std::string& sql) noexcept {
    const auto answer = http_.query(sql);
    if (!answer) {
        return answer.error();
    }
    std::vector<std::string> all;
    std::istringstream in{answer.value()};
    for (std::string line; std::getline(in, line);) {
        all.push_back(line);
    }
    return all;
}

// ---- opening -----------------------------------------------------------------------------------

Status ClickHouseStore::open() noexcept {
    open_ = false;
    if (auto done = read_version(); !done) {
        return failed("connecting", done);
    }
    if (!made_ && options_.make) {
        // Not at each reconnect: a table that is dropped meanwhile is NotFound, see below.
        for (const auto step : {&ClickHouseStore::make_database, &ClickHouseStore::make_table,
                                &ClickHouseStore::add_columns, &ClickHouseStore::make_views}) {
            if (auto done = (this->*step)(); !done) {
                return failed("making the schema", done);
            }
        }
        made_ = true;
    }
    if (auto done = read_place(); !done) {
        made_ = done.code() != Errc::NotFound && made_;
        return failed("reading the cursor", done);
    }
    open_ = true;
    return ok_status();
}

Status ClickHouseStore::read_version() noexcept {
    const auto answer = lines("SELECT version()");
    if (!answer) {
        return answer.error();
    }
    if (answer.value().size() != 1) {
        return {Errc::BadMagic, "this is no ClickHouse: it does not tell its version"};
    }
    version_ = answer.value()[0];
    int major = 0;
    int minor = 0;
    const char* const end = version_.data() + version_.size();
    const auto dot = std::from_chars(version_.data(), end, major);
    if (dot.ptr != end && *dot.ptr == '.') {
        (void)std::from_chars(dot.ptr + 1, end, minor);
    }
    tokens_ = major > kTokensFromMajor || (major == kTokensFromMajor && minor >= kTokensFromMinor);
    return ok_status();
}

Status ClickHouseStore::make_database() noexcept {
    const auto there =
        lines("SELECT name FROM system.databases WHERE name = " + sql_text(options_.database));
    if (!there) {
        return there.error();
    }
    if (there.value().empty()) {
        const auto made = http_.query("CREATE DATABASE IF NOT EXISTS `" + options_.database + "`");
        return made ? ok_status() : Status{made.error()};
    }
    return ok_status();
}

Status ClickHouseStore::make_table() noexcept {
    const auto there =
        lines("SELECT engine FROM system.tables WHERE database = " + sql_text(options_.database) +
              " AND name = " + sql_text(kClickHouseTable));
    if (!there) {
        return there.error();
    }
    if (!there.value().empty()) {
        // Replicated and shared variants are somebody's good choice; other engines keep doubles.
        const bool ours = there.value()[0].find("ReplacingMergeTree") != std::string::npos;
        return ours ? ok_status()
                    : Status{Errc::BadMagic, "the table `effects` of this database is not ours"};
    }
    const auto made = http_.query(clickhouse_create_table(options_.database, tokens_));
    const bool raced = !made && http_.exception() == 57;  // another one made it a moment ago
    return made || raced ? ok_status() : Status{made.error()};
}

Status ClickHouseStore::add_columns() noexcept {
    const auto there =
        lines("SELECT name FROM system.columns WHERE database = " + sql_text(options_.database) +
              " AND table = " + sql_text(kClickHouseTable));
    if (!there) {
        return there.error();
    }
    for (const ClickHouseColumn& c : clickhouse_columns()) {
        if (std::find(there.value().begin(), there.value().end(), c.name) == there.value().end()) {
            const auto added =
                http_.query("ALTER TABLE " + table() + " ADD COLUMN " + c.name + " " + c.type);
            if (!added) {
                return added.error();
            }
        }
    }
    return ok_status();
}

Status ClickHouseStore::make_views() noexcept {
    const auto there =
        lines("SELECT name FROM system.tables WHERE database = " + sql_text(options_.database));
    if (!there) {
        return there.error();
    }
    for (const ClickHouseView& view : clickhouse_views(options_.database)) {
        const auto& names = there.value();
        if (std::find(names.begin(), names.end(), view.name) != names.end()) {
            continue;
        }
        const auto made = http_.query(view.sql);
        if (!made && http_.exception() != 57) {
            return made.error();
        }
    }
    return ok_status();
}

/// A table that an older build made, and that may not be changed, lacks the last two columns.
Result<std::vector<std::string>> ClickHouseStore::newest_mark() noexcept {
    const auto select = [this](const std::string& facts) {
        return lines("SELECT history, epoch, seq, k, chain, " + facts + " FROM " + table() +
                     " WHERE kind = " + std::to_string(kClickHouseMark) +
                     " ORDER BY history DESC, seq DESC, k DESC LIMIT 1 FORMAT TabSeparated");
    };
    auto answer = select("instance, whole");
    const bool lacking =
        !answer && (http_.exception() == kNoSuchColumn || http_.exception() == kUnknownIdentifier);
    return lacking ? select("0, 0") : std::move(answer);
}

Status ClickHouseStore::read_place() noexcept {
    const auto answer = newest_mark();
    if (!answer) {
        return answer.error();
    }
    place_ = {};
    facts_ = {};
    if (answer.value().empty()) {
        return ok_status();
    }
    std::istringstream in{answer.value()[0]};
    EffectCursor& c = place_.cursor;
    int whole = 0;
    if (!(in >> place_.history >> c.epoch >> c.seq.value >> c.k >> c.chain >> facts_.instance >>
          whole)) {
        return {Errc::BadMagic, "the row of the cursor cannot be read"};
    }
    facts_.whole = whole != 0;
    return ok_status();
}

// ---- storing -----------------------------------------------------------------------------------

Status ClickHouseStore::store(std::span<const Effect> effects,
                              const EffectCursor& cursor) noexcept {
    ASSERT(is_open());
    ASSERT(!effects.empty());
    ASSERT(cursor.seq >= place_.cursor.seq);
    rows_.clear();
    for (const Effect& effect : effects) {
        clickhouse_put(rows_, place_.history, effect);
    }
    facts_.instance = options_.instance != 0 ? options_.instance : facts_.instance;
    clickhouse_put_mark(rows_, place_.history, cursor, effects.back().time, facts_);
    const auto done = insert(token_of(place_, cursor));
    if (!done) {
        open_ = false;  // whether it was stored is for the cursor to say
        made_ = done.code() != Errc::NotFound && made_;
        return failed("storing effects", done);
    }
    place_.cursor = cursor;
    return ok_status();
}

Status ClickHouseStore::mend(std::span<const Effect> effects) noexcept {
    rows_.clear();
    for (const Effect& effect : effects) {
        clickhouse_put(rows_, place_.history, effect);
    }
    // A token of its own: without one, or with the same, a server drops rows that it had before.
    const auto done = insert("millrace-mend-" + std::to_string(wall_ns()));
    return done ? done : failed("mending rows", done);
}

Status ClickHouseStore::insert(const std::string& token) noexcept {
    return http_.insert(
        "INSERT INTO " + table() + " (" + clickhouse_column_list() + ") FORMAT RowBinary", rows_,
        tokens_ ? token : "");
}

}  // namespace millrace
