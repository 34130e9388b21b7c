#include "persist/clickhouse_schema.h"

#include "core/order_status.h"
#include "persist/clickhouse_rows.h"

#include <string_view>

namespace millrace {
namespace {

/// transform(column, [numbers], [words], column as text) for a type that core has words for.
template <class E>
std::string words_of(const std::string& column) {
    std::string numbers;
    std::string words;
    for (int v = 0; v < 256; ++v) {
        const std::string_view word = to_string(static_cast<E>(v));
        if (word != "?") {
            numbers += (numbers.empty() ? "" : ", ") + std::to_string(v);
            words += (words.empty() ? "'" : ", '") + std::string{word} + "'";
        }
    }
    return "transform(" + column + ", [" + numbers + "], [" + words + "], toString(" + column +
           ")) AS " + column + "_name";
}

/// What a view shows of a column: 1e-8 integers as numbers, codes with their words beside them.
std::string shown(const ClickHouseColumn& c) {
    for (const char* scaled : {"volume", "cum_volume", "price", "avg_price", "stop_loss",
                               "take_profit", "equity", "balance"}) {
        if (c.name == scaled) {
            return c.name + " / 1e8 AS " + c.name;
        }
    }
    if (c.name == "status") {
        return "status, " + words_of<OrdStatus>("status");
    }
    if (c.name == "reason") {
        return "reason, " + words_of<Reason>("reason");
    }
    if (c.name == "state") {
        return "state, " + words_of<AccountState>("state");
    }
    if (c.name == "side") {
        return "side, transform(side, [0, 1], ['BUY', 'SELL'], toString(side)) AS side_name";
    }
    if (c.name == "account" || c.name == "symbol") {
        return c.name + ", " + c.name + "_name";
    }
    return c.name;
}

/// Names of one kind of definition, as they stand.
ClickHouseView names_view(const std::string& db, const std::string& id, char kind) {
    const std::string view = id + "_names";
    return {view, "CREATE VIEW " + clickhouse_name(db, view) + " AS SELECT history, def_id AS " +
                      id + ", name AS " + id + "_name FROM " +
                      clickhouse_name(db, kClickHouseTable) + " WHERE kind = 1 AND def_kind = '" +
                      kind + "' ORDER BY history, " + id +
                      ", seq DESC, k DESC LIMIT 1 BY history, " + id};
}

/// Every change of one kind, once each, with the names of its account and symbol.
ClickHouseView changes_view(const std::string& db, const std::string& view, EffectKind kind) {
    std::string raw;
    std::string columns;
    std::string from;
    bool named[2] = {};
    for (const ClickHouseColumn& c : clickhouse_columns()) {
        if (clickhouse_uses(c, kind) && c.name != "kind") {
            raw += (raw.empty() ? "" : ", ") + c.name;
            columns += (columns.empty() ? "" : ", ") + shown(c);
            named[0] = named[0] || c.name == "account";
            named[1] = named[1] || c.name == "symbol";
        }
    }
    // FINAL: a batch that was stored twice counts once, also before its parts are merged.
    from = "SELECT " + raw + " FROM " + clickhouse_name(db, kClickHouseTable) +
           " FINAL WHERE kind = " + std::to_string(static_cast<int>(kind));
    // An alias for each subquery: modern servers ask for it, 18.16 takes it.
    const char* const ids[2] = {"account", "symbol"};
    for (int i = 0; i < 2; ++i) {
        if (named[i]) {
            const std::string id = ids[i];
            from = "SELECT * FROM (" + from + ") AS rows_of_" + id +
                   " ANY LEFT JOIN (SELECT * FROM " + clickhouse_name(db, id + "_names") +
                   ") AS names_of_" + id + " USING history, " + id;
        }
    }
    return {view, "CREATE VIEW " + clickhouse_name(db, view) + " AS SELECT " + columns + " FROM (" +
                      from + ") AS all_rows"};
}

/// The newest change of each thing that a view of changes describes.
ClickHouseView newest_view(const std::string& db, const std::string& view, EffectKind kind) {
    const std::string key = std::string{"history, "} + clickhouse_key(kind);
    return {view, "CREATE VIEW " + clickhouse_name(db, view) + " AS SELECT * FROM " +
                      clickhouse_name(db, view + "_history") + " ORDER BY " + key +
                      ", seq DESC, k DESC LIMIT 1 BY " + key};
}

}  // namespace

std::string clickhouse_name(const std::string& database, const std::string& name) {
    return "`" + database + "`.`" + name + "`";
}

std::string clickhouse_create_table(const std::string& database, bool tokens) {
    std::string columns;
    for (const ClickHouseColumn& c : clickhouse_columns()) {
        columns += (columns.empty() ? "" : ", ") + c.name + " " + c.type;
    }
    // One partition for each history: an INSERT is of one, so it is stored whole or not at all.
    return "CREATE TABLE " + clickhouse_name(database, kClickHouseTable) + " (" + columns +
           ") ENGINE = ReplacingMergeTree() PARTITION BY history"
           " ORDER BY (history, kind, seq, k)" +
           (tokens ? " SETTINGS non_replicated_deduplication_window = 1000" : "");
}

std::vector<ClickHouseView> clickhouse_views(const std::string& database) {
    std::vector<ClickHouseView> all{names_view(database, "account", 'A'),
                                    names_view(database, "symbol", 'S'),
                                    changes_view(database, "executions", EffectKind::Execution),
                                    changes_view(database, "alerts", EffectKind::Alert)};
    const struct {
        const char* name;
        EffectKind kind;
    } standing[] = {{"signals", EffectKind::Signal},
                    {"orders", EffectKind::Order},
                    {"positions", EffectKind::Position},
                    {"accounts", EffectKind::Account},
                    {"definitions", EffectKind::Definition}};
    for (const auto& s : standing) {
        all.push_back(changes_view(database, std::string{s.name} + "_history", s.kind));
        all.push_back(newest_view(database, s.name, s.kind));
    }
    return all;
}

}  // namespace millrace
