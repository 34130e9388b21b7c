// Goal: the sink finds the server that takes writes, and no other. Method: real servers and
// Sentinels that are killed, stopped and brought back.
#include "tests/redis/server.h"

namespace millrace::redis_test {
namespace {

TEST(RedisPrimary, FindsAServerWithoutSentinelAndNamesWhoIsNone) {
    const TempDir dir;
    RedisProcess one{{dir.path() + "/one", free_port()}};
    one.start();
    RedisPlace place;
    place.servers = {{"127.0.0.1", free_port()}, one.at()};
    RedisPrimary primary{place};
    RedisLink link;
    ASSERT_TRUE(primary.connect(link).ok()) << primary.message();
    EXPECT_EQ(link.endpoint(), one.at());
    (void)one.ask({"REPLICAOF", "127.0.0.1", "1"});
    EXPECT_EQ(primary.connect(link).code(), Errc::NotFound);
    EXPECT_NE(primary.message().find("ROLE says slave"), std::string::npos) << primary.message();
}

TEST(RedisPrimary, TellsARefusedLoginFromAMissingServer) {
    const TempDir dir;
    RedisProcess one{{dir.path() + "/one", free_port()}};
    one.start();
    (void)one.ask({"CONFIG", "SET", "requirepass", "swordfish"});
    RedisPlace place;
    place.servers = {one.at()};
    RedisLink link;
    RedisPrimary without{place};
    EXPECT_EQ(without.connect(link).code(), Errc::BadAuth);
    place.login.password = "cuttlefish";
    RedisPrimary wrong{place};
    EXPECT_EQ(wrong.connect(link).code(), Errc::BadAuth);
    EXPECT_EQ(wrong.message().find("cuttlefish"), std::string::npos) << "password in a message";
    place.login.password = "swordfish";
    RedisPrimary right{place};
    EXPECT_TRUE(right.connect(link).ok()) << right.message();
    one.kill();
    EXPECT_EQ(right.connect(link).code(), Errc::IoError);
}

TEST(RedisPrimary, FollowsAFailoverAndThenAnother) {
    const TempDir dir;
    RedisCluster cluster{dir.path()};
    RedisPrimary primary{cluster.place({seconds(1), seconds(4)})};
    RedisLink link;
    ASSERT_TRUE(primary.connect(link).ok()) << primary.message();
    EXPECT_EQ(link.endpoint(), cluster.node(0).at());
    EXPECT_FALSE(primary.moved_from(link.endpoint())) << primary.message();

    cluster.node(0).kill();
    const std::size_t second = cluster.primary(0);
    ASSERT_TRUE(eventually([&] { return primary.connect(link).ok(); })) << primary.message();
    EXPECT_EQ(link.endpoint(), cluster.node(second).at());
    EXPECT_TRUE(primary.moved_from(cluster.node(0).at()));

    cluster.node(0).start();
    cluster.await_replicas(2);
    cluster.node(second).stop();  // half-open: accepts connections, answers nothing
    const std::size_t third = cluster.primary(second);
    ASSERT_TRUE(eventually([&] { return primary.connect(link).ok(); })) << primary.message();
    EXPECT_EQ(link.endpoint(), cluster.node(third).at());
}

TEST(RedisPrimary, DoesNotBelieveASentinelThatIsBehindTheOthers) {
    const TempDir dir;
    RedisCluster cluster{dir.path()};
    RedisPrimary primary{cluster.place({seconds(1), seconds(4)})};
    RedisLink link;
    cluster.sentinel(0).kill();  // it misses the failover
    cluster.node(0).kill();
    const std::size_t second = cluster.primary(0);
    ASSERT_TRUE(eventually([&] { return primary.connect(link).ok(); })) << primary.message();
    EXPECT_EQ(link.endpoint(), cluster.node(second).at());
    // The old primary is back and says `master`; only the one that missed it is left.
    cluster.sentinel(1).kill();
    cluster.sentinel(2).kill();
    cluster.node(second).kill();
    cluster.node(0).start();
    cluster.sentinel(0).start();
    const auto believed = primary.connect(link);
    EXPECT_EQ(believed.code(), Errc::NotFound) << link.endpoint().text();
    EXPECT_NE(primary.message().find("older epoch"), std::string::npos) << primary.message();
}

}  // namespace
}  // namespace millrace::redis_test
