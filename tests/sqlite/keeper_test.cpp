// Goal: the keeper looks at the store each second, backs it up each minute and tells of a
// write-ahead log that grows, as it says. Method: a clock that the test moves, one nap of the
// keeper's at a time.
#include "persist/sqlite_keeper.h"

#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "persist/sqlite_backup.h"
#include "persist/sqlite_db.h"
#include "persist/sqlite_files.h"
#include "tests/sqlite/effects.h"

namespace millrace::sqlite_test {
namespace {

class HandClock final : public KeeperClock {
public:
    [[nodiscard]] std::int64_t now_ns() noexcept override {
        const std::lock_guard lock{mutex_};
        return now_ns_;
    }
    void nap(Nanos time) noexcept override {
        std::unique_lock lock{mutex_};
        asked_ = time;
        naps_ = true;
        changed_.notify_all();
        changed_.wait(lock, [this] { return !naps_ || over_; });
        now_ns_ += time.value;
    }
    /// Lets the keeper's nap pass, and waits until it has done what it does then.
    /// @return how long that nap was.
    Nanos pass() {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return naps_; });
        const Nanos asked = asked_;
        naps_ = false;
        changed_.notify_all();
        changed_.wait(lock, [this] { return naps_; });
        return asked;
    }
    void end() {
        const std::lock_guard lock{mutex_};
        over_ = true;
        changed_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::int64_t now_ns_ = 1'000;
    Nanos asked_;
    bool naps_ = false;
    bool over_ = false;
};

/// Must go before the keeper whose nap it ends.
struct Ending {
    HandClock& clock;
    ~Ending() { clock.end(); }
};

using SqliteKeeperTest = SqliteFixture;

TEST_F(SqliteKeeperTest, LooksAtTheStoreEachSecondAndBacksItUpEachMinute) {
    ASSERT_TRUE(run_to(*sink(40), 40)) << error_log();
    HandClock clock;
    SqliteKeeperOptions o;
    o.store = path_;
    o.dir = dir_ + "/backups";
    o.nice = 0;
    o.clock = &clock;
    const SqliteKeeper keeper{*segment_, o};
    const Ending ending{clock};
    EXPECT_EQ(keeper.health(), StoreHealth::Unknown);
    for (int second = 1; second <= 59; ++second) {
        EXPECT_EQ(clock.pass(), seconds(1));
        EXPECT_EQ(keeper.health(), StoreHealth::Good) << error_log();
    }
    EXPECT_TRUE(list_sqlite_backups(o.dir).empty());
    EXPECT_EQ(clock.pass(), seconds(1));
    EXPECT_EQ(list_sqlite_backups(o.dir).size(), 1U) << error_log();
    const auto pass_a_minute = [&clock] {
        for (int second = 1; second <= 60; ++second) {
            (void)clock.pass();
        }
    };
    segment_->core().sqlite_seq = 45;  // records without an effect
    pass_a_minute();
    EXPECT_EQ(list_sqlite_backups(o.dir).size(), 1U) << "of a store that has not changed";
    ASSERT_TRUE(run_to(*sink(60), 60)) << error_log();
    pass_a_minute();
    EXPECT_EQ(list_sqlite_backups(o.dir).size(), 2U) << error_log();
    ASSERT_TRUE(sqlite_remove(path_).ok());
    EXPECT_EQ(keeper.health(), StoreHealth::Good) << "it has not looked since";
    EXPECT_EQ(clock.pass(), seconds(1));
    EXPECT_EQ(keeper.health(), StoreHealth::Gone);
}

TEST_F(SqliteKeeperTest, AlertsOnceOfALargeWriteAheadLogThatTheSinkCutsBackAfterwards) {
    constexpr std::uint64_t kTold = 65U << 20U;
    constexpr std::uint64_t kCutTo = 64U << 20U;
    MemoryLog* log = nullptr;
    const auto s = sink(40, 0, &log);
    ASSERT_TRUE(run_to(*s, 40)) << error_log();
    HandClock clock;
    SqliteKeeperOptions o;
    o.store = path_;
    o.wal_bytes_told = kTold;
    o.nice = 0;
    o.clock = &clock;
    const SqliteKeeper keeper{*segment_, o};
    const Ending ending{clock};
    const auto wal_bytes = [this] { return std::filesystem::file_size(path_ + "-wal"); };
    const std::string alert = "1 x ALERT " + path_ + "-wal is larger than 65 MB";
    (void)clock.pass();
    EXPECT_FALSE(errors_mention("-wal is larger")) << error_log();
    // What is written behind a reader, without one: pages that do not fit into the cache go into
    // the log, and the transaction that wanted them never happened.
    SqliteDb other;
    ASSERT_TRUE(other.open(path_, 1'000).ok());
    ASSERT_TRUE(other
                    .exec("BEGIN IMMEDIATE; CREATE TABLE filler (b); INSERT INTO filler "
                          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
                          "WHERE i < 70) SELECT zeroblob(1 << 20) FROM n; ROLLBACK")
                    .ok())
        << other.message();
    ASSERT_GT(wal_bytes(), kTold);
    (void)clock.pass();
    EXPECT_TRUE(errors_mention(alert)) << error_log();
    (void)clock.pass();
    EXPECT_TRUE(errors_mention(alert)) << "once: " << error_log();
    // The next one to write after a complete checkpoint begins the log anew, and cuts it.
    ASSERT_TRUE(other.exec("PRAGMA wal_checkpoint(PASSIVE)").ok()) << other.message();
    log->set_last(60);
    ASSERT_TRUE(run_to(*s, 60)) << error_log();
    EXPECT_LE(wal_bytes(), kCutTo);
    EXPECT_EQ(keeper.health(), StoreHealth::Good) << error_log();
}

}  // namespace
}  // namespace millrace::sqlite_test
