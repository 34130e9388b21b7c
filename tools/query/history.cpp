#include "tools/query/history.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <charconv>
#include <memory>

#include "persist/sqlite_schema.h"

namespace millrace {
namespace {

constexpr int kBusyMs = 2000;  // only while the writer recovers or rebuilds its file

struct CloseDb {
    void operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }
};
struct Finalize {
    void operator()(sqlite3_stmt* s) const noexcept { sqlite3_finalize(s); }
};
using Db = std::unique_ptr<sqlite3, CloseDb>;
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

/// How one kind of history is asked for. The columns come from the store's own view (so they are
/// what its version has), the conditions go on the table below it, where the indexes are.
struct Shape {
    const char* view;
    const char* account;  // condition on ?1; empty: none
    const char* signal;   // condition on ?2; empty: none
    const char* intent;   // condition on ?6; empty: none
    const char* open;     // condition; empty: none
    const char* time;     // column
    const char* order;
};
const Shape& shape_of(HistoryOf of) {
    // An order's attempts differ in the lowest 3 bits of the magic, above them are the 45 of its
    // intent (core/types.h). Ends of an order: 2 filled, 4 cancelled, 8 rejected, C expired.
    static constexpr const char* kOfIntent = "(t.magic >> 3) & 35184372088831 = ?6";
    static constexpr Shape kShapes[] = {
        {"v_orders", "t.account = ?1", "t.signal = ?2", "t.intent = ?6",
         "t.status NOT IN (50, 52, 56, 67)", "t.created_ns", "t.created_ns DESC, t.intent DESC"},
        {"v_executions", "t.account = ?1",
         "(t.seq, t.k) IN (SELECT e.seq, e.k FROM orders AS o JOIN executions AS e"
         " ON e.magic BETWEEN (o.magic & ~7) AND (o.magic | 7) WHERE o.signal = ?2)",
         kOfIntent, "", "t.time_ns", "t.seq DESC, t.k DESC"},
        {"v_positions", "t.account = ?1", "t.signal = ?2", kOfIntent, "t.volume > 0", "t.time_ns",
         "t.time_ns DESC, t.position_id DESC"},
        {"v_signals", "EXISTS (SELECT 1 FROM orders AS o WHERE o.signal = t.id AND o.account = ?1)",
         "t.id = ?2", "t.id = (SELECT o.signal FROM orders AS o WHERE o.intent = ?6)", "",
         "t.accepted_ns", "t.accepted_ns DESC, t.seq DESC"},
        {"v_accounts", "t.account = ?1", "", "", "", "t.time_ns", "t.account"},
        // 0 is no magic: an alert that is of no order.
        {"v_alerts", "t.account = ?1", "t.signal = ?2",
         "t.magic <> 0 AND (t.magic >> 3) & 35184372088831 = ?6", "", "t.time_ns",
         "t.seq DESC, t.k DESC"},
    };
    return kShapes[static_cast<std::size_t>(of)];
}

/// The words that SQLite has for the failure, and what may help.
std::string trouble(const std::string& path, sqlite3* db, int rc) {
    std::string text = path + ": " + (db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
    switch (rc & 0xFF) {
        case SQLITE_BUSY: return text + "; the store is being recovered or rebuilt: try again";
        case SQLITE_CANTOPEN:
            return text + "; reading needs the right to write into its folder (shared index)";
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return text + "; damaged: the pipeline rebuilds it from its log when it runs";
        default: return text;
    }
}

Statement prepare(sqlite3* db, const std::string& sql, int& rc) {
    sqlite3_stmt* s = nullptr;
    rc = sqlite3_prepare_v2(db, sql.c_str(), static_cast<int>(sql.size()), &s, nullptr);
    return Statement{s};
}

/// First column of the first row of `sql` as text; nothing if there is none.
std::optional<std::string> one(sqlite3* db, const std::string& sql, const std::string& bound,
                               int& rc) {
    const Statement s = prepare(db, sql, rc);
    if (s == nullptr) {
        return {};
    }
    if (sqlite3_bind_parameter_count(s.get()) > 0) {
        sqlite3_bind_text(s.get(), 1, bound.data(), static_cast<int>(bound.size()),
                          SQLITE_TRANSIENT);
    }
    rc = sqlite3_step(s.get());
    const auto* text =
        rc == SQLITE_ROW ? reinterpret_cast<const char*>(sqlite3_column_text(s.get(), 0)) : nullptr;
    rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
    return text == nullptr ? std::nullopt : std::optional<std::string>{text};
}

Db open_store(const std::string& path, std::string& message) {
    struct stat st{};
    if (::stat(path.c_str(), &st) != 0) {
        message = path + ": there is no store. Has the pipeline run, with sqlite.enabled?";
        return {};
    }
    sqlite3* raw = nullptr;
    int rc =
        sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
    Db db{raw};
    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(raw, kBusyMs);
        // One transaction for everything: names, cursor and rows are of the same moment.
        rc = sqlite3_exec(raw, "PRAGMA query_only = 1; BEGIN", nullptr, nullptr, nullptr);
    }
    const auto id = rc == SQLITE_OK ? one(raw, "PRAGMA application_id", {}, rc) : std::nullopt;
    if (rc != SQLITE_OK) {
        message = trouble(path, raw, rc);
        return {};
    }
    if (id != std::to_string(kSqliteApplicationId)) {
        message = path + ": a database, but not a store of Millrace";
        return {};
    }
    return db;
}

/// The account's number by its name, or the number itself if there is such an account. A name that
/// was removed and given again is the newer account's: the older one answers to its number.
std::optional<std::int64_t> find_account(sqlite3* db, const std::string& account,
                                         std::string& message) {
    int rc = SQLITE_OK;
    auto id = one(db,
                  "SELECT id FROM definitions WHERE kind = 'A' AND name = ?1 "
                  "ORDER BY id DESC LIMIT 1",
                  account, rc);
    if (!id && rc == SQLITE_OK) {
        id = one(db, "SELECT account FROM accounts WHERE account = ?1 AND ?1 GLOB '[0-9]*'",
                 account, rc);
    }
    std::int64_t number = 0;
    if (id && std::from_chars(id->data(), id->data() + id->size(), number).ec == std::errc{}) {
        return number;
    }
    const auto names = one(db,
                           "SELECT group_concat(name, ', ') FROM (SELECT name FROM definitions "
                           "WHERE kind = 'A' ORDER BY name LIMIT 20)",
                           {}, rc);
    message = "no account " + account + "; the store knows " + names.value_or("none yet");
    return {};
}

/// The view's SELECT with the conditions of `query` on the table below it.
std::optional<std::string> sql_for(sqlite3* db, const HistoryQuery& query, std::string& message) {
    const Shape& shape = shape_of(query.of);
    int rc = SQLITE_OK;
    auto view =
        one(db, "SELECT sql FROM sqlite_master WHERE type = 'view' AND name = ?1", shape.view, rc);
    const std::size_t select = view ? view->find("SELECT") : std::string::npos;
    if (select == std::string::npos) {
        message = std::string{"the store has no "} + shape.view +
                  ": it was made by another version of Millrace";
        return {};
    }
    std::string sql = view->substr(select) + " WHERE 1";
    if (!query.account.empty()) {
        sql += std::string{" AND "} + shape.account;
    }
    if (!query.signal.empty()) {
        sql += std::string{" AND "} + shape.signal;
    }
    if (query.intent != 0) {
        sql += std::string{" AND "} + shape.intent;
    }
    if (query.open_only) {
        sql += std::string{" AND "} + shape.open;
    }
    if (query.since) {
        sql += std::string{" AND "} + shape.time + " >= ?3";
    }
    if (query.until) {
        sql += std::string{" AND "} + shape.time + " < ?4";
    }
    return sql + " ORDER BY " + shape.order + " LIMIT ?5";
}

bool bind(sqlite3* db, sqlite3_stmt* s, const HistoryQuery& query, std::string& message) {
    if (!query.account.empty()) {
        const auto account = find_account(db, query.account, message);
        if (!account) {
            return false;
        }
        sqlite3_bind_int64(s, 1, *account);
    }
    if (!query.signal.empty()) {
        const auto id = parse_uuid(query.signal);
        if (!id) {
            message = query.signal + ": not a signal's id (a UUID of 32 hex digits)";
            return false;
        }
        sqlite3_bind_blob(s, 2, id->data(), static_cast<int>(id->size()), SQLITE_TRANSIENT);
    }
    if (query.since) {
        sqlite3_bind_int64(s, 3, *query.since);
    }
    if (query.until) {
        sqlite3_bind_int64(s, 4, *query.until);
    }
    if (query.intent != 0) {
        sqlite3_bind_int64(s, 6, static_cast<std::int64_t>(query.intent));
    }
    sqlite3_bind_int64(s, 5, std::int64_t{query.limit} + 1);  // one more tells that there is more
    return true;
}

Cell cell(sqlite3_stmt* s, int i) {
    switch (sqlite3_column_type(s, i)) {
        case SQLITE_NULL: return {};
        case SQLITE_INTEGER: return static_cast<std::int64_t>(sqlite3_column_int64(s, i));
        case SQLITE_FLOAT: return sqlite3_column_double(s, i);
        default: break;
    }
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(s, i));
    return std::string{text, static_cast<std::size_t>(sqlite3_column_bytes(s, i))};
}

}  // namespace

std::optional<History> ask_history(const std::string& path, const HistoryQuery& query,
                                   std::string& message) {
    if (query.limit == 0) {
        message = "a limit of 0 rows shows nothing; give 1 or more";
        return {};
    }
    if (!query.signal.empty() && *shape_of(query.of).signal == '\0') {
        message = "accounts are not of a signal; ask for its orders or executions";
        return {};
    }
    if (query.intent != 0 && *shape_of(query.of).intent == '\0') {
        message = "accounts are not of an order; ask for the order itself";
        return {};
    }
    if (query.open_only && *shape_of(query.of).open == '\0') {
        message = "only orders and positions are open or not";
        return {};
    }
    const Db db = open_store(path, message);
    if (db == nullptr) {
        return {};
    }
    const auto sql = sql_for(db.get(), query, message);
    if (!sql) {
        return {};
    }
    int rc = SQLITE_OK;
    const Statement s = prepare(db.get(), *sql, rc);
    if (s == nullptr) {
        message = trouble(path, db.get(), rc);
        return {};
    }
    if (!bind(db.get(), s.get(), query, message)) {
        return {};
    }
    History history;
    for (int i = 0; i < sqlite3_column_count(s.get()); ++i) {
        history.columns.emplace_back(sqlite3_column_name(s.get(), i));
    }
    while ((rc = sqlite3_step(s.get())) == SQLITE_ROW) {
        if (history.rows.size() == query.limit) {
            history.more = true;
            break;
        }
        auto& row = history.rows.emplace_back();
        for (int i = 0; i < sqlite3_column_count(s.get()); ++i) {
            row.push_back(cell(s.get(), i));
        }
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        message = trouble(path, db.get(), rc);
        return {};
    }
    const auto seq = one(db.get(), "SELECT seq FROM cursor WHERE id = 1", {}, rc).value_or("0");
    (void)std::from_chars(seq.data(), seq.data() + seq.size(), history.stored_seq);
    return history;
}

}  // namespace millrace
