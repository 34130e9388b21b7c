// bench_sinks: rows a second of the Redis projection beside redis-benchmark, of the SQLite store
// beside the best bulk insert by hand, of ClickHouse beside bare HTTP INSERTs; the stores' writers
// alone, over effects in memory, in turns.
//
//     bench_sinks [--rounds N] [--records N] [--stores redis,sqlite,clickhouse] [--json FILE]
#include <gtest/gtest.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "bench/sinks/rounds.h"
#include "tests/shm/temp_dir.h"

namespace millrace::bench {
namespace {

struct Options {
    int rounds = 30;
    std::uint64_t records = 60'000;  // about 0.9 effects each
    std::vector<std::string> stores{"redis", "sqlite", "clickhouse"};
    std::string json;

    [[nodiscard]] bool with(const char* store) const {
        return std::find(stores.begin(), stores.end(), store) != stores.end();
    }
};

int run(const Options& o) {
    ::unsetenv("MILLRACE_CLICKHOUSE_URL");  // a server of our own
    const test::TempDir dir;
    // As a projection that can be made again: its own files cost time, and both alike.
    redis_test::RedisProcess redis{
        {dir.file("redis"), redis_test::free_port(), false, "save \"\"\nappendonly no\n"}};
    clickhouse_test::ClickHouseProcess clickhouse{dir.file("clickhouse")};
    if (o.with("redis")) {
        redis.start();
    }
    if (o.with("clickhouse")) {
        clickhouse.start();
    }
    const History history{o.records};
    Results results;
    for (int i = 0; i < o.rounds; ++i) {
        if (o.with("redis")) {
            redis_round(redis, history, results);
        }
        if (o.with("sqlite")) {
            sqlite_round(dir.str(), history, results);
        }
        if (o.with("clickhouse")) {
            clickhouse_round(clickhouse, history, results);
        }
    }
    for (const char* group : {kRedisGroup, kSqliteGroup, kClickHouseGroup}) {
        results.print(group);
    }
    return o.json.empty() || results.write(o.json) ? 0 : 1;
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
    // What starts the servers says what went wrong as a test does: here that is the end.
    testing::InitGoogleTest(&argc, argv);
    GTEST_FLAG_SET(throw_on_failure, true);
    millrace::bench::Options o;
    CLI::App app{"rows a second of the stores' writers beside the best by hand"};
    app.add_option("--rounds", o.rounds)->check(CLI::Range(1, 1000))->capture_default_str();
    app.add_option("--records", o.records)
        ->check(CLI::Range(1'000, 10'000'000))
        ->capture_default_str();
    app.add_option("--stores", o.stores)
        ->delimiter(',')
        ->check(CLI::IsMember({"redis", "sqlite", "clickhouse"}));
    app.add_option("--json", o.json, "where to write the results");
    CLI11_PARSE(app, argc, argv);
    return millrace::bench::run(o);
}
