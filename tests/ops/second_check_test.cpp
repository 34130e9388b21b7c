// Goal: a start judges "journal.second_directory" by what the two directories say, by name, and
// retention takes both for one log. Method: directories with a reservation and little else.
#include <gtest/gtest.h>

#include <filesystem>

#include "persist/second_directory.h"
#include "persist/snapshot_file.h"
#include "tests/ops/temp_dir.h"
#include "tools/millrace/retention.h"
#include "tools/millrace/second_check.h"

namespace millrace {
namespace {

using test::TempDir;

class SecondCheck : public ::testing::Test {
protected:
    SecondCheck() {
        journal_.dir = dir_ / "first";
        second_ = dir_ / "second";
        journal_.file_mib = 1;
        std::filesystem::create_directories(journal_.dir);
    }
    /// The log has begun.
    void begin(const std::string& directory) {
        ASSERT_TRUE(Reservation::succeed(directory, {100, 100, 0}, message_).ok()) << message_;
    }
    Errc prepare(bool goes_on = false) {
        message_.clear();
        return prepare_second_directory(journal_, second_, goes_on, message_).code();
    }
    [[nodiscard]] bool said(const std::string& words) const {
        return message_.find(words) != std::string::npos;
    }
    void journal_file(const std::string& directory, std::uint32_t epoch, std::uint64_t first) {
        JournalFileHeader header;
        header.epoch = epoch;
        header.first_seq = first;
        std::string bytes(10'000, '\0');
        std::memcpy(bytes.data(), &header, sizeof header);
        std::ofstream{directory + "/" + JournalFileName{epoch, 0}.text().data(), std::ios::binary}
            << bytes;
    }

    TempDir dir_;
    JournalConfig journal_;
    std::string second_;
    std::string message_;
};

TEST_F(SecondCheck, MakesItAndPairsItWithALogThatHasBegun) {
    ASSERT_EQ(prepare(), Errc::Ok) << message_;
    EXPECT_EQ(second_directory_of(journal_.dir).value(), "") << "there is no log yet";
    begin(journal_.dir);
    ASSERT_EQ(prepare(), Errc::Ok) << message_;
    EXPECT_EQ(second_directory_of(journal_.dir).value(), second_);
    EXPECT_EQ(prepare(), Errc::Ok) << message_;
}

TEST_F(SecondCheck, OneThatIsGoneIsNeverMadeAnewAndAWarningForAPipelineThatLives) {
    begin(journal_.dir);
    ASSERT_EQ(prepare(), Errc::Ok) << message_;
    std::filesystem::remove_all(second_);
    EXPECT_EQ(prepare(), Errc::NotFound);
    EXPECT_TRUE(said(second_) && said("mount it")) << message_;
    EXPECT_FALSE(std::filesystem::exists(second_));
    EXPECT_EQ(prepare(true), Errc::Ok) << message_;
}

TEST_F(SecondCheck, AnotherLogsAndTheFirstOneItselfAreRefused) {
    begin(journal_.dir);
    std::filesystem::create_directories(second_);
    begin(second_);
    EXPECT_EQ(prepare(), Errc::BadLayout);
    EXPECT_TRUE(said("belongs to another log")) << message_;
    second_ = dir_ / "link";
    std::filesystem::create_directory_symlink(journal_.dir, second_);
    EXPECT_EQ(prepare(), Errc::BadInput);
    EXPECT_TRUE(said("are one directory")) << message_;
}

TEST_F(SecondCheck, AFirstOneThatIsEmptyBesideASecondOneThatIsNotIsRefused) {
    std::filesystem::create_directories(second_);
    begin(second_);
    EXPECT_EQ(prepare(), Errc::NotFound);
    EXPECT_TRUE(said("bring the first one back") && said("recover --from sqlite")) << message_;
}

TEST_F(SecondCheck, IsTakenOutOfTheConfigurationOnlyWhenNothingIsLeftThere) {
    begin(journal_.dir);
    ASSERT_EQ(prepare(), Errc::Ok) << message_;
    const std::string second = second_;
    journal_file(second, 2, 100);
    EXPECT_NE(second_holds_lost_log(second_).find(second), std::string::npos);
    second_.clear();
    EXPECT_EQ(second_holds_lost_log(second_), "");
    EXPECT_EQ(prepare(), Errc::Busy);
    EXPECT_TRUE(said("set \"journal.second_directory\"")) << message_;
    std::filesystem::remove(second + "/" + JournalFileName{2, 0}.text().data());
    EXPECT_EQ(prepare(true), Errc::Busy) << "stages may live that go on there";
    EXPECT_EQ(prepare(), Errc::Ok) << message_;
    EXPECT_EQ(second_directory_of(journal_.dir).value(), "");
}

TEST_F(SecondCheck, RetentionTakesTheOldestFileOfBothDirectories) {
    begin(journal_.dir);
    ASSERT_EQ(prepare(), Errc::Ok) << message_;
    const std::string second = second_;
    journal_file(journal_.dir, 1, 1);
    journal_file(second, 2, 100);
    journal_file(journal_.dir, 3, 200);
    journal_file(journal_.dir, 4, 300);
    LogCursor at;
    at.seq = Sequence{320};
    const std::byte image[64] = {};
    ASSERT_TRUE(write_snapshot(journal_.dir, at, image, message_).ok()) << message_;
    const Retained done = Retention{journal_.dir}.prune({20'000, {}});
    EXPECT_EQ(done.trouble, "");
    EXPECT_EQ(done.journal_files, 2U);
    EXPECT_FALSE(std::filesystem::exists(second + "/" + JournalFileName{2, 0}.text().data()));
    std::filesystem::remove_all(second);
    const Retained half = Retention{journal_.dir}.prune({1, {}});
    EXPECT_EQ(half.journal_files, 0U) << "half a list";
    EXPECT_NE(half.trouble.find(second), std::string::npos) << half.trouble;
}

}  // namespace
}  // namespace millrace
