// Goal: while trading goes on and one store stays away, the effects log on disk never grows beyond
// twice its cap; the store that follows is left alone and lacks nothing; the other one is detached
// once, and has what the log has left when it comes back.
// Method: a real log that gets 120,000 effects in small files, two SQLite stores that follow it,
// one of them with a pause, and retention after each 2,000 records.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "persist/effects_log_source.h"
#include "persist/snapshot_file.h"
#include "tests/sqlite/effects.h"
#include "tools/millrace/retention.h"
#include "tools/millrace/storage_keeper.h"

namespace millrace {
namespace {

using sqlite_test::chain_at;
using sqlite_test::effects_of;

constexpr std::uint64_t kFileBytes = 256 << 10;
constexpr std::uint64_t kCap = 2 << 20;
constexpr std::uint64_t kRecordsAtOnce = 2'000;
constexpr std::uint64_t kEffects = 120'000;

class DetachedSink : public sqlite_test::SqliteFixture {
protected:
    void SetUp() override {
        SqliteFixture::SetUp();
        std::filesystem::create_directory(log());
        std::string message;
        auto writer = EffectsWriter::open(log(), {kFileBytes}, message);
        ASSERT_TRUE(writer.ok()) << message;
        writer_.emplace(std::move(writer).value());
        LogCursor at;
        at.seq = Sequence{1'000'000};  // all of it can be made again: nothing goes without
        const std::byte image[64] = {};
        ASSERT_TRUE(write_snapshot(log(), at, image, message).ok()) << message;
    }
    [[nodiscard]] std::string log() const { return dir_ + "/log"; }
    [[nodiscard]] std::string store(const char* name) const { return dir_ + "/" + name + ".db"; }
    std::unique_ptr<SqliteSink> follower(const char* name) {
        SqliteSinkOptions o = options();
        o.store.path = store(name);
        o.batch_rows = 2'000;
        return std::make_unique<SqliteSink>(*segment_, std::make_unique<EffectsLogSource>(log()),
                                            o);
    }
    void write() {
        for (std::uint64_t i = 0; i < kRecordsAtOnce; ++i) {
            LogCursor at;
            at.epoch = 1;
            at.seq = Sequence{++seq_};
            at.chain = chain_at(seq_);
            for (const Effect& e : effects_of(seq_)) {
                ASSERT_TRUE(writer_->append(e).ok());
                executions_ += e.kind == EffectKind::Execution ? 1 : 0;
            }
            ASSERT_TRUE(writer_->end_of_record(at).ok());
        }
        ASSERT_TRUE(writer_->flush().ok());
    }
    [[nodiscard]] bool follow(SqliteSink& s) { return run_to(s, writer_->last_mark().seq.value); }
    [[nodiscard]] std::uint64_t bytes_of_log() const {
        std::uint64_t sum = 0;
        for (const auto& entry : std::filesystem::directory_iterator{log()}) {
            sum += entry.path().extension() == ".mre" ? entry.file_size() : 0;
        }
        return sum;
    }
    /// The first column of the first row.
    [[nodiscard]] static std::uint64_t ask(const std::string& path, const std::string& sql) {
        SqliteDb db;
        EXPECT_TRUE(db.open(path, 1'000).ok()) << db.message();
        auto statement = db.prepare(sql);
        EXPECT_TRUE(statement.ok()) << db.message();
        EXPECT_TRUE(statement.value().row().ok()) << db.message();
        return std::stoull(statement.value().column_text(0));
    }

    std::optional<EffectsWriter> writer_;
    std::uint64_t seq_ = 0;
    std::uint64_t executions_ = 0;
};

TEST_F(DetachedSink, CostsTheDiskTwiceTheCapAndTheStoreThatFollowsNothing) {
    const auto follows = follower("follows");
    const auto away = follower("away");
    Retention retention{log()};
    std::uint64_t most = 0;
    int detached = 0;
    bool was = false;
    const auto prune = [&] {
        const RetentionLimits limits{
            kCap, {{"follows", follows->stored().seq}, {"away", away->stored().seq}}};
        const Retained done = retention.prune(limits);
        EXPECT_EQ(done.trouble, "");
        EXPECT_LE(done.detached.size(), 1U);
        const bool is = !done.detached.empty();
        EXPECT_TRUE(!is || done.detached.front() == "away") << done.detached.front();
        detached += is && !was ? 1 : 0;
        was = is;
        most = std::max(most, bytes_of_log());
    };
    write();
    ASSERT_TRUE(follow(*follows) && follow(*away)) << error_log();
    while (writer_->written() < kEffects) {
        write();
        ASSERT_TRUE(follow(*follows)) << error_log();
        prune();
        ASSERT_LE(most, 2 * kCap) << "at record " << seq_;
    }
    EXPECT_GT(most, kCap) << "it was held back until then";
    EXPECT_EQ(detached, 1);
    EXPECT_TRUE(was) << "and is until it has come back";
    EXPECT_LE(bytes_of_log(), kCap + kFileBytes) << "it holds nothing back any more";

    ASSERT_TRUE(follow(*away)) << error_log();
    prune();
    EXPECT_FALSE(was);
    EXPECT_TRUE(errors_mention("the effects log begins after its cursor")) << error_log();
    EXPECT_FALSE(errors_mention("follows.db")) << error_log();
    const std::uint64_t first = ask(store("away"), "SELECT min(seq) FROM executions");
    const std::string since =
        "SELECT count(*) FROM executions WHERE seq >= " + std::to_string(first);
    EXPECT_GT(first, kRecordsAtOnce) << "nothing had gone";
    EXPECT_EQ(ask(store("away"), since), ask(store("follows"), since));
    EXPECT_EQ(ask(store("follows"), "SELECT count(*) FROM executions"), executions_);
}

TEST(DetachedText, SaysOfEachSinkWhatItIsMadeAgainFromAndFitsIntoTheErrorLog) {
    EXPECT_NE(detached_text("sqlite", false).find("from its newest backup"), std::string::npos);
    for (const char* sink : {"redis", "clickhouse"}) {
        EXPECT_NE(detached_text(sink, true).find("from the SQLite store"), std::string::npos);
        EXPECT_EQ(detached_text(sink, false).find("SQLite"), std::string::npos);
        EXPECT_NE(detached_text(sink, false).find("lacks the rest"), std::string::npos);
    }
    for (const char* sink : {"sqlite", "redis", "clickhouse"}) {
        for (const bool from_sqlite : {false, true}) {
            const std::string text = "ALERT " + detached_text(sink, from_sqlite);
            EXPECT_LT(text.size(), sizeof ErrorEntry{}.text) << text;
            EXPECT_NE(text.find(std::string{sink} + " is detached"), std::string::npos);
        }
    }
}

}  // namespace
}  // namespace millrace
