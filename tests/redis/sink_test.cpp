// Goal: Redis holds exactly what the effects up to its own cursor say, whatever happens to either.
// Method: a known history against a real server, compared with an undisturbed run key by key.
#include <sys/prctl.h>
#include <sys/wait.h>

#include <csignal>
#include <random>

#include "tests/redis/sink_fixture.h"

namespace millrace::redis_test {
namespace {

using RedisSinkTest = RedisSinkFixture;

TEST_F(RedisSinkTest, WritesEachHashAsDocumented) {
    const auto redis = server("one");
    *last_ = 40;
    auto s = sink(options(*redis));
    ASSERT_TRUE(run_to(*s, 40));
    const std::string row = redis->ask({"HGETALL", "millrace:test:g1:RTS:1:3"});
    EXPECT_NE(row.find("schema 2 state FILLED symbol 3 type OPEN side BUY kind MARKET volume 0.1 "
                       "filled 0.1 price 0 avg_price 1234.56 stop_loss 0 take_profit 0 reason NONE "
                       "retcode 0 attempts 1 magic 5571515689010724888 signal "
                       "01234567-89ab-cdef-0000-000000000001"),
              std::string::npos)
        << row;
    EXPECT_NE(row.find("version 15-1 "), std::string::npos) << row;
    EXPECT_EQ(redis->ask({"HGET", "millrace:test:g1:NAMES", "S:3"}), "XAUUSD");
    EXPECT_EQ(redis->ask({"HGET", "millrace:test:g1:RIS:1", "equity"}), "1000");
    EXPECT_EQ(redis->ask({"HGET", "millrace:test:g1:RTP:1:101:3", "state"}), "OPEN");
    for (const char* stands : {"RTS:1:3", "RTP:1:101:3", "RTX:1:3:11"}) {
        EXPECT_EQ(redis->ask({"TTL", std::string{"millrace:test:g1:"} + stands}), "-1") << stands;
    }
    EXPECT_EQ(redis->ask({"HGET", "millrace:test:g1:CURSOR", "seq"}), "40");
    const std::string beat = redis->ask({"GET", "millrace:test:HEARTBEAT"});
    EXPECT_NE(beat.find(" 1 "), std::string::npos) << beat;
    EXPECT_EQ(segment_->core().redis_errors.load(), 0U) << error_log();
}

TEST_F(RedisSinkTest, GivesASignOfLifeEachSecondThatIsGoneAfterThree) {
    const auto redis = server("one");
    *last_ = 40;
    auto o = options(*redis);
    o.upkeep_every = RedisSinkOptions{}.upkeep_every;
    const auto s = sink(o);
    constexpr const char* kBeat = "millrace:test:HEARTBEAT";
    const auto beats = [&] { return redis->ask({"EXISTS", kBeat}) == "1"; };
    Nanos now = seconds(1'000);  // the sink's clock, which nothing else moves
    const auto step_to = [&](Nanos end) {
        for (; now < end; now = now + millis(10)) {
            s->step(now);
        }
    };
    const auto step_until = [&](const auto& done) {
        for (int i = 0; i < 2'000 && !done(); ++i) {
            step_to(now + millis(10));
        }
        return done();
    };
    ASSERT_TRUE(step_until([&] { return s->following() && s->drained(); })) << error_log();
    (void)redis->ask({"DEL", kBeat});  // the switch to this generation gave one, too
    ASSERT_TRUE(step_until(beats)) << error_log();
    Nanos last = now - millis(10);  // of the step that gave it
    for (int second = 0; second < 3; ++second) {
        const auto left = std::stoll(redis->ask({"PTTL", kBeat}));
        EXPECT_GT(left, 0);
        EXPECT_LE(left, 3'000);
        (void)redis->ask({"DEL", kBeat});
        step_to(last + seconds(1));
        EXPECT_FALSE(beats()) << "not before the second is over";
        step_to(now + millis(10));
        EXPECT_TRUE(beats()) << error_log();
        last = now - millis(10);
    }
    EXPECT_EQ(segment_->core().redis_errors.load(), 0U) << error_log();
}

TEST_F(RedisSinkTest, EqualsARunInOneGoAfterManySmallBatches) {
    const auto redis = server("one");
    *last_ = 1'500;
    segment_->core().replica_applied = 1'500;
    auto o = options(*redis);
    o.batch_rows = 7;
    ASSERT_TRUE(run_to(*sink(o), 1'500));
    EXPECT_TRUE(same(dump(*redis), expected(1'500)));
    for (const char* part : {" 25 % of the log", " 50 % of the log", " 75 % of the log"}) {
        EXPECT_TRUE(errors_mention(part)) << error_log();
    }
    EXPECT_GT(segment_->core().redis_batches.load(), 100U) << "of about seven rows each";
    EXPECT_GT(segment_->core().redis_batch_rows.load(), 0U);
    EXPECT_EQ(segment_->core().redis_failing_ns.load(), 0);
    EXPECT_EQ(segment_->core().redis_errors.load(), 0U) << error_log();
}

/// Runs a sink in a child and kills it after a while.
void sink_and_die(RedisSink& s, int microseconds) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::setsid();
        ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        for (;;) {
            s.step(Nanos{monotonic_ns()});
        }
    }
    ::usleep(static_cast<useconds_t>(microseconds));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
}

TEST_F(RedisSinkTest, LosesAndDoublesNothingOverKillsOfItsProcess) {
    const auto redis = server("one");
    *last_ = 12'000;
    std::mt19937 random{std::random_device{}()};
    for (int round = 0; round < 25; ++round) {
        auto o = options(*redis);
        o.batch_rows = static_cast<std::uint32_t>(1 + random() % 100);
        // The first ones die while they fill the generation, later ones while they follow.
        *last_ = 500 + static_cast<std::uint64_t>(round) * 500;
        const auto s = sink(o);
        sink_and_die(*s, static_cast<int>(random() % 60'000));
        if (round == 8) {
            ASSERT_TRUE(run_to(*sink(o), *last_));
        }
    }
    ASSERT_TRUE(run_to(*sink(options(*redis)), *last_));
    EXPECT_TRUE(same(dump(*redis), expected(*last_)));
}

TEST_F(RedisSinkTest, ChangesNothingWithABatchThatComesLateOrFromASecondWriter) {
    const auto redis = server("one");
    *last_ = 200;
    ASSERT_TRUE(run_to(*sink(options(*redis)), 200));
    RedisLink late_link = redis->link();
    RedisStore late{{.prefix = "millrace:test:"}};
    ASSERT_TRUE(late.open(late_link).ok()) << late.message();
    const EffectCursor before = late.cursor();
    *last_ = 300;
    ASSERT_TRUE(run_to(*sink(options(*redis)), 300));
    const std::string then = dump(*redis);
    // What the late writer has to say is old by now, whichever way it says it.
    std::vector<Effect> old = sqlite_test::effects_of(204, 5);
    EXPECT_EQ(late.store(old, sqlite_test::cursor_at(204)).code(), Errc::BadCursor);
    EXPECT_TRUE(same(dump(*redis), then));
    EXPECT_NE(late.message().find("another writer"), std::string::npos) << late.message();
    EXPECT_GT(late.cursor().seq, before.seq) << "it must see where the other one is";
}

TEST_F(RedisSinkTest, LeavesTheKeysOfOthersAlone) {
    const auto redis = server("one");
    (void)redis->ask({"SET", "recipes:pie", "apples"});
    (void)redis->ask({"HSET", "millrace:testing:g1:CURSOR", "seq", "7"});
    *last_ = 300;
    ASSERT_TRUE(run_to(*sink(options(*redis)), 300));
    salt_ = 9;  // another log: a new generation
    ASSERT_TRUE(run_to(*sink(options(*redis)), 300));
    EXPECT_EQ(redis->ask({"GET", "recipes:pie"}), "apples");
    EXPECT_EQ(redis->ask({"HGET", "millrace:testing:g1:CURSOR", "seq"}), "7");
    EXPECT_EQ(redis->ask({"INFO", "commandstats"}).find("flush"), std::string::npos);
}

TEST_F(RedisSinkTest, FillsANewGenerationBesideTheOldOneWhenTheLogIsAnother) {
    const auto redis = server("one");
    *last_ = 300;
    salt_ = 9;
    ASSERT_TRUE(run_to(*sink(options(*redis)), 300));
    salt_ = 0;
    *last_ = 200;
    segment_->core().durable = 200;
    segment_->core().replica_applied = 200;
    segment_->stage(StageId::Replica).state = static_cast<std::uint32_t>(StageState::Standby);
    auto s = sink(options(*redis));
    ASSERT_TRUE(run_to(*s, 200));
    EXPECT_EQ(s->generation(), 2U);
    EXPECT_TRUE(same(dump(*redis), expected(200)));
    EXPECT_EQ(redis->ask({"EXISTS", "millrace:test:g1:CURSOR"}), "1") << "the old one is kept";
    EXPECT_EQ(redis->ask({"ZRANGE", "millrace:test:OLD", "0", "-1"}), "1");
    EXPECT_EQ(redis->ask({"EXISTS", "millrace:test:RTRS:2"}), "1") << "its results are set aside";
    EXPECT_TRUE(errors_mention("from another log") || errors_mention("beyond the effects log"))
        << error_log();
}

TEST_F(RedisSinkTest, RemovesAnOldGenerationWhenItsTimeIsOver) {
    const auto redis = server("one");
    *last_ = 300;
    salt_ = 9;
    auto o = options(*redis);
    o.store.keep_old = Nanos{0};
    ASSERT_TRUE(run_to(*sink(o), 300));
    salt_ = 0;
    auto s = sink(o);
    ASSERT_TRUE(run_to(*s, 300));
    const auto gone = [&] { return redis->ask({"KEYS", "millrace:test:g1:*"}).empty(); };
    EXPECT_TRUE(run_until(*s, gone));
    EXPECT_TRUE(run_until(*s, [&] { return redis->ask({"ZCARD", "millrace:test:OLD"}) == "0"; }));
    EXPECT_TRUE(same(dump(*redis), expected(300)));
}

TEST_F(RedisSinkTest, FillsEverythingAgainAfterRedisLostItAll) {
    const auto redis = server("one");
    *last_ = 300;
    auto s = sink(options(*redis));
    ASSERT_TRUE(run_to(*s, 300));
    (void)redis->ask({"FLUSHALL"});  // another's doing
    *last_ = 420;
    ASSERT_TRUE(run_to(*s, 420));
    EXPECT_TRUE(same(dump(*redis), expected(420)));
}

TEST_F(RedisSinkTest, RebuildsFromWhatIsLeftWhenRetentionHasPassedItsCursor) {
    const auto redis = server("one");
    *last_ = 60;
    ASSERT_TRUE(run_to(*sink(options(*redis)), 60));
    first_ = 150;
    *last_ = 300;
    auto s = sink(options(*redis));
    ASSERT_TRUE(run_to(*s, 300));
    EXPECT_EQ(s->generation(), 2U);
    EXPECT_TRUE(errors_mention("the effects log begins after its cursor")) << error_log();
}

TEST_F(RedisSinkTest, DoesNotBelieveADamagedCursor) {
    const auto redis = server("one");
    *last_ = 300;
    ASSERT_TRUE(run_to(*sink(options(*redis)), 300));
    (void)redis->ask({"HSET", "millrace:test:g1:CURSOR", "seq", "290"});
    ASSERT_TRUE(run_to(*sink(options(*redis)), 300));
    (void)redis->ask({"DEL", "millrace:test:g2:CURSOR"});
    ASSERT_TRUE(run_to(*sink(options(*redis)), 300));
    (void)redis->ask({"SET", "millrace:test:g3:CURSOR", "gibberish"});
    auto s = sink(options(*redis));
    ASSERT_TRUE(run_to(*s, 300));
    EXPECT_EQ(s->generation(), 4U);
    EXPECT_TRUE(same(dump(*redis), expected(300)));
}

TEST_F(RedisSinkTest, RefusesTheKeysOfANewerBuild) {
    const auto redis = server("one");
    *last_ = 100;
    ASSERT_TRUE(run_to(*sink(options(*redis)), 100));
    forge_cursor(*redis,
                 {{"schema", "99"}, {"epoch", "1"}, {"seq", "99"}, {"k", "1"}, {"chain", "5"}});
    const std::string before = dump(*redis);
    auto s = sink(options(*redis));
    EXPECT_TRUE(run_until(*s, [&] { return errors_mention("a newer build"); })) << error_log();
    EXPECT_TRUE(same(dump(*redis), before));
    EXPECT_TRUE(s->drained()) << "a store that fails must not hold up a stop";
}

}  // namespace
}  // namespace millrace::redis_test
