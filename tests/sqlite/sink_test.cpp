// Goal: the SQLite store holds exactly the effects up to its own cursor, whatever fails.
// Method: a known history; the store compared row by row with one written in one go.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <random>
#include <thread>

#include "persist/sign_of_life.h"
#include "persist/sqlite_files.h"
#include "persist/sqlite_layout.h"
#include "tests/seed.h"
#include "tests/sqlite/effects.h"

namespace millrace::sqlite_test {
namespace {

using SqliteSinkTest = SqliteFixture;

TEST_F(SqliteSinkTest, StoresEveryEffectAndItsCursor) {
    auto s = sink(300);
    ASSERT_TRUE(run_to(*s, 300)) << error_log();
    EXPECT_EQ(s->stored(), cursor_at(300));
    EXPECT_EQ(segment_->core().sqlite_seq.load(), 300U);
    EXPECT_EQ(errors(), 0U);
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 300)));
}

TEST_F(SqliteSinkTest, IsStartingUntilItsFirstStepHasEnded) {
    auto s = sink(1);
    EXPECT_TRUE(s->starting()) << "no watchdog may take the check of a large file for a hang";
    s->step(now_);
    EXPECT_FALSE(s->starting());
}

TEST_F(SqliteSinkTest, StoresARecordThatIsLargerThanABatchWhole) {
    auto big = options();
    big.batch_rows = 1;
    SqliteSink s{*segment_, std::make_unique<MemoryLog>(60), big};
    ASSERT_TRUE(run_to(s, 60)) << error_log();
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 60)));
}

TEST_F(SqliteSinkTest, GivesEffectsToReadersWithinTheBatchTime) {
    auto s = sink(13);
    for (int i = 0; i < 8; ++i) {
        now_ = now_ + millis(1);
        s->step(now_);
    }
    EXPECT_EQ(s->stored().seq.value, 13U);
}

TEST_F(SqliteSinkTest, ChangesNothingWhenEffectsComeAgain) {
    ASSERT_TRUE(run_to(*sink(200), 200)) << error_log();
    const std::string before = dump(path_);
    SqliteStore store;
    ASSERT_TRUE(store.open({path_, false, true, 250}).ok()) << store.message();
    // An old part of the history, then all of it, under the cursor that stands.
    for (const std::uint64_t from : {40U, 1U}) {
        std::vector<Effect> again;
        for (std::uint64_t seq = from; seq <= (from == 1 ? 200U : 60U); ++seq) {
            const auto effects = effects_of(seq);
            again.insert(again.end(), effects.begin(), effects.end());
        }
        ASSERT_TRUE(store.store(again, store.cursor(), Nanos{}).ok()) << store.message();
        EXPECT_TRUE(holds(path_, before));
    }
}

/// When a child is killed: `microseconds` after its store has come beyond `beyond`, or after its
/// start if that is kAnyTime.
struct Death {
    std::uint64_t beyond;
    int microseconds;
};
constexpr std::uint64_t kAnyTime = UINT64_MAX;

/// Waits until the store has come beyond `seq`; a busy machine may take its time.
void await_stored_beyond(const Segment& segment, std::uint64_t seq) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    while (segment.core().sqlite_seq.load() <= seq && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(std::chrono::microseconds{100});
    }
}

/// Runs a sink over `last` records in a child and kills it.
void sink_and_die(const Segment& segment, const SqliteSinkOptions& options, std::uint64_t last,
                  const Death& death) {
    segment.core().sqlite_seq = 0;
    const pid_t child = ::fork();
    if (child == 0) {
        SqliteSink s{segment, std::make_unique<MemoryLog>(last), options};
        for (Nanos now = seconds(1);; now = now + millis(1)) {
            s.step(now);
        }
    }
    if (death.beyond != kAnyTime) {
        await_stored_beyond(segment, death.beyond);
    }
    std::this_thread::sleep_for(std::chrono::microseconds{death.microseconds});
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
}

TEST_F(SqliteSinkTest, HoldsExactlyTheRowsUpToItsCursorAfterEveryKill) {
    constexpr std::uint64_t kRecords = 60'000;
    const unsigned seed = test::first_seed();
    std::mt19937 random{seed};
    std::uint64_t reached = 0;
    int moved = 0;
    for (int round = 0; round < 30; ++round) {
        auto o = options();
        o.batch_rows = static_cast<std::uint32_t>(1 + random() % 40);
        // Every other child dies while it works, the rest also while it opens the file.
        const bool at_work = round % 2 == 0 && reached < kRecords;
        sink_and_die(*segment_, o, kRecords,
                     {at_work ? reached : kAnyTime, static_cast<int>(random() % 10'000)});
        SqliteStore store;
        ASSERT_TRUE(store.open({path_, false, true, 250}).ok()) << store.message();
        const std::uint64_t at = store.cursor().seq.value;
        EXPECT_EQ(store.cursor(), cursor_at(at)) << "seed " << seed;
        EXPECT_GE(at, reached) << "seed " << seed;
        moved += at > reached ? 1 : 0;
        reached = at;
        store.close();
        ASSERT_TRUE(holds(path_, expected_dump(dir_, at))) << "seed " << seed << " round " << round;
    }
    EXPECT_GE(moved, 10) << "too few kills hit a working sink; seed " << seed;
    EXPECT_FALSE(sqlite_file_exists(path_ + ".stale-1"));
}

TEST_F(SqliteSinkTest, RebuildsBesideTheOldFileWhenTheCursorIsFromAnotherLog) {
    ASSERT_TRUE(run_to(*sink(150, 7), 150)) << error_log();
    const std::string other = dump(path_);
    auto s = sink(120);
    replica_is_at(120);
    ASSERT_TRUE(run_to(*s, 120)) << error_log();
    // 150 lies beyond this log, so the sink first waits for it to grow.
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 120)));
    EXPECT_TRUE(holds(path_ + ".stale-1", other));
    EXPECT_TRUE(errors_mention("beyond the effects log")) << error_log();
    EXPECT_FALSE(sqlite_file_exists(path_ + ".rebuild"));
}

TEST_F(SqliteSinkTest, RebuildsWhenTheChainDiffersAtItsCursor) {
    ASSERT_TRUE(run_to(*sink(100, 7), 100)) << error_log();
    ASSERT_TRUE(run_to(*sink(150), 150)) << error_log();
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 150)));
    EXPECT_TRUE(errors_mention("its cursor is from another log")) << error_log();
    SqliteDb db;
    ASSERT_TRUE(db.open(path_, 100).ok());
    EXPECT_EQ(db.text("SELECT event || ': ' || detail FROM store_events").value(),
              "rebuilt: its cursor is from another log");
}

TEST_F(SqliteSinkTest, WaitsForALogThatAPowerCutShortened) {
    ASSERT_TRUE(run_to(*sink(100), 100)) << error_log();
    MemoryLog* log = nullptr;
    auto s = sink(90, 0, &log);
    EXPECT_FALSE(run_to(*s, 101, 500));
    log->set_last(130);
    ASSERT_TRUE(run_to(*s, 130)) << error_log();
    EXPECT_FALSE(sqlite_file_exists(path_ + ".stale-1"));
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 130)));
}

TEST_F(SqliteSinkTest, IsNotGivenUpForALogThatTheReplicaIsStillWritingAgain) {
    ASSERT_TRUE(run_to(*sink(100), 100)) << error_log();
    MemoryLog* log = nullptr;
    auto s = sink(0, 0, &log);
    EXPECT_FALSE(run_to(*s, 100, 30'000)) << "there is no replica";
    replica_is_at(0);
    segment_->core().durable = 130;
    EXPECT_FALSE(run_to(*s, 100, 30'000)) << "it has not begun";
    segment_->core().replica_applied = 60;
    log->set_last(60);
    EXPECT_FALSE(run_to(*s, 100, 30'000)) << "it is on its way";
    EXPECT_EQ(errors(), 0U) << "no failure: " << error_log();
    EXPECT_TRUE(errors_mention("1 x ALERT " + path_ + " is ahead of the effects log"))
        << error_log();
    log->set_last(130);
    ASSERT_TRUE(run_to(*s, 130)) << error_log();
    EXPECT_FALSE(sqlite_file_exists(path_ + ".stale-1"));
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 130)));
}

TEST_F(SqliteSinkTest, RebuildsFromWhatIsLeftWhenRetentionHasPassedItsCursor) {
    ASSERT_TRUE(run_to(*sink(50), 50)) << error_log();
    MemoryLog* log = nullptr;
    auto s = sink(200, 0, &log);
    log->set_first(100);
    ASSERT_TRUE(run_to(*s, 200)) << error_log();
    EXPECT_TRUE(errors_mention("the effects log begins after its cursor")) << error_log();
    SqliteDb db;
    ASSERT_TRUE(db.open(path_, 100).ok());
    EXPECT_EQ(db.number("SELECT min(seq) >= 100 FROM executions").value(), 1);
    EXPECT_TRUE(sqlite_file_exists(path_ + ".stale-1"));
}

TEST_F(SqliteSinkTest, WaitsOutALockAndLosesNothing) {
    ASSERT_TRUE(run_to(*sink(20), 20)) << error_log();
    SqliteDb other;
    ASSERT_TRUE(other.open(path_, 100).ok());
    ASSERT_TRUE(other.exec("BEGIN IMMEDIATE").ok());
    auto s = sink(400);
    EXPECT_FALSE(run_to(*s, 400, 40'000));
    EXPECT_TRUE(s->failing());
    EXPECT_TRUE(s->drained()) << "a store that fails must not hold up a stop";
    EXPECT_GT(errors(), 1U);
    EXPECT_LT(errors(), 20U) << "tried again without waiting";
    EXPECT_TRUE(errors_mention("locked")) << error_log();
    EXPECT_TRUE(errors_mention("has failed for over 5 s")) << error_log();
    EXPECT_TRUE(errors_mention("has failed for over 30 s")) << error_log();
    ASSERT_TRUE(other.exec("COMMIT").ok());
    ASSERT_TRUE(run_to(*s, 400)) << error_log();
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 400)));
}

TEST_F(SqliteSinkTest, GoesOnWhereItWasAfterTheDiskWasFull) {
    auto s = sink(6'000);
    {
        const FileSizeLimit full{300'000};
        EXPECT_FALSE(run_to(*s, 6'000, 10'000));
        EXPECT_TRUE(s->failing());
        EXPECT_GT(errors(), 0U);
    }
    ASSERT_TRUE(run_to(*s, 6'000)) << error_log();
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 6'000)));
    EXPECT_FALSE(sqlite_file_exists(path_ + ".stale-1"));
}

void overwrite(const std::string& path, std::streamoff at, std::size_t bytes) {
    std::fstream file{path, std::ios::in | std::ios::out | std::ios::binary};
    file.seekp(at);
    file << std::string(bytes, '\xA5');
    ASSERT_TRUE(file.good());
}

TEST_F(SqliteSinkTest, SetsADamagedFileAsideAndRebuildsIt) {
    for (const std::streamoff at : {0, 4096 * 3 + 8}) {
        ASSERT_TRUE(run_to(*sink(2'000), 2'000)) << error_log();
        overwrite(path_, at, 600);
        auto s = sink(2'000);
        ASSERT_TRUE(run_to(*s, 2'000)) << error_log() << "damage at " << at;
        EXPECT_TRUE(holds(path_, expected_dump(dir_, 2'000)));
        EXPECT_GT(errors(), 0U);
    }
    EXPECT_TRUE(sqlite_file_exists(path_ + ".stale-1"));
    EXPECT_TRUE(sqlite_file_exists(path_ + ".stale-2"));
}

TEST_F(SqliteSinkTest, FinishesARebuildThatWasKilled) {
    ASSERT_TRUE(run_to(*sink(50, 7), 50)) << error_log();
    std::mt19937 random{test::first_seed()};
    for (int round = 0; round < 10; ++round) {
        sink_and_die(*segment_, options(), 3'000, {kAnyTime, static_cast<int>(random() % 10'000)});
    }
    ASSERT_TRUE(run_to(*sink(3'000), 3'000)) << error_log();
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 3'000)));
    EXPECT_FALSE(sqlite_file_exists(path_ + ".stale-2"));
    EXPECT_FALSE(sqlite_file_exists(path_ + ".rebuild"));
}

TEST_F(SqliteSinkTest, LeavesTheDatabaseOfAnotherProgramAlone) {
    SqliteDb db;
    ASSERT_TRUE(db.open(path_, 100).ok());
    ASSERT_TRUE(
        db.exec("CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES ('pie')").ok());
    db.close();
    auto s = sink(100);
    EXPECT_FALSE(run_to(*s, 100, 2'000));
    EXPECT_TRUE(errors_mention("a database of another program")) << error_log();
    ASSERT_TRUE(db.open(path_, 100).ok());
    EXPECT_EQ(db.text("SELECT name FROM recipes").value(), "pie");
    EXPECT_EQ(db.text("PRAGMA journal_mode").value(), "delete");
}

TEST_F(SqliteSinkTest, GoesOnInAFileOfTheSchemaBefore) {
    auto o = options();
    std::string why;
    o.store.instance = 77;
    {
        SqliteSink s{*segment_, std::make_unique<MemoryLog>(20), o};
        ASSERT_TRUE(run_to(s, 20)) << error_log();
    }
    SqliteDb db;
    ASSERT_TRUE(db.open(path_, 100).ok());
    EXPECT_EQ(db.number("SELECT instance FROM cursor").value(), 77);
    to_schema(path_, 3);
    db.close();
    ASSERT_TRUE(run_to(*sink(30), 30)) << error_log();  // who does not know the instance
    EXPECT_EQ(errors(), 0U) << error_log();
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 30)));
    ASSERT_TRUE(db.open(path_, 100).ok());
    EXPECT_EQ(db.number("PRAGMA user_version").value(), 6);
    EXPECT_EQ(look_at_store(path_, why), StoreHealth::Good) << why;
    EXPECT_EQ(sqlite_odd_layout(db).value(), "");
    EXPECT_EQ(db.number("SELECT instance FROM cursor").value(), 0);
    db.close();
    SqliteSink s{*segment_, std::make_unique<MemoryLog>(40), o};
    ASSERT_TRUE(run_to(s, 40)) << error_log();
    ASSERT_TRUE(run_to(*sink(50), 50)) << error_log();
    ASSERT_TRUE(db.open(path_, 100).ok());
    EXPECT_EQ(db.number("SELECT instance FROM cursor").value(), 77) << "0 takes nothing back";
}

TEST_F(SqliteSinkTest, RefusesAFileOfANewerBuild) {
    ASSERT_TRUE(run_to(*sink(20), 20)) << error_log();
    SqliteDb db;
    ASSERT_TRUE(db.open(path_, 100).ok());
    ASSERT_TRUE(db.exec("PRAGMA user_version = 99").ok());
    auto s = sink(30);
    EXPECT_FALSE(run_to(*s, 30, 1'000));
    EXPECT_TRUE(errors_mention("made by a newer build")) << error_log();
    EXPECT_EQ(db.number("PRAGMA user_version").value(), 99);
    EXPECT_FALSE(sqlite_file_exists(path_ + ".stale-1"));
}

TEST_F(SqliteSinkTest, ReadsTheLogAgainAfterAReadError) {
    MemoryLog* log = nullptr;
    auto s = sink(500, 0, &log);
    EXPECT_FALSE(run_to(*s, 500, 2));
    log->fail_next();
    ASSERT_TRUE(run_to(*s, 500)) << error_log();
    EXPECT_EQ(errors(), 1U);
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 500)));
}

TEST_F(SqliteSinkTest, NamesThePathThatCannotBeOpened) {
    auto o = options();
    o.store.path = dir_ + "/no/such/directory/store.db";
    SqliteSink s{*segment_, std::make_unique<MemoryLog>(10), o};
    EXPECT_FALSE(run_to(s, 10, 1'000));
    EXPECT_TRUE(errors_mention("/no/such/directory/store.db: cannot open")) << error_log();
}

TEST_F(SqliteSinkTest, ShowsWordsAndDecimalsInItsViews) {
    ASSERT_TRUE(run_to(*sink(40), 40)) << error_log();
    SqliteDb db;
    ASSERT_TRUE(db.open(path_, 100).ok());
    EXPECT_EQ(db.text("SELECT account || ' ' || symbol || ' ' || type || ' ' || side || ' ' || "
                      "status || ' ' || volume || ' ' || avg_price || ' ' || signal "
                      "FROM v_orders WHERE intent = 3")
                  .value(),
              "gold-desk XAUUSD OPEN BUY FILLED 0.1 1234.56 "
              "01234567-89ab-cdef-0000-000000000001");
    EXPECT_EQ(db.text("SELECT state || ' ' || link || ' ' || broker || ' ' || "
                      "ifnull(state_once_up, '?') || ' ' || equity FROM v_accounts")
                  .value(),
              "TRADING UP MAY_TRADE ? 1000.0");
    ASSERT_TRUE(db.exec("UPDATE accounts SET permissions = 128 + 2 * 2").ok());
    EXPECT_EQ(db.text("SELECT broker || ' ' || state_once_up FROM v_accounts").value(),
              "MAY_NOT_TRADE " + std::string{to_string(static_cast<AccountState>(2))});
    EXPECT_EQ(db.text("SELECT source || ' ' || \"group\" || ' ' || accepted FROM v_signals "
                      "WHERE seq = 18")
                  .value(),
              "alpha 2 1970-01-01T00:00:01.000Z");
    for (const char* v :
         {"v_signals", "v_orders", "v_executions", "v_positions", "v_accounts", "v_alerts"}) {
        const auto rows = db.number(std::string{"SELECT count(*) FROM "} + v);
        ASSERT_TRUE(rows.ok()) << v << ": " << db.message();
        EXPECT_GT(rows.value(), 0) << v;
    }
}

/// A call that cannot say that it goes on is one that waits here for the sign itself.
TEST(SignOfLife, IsShownByAThreadOfItsOwnUntilTheCallEnds) {
    std::promise<void> third;
    int shown = 0;  // by that thread alone, until it has ended
    {
        const SignOfLife alive{[&] {
                                   if (++shown == 3) {
                                       third.set_value();
                                   }
                                   return true;
                               },
                               seconds(3600)};
        third.get_future().wait();
    }
    EXPECT_GE(shown, 3);
}

TEST(SignOfLife, IsShownOnceAtLeastAndNoMoreWhenItIsGivenUp) {
    std::atomic<int> shown{0};
    {
        const SignOfLife alive{[&] { return ++shown == 0; }, seconds(3600)};
    }
    EXPECT_EQ(shown, 1);
    shown = 0;
    {
        const SignOfLife none{[&] { return ++shown > 0; }, Nanos{0}};
    }
    EXPECT_EQ(shown, 0);
}

TEST(SignOfLife, IsNotShownASecondTimeWhereItHasLastedTooLong) {
    std::atomic<int> shown{0};
    const SignOfLife spent{[&] { return ++shown > 0; }, Nanos{1}};
    std::atomic<int> others{0};
    std::promise<void> third;
    const SignOfLife clock{[&] {
                               if (++others == 3) {
                                   third.set_value();
                               }
                               return true;
                           },
                           seconds(3600)};
    third.get_future().wait();  // in this time the first one would have been shown again
    EXPECT_LE(shown, 1);
}

TEST(SignOfLife, OfALargerFileMayLastLonger) {
    EXPECT_GE(patience_with(0), seconds(60));
    EXPECT_GE(patience_with(std::uint64_t{100} << 30U), seconds(6 * 3600));
    EXPECT_LT(patience_with(std::uint64_t{100} << 30U), seconds(12 * 3600));
}

}  // namespace
}  // namespace millrace::sqlite_test
