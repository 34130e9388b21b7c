// Goal: as ladder_test.cpp, of the stores that are servers: what Redis or ClickHouse had come to is
// lost by nobody and done twice by nobody, with every rung above it gone.
// Method: ladder.h, over real servers that go down with the host and come back with what is on
// their disks.
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "persist/redis_parse.h"
#include "persist/sqlite_db.h"
#include "persist/sqlite_files.h"
#include "tests/chaos/ladder.h"
#include "tests/clickhouse/server.h"
#include "tests/ops/quiet_port.h"
#include "tests/redis/server.h"

namespace millrace::chaos {
namespace {

/// Keys of accepted signals end with SIG:<uuid>.
std::set<SignalId> signals_in(RedisLink link) {
    std::set<SignalId> known;
    std::string cursor = "0";
    do {
        const auto page = link.call({"SCAN", cursor, "MATCH", "millrace:test:g*:SIG:*"});
        EXPECT_TRUE(page.ok()) << link.message();
        for (std::size_t i = 0; i < page.value()[1].size(); ++i) {
            const std::string_view key = page.value()[1][i].text();
            SignalId id;
            EXPECT_TRUE(parse_uuid(key.substr(key.rfind(':') + 1), id)) << key;
            known.insert(id);
        }
        cursor = page.value()[0].text();
    } while (cursor != "0");
    return known;
}

class ChaosLadderRedis : public Ladder {
protected:
    void SetUp() override {
        redis_ = std::make_unique<redis_test::RedisProcess>(redis_test::RedisProcess::Options{
            dir_.path(), port_.number(), false,
            "appendonly yes\nmaxmemory-policy noeviction\nmaxmemory 500mb\nsave \"\"\n"});
        redis_->start();
        begin({{"\"accounts_max\"", R"("redis": {"servers": ["127.0.0.1:)" +
                                        std::to_string(port_.number()) +
                                        R"("], "prefix": "millrace:test:"}, "accounts_max")"}});
    }

    redis_test::TempDir dir_;
    test::QuietPort port_;
    std::unique_ptr<redis_test::RedisProcess> redis_;
};

TEST_F(ChaosLadderRedis, RepeatsNothingAfterTheLossOfSegmentJournalAndSnapshots) {
    trade(60);
    await_stored(world().segment().core().redis_seq);
    SqliteDb other;  // another program's lock: what Redis takes from now on, SQLite does not
    ASSERT_TRUE(other.open(sqlite(), 5'000).ok());
    ASSERT_TRUE(other.exec("BEGIN IMMEDIATE").ok());
    trade(30);
    redis_->kill();
    lose_log();
    other.close();
    EXPECT_EQ(recover({"--from", "best"}), 1) << "Redis may hold more: " << said();
    EXPECT_NE(said().find("redis cannot be read now"), std::string::npos) << said();
    redis_->start();
    ASSERT_TRUE(redis_test::eventually([this] {
        RedisLink probe;
        return probe.connect(redis_->at(), {}, {}).ok() && probe.call({"PING"}).ok();
    })) << "it is still loading: "
        << redis_->log();
    const std::set<SignalId> known = signals_in(redis_->link());
    std::filesystem::rename(sqlite(), sqlite() + ".away");  // Redis alone is asked
    expect_no_start_beside("Redis, keys millrace:test:");
    std::filesystem::rename(sqlite() + ".away", sqlite());
    EXPECT_EQ(recover({"--dry-run"}), 1) << "a start would begin with nothing: " << said();
    for (const char* rung : {"segment ", "journal ", "redis ", "sqlite "}) {
        EXPECT_NE(said().find(rung), std::string::npos) << said();
    }
    EXPECT_NE(said().find("read and checked whole"), std::string::npos) << said();
    EXPECT_NE(said().find("millrace recover --from "), std::string::npos) << said();
    EXPECT_NE(said().find("=> redis"), std::string::npos) << "it has come further: " << said();
    ASSERT_EQ(recover({"--from", "redis", "--dry-run"}), 0) << said();
    EXPECT_NE(said().find("would go on: "), std::string::npos) << said();
    ASSERT_EQ(recover({"--from", "best"}), 0) << said();
    EXPECT_NE(said().find("not taken: sqlite: "), std::string::npos) << said();
    EXPECT_NE(said().find("IN_DOUBT, looked up"), std::string::npos) << said();
    EXPECT_NE(said().find("rows that it lacked came from Redis"), std::string::npos) << said();
    go_on("redis", "1 s and 0 s", known);
    judge(known);
    EXPECT_FALSE(std::filesystem::exists(sqlite() + ".stale-1")) << "the history was set aside";
}

/// How far `store` has come, if it was read and found whole, as the ladder says it; 0 if not.
std::uint64_t whole_up_to(const std::string& ladder, const std::string& store) {
    std::istringstream lines{ladder};
    for (std::string line; std::getline(lines, line);) {
        static constexpr std::string_view kUpTo = "up to record ";
        const std::size_t at = line.find(kUpTo);
        if (line.substr(3, store.size()) == store && at != std::string::npos &&
            line.find("read and checked whole") != std::string::npos) {
            return std::stoull(line.substr(at + kUpTo.size()));
        }
    }
    return 0;
}

TEST_F(ChaosLadderRedis, IsPassedOverForSqliteThatHasComeFurtherAndIsMadeAnewOfIt) {
    trade(60);
    await_stored(world().segment().core().redis_seq);
    redis_->stop();  // what SQLite takes from now on, Redis does not
    trade(30);
    await_stored(world().segment().core().sqlite_seq);
    redis_->kill();
    lose_log();
    redis_->start();
    ASSERT_TRUE(redis_test::eventually([this] {
        RedisLink probe;
        return probe.connect(redis_->at(), {}, {}).ok() && probe.call({"PING"}).ok();
    })) << "it is still loading: "
        << redis_->log();
    const std::set<SignalId> known = known_to(sqlite());
    EXPECT_GT(known.size(), signals_in(redis_->link()).size()) << "Redis is not behind";
    EXPECT_EQ(recover({"--dry-run"}), 1) << "a start would begin with nothing: " << said();
    EXPECT_NE(said().find("=> sqlite"), std::string::npos) << said();
    EXPECT_LT(whole_up_to(said(), "redis"), whole_up_to(said(), "sqlite")) << said();
    ASSERT_EQ(recover({"--from", "best"}), 0) << said();
    EXPECT_NE(said().find("not taken: redis: "), std::string::npos) << said();
    go_on("sqlite, ahead of redis", "5 s and 0.5 s", known);
    judge(known);
    ASSERT_EQ(recover({"--dry-run"}), 0) << said();
    EXPECT_NE(whole_up_to(said(), "redis"), 0U) << said();
    EXPECT_EQ(whole_up_to(said(), "redis"), whole_up_to(said(), "sqlite")) << said();
}

/// A query of the test's own.
std::set<SignalId> signals_in(const clickhouse_test::ClickHouseProcess& server) {
    std::set<SignalId> known;
    std::istringstream lines{server.ask(
        "SELECT DISTINCT toString(signal) FROM desk.effects WHERE kind = 2 AND reason = 0")};
    for (std::string line; std::getline(lines, line);) {
        SignalId id;
        EXPECT_TRUE(parse_uuid(line, id)) << line;
        known.insert(id);
    }
    return known;
}

class ChaosLadderClickHouse : public Ladder {
protected:
    void SetUp() override {
        ::unsetenv("MILLRACE_CLICKHOUSE_URL");  // a server of our own: this one is killed
        server_ = std::make_unique<clickhouse_test::ClickHouseProcess>(dir_.path() + "/server");
        server_->start();
        begin({{"\"accounts_max\"", server_->configured("desk") + ", \"accounts_max\""}});
    }

    redis_test::TempDir dir_;
    std::unique_ptr<clickhouse_test::ClickHouseProcess> server_;
};

TEST_F(ChaosLadderClickHouse, RepeatsNothingAfterTheLossOfEverythingElse) {
    trade(60);
    await_stored(world().segment().core().clickhouse_seq);
    trade(30);
    server_->kill();
    lose_log();
    ASSERT_TRUE(sqlite_remove(sqlite()).ok());
    std::filesystem::remove_all(sqlite() + ".backups");
    server_->start();
    const std::set<SignalId> known = signals_in(*server_);
    expect_no_start_beside("ClickHouse, database desk");
    EXPECT_EQ(recover({"--dry-run"}), 1) << "a start would begin with nothing: " << said();
    EXPECT_NE(said().find("=> clickhouse"), std::string::npos) << said();
    ASSERT_EQ(recover({"--from", "best"}), 0) << said();
    EXPECT_NE(said().find("IN_DOUBT, looked up"), std::string::npos) << said();
    go_on("clickhouse", "nothing", known);
    judge(known);
}

}  // namespace
}  // namespace millrace::chaos
