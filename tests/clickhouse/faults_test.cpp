// A server that fails, and a network that does: nothing lost, nothing doubled, tries as required.
#include "tests/clickhouse/sink_fixture.h"

#include "persist/sqlite_db.h"

namespace millrace::clickhouse_test {
namespace {

class ClickHouseFaults : public ClickHouseFixture {
protected:
    /// The one row of failed_syncs, as text.
    static std::string failed_sync(const std::string& store) {
        SqliteDb db;
        EXPECT_TRUE(db.open(store, 1'000, SqliteOpen::ReadOnly).ok());
        const auto row = db.text(
            "SELECT sink || ' after ' || after_seq || ' to ' || to_seq || ', ' || batch_rows || "
            "' rows, ' || failures || ' failures, ' || "
            "CASE WHEN synced_ns IS NULL THEN 'open' ELSE 'synced' END FROM failed_syncs");
        return row ? row.value() : "none";
    }
};

TEST_F(ClickHouseFaults, DoNotDoubleARowWhenItWasStoredAndTheAnswerWasCutOff) {
    auto o = options();
    o.batch_rows = 1;
    o.batch_rows_max = 20;
    auto s = sink(o, 240);
    for (std::uint64_t seq = 20; seq <= 240; seq += 20) {
        log_->set_last(seq);
        proxy_->fail(Fault::ApplyDrop);
        ASSERT_TRUE(run_to(*s, seq - seq % 12));
    }
    EXPECT_GE(proxy_->failed(), 10);
    EXPECT_TRUE(holds(240));
    // Not even one that a merge would still have to take away: its own cursor told the sink.
    EXPECT_EQ(raw_rows(), std::stoull(server_->ask("SELECT count() FROM " + database_ +
                                                   ".effects FINAL WHERE kind != 0")));
}

TEST_F(ClickHouseFaults, SendABatchAgainThatTheServerNeverSaw) {
    auto s = sink(options(), 240);
    proxy_->fail(Fault::Cut, 3);
    ASSERT_TRUE(run_to(*s, 240));
    EXPECT_EQ(proxy_->failed(), 3);
    EXPECT_TRUE(holds(240));
}

TEST_F(ClickHouseFaults, GiveUpAHalfOpenConnectionAfterItsTime) {
    auto o = options();
    o.store.server.answer = millis(200);
    auto s = sink(o, 100);
    proxy_->fail(Fault::Swallow);
    ASSERT_TRUE(run_to(*s, 100));
    EXPECT_EQ(proxy_->failed(), 1);
    EXPECT_NE(errors().find("Timeout"), std::string::npos) << errors();
    EXPECT_TRUE(holds(100));
}

TEST_F(ClickHouseFaults, CountARowOnceThatASlowServerStoresAfterItWasGivenUp) {
    auto o = options();
    o.store.server.answer = millis(300);
    auto s = sink(o, 100);
    proxy_->fail(Fault::Slow, 2, 1'000);
    ASSERT_TRUE(run_to(*s, 100));
    EXPECT_TRUE(holds(100));
}

TEST_F(ClickHouseFaults, CountARowOnceThatAStoppedServerStoresWhenItGoesOn) {
    if (server_->is_foreign()) {
        GTEST_SKIP()
            << "SKIPPED: MILLRACE_CLICKHOUSE_URL names the server, it is not ours to stop; "
               "NOT TESTED HERE";
    }
    auto o = options();
    o.store.server.answer = millis(300);
    auto s = sink(o, 100);
    ASSERT_TRUE(run_to(*s, 100));
    server_->stop();
    log_->set_last(160);
    EXPECT_TRUE(run_until(*s, [&] { return s->failures() >= 3; }));
    server_->resume();
    ASSERT_TRUE(run_to(*s, 160));
    EXPECT_TRUE(holds(160));
}

TEST_F(ClickHouseFaults, LoseNothingWhenTheServerIsKilledAgainAndAgain) {
    if (server_->is_foreign()) {
        GTEST_SKIP()
            << "SKIPPED: MILLRACE_CLICKHOUSE_URL names the server, it is not ours to kill; "
               "NOT TESTED HERE";
    }
    auto o = options();
    o.batch_rows = 1;
    o.batch_rows_max = 10;
    auto s = sink(o, 0);
    for (std::uint64_t seq = 60; seq <= 300; seq += 60) {
        log_->set_last(seq);
        EXPECT_TRUE(run_until(*s, [&] { return s->stored().seq.value >= seq - 40; })) << errors();
        server_->kill();
        EXPECT_TRUE(run_until(*s, [&] { return s->failing(); })) << errors();
        server_->start();
        ASSERT_TRUE(run_to(*s, seq - seq % 12));
    }
    EXPECT_TRUE(holds(300));
}

TEST_F(ClickHouseFaults, AreTriedAfterFiveSecondsThriceThenNotedThenEveryThirtySeconds) {
    auto o = options();
    o.sqlite_path = sqlite_upto(60);
    auto s = sink(o, 60);
    ASSERT_TRUE(run_to(*s, 60));
    const auto batches = cells().clickhouse_batches.load();
    proxy_->fail(Fault::Cut, 1'000);
    log_->set_last(100);
    std::vector<std::int64_t> tries;  // tenths of a second since the first failure
    Nanos first{};
    std::uint64_t seen = 0;
    const auto failed_row = [&] { return failed_sync(o.sqlite_path); };
    EXPECT_TRUE(run_until(*s, [&] {
        if (s->failures() != seen) {
            seen = s->failures();
            first = seen == 1 ? now_ : first;
            tries.push_back((now_ - first).value / 100'000'000);
            EXPECT_EQ(failed_row() == "none", seen <= 3) << seen;
        }
        return seen == 7;
    })) << errors();
    EXPECT_EQ(tries, (std::vector<std::int64_t>{0, 50, 100, 150, 450, 750, 1050}));
    EXPECT_EQ(failed_row(), "clickhouse after 60 to 100, 40 rows, 7 failures, open");
    EXPECT_NE(errors().find("ALERT 5 failures in a row: suspended"), std::string::npos);
    EXPECT_NE(errors().find("ALERT it has failed for over 30 s"), std::string::npos);
    EXPECT_EQ(cells().clickhouse_state.load(),
              static_cast<std::uint64_t>(ClickHouseState::Suspended));
    EXPECT_TRUE(s->drained()) << "a stop must not wait for it";

    log_->set_last(240);  // the probe is the batch that failed, alone
    proxy_->fail(Fault::None);
    EXPECT_TRUE(run_until(*s, [&] { return !s->failing(); }));
    EXPECT_EQ(cells().clickhouse_batches.load(), batches + 1);
    EXPECT_EQ(s->stored().seq.value, 100U);
    ASSERT_TRUE(run_to(*s, 240));
    EXPECT_TRUE(holds(240));
    EXPECT_EQ(failed_row(), "clickhouse after 60 to 100, 40 rows, 7 failures, synced");
}

TEST_F(ClickHouseFaults, AreClosedByTheNextProcessIfTheLastOneDied) {
    auto o = options();
    o.sqlite_path = sqlite_upto(60);
    {
        auto s = sink(o, 60);
        proxy_->fail(Fault::Refuse, 1'000);
        EXPECT_TRUE(run_until(*s, [&] { return s->failures() == 4; })) << errors();
    }
    EXPECT_NE(failed_sync(o.sqlite_path).find("open"), std::string::npos);
    proxy_->fail(Fault::None);
    auto s = sink(o, 60);
    ASSERT_TRUE(run_to(*s, 60));
    EXPECT_NE(failed_sync(o.sqlite_path).find("synced"), std::string::npos);
}

TEST_F(ClickHouseFaults, OfAFullServerAreNoLoss) {
    // A server that answers, but stores nothing: a user without the right to write.
    auto s = sink(options(), 60);
    ASSERT_TRUE(run_to(*s, 60));
    server_->ask("RENAME TABLE " + database_ + ".effects TO " + database_ + ".away");
    server_->ask("CREATE TABLE " + database_ + ".effects (x UInt8) ENGINE = Log");
    log_->set_last(120);
    EXPECT_TRUE(run_until(*s, [&] { return s->failures() >= 2; })) << errors();
    server_->ask("DROP TABLE " + database_ + ".effects");
    server_->ask("RENAME TABLE " + database_ + ".away TO " + database_ + ".effects");
    ASSERT_TRUE(run_to(*s, 120));
    EXPECT_TRUE(holds(120));
}

TEST_F(ClickHouseFaults, OfTheLogAreReportedAndReadAgain) {
    auto s = sink(options(), 100);
    ASSERT_TRUE(run_to(*s, 100));
    log_->set_last(160);
    log_->fail_next();
    ASSERT_TRUE(run_to(*s, 160));
    EXPECT_NE(errors().find("effects log"), std::string::npos) << errors();
    EXPECT_TRUE(holds(160));
}

}  // namespace
}  // namespace millrace::clickhouse_test
