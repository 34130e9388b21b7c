#include "tools/demo_run/known_orders.h"

#include "core/admin.h"
#include "tools/demo_run/evidence.h"
#include "tools/market/decimal.h"
#include "tools/simbroker/append_file.h"
#include "tools/simbroker/audit.h"

#include <sqlite3.h>

#include <memory>

namespace millrace::demo {
namespace {

using Volumes = std::map<std::pair<std::uint64_t, std::uint64_t>, std::int64_t>;  // login, number

struct CloseDb {
    void operator()(sqlite3* db) const noexcept { ::sqlite3_close(db); }
};
struct Finalize {
    void operator()(sqlite3_stmt* s) const noexcept { ::sqlite3_finalize(s); }
};

/// Rows of `sql`: account id, number, volume. Those of volume 0 are left out.
bool volumes_of(sqlite3* db, const char* sql, const std::map<std::uint32_t, std::uint64_t>& logins,
                Volumes& out) {
    sqlite3_stmt* raw = nullptr;
    const int prepared = ::sqlite3_prepare_v2(db, sql, -1, &raw, nullptr);
    const std::unique_ptr<sqlite3_stmt, Finalize> statement{raw};
    int step = prepared == SQLITE_OK ? ::sqlite3_step(raw) : prepared;
    for (; step == SQLITE_ROW; step = ::sqlite3_step(raw)) {
        const auto login = logins.find(static_cast<std::uint32_t>(::sqlite3_column_int64(raw, 0)));
        const auto number = static_cast<std::uint64_t>(::sqlite3_column_int64(raw, 1));
        if (const std::int64_t volume = ::sqlite3_column_int64(raw, 2); volume != 0) {
            out[{login == logins.end() ? 0 : login->second, number}] += volume;
        }
    }
    std::erase_if(out, [](const auto& v) { return v.second == 0; });  // netted to nothing
    return step == SQLITE_DONE;
}

/// What is in one of them and not, or otherwise, in the other.
void compare(const char* what, const Volumes& ours, const Volumes& theirs, KnownOrders& known) {
    const auto say = [&](const auto& key, std::int64_t mine, std::int64_t brokers) {
        known.problems.push_back("login " + std::to_string(key.first) + ", " + what + " " +
                                 std::to_string(key.second) + ": the store has " +
                                 market::format_decimal(mine) + " lots, the books " +
                                 market::format_decimal(brokers));
    };
    for (const auto& [key, volume] : theirs) {
        const auto at = ours.find(key);
        if (at == ours.end() || at->second != volume) {
            say(key, at == ours.end() ? 0 : at->second, volume);
        }
    }
    for (const auto& [key, volume] : ours) {
        if (!theirs.contains(key)) {
            say(key, volume, 0);
        }
    }
}

}  // namespace

KnownOrders compare_known_orders(const std::string& books, const std::string& store,
                                 const std::map<std::uint32_t, std::uint64_t>& logins) {
    KnownOrders known;
    Evidence evidence{RiskSpec{}.magic_tag};
    const auto bytes = sim::read_file(books);
    const auto audit = sim::audit_books(books, RiskSpec{}.magic_tag);
    if (!bytes || !audit ||
        !sim::scan_books(bytes.value(), [&](const auto& r) { evidence.add(r); })) {
        known.problems.push_back("the broker's books cannot be read");
        return known;
    }
    Volumes executed;
    for (const auto& [key, execution] : evidence.executions()) {
        executed[key] = execution.volume;
    }
    Volumes open;
    for (const sim::BookedPosition& p : audit.value().positions) {
        open[{p.login, p.id}] = p.volume;
    }
    sqlite3* raw = nullptr;
    const int opened = ::sqlite3_open_v2(store.c_str(), &raw, SQLITE_OPEN_READWRITE, nullptr);
    const std::unique_ptr<sqlite3, CloseDb> db{raw};
    Volumes executed_by_us;
    Volumes open_by_us;
    const bool read =
        opened == SQLITE_OK &&
        volumes_of(raw, "SELECT account, intent, cum_volume FROM orders", logins, executed_by_us) &&
        // Side: 0 buys, 1 sells.
        volumes_of(raw,
                   "SELECT account, position_id, iif(side = 1, -volume, volume) FROM positions",
                   logins, open_by_us);
    if (!read) {
        known.problems.push_back("the SQLite store cannot be read");
        return known;
    }
    compare("intent", executed_by_us, executed, known);
    compare("position", open_by_us, open, known);
    known.executed = executed.size();
    known.positions = open.size();
    return known;
}

}  // namespace millrace::demo
