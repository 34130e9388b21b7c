// Rounds of bench_sinks: each store's own writer and what is done by hand take turns over the same
// effects, in batches as large as the sink makes them when it is behind.
#pragma once

#include "bench/lib/results.h"
#include "core/effect.h"
#include "persist/effect_source.h"
#include "tests/clickhouse/server.h"
#include "tests/redis/server.h"

#include <span>
#include <string>
#include <vector>

namespace millrace::bench {

/// A history of signals, orders, deals and positions of the present, in memory.
class History {
public:
    struct Batch {
        std::span<const Effect> effects;
        EffectCursor cursor;  // after them
    };
    explicit History(std::uint64_t records);

    [[nodiscard]] std::size_t rows() const noexcept { return effects_.size(); }
    /// Whole records, at least `rows` effects in each batch but the last.
    [[nodiscard]] std::vector<Batch> batches(std::size_t rows) const;

private:
    std::vector<Effect> effects_;
    std::vector<std::size_t> ends_;  // of each record with effects, in effects_
};

/// One turn's rows a second. Ends the program if `ok` is false, with `message`.
void note(Results& results, const std::string& group, const std::string& name, Part part,
          std::size_t rows, std::int64_t ns);
void must(bool ok, const std::string& what, const std::string& message);

inline constexpr const char* kRedisGroup = "rows a second, Redis projection";
inline constexpr const char* kSqliteGroup = "rows a second, SQLite store";
inline constexpr const char* kClickHouseGroup = "rows a second, ClickHouse";

/// RedisStore beside redis-benchmark over one connection with as many commands in flight, of the
/// same lengths and numbers of fields.
void redis_round(redis_test::RedisProcess& server, const History& history, Results& results);
/// SqliteStore beside prepared INSERTs without a thought for repeats: in transactions as large as
/// its own, of the last word on each row, as it writes them, and of every word; and in one of all.
void sqlite_round(const std::string& folder, const History& history, Results& results);
/// ClickHouseStore, with its compression and without, beside bare HTTP INSERTs of rows that are
/// there already.
void clickhouse_round(const clickhouse_test::ClickHouseProcess& server, const History& history,
                      Results& results);

}  // namespace millrace::bench
