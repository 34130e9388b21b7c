// Goal: of two hosts that were given one prefix only the first writes rows and reads signals; the
// other one says whose they are, changes nothing, and goes on once the first is gone. Method: sinks
// and streams of two journal directories on a real server.
#include "persist/redis_stream.h"
#include "tests/redis/sink_fixture.h"

namespace millrace::redis_test {
namespace {

class RedisOwnerTest : public RedisSinkFixture {
protected:
    [[nodiscard]] RedisSinkOptions of_instance(const RedisProcess& server,
                                               std::uint32_t instance) const {
        RedisSinkOptions o = options(server);
        o.store.instance = instance;
        return o;
    }
};

TEST_F(RedisOwnerTest, ASecondHostsSinkChangesNothingAndSaysWhoseTheKeysAre) {
    const auto redis = server("one");
    *last_ = 300;
    auto first = sink(of_instance(*redis, 11));
    ASSERT_TRUE(run_to(*first, 300));
    const std::string before = dump(*redis);
    salt_ = 7;  // another log
    auto second = sink(of_instance(*redis, 22));
    EXPECT_TRUE(run_until(*second, [&] { return errors_mention("another Millrace ("); }));
    EXPECT_TRUE(errors_mention("instance 11) uses the keys millrace:test:*")) << error_log();
    EXPECT_TRUE(errors_mention("give this one another \"name\"")) << error_log();
    EXPECT_TRUE(same(dump(*redis), before));
    EXPECT_FALSE(second->following());
    EXPECT_TRUE(second->drained()) << "it would hold up a stop";
    salt_ = 0;
    *last_ = 400;
    EXPECT_TRUE(run_to(*first, 400)) << "the first goes on";
    // The same directory's next process is not kept waiting until its life is over.
    auto again = of_instance(*redis, 11);
    again.owner_life = seconds(3600);
    first = sink(again);
    EXPECT_TRUE(run_to(*first, 400));
    first = sink(again);
    EXPECT_TRUE(run_to(*first, 400));
}

TEST_F(RedisOwnerTest, AnotherHostTakesOverOnceTheOwnerIsGone) {
    const auto redis = server("one");
    *last_ = 100;
    auto o = of_instance(*redis, 11);
    o.owner_life = seconds(2);
    auto first = sink(o);
    ASSERT_TRUE(run_to(*first, 100));
    EXPECT_TRUE(run_until(
        *first, [&] { return std::stoll(redis->ask({"PTTL", "millrace:test:OWNER"})) > 0; }));
    first.reset();
    salt_ = 7;
    auto second = sink(of_instance(*redis, 22));
    EXPECT_TRUE(run_to(*second, 100));
    EXPECT_EQ(redis->ask({"GET", "millrace:test:OWNER"}).substr(0, 3), "22 ");
}

TEST_F(RedisOwnerTest, OneThatLostItsKeysToAnotherStopsWriting) {
    const auto redis = server("one");
    *last_ = 100;
    auto s = sink(of_instance(*redis, 11));
    ASSERT_TRUE(run_to(*s, 100));
    (void)redis->ask({"SET", "millrace:test:OWNER", "22 elsewhere"});  // it was away for so long
    EXPECT_TRUE(run_until(*s, [&] { return errors_mention("another Millrace (elsewhere"); }));
    const std::string before = dump(*redis);
    *last_ = 200;
    EXPECT_FALSE(run_to(*s, 200, 1));
    EXPECT_TRUE(same(dump(*redis), before));
}

TEST_F(RedisOwnerTest, ASecondHostReadsNoSignals) {
    const auto redis = server("one");
    const auto stream = [&](std::uint32_t instance) {
        RedisStreamOptions o;
        o.place.servers = {redis->at()};
        o.stream = "millrace:test:RTSS";
        o.owner = {"millrace:test:", instance, kRedisOwnerLife};
        return RedisStream{o};
    };
    std::vector<RedisStreamEntry> got;
    RedisStream first = stream(11);
    ASSERT_TRUE(first.open().ok()) << first.message();
    (void)redis->ask({"XADD", "millrace:test:RTSS", "*", "id", "1"});
    RedisStream second = stream(22);
    EXPECT_EQ(second.open().code(), Errc::NotOwner);
    EXPECT_NE(second.message().find("instance 11"), std::string::npos) << second.message();
    EXPECT_FALSE(second.is_open());
    ASSERT_TRUE(first.read(10, Nanos{0}, got).ok()) << first.message();
    EXPECT_EQ(got.size(), 1U);
    (void)redis->ask({"SET", "millrace:test:OWNER", "22 elsewhere"});
    EXPECT_EQ(first.keep_owner().code(), Errc::NotOwner);
    EXPECT_FALSE(first.is_open());
}

TEST_F(RedisOwnerTest, WhoDoesNotKnowYetWhoItIsLeavesTheKeysAlone) {
    const auto redis = server("one");
    std::uint32_t known = 0;
    RedisStreamOptions o;
    o.place.servers = {redis->at()};
    o.stream = "millrace:test:RTSS";
    o.owner = {"millrace:test:", 0, kRedisOwnerLife, [&] { return known; }};
    RedisStream stream{o};
    EXPECT_EQ(stream.open().code(), Errc::NotOwner);
    EXPECT_NE(stream.message().find("cannot be read yet"), std::string::npos) << stream.message();
    EXPECT_EQ(redis->ask({"EXISTS", "millrace:test:OWNER", "millrace:test:RTSS"}), "0");
    known = 11;
    ASSERT_TRUE(stream.open().ok()) << stream.message();
    EXPECT_EQ(redis->ask({"GET", "millrace:test:OWNER"}).substr(0, 3), "11 ");
}

}  // namespace
}  // namespace millrace::redis_test
