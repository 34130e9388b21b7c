// Goal: what a start writes down and says before any stage runs. Method: the sizes of the tables as
// files; a watch over steps that end in time, or not before it has spoken.
#include <gtest/gtest.h>

#include <future>

#include "tests/ops/temp_dir.h"
#include "tools/millrace/start_watch.h"
#include "tools/millrace/startup.h"
#include "tools/millrace/table_sizes.h"

namespace millrace {
namespace {

const Capacity kSizes{8, 65, 1024, 4096};

TEST(TableSizes, ComeBackAsTheyWereSaved) {
    const test::TempDir dir;
    std::string message;
    EXPECT_EQ(load_table_sizes(dir.path(), message).code(), Errc::NotFound);
    ASSERT_TRUE(save_table_sizes(dir.path(), kSizes, message)) << message;
    const auto sizes = load_table_sizes(dir.path(), message);
    ASSERT_TRUE(sizes.ok()) << message;
    EXPECT_EQ(sizes.value().accounts, 8U);
    EXPECT_EQ(sizes.value().members, 65U);
    EXPECT_EQ(sizes.value().orders, 1024U);
    EXPECT_EQ(sizes.value().signals, 4096U);
}

TEST(TableSizes, AreNeverGuessedAtWhereTheFileIsDamagedOrOfALaterBuild) {
    const test::TempDir dir;
    std::string message;
    for (const char* text : {"", "{", "[1]", R"({"version": 1})",
                             R"({"version": 1, "accounts_max": "x", "capacity": {}})"}) {
        dir.write("sizes.json", text);
        EXPECT_EQ(load_table_sizes(dir.path(), message).code(), Errc::BadInput) << text;
        EXPECT_NE(message.find(dir / "sizes.json"), std::string::npos) << message;
    }
    dir.write("sizes.json", R"({"version": 2})");
    EXPECT_EQ(load_table_sizes(dir.path(), message).code(), Errc::BadVersion);
    EXPECT_NE(message.find("use the newer build"), std::string::npos) << message;
}

/// A segment that somebody left who has told account a1's terminal another login.
class ChangedUnderTerminals : public ::testing::Test {
protected:
    ChangedUnderTerminals() {
        config_.file = dir_ / "c.json";
        config_.journal.dir = dir_.path();
        config_.accounts.emplace_back();
        config_.accounts[0].name = "a1";
        config_.accounts[0].login = 1002;
        ids_.assign(NameKind::Account, "a1");
        SegmentPlan plan;
        plan.path = dir_ / "segment";
        plan.journal_dir = dir_.path();
        plan.sessions = 1;
        plan.memory.lock = MemoryWish::Off;
        std::string message;
        segment_ = Segment::create(plan, message).value();
        segment_.session(AccountId{0}).login = 1001;
        auto journal = RingProducer<JournalRecord>::attach(segment_.ring<JournalRecord>("journal"));
        JournalRecord record;
        record.seq = Sequence{5};
        EXPECT_TRUE(journal.value().try_publish(record).ok());
    }
    [[nodiscard]] std::string said_with(const LogCheck& log) const {
        return changed_under_terminals(config_, ids_, segment_, log);
    }
    test::TempDir dir_;
    Config config_;
    IdBook ids_;
    Segment segment_;
};

TEST_F(ChangedUnderTerminals, ANewLoginIsTakenWhereTheFilesKnowOfEveryRecordAndNothingIsOpen) {
    EXPECT_EQ(said_with({"", true, Sequence{5}}), "");
    segment_.core().live_orders = 1;
    EXPECT_NE(said_with({"", true, Sequence{5}}), "");
}

TEST_F(ChangedUnderTerminals, IsRefusedWhileTheRingHoldsARecordThatNoFileHas) {
    // Its order may be at a broker; the cells, which say that nothing is open, trail by 20 ms.
    EXPECT_NE(said_with({"", true, Sequence{4}}).find("1001, not 1002"), std::string::npos);
}

TEST_F(ChangedUnderTerminals, IsRefusedWhereTheFilesCannotBeReadToTheirEnd) {
    EXPECT_NE(said_with({"", false, Sequence{5}}), "");
}

TEST(StartWatch, SaysOnceWhatIsWaitedForAndGoesOnToTheNextStep) {
    std::promise<std::string> first;
    std::promise<std::string> second;
    int told = 0;  // by the watch's thread alone, until that has ended
    {
        StartWatch watch{
            [&](const std::string& text) { (told++ == 0 ? first : second).set_value(text); },
            Nanos{1}};
        watch.at("reading the log");
        EXPECT_NE(first.get_future().get().find("still reading the log after"), std::string::npos);
        watch.at("writing to the disk");
        EXPECT_NE(second.get_future().get().find("writing to the disk"), std::string::npos);
    }
    EXPECT_EQ(told, 2);
}

TEST(StartWatch, LetsTheStartGoOnWhileItsOwnWordWaitsForADisk) {
    std::promise<void> asked;
    std::promise<void> answers;
    bool first = true;  // of the watch's thread alone
    {
        StartWatch watch{[&](const std::string&) {
                             if (std::exchange(first, false)) {
                                 asked.set_value();
                                 answers.get_future().wait();
                             }
                         },
                         Nanos{1}};
        watch.at("reading the log");
        asked.get_future().wait();
        const auto next = std::async(std::launch::async, [&] { watch.at("writing to the disk"); });
        EXPECT_EQ(next.wait_for(std::chrono::seconds{60}), std::future_status::ready);
        answers.set_value();
    }
}

TEST(StartWatch, SaysNothingOfStepsThatEndInTime) {
    int told = 0;
    {
        StartWatch watch{[&](const std::string&) { ++told; }, seconds(3600)};
        watch.at("one");
        watch.at("two");
    }
    EXPECT_EQ(told, 0);
}

}  // namespace
}  // namespace millrace
