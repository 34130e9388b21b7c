// The sink over a known history with a server that works: batches, cursors, histories.
#include "tests/clickhouse/sink_fixture.h"

#include "tests/shm/children.h"

#include <random>

namespace millrace::clickhouse_test {
namespace {

class ClickHouseSinkTest : public ClickHouseFixture {};

TEST_F(ClickHouseSinkTest, HoldsEveryEffectOnceAfterManySmallBatches) {
    auto o = options();
    o.batch_rows = 1;
    o.batch_rows_max = 7;
    auto s = sink(o, 240);
    ASSERT_TRUE(run_to(*s, 240));
    EXPECT_TRUE(holds(240));
    EXPECT_GT(cells().clickhouse_batches.load(), 20U);
    EXPECT_EQ(cells().clickhouse_seq.load(), s->stored().seq.value);
    EXPECT_EQ(cells().clickhouse_state.load(),
              static_cast<std::uint64_t>(ClickHouseState::Following));
    EXPECT_TRUE(compared(sqlite_upto(240)).clean());
}

TEST_F(ClickHouseSinkTest, WaitsForFiftyRowsOrHalfASecondWhicheverIsFirst) {
    auto s = sink(options(), 0);
    (void)s->step(now_);  // opens
    log_->set_last(14);   // a few rows
    (void)s->step(now_);
    (void)s->step(now_ + millis(499));
    EXPECT_EQ(proxy_->inserts(), 0);
    (void)s->step(now_ + millis(500));
    EXPECT_EQ(proxy_->inserts(), 1);
    log_->set_last(14 + 240);  // far more than fifty
    (void)s->step(now_ + millis(501));
    EXPECT_EQ(proxy_->inserts(), 2);
    EXPECT_EQ(s->stored().seq.value, 254U);
}

TEST_F(ClickHouseSinkTest, GoesOnFromTheServersCursorAfterARestart) {
    for (const std::uint64_t last : {15U, 15U, 100U, 240U}) {
        auto s = sink(options(), last);
        ASSERT_TRUE(run_to(*s, last - last % 5)) << last;
    }
    EXPECT_TRUE(holds(240));
    EXPECT_EQ(raw_rows(), std::stoull(server_->ask("SELECT count() FROM " + database_ +
                                                   ".effects FINAL WHERE kind != 0")));
}

TEST_F(ClickHouseSinkTest, HoldsEveryEffectOnceThoughItIsKilledAgainAndAgain) {
    std::mt19937 random{20260214};
    auto o = options();
    o.batch_rows = 1;
    o.batch_rows_max = 5;
    for (int life = 0; life < 10; ++life) {
        int to_child[2];
        ASSERT_EQ(::pipe(to_child), 0);
        const pid_t child = test::run_child([&] {
            auto s = sink(o, 600);
            ::close(to_child[0]);
            while (true) {
                now_ = now_ + millis(100);
                (void)s->step(now_);
                const char beat = 1;
                (void)!::write(to_child[1], &beat, 1);
            }
            return 0;
        });
        ::close(to_child[1]);
        // Killed after some batches, wherever it is in the next one.
        char beats[64];
        for (std::uint64_t steps = 1 + random() % 12; steps > 0; --steps) {
            ASSERT_EQ(::read(to_child[0], beats, 1), 1);
        }
        ::usleep(static_cast<useconds_t>(random() % 4'000));
        ::kill(child, SIGKILL);
        EXPECT_EQ(test::end_of(child), 128 + SIGKILL);
        ::close(to_child[0]);
    }
    auto s = sink(options(), 600);
    ASSERT_TRUE(run_to(*s, 600));
    EXPECT_TRUE(holds(600));
}

TEST_F(ClickHouseSinkTest, KeepsTheRowsOfAnotherLogAndBeginsAHistory) {
    {
        auto s = sink(options(), 100);
        ASSERT_TRUE(run_to(*s, 100));
    }
    auto other = sink(options(), 120, 1);
    ASSERT_TRUE(run_to(*other, 120, 2));
    EXPECT_EQ(other->history(), 2U);
    EXPECT_TRUE(holds(100, 1, 1));
    EXPECT_TRUE(holds(120, 1, 2));
    EXPECT_TRUE(compared(sqlite_upto(120, 1)).clean());
    EXPECT_NE(errors().find("history 2"), std::string::npos) << errors();
}

TEST_F(ClickHouseSinkTest, WaitsForALogThatEndsBeforeItsCursor) {
    {
        auto s = sink(options(), 100);
        ASSERT_TRUE(run_to(*s, 100));
    }
    auto s = sink(options(), 60);
    EXPECT_FALSE(run_until(*s, [&] { return s->history() != 1; }, 20));
    log_->set_last(120);  // the replica has written it again
    ASSERT_TRUE(run_to(*s, 120));
    EXPECT_EQ(s->history(), 1U);
    EXPECT_TRUE(holds(120));
}

TEST_F(ClickHouseSinkTest, BeginsAHistoryForALogThatStaysShorterThanItsCursor) {
    {
        auto s = sink(options(), 100);
        ASSERT_TRUE(run_to(*s, 100));
    }
    segment_->core().durable = 60;  // and the replica has not replayed it yet
    segment_->stage(StageId::Replica).state = static_cast<std::uint32_t>(StageState::Standby);
    auto s = sink(options(), 60, 1);
    EXPECT_FALSE(run_until(*s, [&] { return s->history() != 1; }, 60));
    segment_->core().replica_applied = 60;
    ASSERT_TRUE(run_to(*s, 60, 2));
    EXPECT_TRUE(holds(60, 1, 2));
    EXPECT_TRUE(holds(100, 1, 1));
}

TEST_F(ClickHouseSinkTest, ReadsOnWhereAServerIsThatLostItsTable) {
    auto s = sink(options(), 100);
    ASSERT_TRUE(run_to(*s, 100));
    server_->ask("DROP TABLE " + database_ + ".effects");
    log_->set_last(160);
    ASSERT_TRUE(run_to(*s, 160));
    EXPECT_TRUE(holds(160));
}

TEST_F(ClickHouseSinkTest, RefusesToShareADatabaseWithAnotherPipeline) {
    auto ours = sink(options(), 100);
    sqlite_test::MemoryLog* const our_log = log_;
    ASSERT_TRUE(run_to(*ours, 100));
    auto theirs = sink(options(), 120, 1);
    ASSERT_TRUE(run_to(*theirs, 120, 2));
    proxy_->fail(Fault::Cut);
    our_log->set_last(120);
    EXPECT_TRUE(run_until(
        *ours, [&] { return errors().find("another pipeline writes") != std::string::npos; }, 60))
        << errors();
    EXPECT_TRUE(holds(120, 1, 2));
}

}  // namespace
}  // namespace millrace::clickhouse_test
