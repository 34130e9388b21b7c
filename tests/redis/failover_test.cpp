// Goal: whatever happens to the servers, the projection ends up the same as after an undisturbed
// run. Method: a primary, two replicas and three Sentinels; kills, stops, and two primaries at
// once.
#include "tests/not_proven.h"
#include "tests/redis/sink_fixture.h"

namespace millrace::redis_test {
namespace {

class RedisFailover : public RedisSinkFixture {
protected:
    void SetUp() override {
        RedisSinkFixture::SetUp();
        cluster_ = std::make_unique<RedisCluster>(dir_.path() + "/cluster");
    }
    void start(std::uint64_t records) {
        *last_ = records;
        sink_ = sink(options(cluster_->place()));
        ASSERT_TRUE(run_to(*sink_, records));
    }
    /// Keeps the sink at work until Sentinel has made another node the primary.
    std::size_t failover_from(std::size_t old) {
        std::size_t now = SIZE_MAX;
        cluster_->allow_failover();
        EXPECT_TRUE(run_until(*sink_, [&] { return (now = cluster_->named()) < 3 && now != old; }));
        cluster_->forbid_failover();
        return now == SIZE_MAX ? old : cluster_->primary(old);
    }
    /// Up to which record this node has the projection.
    [[nodiscard]] std::string stored_at(std::size_t node) {
        return cluster_->node(node).ask({"HGET", "millrace:test:g1:CURSOR", "seq"});
    }
    /// The sink may have been done at a primary that was none any more: it goes on until it has
    /// noticed and sent again.
    void expect_content(std::size_t primary) {
        const std::string wanted = expected(*last_);
        EXPECT_TRUE(run_until(*sink_, [&] {
            return static_cast<bool>(same(dump(cluster_->node(primary)), wanted));
        }));
        EXPECT_TRUE(same(dump(cluster_->node(primary)), wanted)) << error_log();
    }

    std::unique_ptr<RedisCluster> cluster_;
    std::unique_ptr<RedisSink> sink_;
};

TEST_F(RedisFailover, GoesOnAtTheNewPrimaryAfterAKillAndAfterASecondAndAThird) {
    start(600);
    std::size_t primary = 0;
    for (int round = 0; round < 3; ++round) {
        const std::size_t old = primary;
        cluster_->node(old).kill();
        *last_ += 300;
        primary = failover_from(old);
        ASSERT_NE(primary, old);
        *last_ += 300;
        ASSERT_TRUE(run_to(*sink_, *last_)) << "round " << round;
        expect_content(primary);
        cluster_->node(old).start();
        cluster_->await_replicas(2);
    }
    EXPECT_EQ(sink_->generation(), 1U) << "a failover is no reason to rebuild";
    EXPECT_GT(segment_->core().redis_retries.load(), 0U);
    EXPECT_EQ(segment_->core().redis_failing_ns.load(), 0) << "it works again";
}

TEST_F(RedisFailover, LeavesAPrimaryThatIsStoppedAndMendsWhatItMissed) {
    start(600);
    cluster_->node(0).stop();  // connections stay, nothing answers
    *last_ = 1'200;
    const std::size_t second = failover_from(0);
    ASSERT_TRUE(run_to(*sink_, 1'200));
    cluster_->node(0).resume();  // what still lay in its sockets is late now
    cluster_->await_replicas(2);
    *last_ = 1'500;
    ASSERT_TRUE(run_to(*sink_, 1'500));
    expect_content(second);
    EXPECT_TRUE(errors_mention("no answer in time")) << error_log();
}

TEST_F(RedisFailover, SendsAgainWhatANewPrimaryNeverGot) {
    start(600);
    cluster_->cut_off(1);
    cluster_->cut_off(2);
    *last_ = 1'500;
    ASSERT_TRUE(run_to(*sink_, 1'500));
    cluster_->node(0).kill();
    cluster_->let_back(1);
    cluster_->let_back(2);
    const std::size_t second = cluster_->primary(0);
    ASSERT_GIVEN(stored_at(second) == "600") << "it is not behind";
    ASSERT_TRUE(run_to(*sink_, 1'500));
    expect_content(second);
}

TEST_F(RedisFailover, LosesNothingToAnOldPrimaryThatTakesWritesBesideTheNewOne) {
    start(600);
    cluster_->node(0).stop();
    const std::size_t second = cluster_->primary(0);
    // Nobody is left to demote the old one: two primaries, and the sink's connection to the old.
    for (std::size_t i = 0; i < 3; ++i) {
        cluster_->sentinel(i).stop();
    }
    cluster_->node(0).resume();
    *last_ = 1'200;
    ASSERT_TRUE(run_to(*sink_, 1'200)) << "it goes on where it is while no Sentinel speaks";
    EXPECT_EQ(stored_at(0), "1200");
    for (std::size_t i = 0; i < 3; ++i) {
        cluster_->sentinel(i).resume();
    }
    const auto at_second = [&] { return stored_at(second) == "1500"; };
    *last_ = 1'500;
    ASSERT_TRUE(run_until(*sink_, at_second)) << error_log();
    ASSERT_TRUE(run_to(*sink_, 1'500));
    expect_content(second);
}

TEST_F(RedisFailover, SurvivesAKilledPrimaryThatIsBackAtOnceAndTakesWritesForAWhile) {
    start(600);
    cluster_->node(0).kill();
    const std::size_t second = cluster_->primary(0);
    cluster_->node(0).start();  // it believes that it is the primary until Sentinel tells it
    *last_ = 1'500;
    ASSERT_TRUE(run_to(*sink_, 1'500));
    cluster_->await_replicas(2);
    expect_content(second);
}

TEST_F(RedisFailover, FinishesARebuildOverAFailover) {
    *last_ = 1'500;
    auto o = options(cluster_->place());
    o.batch_rows = 5;
    sink_ = sink(o);
    const auto begun = [&] {
        return cluster_->node(0).ask({"EXISTS", "millrace:test:g1:CURSOR"}) == "1";
    };
    ASSERT_TRUE(run_until(*sink_, begun));
    ASSERT_FALSE(sink_->following());
    cluster_->node(0).kill();
    const std::size_t second = failover_from(0);
    ASSERT_TRUE(run_to(*sink_, 1'500)) << error_log();
    expect_content(second);
}

}  // namespace
}  // namespace millrace::redis_test
