#include "bench/sinks/rounds.h"
#include "persist/redis_store.h"
#include "shm/clock.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <string_view>

namespace millrace::bench {
namespace {

constexpr std::size_t kBatchRows = 1000;  // RedisSinkOptions::batch_rows
constexpr const char* kPrefix = "millrace:bench:";
constexpr std::uint64_t kKeys = 1'000'000;  // of redis-benchmark: nearly all are new

struct Sent {
    std::size_t rows = 0;     // hashes
    std::size_t results = 0;  // entries of the stream
    std::int64_t ns = 0;
};

Sent ours(redis_test::RedisProcess& server, const std::vector<History::Batch>& batches) {
    (void)server.ask({"FLUSHALL"});
    RedisLink link = server.link();
    RedisStoreOptions options;
    options.prefix = kPrefix;
    RedisStore store{options};
    must(store.open(link).ok() && store.begin_rebuild(false).ok(), "Redis", store.message());
    Sent sent;
    const std::int64_t began = monotonic_ns();
    for (const History::Batch& batch : batches) {
        must(store.store(batch.effects, batch.cursor).ok(), "Redis", store.message());
    }
    sent.ns = monotonic_ns() - began;
    sent.rows = store.rows_written();
    sent.results =
        static_cast<std::size_t>(std::stoull(server.ask({"XLEN", std::string{kPrefix} + "RTRS"})));
    return sent;
}

/// The command that wrote `key`, with a number for redis-benchmark to put in at its end.
std::string hset_like(redis_test::RedisProcess& server, const std::string& key) {
    const std::size_t number = key.rfind(':') + 1;
    RedisLink link = server.link();
    const auto fields = link.call({"HGETALL", key});
    must(fields.ok(), "Redis", link.message());
    std::string command = "HSET '" + key.substr(0, number) + "__rand_int__'";
    for (std::size_t i = 0; i < fields.value().size(); ++i) {
        command += " '" + std::string{fields.value()[i].text()} + "'";
    }
    return command;
}

std::string xadd_like(redis_test::RedisProcess& server) {
    RedisLink link = server.link();
    const auto last =
        link.call({"XREVRANGE", std::string{kPrefix} + "RTRS", "+", "-", "COUNT", "1"});
    must(last.ok() && last.value().size() == 1, "Redis", "no results");
    const RedisView fields = last.value()[0][1];
    std::string command = "XADD '" + std::string{kPrefix} + "RTRS' '*'";
    for (std::size_t i = 0; i < fields.size(); ++i) {
        command += " '" + std::string{fields[i].text()} + "'";
    }
    return command;
}

/// Commands a second by redis-benchmark over one connection: `count` of them, and what makes the
/// last flight full, since now and then it gives up over one that is not.
double benchmark(redis_test::RedisProcess& server, std::size_t count, std::size_t in_flight,
                 const std::string& command) {
    count = (count + in_flight - 1) / in_flight * in_flight;
    const std::string line = "redis-benchmark -h 127.0.0.1 -p " + std::to_string(server.at().port) +
                             " -c 1 -P " + std::to_string(in_flight) + " -n " +
                             std::to_string(count) + " -r " + std::to_string(kKeys) + " -q " +
                             command + " 2>&1";
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out{::popen(line.c_str(), "r"),
                                                              &::pclose};
    must(out != nullptr, "redis-benchmark", "cannot be run");
    std::string text;
    char bytes[4096];
    for (std::size_t n = 0; (n = std::fread(bytes, 1, sizeof bytes, out.get())) > 0;) {
        text.append(bytes, n);
    }
    // "HSET ...: 33003.30 requests per second, p50=..."
    const std::size_t end = text.find(" requests per second");
    must(end != std::string::npos, line, text);
    return std::stod(text.substr(text.rfind(' ', end - 1) + 1));
}

/// A key of each kind that `ours` has left there, and how many rows are of it.
std::map<std::string, std::pair<std::string, std::size_t>> kinds(redis_test::RedisProcess& server,
                                                                 std::span<const Effect> effects) {
    std::map<std::string, std::pair<std::string, std::size_t>> found;
    RedisRow row;
    for (const Effect& e : effects) {
        if (redis_row(e, row)) {
            const std::string key{row.key()};
            auto& [sample, count] = found[key.substr(0, key.find(':'))];
            sample = std::string{kPrefix} + "g1:" + key;
            ++count;
        }
    }
    for (const auto& [kind, one] : found) {
        must(server.ask({"EXISTS", one.first}) == "1", "Redis", one.first + " is not there");
    }
    return found;
}

}  // namespace

void redis_round(redis_test::RedisProcess& server, const History& history, Results& results) {
    const auto batches = history.batches(kBatchRows);
    const Sent sent = ours(server, batches);
    note(results, kRedisGroup, "millrace", Part::Ours, sent.rows + sent.results, sent.ns);

    // As many of each kind as we have sent; a batch's rows of which a later one replaces an earlier
    // are sent once, so the kinds' shares are taken and not their counts.
    const auto of_kind = kinds(server, history.batches(history.rows()).front().effects);
    std::size_t all = 0;
    for (const auto& [kind, one] : of_kind) {
        all += one.second;
    }
    const std::size_t in_flight = (sent.rows + sent.results) / batches.size();
    std::vector<std::pair<std::string, std::size_t>> commands;
    for (const auto& [kind, one] : of_kind) {
        commands.emplace_back(hset_like(server, one.first), sent.rows * one.second / all);
    }
    commands.emplace_back(xadd_like(server), sent.results);
    (void)server.ask({"FLUSHALL"});
    double seconds = 0;
    std::size_t count = 0;
    for (const auto& [command, times] : commands) {
        seconds += static_cast<double>(times) / benchmark(server, times, in_flight, command);
        count += times;
    }
    note(results, kRedisGroup, "redis-benchmark, the same lengths and depth", Part::Rival, count,
         static_cast<std::int64_t>(seconds * 1e9));
}

}  // namespace millrace::bench
