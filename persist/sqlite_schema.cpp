#include "persist/sqlite_schema.h"

#include "core/effect.h"
#include "core/order_status.h"

namespace millrace {
namespace {

// Every table of the pipeline ends with seq, k, time_ns of the effect that wrote the row last: an
// effect changes only rows that an earlier one wrote. Prices, volumes and money are 1e-8 integers.
constexpr const char* kTables = R"sql(
CREATE TABLE cursor (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch INTEGER NOT NULL, seq INTEGER NOT NULL, k INTEGER NOT NULL,
    chain INTEGER NOT NULL,        -- of the effects log at seq; bits of a uint64
    effects INTEGER NOT NULL,      -- stored since this file began
    updated_ns INTEGER NOT NULL);
INSERT INTO cursor VALUES (1, 0, 0, 0, 0, 0, 0);
CREATE TABLE store_events (        -- what befell the store itself: made, rebuilt
    at_ns INTEGER NOT NULL, event TEXT NOT NULL, detail TEXT NOT NULL);
CREATE TABLE names (               -- what a number means
    domain TEXT NOT NULL, value INTEGER NOT NULL, name TEXT NOT NULL,
    PRIMARY KEY (domain, value)) WITHOUT ROWID;
CREATE TABLE definitions (         -- kind: S symbol, G group, A account, O source
    kind TEXT NOT NULL, id INTEGER NOT NULL, name TEXT NOT NULL,
    seq INTEGER NOT NULL, k INTEGER NOT NULL, time_ns INTEGER NOT NULL,
    PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE TABLE signals (
    id BLOB NOT NULL PRIMARY KEY,  -- 16 bytes of the UUID
    target BLOB,                   -- NULL: opens
    source INTEGER, grp INTEGER, symbol INTEGER,
    action INTEGER NOT NULL, side INTEGER NOT NULL, price_kind INTEGER NOT NULL,
    done INTEGER NOT NULL, reason INTEGER NOT NULL,
    accounts INTEGER NOT NULL, filled INTEGER NOT NULL, rejected INTEGER NOT NULL,
    volume INTEGER NOT NULL, price INTEGER NOT NULL,
    stop_loss INTEGER NOT NULL, take_profit INTEGER NOT NULL,
    send_ns INTEGER NOT NULL, accepted_ns INTEGER NOT NULL,
    seq INTEGER NOT NULL, k INTEGER NOT NULL, time_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE orders (
    intent INTEGER PRIMARY KEY,    -- the order through all its attempts
    magic INTEGER NOT NULL,        -- of the latest attempt
    signal BLOB, account INTEGER, symbol INTEGER,
    type INTEGER NOT NULL, side INTEGER NOT NULL, price_kind INTEGER NOT NULL,
    status INTEGER NOT NULL, reason INTEGER NOT NULL,
    attempts INTEGER NOT NULL, retcode INTEGER NOT NULL,
    volume INTEGER NOT NULL, cum_volume INTEGER NOT NULL,
    price INTEGER NOT NULL, avg_price INTEGER NOT NULL,
    stop_loss INTEGER NOT NULL, take_profit INTEGER NOT NULL,
    order_ticket INTEGER NOT NULL, position_id INTEGER NOT NULL,
    created_ns INTEGER NOT NULL, deadline_ns INTEGER NOT NULL,
    seq INTEGER NOT NULL, k INTEGER NOT NULL, time_ns INTEGER NOT NULL);
CREATE INDEX orders_by_signal ON orders (signal);
CREATE INDEX orders_by_account ON orders (account, created_ns);
CREATE TABLE executions (          -- keyed by the effect: a deal told twice would be two rows
    deal_ticket INTEGER NOT NULL, magic INTEGER NOT NULL, account INTEGER, symbol INTEGER,
    side INTEGER NOT NULL, exec_kind INTEGER NOT NULL, entry INTEGER NOT NULL,
    volume INTEGER NOT NULL, price INTEGER NOT NULL,
    order_ticket INTEGER NOT NULL, position_id INTEGER NOT NULL, broker_ns INTEGER NOT NULL,
    seq INTEGER NOT NULL, k INTEGER NOT NULL, time_ns INTEGER NOT NULL,
    PRIMARY KEY (seq, k)) WITHOUT ROWID;
CREATE INDEX executions_by_deal ON executions (account, deal_ticket);
CREATE INDEX executions_by_magic ON executions (magic);
CREATE TABLE positions (           -- volume 0: closed
    account INTEGER NOT NULL, position_id INTEGER NOT NULL, magic INTEGER NOT NULL,
    symbol INTEGER, signal BLOB, side INTEGER NOT NULL,
    volume INTEGER NOT NULL, open_price INTEGER NOT NULL,
    stop_loss INTEGER NOT NULL, take_profit INTEGER NOT NULL,
    seq INTEGER NOT NULL, k INTEGER NOT NULL, time_ns INTEGER NOT NULL,
    PRIMARY KEY (account, magic, position_id)) WITHOUT ROWID;
CREATE TABLE accounts (
    account INTEGER PRIMARY KEY, state INTEGER NOT NULL, link INTEGER NOT NULL,
    permissions INTEGER NOT NULL, equity INTEGER NOT NULL, balance INTEGER NOT NULL,
    live_orders INTEGER NOT NULL, open_positions INTEGER NOT NULL,
    seq INTEGER NOT NULL, k INTEGER NOT NULL, time_ns INTEGER NOT NULL);
CREATE TABLE alerts (
    code INTEGER NOT NULL, account INTEGER, magic INTEGER NOT NULL, signal BLOB,
    detail INTEGER NOT NULL,
    seq INTEGER NOT NULL, k INTEGER NOT NULL, time_ns INTEGER NOT NULL,
    PRIMARY KEY (seq, k)) WITHOUT ROWID;
)sql";

// Views for people. {name:DOMAIN:COLUMN}, {def:KIND:COLUMN}, {uuid:COLUMN}, {dec:COLUMN},
// {time:COLUMN} are spelled out by expand(). REAL division happens here and nowhere else.
constexpr const char* kViews = R"sql(
CREATE VIEW v_signals AS SELECT {uuid:id} AS id, {uuid:target} AS target,
    {def:O:source} AS source, {def:G:grp} AS "group", {def:S:symbol} AS symbol,
    {name:signal_action:action} AS action, {name:side:side} AS side,
    {name:price_kind:price_kind} AS price_kind, {dec:volume} AS volume, {dec:price} AS price,
    {dec:stop_loss} AS stop_loss, {dec:take_profit} AS take_profit,
    {name:reason:reason} AS reason, accounts, filled, rejected, done,
    {time:send_ns} AS sent, {time:accepted_ns} AS accepted, seq FROM signals AS t;
CREATE VIEW v_orders AS SELECT intent, magic, {uuid:signal} AS signal,
    {def:A:account} AS account, {def:S:symbol} AS symbol, {name:command_type:type} AS type,
    {name:side:side} AS side, {name:price_kind:price_kind} AS price_kind,
    {name:ord_status:status} AS status, {name:reason:reason} AS reason, attempts, retcode,
    {dec:volume} AS volume, {dec:cum_volume} AS cum_volume, {dec:price} AS price,
    {dec:avg_price} AS avg_price, {dec:stop_loss} AS stop_loss, {dec:take_profit} AS take_profit,
    order_ticket, position_id, {time:created_ns} AS created, {time:deadline_ns} AS deadline,
    {time:time_ns} AS changed, seq FROM orders AS t;
CREATE VIEW v_executions AS SELECT deal_ticket, magic, {def:A:account} AS account,
    {def:S:symbol} AS symbol, {name:side:side} AS side, {name:exec_kind:exec_kind} AS exec_kind,
    {name:entry:entry} AS entry, {dec:volume} AS volume, {dec:price} AS price, order_ticket,
    position_id, {time:broker_ns} AS broker_time, {time:time_ns} AS stored, seq
    FROM executions AS t;
CREATE VIEW v_positions AS SELECT {def:A:account} AS account, position_id, magic,
    {def:S:symbol} AS symbol, {uuid:signal} AS signal, {name:side:side} AS side,
    {dec:volume} AS volume, {dec:open_price} AS open_price, {dec:stop_loss} AS stop_loss,
    {dec:take_profit} AS take_profit, volume > 0 AS open, {time:time_ns} AS changed, seq
    FROM positions AS t;
CREATE VIEW v_accounts AS SELECT {def:A:account} AS account, account AS id,
    {name:account_state:state} AS state, {name:link_state:link} AS link, permissions,
    {dec:equity} AS equity, {dec:balance} AS balance, live_orders, open_positions,
    {time:time_ns} AS changed, seq FROM accounts AS t;
CREATE VIEW v_alerts AS SELECT {time:time_ns} AS time, {name:alert_code:code} AS alert,
    {def:A:account} AS account, magic, {uuid:signal} AS signal, detail, seq FROM alerts AS t;
)sql";

/// Version 2: accounts and groups can be paused and removed.
constexpr const char* kGroupState =
    "ALTER TABLE definitions ADD COLUMN state INTEGER NOT NULL DEFAULT 0;";
constexpr const char* kGroupView = R"sql(
CREATE VIEW v_groups AS SELECT name AS "group", id, {name:group_state:state} AS state,
    {time:time_ns} AS changed, seq FROM definitions AS t WHERE kind = 'G';
)sql";

std::string expand_one(const std::string& word, const std::string& first,
                       const std::string& second) {
    if (word == "name") {
        return "coalesce((SELECT name FROM names WHERE domain = '" + first + "' AND value = t." +
               second + "), t." + second + ")";
    }
    if (word == "def") {
        return "coalesce((SELECT name FROM definitions WHERE kind = '" + first + "' AND id = t." +
               second + "), t." + second + ")";
    }
    if (word == "uuid") {
        const std::string h = "hex(t." + first + ")";
        return "CASE WHEN t." + first + " IS NULL THEN NULL ELSE lower(substr(" + h +
               ",1,8)||'-'||substr(" + h + ",9,4)||'-'||substr(" + h + ",13,4)||'-'||substr(" + h +
               ",17,4)||'-'||substr(" + h + ",21)) END";
    }
    if (word == "dec") {
        return "t." + first + " / 1e8";
    }
    ASSERT(word == "time");
    return "CASE WHEN t." + first + " = 0 THEN NULL ELSE strftime('%Y-%m-%dT%H:%M:%fZ', t." +
           first + " / 1e9, 'unixepoch') END";
}

/// Spells out the {word:first:second} parts of `sql`.
std::string expand(std::string_view sql) {
    std::string out;
    while (true) {
        const std::size_t open = sql.find('{');
        out += sql.substr(0, open);
        if (open == std::string_view::npos) {
            return out;
        }
        const std::size_t close = sql.find('}', open);
        ASSERT(close != std::string_view::npos);
        const std::string_view part = sql.substr(open + 1, close - open - 1);
        const std::size_t a = part.find(':');
        const std::size_t b = part.find(':', a + 1);
        const bool two = b != std::string_view::npos;
        out += expand_one(std::string{part.substr(0, a)},
                          std::string{part.substr(a + 1, two ? b - a - 1 : std::string_view::npos)},
                          two ? std::string{part.substr(b + 1)} : std::string{});
        sql.remove_prefix(close + 1);
    }
}

// Written by the sinks whose failures they are, each through a connection of its own.
constexpr const char* kFailedSyncs = R"sql(
CREATE TABLE failed_syncs (        -- what a store did not take at once; the rows are in the log
    sink TEXT NOT NULL,            -- 'clickhouse'
    after_seq INTEGER NOT NULL, after_k INTEGER NOT NULL,  -- the batch begins behind this
    to_seq INTEGER NOT NULL, to_k INTEGER NOT NULL,        -- and ends here
    batch_rows INTEGER NOT NULL,
    failures INTEGER NOT NULL, error TEXT NOT NULL,
    first_failed_ns INTEGER NOT NULL, last_failed_ns INTEGER NOT NULL,
    synced_ns INTEGER,             -- NULL: still tried
    PRIMARY KEY (sink, first_failed_ns)) WITHOUT ROWID;
)sql";

// Whose cursor it is: the instance of the journal directory (persist/reservation.h). Who makes a
// new directory of what the store knows needs it, or terminals would refuse that directory.
constexpr const char* kInstance =
    "ALTER TABLE cursor ADD COLUMN instance INTEGER NOT NULL DEFAULT 0;";

// A store that was filled from a log of which retention had taken the beginning lacks positions
// that have no row at all. One that has the beginning shows it: a log begins with a jump and the
// Start of a new segment, whose alert no later record writes over and nobody deletes. (The first
// order is no sign: its id is drawn.)
constexpr const char* kShowsWhole = "EXISTS (SELECT 1 FROM alerts WHERE seq <= 2 AND code = 11)";
static_assert(static_cast<int>(AlertCode::SegmentLost) == 11);
constexpr const char* kWhole =
    "ALTER TABLE cursor ADD COLUMN whole INTEGER NOT NULL DEFAULT 0; UPDATE cursor SET whole = ";

// What no effect tells of bears a checksum from here on; and people are shown words for the bits
// of an account.
std::string summed() {
    std::string sql;
    for (const SqliteSummed& t : {kSqliteCursorSum, kSqliteFailedSyncsSum, kSqliteStoreEventsSum}) {
        sql += std::string{"ALTER TABLE "} + t.table +
               " ADD COLUMN sum INTEGER NOT NULL DEFAULT 0; " + sqlite_seal(t);
    }
    return sql;
}
constexpr const char* kAccountView = R"sql(
DROP VIEW v_accounts;
CREATE VIEW v_accounts AS SELECT {def:A:account} AS account, account AS id,
    {name:account_state:state} AS state, {name:link_state:link} AS link,
    CASE WHEN t.permissions & 1 THEN 'MAY_TRADE' ELSE 'MAY_NOT_TRADE' END AS broker,
    CASE WHEN t.permissions & 128 THEN coalesce((SELECT name FROM names
        WHERE domain = 'account_state' AND value = t.permissions >> 1 & 7),
        t.permissions >> 1 & 7) END AS state_once_up,
    {dec:equity} AS equity, {dec:balance} AS balance, live_orders, open_positions,
    {time:time_ns} AS changed, seq FROM accounts AS t;
)sql";

/// Step n brings a file from user_version n to n + 1. Steps are never changed once released; a new
/// layout is a new step, and a file of any age walks through all it has not seen.
std::string migration(std::size_t step) {
    switch (step) {
        case 0: return std::string{kTables} + expand(kViews);
        case 1: return std::string{kGroupState} + expand(kGroupView);
        case 2: return kFailedSyncs;
        case 3: return kInstance;
        case 4: return kWhole + std::string{kShowsWhole} + ";";
        case 5: return summed() + expand(kAccountView);
        default: return {};
    }
}
constexpr std::int64_t kVersion = 6;

struct Word {
    const char* domain;
    std::int64_t value;
    std::string_view name;
};
constexpr Word kWords[] = {
    {"side", 0, "BUY"},
    {"side", 1, "SELL"},
    {"entry", 0, "IN"},
    {"entry", 1, "OUT"},
    {"price_kind", 0, "MARKET"},
    {"price_kind", 1, "LIMIT"},
    {"price_kind", 2, "STOP"},
    {"signal_action", 1, "OPEN"},
    {"signal_action", 2, "CLOSE"},
    {"signal_action", 3, "MODIFY"},
    {"signal_action", 4, "CANCEL"},
    {"command_type", 1, "OPEN"},
    {"command_type", 2, "CLOSE"},
    {"command_type", 3, "MODIFY"},
    {"command_type", 4, "CANCEL"},
    {"command_type", 5, "QUERY"},
    {"exec_kind", 0, "NONE"},
    {"exec_kind", 1, "PENDING_FILLED"},
    {"exec_kind", 2, "PENDING_CANCELED"},
    {"exec_kind", 3, "STOP_LOSS"},
    {"exec_kind", 4, "TAKE_PROFIT"},
    {"exec_kind", 5, "STOP_OUT"},
    {"exec_kind", 6, "MANUAL"},
    {"exec_kind", 7, "KILL"},
    {"exec_kind", 8, "FOREIGN"},
    {"alert_code", 1, "ORDER_IN_DOUBT"},
    {"alert_code", 2, "DUPLICATE_EXECUTION"},
    {"alert_code", 3, "ACCOUNT_SUSPENDED"},
    {"alert_code", 4, "LINK_DOWN"},
    {"alert_code", 5, "KILLED"},
    {"alert_code", 6, "FOREIGN_TRADE"},
    {"alert_code", 7, "LEDGER_FULL"},
    {"alert_code", 8, "TABLE_FULL"},
    {"alert_code", 9, "EXECUTOR_JOURNAL_LOST"},
    {"alert_code", 10, "UNKNOWN_REPORT"},
    {"alert_code", 11, "SEGMENT_LOST"},
    {"alert_code", 12, "SEQUENCE_SKIPPED"},
    {"alert_code", 13, "LOSS_LIMIT"},
    {"alert_code", 14, "RATE_PAUSED"},
    {"alert_code", 15, "NO_MONEY"},
    {"alert_code", 16, "SLIPPAGE"},
    {"alert_code", 17, "MARKET_CLOSED"},
    {"alert_code", 18, "DUPLICATE_ORDER"},
    {"alert_code", 19, "WEEK_END"},
    {"alert_code", 30, "SYMBOL_BLOCKED"},
    {"alert_code", 31, "PARTIAL_FILL"},
    {"alert_code", 32, "OWN_CLOSE_FAILED"},
    {"alert_code", 33, "LATE_CLOSE"},
    {"alert_code", 34, "STANDBY_TOOK"},
    {"alert_code", 35, "BROKER_LIMIT"},
};

Status put_word(SqliteStatement& put, const Word& word) noexcept {
    return put.bind_text(word.domain).bind(word.value).bind_text(word.name).run();
}

/// Words that core spells out by itself: every value that it has a name for.
Status put_core_words(SqliteStatement& put) noexcept {
    for (int v = 0; v < 256; ++v) {
        const auto byte = static_cast<std::uint8_t>(v);
        for (const Word& word : {
                 Word{"ord_status", v, to_string(static_cast<OrdStatus>(byte))},
                 Word{"account_state", v, to_string(static_cast<AccountState>(byte))},
                 Word{"group_state", v, to_string(static_cast<GroupState>(byte))},
                 Word{"link_state", v, to_string(static_cast<LinkState>(byte))},
                 Word{"reason", v, to_string(static_cast<Reason>(byte))},
             }) {
            if (word.name == "?") {
                continue;
            }
            if (auto done = put_word(put, word); !done) {
                return done;
            }
        }
    }
    return ok_status();
}

Status put_words(SqliteDb& db) noexcept {
    auto put = db.prepare(
        "INSERT INTO names VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET "
        "name = excluded.name WHERE name <> excluded.name");
    if (!put) {
        return put.error();
    }
    for (const Word& word : kWords) {
        if (auto done = put_word(put.value(), word); !done) {
            return done;
        }
    }
    return put_core_words(put.value());
}

/// Runs `work` in a transaction of its own; nothing of it stays if it fails.
template <class Work>
Status transact(SqliteDb& db, Work work) noexcept {
    Status done = db.exec("BEGIN IMMEDIATE");
    if (done) {
        done = work();
    }
    if (done) {
        done = db.exec("COMMIT");
    }
    if (!done && db.in_transaction()) {
        // A failed rollback leaves the transaction to SQLite's own recovery at the next open.
        (void)db.exec("ROLLBACK");
    }
    return done;
}

/// Refuses a database that somebody else made.
Status check_ours(SqliteDb& db) noexcept {
    const auto id = db.number("PRAGMA application_id");
    const auto tables = db.number("SELECT count(*) FROM sqlite_master");
    if (!id || !tables) {
        return id ? tables.error() : id.error();
    }
    if (id.value() != kSqliteApplicationId && (id.value() != 0 || tables.value() != 0)) {
        return {Errc::BadMagic, "a database of another program; give the store a path of its own"};
    }
    return ok_status();
}

}  // namespace

std::int64_t sqlite_schema_version() noexcept {
    return kVersion;
}

const char* sqlite_shows_whole() noexcept {
    return kShowsWhole;
}

std::string sqlite_seal(const SqliteSummed& table) {
    return std::string{"UPDATE "} + table.table + " SET sum = " + table.sum + "; ";
}

Status sqlite_put_words(SqliteDb& db) noexcept {
    const Status emptied = db.exec("DELETE FROM names");
    return emptied ? put_words(db) : emptied;
}

Status sqlite_migrate(SqliteDb& db) noexcept {
    if (auto ours = check_ours(db); !ours) {
        return ours;
    }
    const auto found = db.number("PRAGMA user_version");
    if (!found) {
        return found.error();
    }
    if (found.value() > kVersion) {
        return {Errc::BadVersion, "made by a newer build; run that one, or move the file away"};
    }
    for (std::int64_t at = found.value(); at < kVersion; ++at) {
        const std::string sql = migration(static_cast<std::size_t>(at)) +
                                "PRAGMA application_id = " + std::to_string(kSqliteApplicationId) +
                                "; PRAGMA user_version = " + std::to_string(at + 1) + ";";
        if (auto done = transact(db, [&] { return db.exec(sql); }); !done) {
            return done;
        }
    }
    return transact(db, [&] { return put_words(db); });
}

}  // namespace millrace
