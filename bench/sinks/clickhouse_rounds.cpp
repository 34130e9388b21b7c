#include "bench/sinks/rounds.h"
#include "persist/clickhouse_store.h"
#include "shm/clock.h"

namespace millrace::bench {
namespace {

constexpr std::size_t kBatchRows = 20'000;  // ClickHouseSinkOptions::batch_rows_max

/// A database of its own with the table, empty.
ClickHouseStoreOptions fresh(const clickhouse_test::ClickHouseProcess& server, bool compress) {
    (void)server.ask("DROP DATABASE IF EXISTS bench");
    ClickHouseStoreOptions o;
    o.server = server.at();
    o.server.compress = compress;
    o.server.answer = seconds(60);
    o.database = "bench";
    return o;
}

std::int64_t ours(const ClickHouseStoreOptions& options,
                  const std::vector<History::Batch>& batches) {
    ClickHouseStore store{options};
    must(store.open().ok(), "opening", store.message());
    const std::int64_t began = monotonic_ns();
    for (const History::Batch& batch : batches) {
        must(store.store(batch.effects, batch.cursor).ok(), "storing", store.message());
    }
    return monotonic_ns() - began;
}

/// The same rows in as many INSERTs, made before the clock runs, and none that marks the cursor.
std::int64_t by_hand(const ClickHouseStoreOptions& options,
                     const std::vector<History::Batch>& batches) {
    ClickHouseStore store{options};
    must(store.open().ok(), "opening", store.message());
    std::vector<std::vector<std::byte>> bodies;
    for (const History::Batch& batch : batches) {
        auto& body = bodies.emplace_back();
        for (const Effect& e : batch.effects) {
            clickhouse_put(body, 1, e);
        }
    }
    ClickHouseHttp http{options.server};
    must(http.query("SELECT 1").ok(), "connecting", http.message());
    const std::string sql =
        "INSERT INTO " + store.table() + " (" + clickhouse_column_list() + ") FORMAT RowBinary";
    const std::int64_t began = monotonic_ns();
    for (const auto& body : bodies) {
        must(http.insert(sql, body, "").ok(), "by hand", http.message());
    }
    return monotonic_ns() - began;
}

}  // namespace

void clickhouse_round(const clickhouse_test::ClickHouseProcess& server, const History& history,
                      Results& results) {
    const auto batches = history.batches(kBatchRows);
    note(results, kClickHouseGroup, "millrace", Part::Ours, history.rows(),
         ours(fresh(server, true), batches));
    note(results, kClickHouseGroup, "millrace, \"compress\": false", Part::Ours, history.rows(),
         ours(fresh(server, false), batches));
    note(results, kClickHouseGroup, "bare HTTP INSERT of ready rows", Part::Limit, history.rows(),
         by_hand(fresh(server, false), batches));
}

}  // namespace millrace::bench
