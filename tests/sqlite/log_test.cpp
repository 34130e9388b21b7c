// Goal: what the SQLite store holds is what the effects log on disk says, also while that grows,
// rolls, is cut short, is replaced or is damaged. Method: a real log, written by its own writer.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "persist/effects_log_source.h"
#include "persist/sqlite_files.h"
#include "tests/sqlite/effects.h"

namespace millrace::sqlite_test {
namespace {

class SqliteFollowsLog : public SqliteFixture {
protected:
    void SetUp() override {
        SqliteFixture::SetUp();
        log_ = dir_ + "/log";
        std::filesystem::create_directory(log_);
    }

    /// Writes records first .. last of the history `salt`; small files, so that it rolls.
    void write(std::uint64_t first, std::uint64_t last, std::uint64_t salt = 0,
               std::uint64_t retain_from = 0) {
        std::string message;
        EffectsWriter::Options options;
        options.file_bytes = 16 << 10;
        auto writer = EffectsWriter::open(log_, options, message);
        ASSERT_TRUE(writer.ok()) << message;
        for (std::uint64_t seq = first; seq <= last; ++seq) {
            for (const Effect& e : effects_of(seq, salt)) {
                ASSERT_TRUE(writer.value().append(e).ok());
            }
            LogCursor at;
            at.epoch = 1;
            at.seq = Sequence{seq};
            at.chain = chain_at(seq, salt);
            ASSERT_TRUE(writer.value().end_of_record(at).ok());
        }
        ASSERT_TRUE(writer.value().flush().ok());
        if (retain_from != 0) {
            ASSERT_TRUE(writer.value().retain(Sequence{retain_from}, 1ULL << 30).ok());
        }
    }
    std::unique_ptr<SqliteSink> follower() {
        return std::make_unique<SqliteSink>(*segment_, std::make_unique<EffectsLogSource>(log_),
                                            options());
    }
    [[nodiscard]] std::vector<std::string> files() const {
        std::vector<std::string> out;
        for (const auto& entry : std::filesystem::directory_iterator{log_}) {
            out.push_back(entry.path().string());
        }
        std::sort(out.begin(), out.end());
        return out;
    }

    std::string log_;
};

TEST_F(SqliteFollowsLog, FromBeforeItsFirstRecordToItsEndOverManyFiles) {
    auto s = follower();
    EXPECT_FALSE(run_to(*s, 1, 50));
    EXPECT_EQ(errors(), 0U) << error_log();
    write(1, 402);
    ASSERT_TRUE(run_to(*s, 402)) << error_log();
    write(403, 1'502);
    ASSERT_TRUE(run_to(*s, 1'502)) << error_log();
    EXPECT_GT(files().size(), 3U);
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 1'502)));
    EXPECT_EQ(errors(), 0U) << error_log();
}

// Or an inspector would show a lag that grows, and the supervisor work that waits, for as long as
// nobody trades.
TEST_F(SqliteFollowsLog, IsSaidToHaveAllAlsoBehindRecordsWithoutAnEffect) {
    const auto said = [this] { return segment_->core().sqlite_seq.load(); };
    auto s = follower();
    write(1, 407);
    ASSERT_TRUE(run_to(*s, 402)) << error_log();
    EXPECT_EQ(said(), 402U) << "the replica may be on its way to more effects";
    replica_is_at(407);
    ASSERT_TRUE(run_to(*s, 402)) << error_log();
    EXPECT_EQ(s->stored().seq.value, 402U);
    EXPECT_EQ(said(), 407U);
    SqliteDb other;
    ASSERT_TRUE(other.open(path_, 1'000).ok() && other.exec("BEGIN IMMEDIATE").ok());
    write(408, 425);
    replica_is_at(425);
    EXPECT_FALSE(run_to(*s, 423, 500));
    EXPECT_EQ(said(), 407U) << "what is read is not stored";
    ASSERT_TRUE(other.exec("ROLLBACK").ok());
    ASSERT_TRUE(run_to(*s, 423)) << error_log();
    EXPECT_EQ(said(), 425U);
    s = follower();
    EXPECT_TRUE(run_to(*s, 423)) << error_log();
    EXPECT_EQ(said(), 425U);
}

TEST_F(SqliteFollowsLog, GoesOnFromItsCursorAfterARestart) {
    write(1, 600);
    ASSERT_TRUE(run_to(*follower(), 600)) << error_log();
    write(601, 902);
    ASSERT_TRUE(run_to(*follower(), 902)) << error_log();
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 902)));
    EXPECT_FALSE(sqlite_file_exists(path_ + ".stale-1"));
}

TEST_F(SqliteFollowsLog, RebuildsWhenAnotherLogLiesThere) {
    write(1, 300, 7);
    ASSERT_TRUE(run_to(*follower(), 300)) << error_log();
    ASSERT_TRUE(remove_effects(log_).ok());
    write(1, 402);
    ASSERT_TRUE(run_to(*follower(), 402)) << error_log();
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 402)));
    EXPECT_TRUE(sqlite_file_exists(path_ + ".stale-1"));
}

TEST_F(SqliteFollowsLog, RebuildsFromTheOldestFileThatRetentionLeft) {
    write(1, 30);
    ASSERT_TRUE(run_to(*follower(), 30)) << error_log();
    write(31, 1'502, 0, 900);
    ASSERT_TRUE(run_to(*follower(), 1'502)) << error_log();
    EXPECT_TRUE(errors_mention("begins after its cursor")) << error_log();
    SqliteDb db;
    ASSERT_TRUE(db.open(path_, 100).ok());
    const auto first = db.number("SELECT min(seq) FROM executions");
    ASSERT_TRUE(first.ok());
    EXPECT_GT(first.value(), 100);
    EXPECT_LE(first.value(), 900);
}

TEST_F(SqliteFollowsLog, NamesTheDamagedPlaceAndStoresWhatIsBeforeIt) {
    write(1, 1'502);
    const std::string victim = files().at(1);
    std::fstream file{victim, std::ios::in | std::ios::out | std::ios::binary};
    file.seekp(4'000);
    file << std::string(64, '\xA5');
    file.close();
    auto s = follower();
    EXPECT_FALSE(run_to(*s, 1'502, 1'000));
    EXPECT_TRUE(s->failing());
    s.reset();
    SqliteStore store;
    ASSERT_TRUE(store.open({path_, false, true, 250}).ok()) << store.message();
    const std::uint64_t at = store.cursor().seq.value;
    store.close();
    EXPECT_GT(at, 0U);
    EXPECT_LT(at, 1'502U);
    EXPECT_TRUE(holds(path_, expected_dump(dir_, at)));
    EXPECT_TRUE(errors_mention(std::filesystem::path{victim}.filename().string())) << error_log();
}

}  // namespace
}  // namespace millrace::sqlite_test
