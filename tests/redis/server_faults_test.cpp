// Goal: a server that answers with an error, is loading, full, or not durable enough is waited for,
// reported by name, and caught up with. Method: one real server brought into each state.
#include <fstream>

#include "tests/redis/sink_fixture.h"

namespace millrace::redis_test {
namespace {

class RedisServerFaults : public RedisSinkFixture {
protected:
    void SetUp() override {
        RedisSinkFixture::SetUp();
        redis_ = server("one");
        *last_ = 300;
        sink_ = sink(options(*redis_));
        ASSERT_TRUE(run_to(*sink_, 300));
    }
    /// More records come; the sink fails with `word` until the fault is `mend`ed.
    template <class Mend>
    void fails_until(const char* word, Mend mend) {
        *last_ = 900;
        EXPECT_TRUE(run_until(*sink_, [&] { return errors_mention(word); })) << error_log();
        EXPECT_TRUE(sink_->drained()) << "a store that fails must not hold up a stop";
        mend();
        EXPECT_TRUE(run_to(*sink_, 900));
        EXPECT_TRUE(same(dump(*redis_), expected(900)));
        EXPECT_EQ(sink_->generation(), 1U) << error_log();
    }

    std::unique_ptr<RedisProcess> redis_;
    std::unique_ptr<RedisSink> sink_;
};

// Requirement C32. In a time that the test moves: each step is a try.
TEST_F(RedisServerFaults, AlertsOnceItHasBeenAwayForTenSecondsAndNotBefore) {
    redis_->kill();
    Nanos at{monotonic_ns()};
    while (!sink_->failing()) {
        at = at + millis(100);
        (void)sink_->step(at);
    }
    const Nanos since = at;
    for (int s = 1; s < 10; ++s) {
        (void)sink_->step(since + seconds(s));
    }
    EXPECT_FALSE(errors_mention("has failed for over")) << error_log();
    (void)sink_->step(since + seconds(10));
    EXPECT_TRUE(errors_mention("has failed for over 10 s; trading goes on")) << error_log();
    (void)sink_->step(since + seconds(59));
    EXPECT_FALSE(errors_mention("over 60 s")) << error_log();
    (void)sink_->step(since + seconds(60));
    EXPECT_TRUE(errors_mention("has failed for over 60 s")) << error_log();
    redis_->start();
    for (int s = 61; s < 70 && sink_->failing(); ++s) {
        (void)sink_->step(since + seconds(s));
    }
    EXPECT_FALSE(sink_->failing()) << error_log();
}

TEST_F(RedisServerFaults, WaitsForAServerThatIsFull) {
    (void)redis_->ask({"CONFIG", "SET", "maxmemory", "1mb"});
    fails_until("OOM", [&] { (void)redis_->ask({"CONFIG", "SET", "maxmemory", "500mb"}); });
}

TEST_F(RedisServerFaults, WaitsForAPrimaryWithTooFewReplicas) {
    (void)redis_->ask({"CONFIG", "SET", "min-replicas-to-write", "1"});
    fails_until("NOREPLICAS",
                [&] { (void)redis_->ask({"CONFIG", "SET", "min-replicas-to-write", "0"}); });
}

TEST_F(RedisServerFaults, LeavesAServerThatHasBecomeAReplica) {
    (void)redis_->ask({"REPLICAOF", "127.0.0.1", "1"});
    fails_until("READONLY", [&] { (void)redis_->ask({"REPLICAOF", "NO", "ONE"}); });
}

TEST_F(RedisServerFaults, WaitsForAServerThatIsLoadingItsData) {
    (void)redis_->ask({"SAVE"});
    redis_->kill();
    // From the dump: only there it answers between any two keys.
    std::ofstream{dir_.path() + "/one/redis.conf", std::ios::app}
        << "appendonly no\nkey-load-delay 30000\nloading-process-events-interval-bytes 1024\n";
    redis_->start();
    fails_until("LOADING", [] {});
}

TEST_F(RedisServerFaults, LeavesAServerThatIsStoppedAndComesBack) {
    redis_->stop();
    fails_until("no answer in time", [&] { redis_->resume(); });
}

TEST_F(RedisServerFaults, ComesBackAfterAKill) {
    redis_->kill();
    fails_until("Connection refused", [&] { redis_->start(); });
}

TEST_F(RedisServerFaults, NamesEachWrongSettingWithWhatIsAtStakeAndTheMend) {
    for (const auto& [name, value] : std::initializer_list<std::pair<const char*, const char*>>{
             {"maxmemory-policy", "allkeys-lru"},
             {"appendonly", "no"},
             {"appendfsync", "no"},
             {"maxmemory", "0"},
             {"save", ""}}) {
        (void)redis_->ask({"CONFIG", "SET", name, value});
    }
    auto s = sink(options(*redis_));
    ASSERT_TRUE(run_to(*s, 300));
    for (const char* said :
         {"maxmemory-policy is allkeys-lru", "CONFIG SET maxmemory-policy noeviction",
          "appendonly is no:", "appendfsync is no:", "maxmemory is 0:", "save is empty:"}) {
        EXPECT_TRUE(errors_mention(said)) << said << "\n" << error_log();
    }
}

TEST_F(RedisServerFaults, FindsAndMendsWhatWasChangedAddedRemovedOrReplaced) {
    const std::string before = dump(*redis_);
    (void)redis_->ask({"HSET", "millrace:test:g1:RTS:1:3", "state", "REJECTED"});
    (void)redis_->ask({"HSET", "millrace:test:g1:RTS:1:5", "remark", "hello"});
    (void)redis_->ask({"DEL", "millrace:test:g1:RTS:0:0", "millrace:test:g1:RIS:1"});
    (void)redis_->ask({"SET", "millrace:test:g1:RTP:0:100:2", "gibberish"});
    sink_->audit_now();
    ASSERT_TRUE(run_until(*sink_, [&] { return sink_->audits() > 0; })) << error_log();
    EXPECT_EQ(sink_->last_audit().changed, 3U);
    EXPECT_EQ(sink_->last_audit().missing, 2U);
    EXPECT_EQ(sink_->last_audit().mended, 5U);
    EXPECT_TRUE(errors_mention("3 hashes were changed, 2 missing")) << error_log();
    EXPECT_TRUE(same(dump(*redis_), before));
    const std::uint64_t after = sink_->audits();
    sink_->audit_now();
    ASSERT_TRUE(run_until(*sink_, [&] { return sink_->audits() > after; })) << error_log();
    EXPECT_TRUE(sink_->last_audit().clean()) << error_log();
}

}  // namespace
}  // namespace millrace::redis_test
