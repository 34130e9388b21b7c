// Goal: whatever happens to the file of a store that is being written, after a while its rows are
// what the log says: put back one by one, or in a file that is made anew. Method: single bits
// flipped and ends cut off under a sink at work, whose keeper looks and compares without a pause.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "persist/failed_syncs.h"
#include "persist/sqlite_files.h"
#include "persist/sqlite_layout.h"
#include "tests/seed.h"
#include "tests/sqlite/effects.h"

namespace millrace::sqlite_test {
namespace {

namespace fs = std::filesystem;

void change(const std::string& path, const std::string& sql) {
    SqliteDb db;
    ASSERT_TRUE(db.open(path, 1'000).ok());
    ASSERT_TRUE(db.exec(sql).ok()) << db.message();
}

// ---- comparing ---------------------------------------------------------------------------------

class SqliteAudit : public SqliteFixture {
protected:
    void keep(std::uint64_t last) {
        ASSERT_TRUE(store_.open({path_, false, false, 250}).ok()) << store_.message();
        std::vector<Effect> all;
        for (std::uint64_t seq = store_.cursor().seq.value + 1; seq <= last; ++seq) {
            const auto effects = effects_of(seq);
            all.insert(all.end(), effects.begin(), effects.end());
        }
        ASSERT_TRUE(store_.store(all, cursor_at(last), Nanos{}).ok()) << store_.message();
    }
    SqliteAuditFindings compared(std::uint64_t last, std::uint64_t first = 1) const {
        auto log = std::make_unique<MemoryLog>(last);
        log->set_first(first);
        auto found = audit_sqlite(path_, std::move(log));
        EXPECT_TRUE(found.ok()) << found.error().what;
        return found ? std::move(found).value() : SqliteAuditFindings{};
    }
    SqliteStore store_;
};

TEST_F(SqliteAudit, FindsEveryRowAsTheLogSays) {
    keep(600);
    const SqliteAuditFindings f = compared(620);
    EXPECT_TRUE(f.clean()) << f.first;
    EXPECT_EQ(f.upto.value, 600U);
    // Names, of each life seven, of the last three, the account, alerts.
    EXPECT_EQ(f.rows, 3U + 50U * 7U + 3U + 1U + 8U);
}

TEST_F(SqliteAudit, FindsAndPutsBackWhatIsWrong) {
    keep(600);
    const std::string expected = expected_dump(dir_, 600);
    for (const char* damage :
         {"UPDATE orders SET avg_price = avg_price + 1048576 WHERE intent = 9",
          "DELETE FROM positions WHERE position_id = 301",
          // The one that it was is missing, and another one is too many.
          "UPDATE positions SET position_id = 333 WHERE position_id = 301",
          "UPDATE executions SET k = 9 WHERE seq = 38",
          "UPDATE signals SET id = X'0123456789ABCDEF0000000000009999' WHERE seq = 54",
          "DELETE FROM executions WHERE seq = 38", "UPDATE signals SET filled = 3 WHERE seq = 54",
          // Its last effect is of record 54; with these it says that another one wrote it.
          "UPDATE signals SET seq = 48 WHERE seq = 54",
          "UPDATE signals SET seq = 59 WHERE seq = 54",
          "UPDATE signals SET seq = 70000 WHERE seq = 54",
          "UPDATE definitions SET name = 'XAUUSE' WHERE id = 3", "UPDATE accounts SET state = 4",
          "UPDATE alerts SET detail = 0 WHERE seq = 91",
          // They read as what they were, and no query finds them.
          "UPDATE positions SET signal = CAST(signal AS TEXT) WHERE position_id = 301",
          "UPDATE definitions SET name = CAST(name AS BLOB) WHERE id = 3",
          "UPDATE orders SET side = side + 256 WHERE intent = 9",
          "UPDATE orders SET symbol = 3 + 4294967296 WHERE intent = 9",
          "UPDATE signals SET target = zeroblob(16) WHERE seq = 54",
          "UPDATE signals SET target = '' WHERE seq = 54",
          "UPDATE definitions SET name = name || char(0) || 'x' WHERE id = 3"}) {
        change(path_, damage);
        const SqliteAuditFindings f = compared(600);
        ASSERT_EQ(f.wrong.size(), 1U) << damage;
        ASSERT_TRUE(store_.put_back(f.wrong, f.extra, f.upto).ok()) << store_.message();
        EXPECT_TRUE(compared(600).clean()) << damage;
        EXPECT_TRUE(holds(path_, expected)) << damage;
    }
}

TEST_F(SqliteAudit, LooksAtWhatTheLogStillHas) {
    keep(600);
    change(path_, "UPDATE orders SET avg_price = 1 WHERE intent IN (9, 81)");
    const SqliteAuditFindings f = compared(600, 300);
    ASSERT_EQ(f.wrong.size(), 1U);
    EXPECT_EQ(f.first, "the row that record 483 wrote, orders, is not what the log says");
}

TEST_F(SqliteAudit, PutsNothingOverARowThatWasWrittenSince) {
    keep(50);
    change(path_,
           "UPDATE signals SET filled = 7");  // of the fifth signal, too, which is not done yet
    const SqliteAuditFindings f = compared(50);
    ASSERT_EQ(f.wrong.size(), 5U);
    store_.close();
    keep(600);
    ASSERT_TRUE(store_.put_back(f.wrong, f.extra, f.upto).ok()) << store_.message();
    EXPECT_TRUE(compared(600).clean());
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 600)));
}

TEST_F(SqliteAudit, KnowsNotesOfOthersThatAreNotWhatWasWrittenAndMarksThem) {
    keep(60);
    FailedSyncs notes{path_};
    FailedSync note{"clickhouse", cursor_at(10), cursor_at(20), 20, 4,
                    "cut",        seconds(1),    seconds(9)};
    SqliteDb db;
    ASSERT_TRUE(db.open(path_, 1'000).ok());
    const auto odd = [&] { return sqlite_odd_rows(db).value(); };
    for (int failures = 4; failures < 6; ++failures) {  // the second one is written over it
        ASSERT_TRUE(notes.note(note).ok());
        EXPECT_EQ(odd(), "");
        note.failures = 5;
    }
    ASSERT_TRUE(store_.note(seconds(2), "rebuilt", "it was damaged").ok());
    EXPECT_EQ(odd(), "");
    change(path_, "UPDATE failed_syncs SET failures = 1; UPDATE store_events SET at_ns = 7");
    EXPECT_EQ(odd(), "1 rows of failed_syncs are not what was written");
    ASSERT_TRUE(notes.synced("clickhouse", seconds(3)).ok());
    EXPECT_NE(odd(), "") << "what is written over it must not make it right";
    ASSERT_TRUE(store_.renew().ok()) << store_.message();
    EXPECT_EQ(odd(), "");
    const std::string mark = "damaged, not to be believed: ";
    EXPECT_EQ(db.text("SELECT error FROM failed_syncs").value(), mark + "cut");
    EXPECT_EQ(db.text("SELECT detail FROM store_events").value(), mark + "it was damaged");
    ASSERT_TRUE(notes.note(note).ok());
    ASSERT_TRUE(notes.synced("clickhouse", seconds(3)).ok());
    EXPECT_EQ(odd(), "");
}

// ---- a store at work ---------------------------------------------------------------------------

class SqliteLiveDamage : public SqliteFixture {
protected:
    void SetUp() override {
        SqliteFixture::SetUp();
        SqliteSinkOptions o = options();
        o.store.instance = kInstance;
        o.keeper.dir = dir_ + "/backups";
        o.keeper.every = seconds(3600);
        o.keeper.look_every = o.keeper.audit_every = Nanos{1};
        o.keeper.nice = 0;
        o.keeper.make_log = [this] { return std::make_unique<MemoryLog>(last_.load()); };
        auto log = std::make_unique<MemoryLog>(last_.load());
        log_ = log.get();
        sink_ = std::make_unique<SqliteSink>(*segment_, std::move(log), o);
        settle();
        ASSERT_TRUE(is_right());
    }
    void TearDown() override {
        sink_.reset();
        SqliteFixture::TearDown();
    }
    /// More comes, and what is there then has been compared from beginning to end.
    void settle(std::uint64_t more = 24) {
        log_->set_last(last_ += more);
        const std::uint64_t before = sink_->clean_audits();
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{60};
        const auto settled = [&] {
            return sink_->stored().seq.value == last_ && !sink_->rebuilding() &&
                   sink_->clean_audits() >= before + 2;  // one may have been under way
        };
        while (!settled() && std::chrono::steady_clock::now() < end) {
            now_ = now_ + millis(1);
            sink_->step(now_);
            std::this_thread::yield();
        }
        ASSERT_TRUE(settled()) << error_log();
    }
    /// All of it lies in the file itself, not in its write-ahead log. @return its size.
    std::uintmax_t flushed() const {
        SqliteDb db;
        EXPECT_TRUE(db.open(path_, 1'000).ok());
        bool done = false;
        for (int i = 0; i < 1'000 && !done; ++i) {  // the keeper reads all the time
            const auto busy = db.number("PRAGMA wal_checkpoint(TRUNCATE)");
            done = busy && busy.value() == 0;
        }
        EXPECT_TRUE(done) << db.message();
        return fs::file_size(path_);
    }
    void flip(std::uintmax_t at, unsigned bit) const {
        std::fstream file{path_, std::ios::in | std::ios::out | std::ios::binary};
        file.seekg(static_cast<std::streamoff>(at));
        const int byte = file.get();
        file.seekp(static_cast<std::streamoff>(at));
        file.put(static_cast<char>(static_cast<unsigned>(byte) ^ 1U << bit));
        ASSERT_TRUE(file.good());
    }

    /// What the log says, and what it does not.
    [[nodiscard]] ::testing::AssertionResult is_right() {
        SqliteDb db;
        EXPECT_TRUE(db.open(path_, 1'000).ok());
        const auto row = read_sqlite_cursor(db);
        if (!row || row.value().cursor != cursor_at(last_) || !row.value().whole ||
            row.value().instance != kInstance) {
            return ::testing::AssertionFailure() << "the cursor row " << row.error().what;
        }
        std::string why;
        if (check_store(path_, nullptr, why) != StoreHealth::Good) {
            return ::testing::AssertionFailure() << why;
        }
        return holds(path_, expected_dump(dir_, last_));
    }

    static constexpr std::uint32_t kInstance = 77;
    std::atomic<std::uint64_t> last_{600};
    MemoryLog* log_ = nullptr;
    std::unique_ptr<SqliteSink> sink_;
};

TEST_F(SqliteLiveDamage, OfSingleBitsIsPutBackOrTheFileIsMadeAnew) {
    const bool thorough = std::getenv("MILLRACE_LONG") != nullptr;
    const std::uint64_t seed = test::first_seed();
    std::mt19937_64 random{seed};
    for (int round = 0; round < (thorough ? 400 : 30); ++round) {
        const std::uintmax_t at = random() % flushed();
        const auto bit = static_cast<unsigned>(random() % 8);
        SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(round) +
                     ", byte " + std::to_string(at) + ", bit " + std::to_string(bit));
        ASSERT_NO_FATAL_FAILURE(flip(at, bit));
        ASSERT_NO_FATAL_FAILURE(settle(12));
        ASSERT_TRUE(is_right()) << error_log();
    }
    EXPECT_TRUE(errors_mention("were put back")) << error_log();
}

TEST_F(SqliteLiveDamage, OfAnIndexAloneMakesTheFileAnew) {
    SqliteDb db;
    ASSERT_TRUE(db.open(path_, 1'000).ok());
    const char* const root = "SELECT rootpage FROM sqlite_master WHERE name = 'orders_by_account'";
    const auto page = db.number(root);
    ASSERT_TRUE(page.ok()) << db.message();
    db.close();
    (void)flushed();
    // Its one page has 106 entries, which byte 4 says: two fewer, and no row is found wrong.
    const auto at = static_cast<std::uintmax_t>(page.value() - 1) * 4'096;
    ASSERT_NO_FATAL_FAILURE(flip(at + 4, 1));
    ASSERT_NO_FATAL_FAILURE(settle(0));
    EXPECT_TRUE(is_right()) << error_log();
    EXPECT_TRUE(sqlite_file_exists(path_ + ".stale-1")) << error_log();
}

TEST_F(SqliteLiveDamage, OfItsHeaderIsNoHarmOrTheFileIsMadeAnew) {
    constexpr unsigned kHeaderBits = 800;
    const unsigned stride = std::getenv("MILLRACE_LONG") != nullptr ? 1 : 61;
    for (unsigned bit = 0; bit < kHeaderBits; bit += stride) {
        SCOPED_TRACE("byte " + std::to_string(bit / 8) + ", bit " + std::to_string(bit % 8));
        (void)flushed();
        ASSERT_NO_FATAL_FAILURE(flip(bit / 8, bit % 8));
        ASSERT_NO_FATAL_FAILURE(settle());
        ASSERT_TRUE(is_right()) << error_log();
    }
}

TEST_F(SqliteLiveDamage, OfWhatNoEffectTellsOfIsMendedInPlace) {
    for (const char* damage :
         {"UPDATE cursor SET whole = 0", "UPDATE cursor SET instance = 78",
          "UPDATE cursor SET effects = 1", "UPDATE cursor SET seq = seq - 1",
          "UPDATE cursor SET updated_ns = CAST(updated_ns AS TEXT)", "DELETE FROM cursor",
          "UPDATE names SET name = 'FILLEE' WHERE name = 'FILLED'",
          "UPDATE names SET value = 9 WHERE domain = 'side' AND value = 1"}) {
        SCOPED_TRACE(damage);
        change(path_, damage);
        ASSERT_NO_FATAL_FAILURE(settle(0));  // nothing comes that would write the row anyway
        ASSERT_TRUE(is_right()) << error_log();
    }
    EXPECT_FALSE(sqlite_file_exists(path_ + ".stale-1")) << error_log();
}

TEST_F(SqliteLiveDamage, OfItsTablesMakesTheFileAnewAndWhatIsBesideThemDoesNot) {
    change(path_, "CREATE VIEW mine AS SELECT 1; CREATE INDEX mine_too ON orders (magic)");
    ASSERT_NO_FATAL_FAILURE(settle(0));
    EXPECT_FALSE(sqlite_file_exists(path_ + ".stale-1")) << error_log();
    int files = 0;
    for (const char* damage :
         {"DROP VIEW v_orders", "DROP INDEX orders_by_signal", "PRAGMA user_version = 22",
          "PRAGMA application_id = 5",
          "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, 'magic', "
          "'mbgic') WHERE name = 'v_executions'"}) {
        SCOPED_TRACE(damage);
        change(path_, damage);
        ASSERT_NO_FATAL_FAILURE(settle(0));
        ASSERT_TRUE(is_right()) << error_log();
        EXPECT_TRUE(sqlite_file_exists(path_ + ".stale-" + std::to_string(++files))) << error_log();
    }
}

TEST_F(SqliteLiveDamage, OfAnEndThatIsCutOffMakesTheFileAnew) {
    const auto cuts = {0L, 100L, 4'096L, 30'000L, -4'096L, -1'000L};
    for (const long cut : cuts) {
        const auto size = static_cast<long>(flushed());
        SCOPED_TRACE("cut to " + std::to_string(cut) + " of " + std::to_string(size));
        fs::resize_file(path_, static_cast<std::uintmax_t>(cut < 0 ? size + cut : cut));
        ASSERT_NO_FATAL_FAILURE(settle());
        ASSERT_TRUE(is_right()) << error_log();
    }
    EXPECT_TRUE(sqlite_file_exists(path_ + ".stale-4")) << "small parts are not worked on";
}

}  // namespace
}  // namespace millrace::sqlite_test
