#include "persist/sqlite_layout.h"

#include <map>

#include "persist/sqlite_schema.h"

namespace millrace {
namespace {

using Layout = std::map<std::string, std::string>;  // by type and name

struct Ours {
    Layout layout;
    Layout words;
};

/// Key and text of each row that `sql` gives.
Result<Layout> read_pairs(SqliteDb& db, const char* sql) {
    auto rows = db.prepare(sql);
    if (!rows) {
        return rows.error();
    }
    Layout all;
    for (;;) {
        const auto row = rows.value().row();
        if (!row || !row.value()) {
            return row ? Result<Layout>{std::move(all)} : Result<Layout>{row.error()};
        }
        all.emplace(rows.value().column_text(0), rows.value().column_text(1));
    }
}

Result<Layout> layout_of(SqliteDb& db) {
    return read_pairs(db,
                      "SELECT type || ' ' || name, tbl_name || ': ' || sql FROM sqlite_master "
                      "WHERE sql IS NOT NULL");
}
Result<Layout> words_of(SqliteDb& db) {
    return read_pairs(db, "SELECT quote(domain) || quote(value), quote(name) FROM names");
}

/// As this build makes them.
const Ours& ours() {
    static const Ours made = [] {
        SqliteDb db;
        Status done = db.open(":memory:", 0);
        done = done ? sqlite_migrate(db) : done;
        ASSERT(done.ok());
        return Ours{layout_of(db).value(), words_of(db).value()};
    }();
    return made;
}

Result<std::string> odd_rows_of(SqliteDb& db, const SqliteSummed& table) {
    const auto odd = db.number(std::string{"SELECT count(*) FROM "} + table.table +
                               " WHERE sum IS NOT " + table.sum);
    if (!odd) {
        return odd.error();
    }
    return odd.value() == 0 ? std::string{}
                            : std::to_string(odd.value()) + " rows of " + table.table +
                                  " are not what was written";
}

}  // namespace

Result<std::string> sqlite_odd_layout(SqliteDb& db) {
    const auto id = db.number("PRAGMA application_id");
    const auto version = db.number("PRAGMA user_version");
    if (!id || !version) {
        return id ? version.error() : id.error();
    }
    if (id.value() != kSqliteApplicationId || version.value() != sqlite_schema_version()) {
        return std::string{"its header says that it is of another program or build"};
    }
    auto found = layout_of(db);
    if (!found) {
        return found.error();
    }
    for (const auto& [name, sql] : ours().layout) {
        if (found.value()[name] != sql) {
            return name + " is not as it was made";
        }
    }
    return std::string{};
}

Result<std::string> sqlite_odd_rows(SqliteDb& db) {
    const auto words = words_of(db);
    if (!words) {
        return words.error();
    }
    if (words.value() != ours().words) {
        return std::string{"words in `names` are not what this build shows"};
    }
    auto failed = odd_rows_of(db, kSqliteFailedSyncsSum);
    return failed && failed.value().empty() ? odd_rows_of(db, kSqliteStoreEventsSum) : failed;
}

Status sqlite_renew_rows(SqliteDb& db) noexcept {
    Status done = sqlite_put_words(db);
    const struct {
        const SqliteSummed& table;
        const char* text;
    } told[] = {{kSqliteFailedSyncsSum, "error"}, {kSqliteStoreEventsSum, "detail"}};
    for (const auto& t : told) {
        const std::string odd = std::string{" WHERE sum IS NOT "} + t.table.sum + ";";
        const std::string update = std::string{"UPDATE "} + t.table.table + " SET ";
        done = done ? db.exec(update + t.text + " = 'damaged, not to be believed: ' || coalesce(" +
                              t.text + ", '')" + odd + update + "sum = " + t.table.sum + odd)
                    : done;
    }
    return done;
}

}  // namespace millrace
