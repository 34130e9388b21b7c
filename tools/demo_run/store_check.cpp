#include "tools/demo_run/store_check.h"

#include <sqlite3.h>

#include <memory>

namespace millrace::demo {
namespace {

struct CloseDb {
    void operator()(sqlite3* db) const noexcept { ::sqlite3_close(db); }
};
struct Finalize {
    void operator()(sqlite3_stmt* s) const noexcept { ::sqlite3_finalize(s); }
};

bool count(sqlite3* db, const char* sql, std::uint64_t& out) {
    sqlite3_stmt* raw = nullptr;
    const int prepared = ::sqlite3_prepare_v2(db, sql, -1, &raw, nullptr);
    const std::unique_ptr<sqlite3_stmt, Finalize> statement{raw};
    if (prepared != SQLITE_OK || ::sqlite3_step(raw) != SQLITE_ROW) {
        return false;
    }
    out = static_cast<std::uint64_t>(::sqlite3_column_int64(raw, 0));
    return true;
}

}  // namespace

Result<StoreCounts> read_store(const std::string& path, std::string& message) {
    sqlite3* raw = nullptr;
    const int opened = ::sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE, nullptr);
    const std::unique_ptr<sqlite3, CloseDb> db{raw};
    StoreCounts c;
    const bool ok =
        opened == SQLITE_OK &&
        count(raw, "SELECT count(*) FROM signals WHERE reason = 0", c.signals_accepted) &&
        count(raw, "SELECT count(*) FROM orders", c.orders) &&
        // Final states are the FIX characters 2, 4, 8 and C.
        count(raw, "SELECT count(*) FROM orders WHERE status NOT IN (50, 52, 56, 67)",
              c.orders_not_final) &&
        count(raw, "SELECT count(*) FROM (SELECT DISTINCT account, deal_ticket FROM executions)",
              c.deals);
    if (!ok) {
        message = path + ": " + (raw != nullptr ? ::sqlite3_errmsg(raw) : "out of memory");
        return {Errc::IoError, "sqlite"};
    }
    return c;
}

}  // namespace millrace::demo
