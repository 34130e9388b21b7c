// Goal: an operator hears once of each store that lags by 30 s, fail or not, and once when it
// follows again; never because of a machine that stood still. Method: cells and a clock that the
// test moves.
#include "tools/millrace/sink_lags.h"

#include <gtest/gtest.h>

#include <memory>

namespace millrace {
namespace {

class SinkLagsTest : public ::testing::Test {
protected:
    SinkLagsTest() {
        config_.sqlite.enabled = config_.redis.enabled = config_.clickhouse.enabled = true;
        lags_ = std::make_unique<SinkLags>(config_);
        (void)lags_->turn(core_, now_);
    }
    /// A record a look, ten looks a second. Each store gets it at once but `slow`, which gets one
    /// where the journal gets `per_record`; 0: none.
    SinkLags::Told run(Nanos time, AtomicU64 CoreCells::* slow, std::uint64_t per_record) {
        SinkLags::Told all;
        for (const Nanos end = now_ + time; now_ < end;) {
            now_ = now_ + millis(100);
            const std::uint64_t durable = ++core_.durable;
            ++core_.effects_written;
            core_.replica_applied = durable;
            for (const auto stored :
                 {&CoreCells::sqlite_seq, &CoreCells::redis_seq, &CoreCells::clickhouse_seq}) {
                if (stored != slow) {
                    core_.*stored = durable;
                } else if (per_record != 0 && durable % per_record == 0) {
                    ++(core_.*stored);
                }
            }
            const SinkLags::Told told = lags_->turn(core_, now_);
            all.alerts.insert(all.alerts.end(), told.alerts.begin(), told.alerts.end());
            all.infos.insert(all.infos.end(), told.infos.begin(), told.infos.end());
        }
        return all;
    }
    static constexpr AtomicU64 CoreCells::* kNone = nullptr;

    Config config_;
    CoreCells core_{};
    std::unique_ptr<SinkLags> lags_;
    Nanos now_ = seconds(1'000);
};

TEST_F(SinkLagsTest, EachStoreThatStandsStillIsToldOnceAfterThirtySecondsAndWhenItFollowsAgain) {
    const std::pair<const char*, AtomicU64 CoreCells::*> sinks[] = {
        {"sqlite", &CoreCells::sqlite_seq},
        {"redis", &CoreCells::redis_seq},
        {"clickhouse", &CoreCells::clickhouse_seq}};
    for (const auto& [name, cell] : sinks) {
        EXPECT_TRUE(run(seconds(60), kNone, 0).alerts.empty());
        EXPECT_TRUE(run(millis(29'900), cell, 0).alerts.empty()) << name;
        const SinkLags::Told told = run(seconds(60), cell, 0);
        ASSERT_EQ(told.alerts.size(), 1U) << name;
        EXPECT_EQ(told.alerts[0].find(std::string{name} + " lags: "), 0U) << told.alerts[0];
        EXPECT_TRUE(told.infos.empty());
        EXPECT_EQ(run(seconds(10), kNone, 0).infos,
                  std::vector<std::string>{std::string{name} + " follows again"});
    }
}

TEST_F(SinkLagsTest, OneThatIsSlowAndDoesNotFailIsToldAndOneThatIsALittleBehindIsNot) {
    const auto slow = &CoreCells::clickhouse_seq;
    // It gets half of what comes in: 59 s on it stands where the journal was 29.5 s ago.
    EXPECT_TRUE(run(seconds(59), slow, 2).alerts.empty());
    const SinkLags::Told told = run(seconds(4), slow, 2);
    ASSERT_EQ(told.alerts.size(), 1U);
    // Much later, at the pace of the journal again: it moves, and is as far behind as before.
    EXPECT_TRUE(run(seconds(300), slow, 2).alerts.empty());
    const auto infos = run(seconds(300), slow, 1).infos;
    EXPECT_EQ(infos.size(), 10U) << "each 30 s";
    for (const std::string& info : infos) {
        EXPECT_EQ(info.find("clickhouse has come to record "), 0U) << info;
    }
}

TEST_F(SinkLagsTest, RecordsWithoutAnEffectAreOwedByNobody) {
    EXPECT_TRUE(run(seconds(10), kNone, 0).alerts.empty());
    for (int i = 0; i < 1'000; ++i) {  // a night in which the journal goes on by timers
        now_ = now_ + millis(100);
        core_.replica_applied = ++core_.durable;
        EXPECT_TRUE(lags_->turn(core_, now_).alerts.empty());
    }
    ++core_.effects_written;  // another one at last, and records without any behind it
    core_.replica_applied = core_.durable += 5;
    for (const auto stored :
         {&CoreCells::sqlite_seq, &CoreCells::redis_seq, &CoreCells::clickhouse_seq}) {
        core_.*stored = core_.durable - 4;
    }
    for (int i = 0; i < 1'000; ++i) {
        now_ = now_ + millis(100);
        EXPECT_TRUE(lags_->turn(core_, now_).alerts.empty());
    }
}

TEST_F(SinkLagsTest, OneThatHasNotSaidHowFarItIsIsNotSaidToLackAnything) {
    core_.effects_written = core_.replica_applied = core_.durable = 1'000'000;  // a log goes on
    const auto told = run(seconds(31), &CoreCells::sqlite_seq, 0).alerts;
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0].find("sqlite lags: for 30 s it has not said how far it is"), 0U) << told[0];
    core_.sqlite_seq = core_.durable.load();
    EXPECT_EQ(run(seconds(1), kNone, 0).infos, std::vector<std::string>{"sqlite follows again"});
}

TEST_F(SinkLagsTest, TimeInWhichNobodyLookedIsNotTheStoresTime) {
    EXPECT_TRUE(run(seconds(20), &CoreCells::redis_seq, 0).alerts.empty());
    now_ = now_ + seconds(3'600);  // a machine that was put to sleep
    EXPECT_TRUE(run(seconds(9), &CoreCells::redis_seq, 0).alerts.empty());
    EXPECT_EQ(run(seconds(2), &CoreCells::redis_seq, 0).alerts.size(), 1U);
}

TEST_F(SinkLagsTest, OneThatIsNotConfiguredIsNotLookedAt) {
    config_.redis.enabled = false;
    lags_ = std::make_unique<SinkLags>(config_);
    EXPECT_TRUE(run(seconds(100), &CoreCells::redis_seq, 0).alerts.empty());
}

}  // namespace
}  // namespace millrace
