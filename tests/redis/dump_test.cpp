// Goal: rows that go to Redis as ready bytes stand there as if they had been written field by
// field, and where the server takes no such bytes they are written field by field.
// Method: a real server's own DUMP of the same hash; a sink on a server that denies RESTORE.
#include <limits>

#include "persist/redis_dump.h"
#include "tests/redis/sink_fixture.h"

namespace millrace::redis_test {
namespace {

constexpr std::int64_t kEdges[] = {
    0,         127,       128,        4'095,      4'096,      32'767,        32'768,
    8'388'607, 8'388'608, 2147483647, 2147483648, 4294967296, 1'000'000'007, 999'999'999'999};
constexpr std::string_view kNoIntegers[] = {"",
                                            "-",
                                            "-0",
                                            "00",
                                            "007",
                                            "+1",
                                            "1.5",
                                            " 1",
                                            "1 ",
                                            "9223372036854775808",
                                            "-9223372036854775809"};

/// Calls `use` with a name for each value, as RedisFields wants them: it keeps no copy of one.
void put_values(RedisFields& fields, std::vector<std::string>& names, bool negative) {
    const auto name = [&] {
        return std::string_view{names.emplace_back("f" + std::to_string(names.size()))};
    };
    for (const std::int64_t edge : kEdges) {
        const std::string text = (negative && edge != 0 ? "-" : "") + std::to_string(edge);
        fields.text(name(), text);
    }
    for (const std::string_view text : kNoIntegers) {
        fields.text(name(), text);
    }
    fields.text(name(), std::to_string(std::numeric_limits<std::int64_t>::min()));
    fields.text(name(), std::to_string(std::numeric_limits<std::int64_t>::max()));
    fields.number(name(), std::numeric_limits<std::uint64_t>::max());
    fields.text(name(), negative ? "-4097" : std::string(63, 'x'));
    fields.text(name(), negative ? "-32769" : std::string(62, '9'));
}

void hset(RedisLink& link, std::string_view key, const RedisFields& fields) {
    RespCommands c;
    c.add({"DEL", key});
    c.begin(2 + 2 * fields.size());
    c.arg("HSET");
    c.arg(key);
    for (std::size_t i = 0; i < fields.size(); ++i) {
        c.arg(fields.name(i));
        c.arg(fields.value(i));
    }
    ASSERT_TRUE(link.run(c).ok()) << link.message();
}

/// How often the server has carried out `command`.
std::uint64_t calls(const RedisProcess& server, const std::string& command) {
    const std::string all = server.ask({"INFO", "commandstats"});
    const std::string row = "cmdstat_" + command + ":calls=";
    const std::size_t at = all.find(row);
    return at == std::string::npos ? 0 : std::stoull(all.substr(at + row.size()));
}

using RedisDumpTest = RedisSinkFixture;

TEST_F(RedisDumpTest, IsByteByByteWhatTheServerDumpsOfTheSameHash) {
    const auto redis = server("one");
    (void)redis->ask({"CONFIG", "SET", "rdbcompression", "no"});
    RedisLink link = redis->link();
    for (const bool negative : {false, true}) {
        std::vector<std::string> names;
        names.reserve(RedisFields::kFieldsMax);
        RedisFields fields;
        put_values(fields, names, negative);
        ASSERT_EQ(fields.size(), 30U);
        hset(link, "by-field", fields);
        const auto wanted = link.call({"DUMP", "by-field"});
        ASSERT_TRUE(wanted.ok()) << link.message();
        RedisDump dump;
        EXPECT_EQ(dump.of(fields), wanted.value().text()) << (negative ? "negative" : "positive");
    }
}

TEST_F(RedisDumpTest, IsTakenByAServerThatLooksAtEveryEntry) {
    const auto redis = server("one", "sanitize-dump-payload yes\n");
    RedisLink link = redis->link();
    std::vector<std::string> names;
    names.reserve(RedisFields::kFieldsMax);
    RedisFields fields;
    put_values(fields, names, true);
    RedisDump dump;
    const auto done = link.call({"RESTORE", "as-bytes", "0", dump.of(fields)});
    ASSERT_TRUE(done.ok()) << link.message();
    hset(link, "by-field", fields);
    EXPECT_EQ(redis->ask({"HGETALL", "as-bytes"}), redis->ask({"HGETALL", "by-field"}));
    EXPECT_EQ(redis->ask({"OBJECT", "ENCODING", "as-bytes"}), "listpack");
}

TEST_F(RedisDumpTest, HoldsTheSameWhereTheServerDeniesThem) {
    const auto bytes = server("bytes");
    const auto fields = server("fields");
    (void)fields->ask({"ACL", "SETUSER", "default", "-restore"});
    *last_ = 400;
    for (const auto* redis : {bytes.get(), fields.get()}) {
        auto s = sink(options(*redis));
        ASSERT_TRUE(run_to(*s, 400));
        EXPECT_EQ(redis->ask({"EXISTS", "millrace:test:PROBE"}), "0");
    }
    EXPECT_TRUE(same(dump(*fields), dump(*bytes)));
    EXPECT_GT(calls(*bytes, "restore"), 100U);
    EXPECT_EQ(calls(*fields, "restore"), 0U);
    EXPECT_EQ(segment_->core().redis_errors.load(), 0U) << error_log();
}

TEST_F(RedisDumpTest, AsksAgainOnEachConnection) {
    const auto redis = server("one");
    *last_ = 100;
    auto s = sink(options(*redis));
    ASSERT_TRUE(run_to(*s, 100));
    const std::uint64_t before = calls(*redis, "restore");
    ASSERT_GT(before, 1U);
    (void)redis->ask({"ACL", "SETUSER", "default", "-restore"});
    *last_ = 400;  // the next batch is refused by name; the connection after it writes by field
    ASSERT_TRUE(run_to(*s, 400));
    EXPECT_EQ(calls(*redis, "restore"), before);
    EXPECT_TRUE(same(dump(*redis), expected(400)));
    EXPECT_TRUE(errors_mention("restore")) << error_log();
}

}  // namespace
}  // namespace millrace::redis_test
