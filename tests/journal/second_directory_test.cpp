// Goal: two directories are one log as long as they belong together; what is missing, another's or
// an older copy is refused by name and never passed over. Method: a journal that moved, real files.
#include "journaling.h"
#include "persist/snapshot_file.h"

namespace millrace::testing {
namespace {

/// A log in two directories, the newest epoch in the second one.
class TwoDirectories : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_EQ(in_child([&] {
                      return moves_under_a_limit(shared_, first_.path(), second_.path(), nullptr);
                  }),
                  0);
        ASSERT_EQ(wrong_with(first_.path(), shared_.durable()), "");
    }
    void take_second_away() { fs::rename(second_.path(), away()); }
    [[nodiscard]] std::string away() const { return second_.path() + ".away"; }
    void TearDown() override { fs::remove_all(away()); }

    TempDir first_;
    TempDir second_;
    Shared shared_;
    std::string message_;
};

TEST_F(TwoDirectories, ASecondOneThatIsNotThereIsRefusedByName) {
    take_second_away();
    for (const bool mounted_empty : {false, true}) {
        if (mounted_empty) {
            fs::create_directories(second_.path());
        }
        const std::string wrong = wrong_with(first_.path(), 0);
        EXPECT_NE(wrong.find("second directory is empty or not there"), std::string::npos) << wrong;
        EXPECT_EQ(check_second_directory(first_.path(), second_.path(), message_).code(),
                  Errc::NotFound);
        EXPECT_NE(message_.find(second_.path()), std::string::npos);
        EXPECT_NE(message_.find("mount it"), std::string::npos);
        EXPECT_FALSE(read_reserved(first_.path(), message_).ok());
        Journaling same{shared_};
        EXPECT_NE(same.open(first_.path(), second_.path()), Errc::Ok);
        Shared fresh;
        Journaling anew{fresh};
        EXPECT_NE(anew.open(first_.path(), second_.path()), Errc::Ok);
        EXPECT_NE(anew.message.find(first_.path()), std::string::npos) << anew.message;
    }
}

TEST_F(TwoDirectories, ASecondOneThatIsNotThereHoldsUpNoSegmentWhoseNewestEpochIsInTheFirst) {
    Shared fresh;
    Journaling p{fresh};
    ASSERT_EQ(p.open(first_.path(), second_.path()), Errc::Ok) << p.message;
    ASSERT_FALSE(p.journal->in_second());
    fresh.next() = fresh.cells().jump_seq.load();
    ASSERT_TRUE(p.producer.try_publish(make_record(fresh.next()++, InputType::Jump)).ok());
    ASSERT_TRUE(p.until_durable(fresh.next() + 100)) << p.message;
    p.journal.reset();
    take_second_away();
    Journaling again{fresh};
    ASSERT_EQ(again.open(first_.path(), second_.path()), Errc::Ok) << again.message;
    EXPECT_NE(again.message.find("mount it"), std::string::npos) << again.message;
    ASSERT_TRUE(again.until_durable(fresh.durable() + 100));
    again.journal.reset();
    fs::rename(away(), second_.path());
    DirectorySource log{first_.path()};
    const Scan s = scan(log);
    EXPECT_EQ(s.status, ReadStatus::End) << s.place.what;
    EXPECT_GE(s.last, fresh.durable());
}

TEST_F(TwoDirectories, AnotherLogsDirectoryAndACopyOfAFileAreRefused) {
    DirectorySource log{first_.path()};
    const auto names = log.list();
    ASSERT_TRUE(names.ok());
    const JournalFileName newest = names.value().back();
    ASSERT_TRUE(log.in_second(newest));
    const std::string copy = first_.path() + "/" + newest.text().data();
    fs::copy_file(log.path_of(newest), copy);
    EXPECT_EQ(log.list().code(), Errc::BadLayout);
    fs::remove(copy);
    EXPECT_TRUE(log.list().ok());
    // Moved, not copied, is as good.
    fs::rename(log.path_of(newest), copy);
    EXPECT_EQ(wrong_with(first_.path(), shared_.durable()), "");

    const TempDir third;
    EXPECT_EQ(pair_directories(first_.path(), third.path(), message_).code(), Errc::BadLayout);
    EXPECT_NE(message_.find("name that one"), std::string::npos) << message_;

    take_second_away();
    fs::create_directories(second_.path());
    ASSERT_TRUE(Reservation::succeed(second_.path(), {1, 1, 0}, message_).ok());
    EXPECT_EQ(log.list().code(), Errc::BadLayout);
    EXPECT_EQ(pair_directories(first_.path(), second_.path(), message_).code(), Errc::BadLayout);
    EXPECT_NE(message_.find("belongs to another log"), std::string::npos) << message_;
}

TEST_F(TwoDirectories, IsPartedOnlyWhenNothingIsLeftThereAndKeepsWhatWasReserved) {
    EXPECT_EQ(part_directories(first_.path(), message_).code(), Errc::Busy);
    EXPECT_NE(message_.find(second_.path()), std::string::npos) << message_;
    for (const auto& file : fs::directory_iterator{second_.path()}) {
        if (file.path().extension() == ".mrj") {
            fs::rename(file.path(), first_.path() / file.path().filename());
        }
    }
    const auto both = read_reserved(first_.path(), message_);
    ASSERT_TRUE(both.ok()) << message_;
    ASSERT_TRUE(part_directories(first_.path(), message_).ok()) << message_;
    const auto alone = Reservation::read(first_.path(), message_);
    ASSERT_TRUE(alone.ok()) << message_;
    EXPECT_GE(alone.value().seq, both.value().seq);
    EXPECT_EQ(second_directory_of(first_.path()).value(), "");
    EXPECT_EQ(wrong_with(first_.path(), shared_.durable()), "");
}

TEST_F(TwoDirectories, MayBeMovedWithAllItsFiles) {
    take_second_away();
    ASSERT_TRUE(pair_directories(first_.path(), away(), message_).ok()) << message_;
    EXPECT_EQ(second_directory_of(first_.path()).value(), away());
    EXPECT_EQ(wrong_with(first_.path(), shared_.durable()), "");
}

/// Puts `copy` where the second directory is.
void put_in_place_of(const std::string& second, const std::string& copy) {
    fs::remove_all(second);
    fs::copy(copy, second, fs::copy_options::recursive);
}

TEST(SecondDirectoryAge, ACopyFromBeforeTheLastStartIsRefusedByNameAndTheRightOneIsNot) {
    const TempDir first;
    const TempDir second;
    const TempDir copies;
    const std::string of_first_start = copies.path() + "/1";
    const std::string of_second_start = copies.path() + "/2";
    for (const std::string& copy : {of_first_start, of_second_start}) {
        Shared fresh;
        Journaling p{fresh};
        ASSERT_EQ(p.open(first.path(), second.path()), Errc::Ok) << p.message;
        p.journal.reset();
        fs::copy(second.path(), copy, fs::copy_options::recursive);
    }
    put_in_place_of(second.path(), of_first_start);
    std::string message;
    EXPECT_EQ(check_second_directory(first.path(), second.path(), message).code(), Errc::BadLayout);
    for (const std::string& words :
         {second.path() + " is an older copy", first.path(), std::string{"up to epoch 1"},
          std::string{"to epoch 2"}, std::string{"Bring back the directory"}}) {
        EXPECT_NE(message.find(words), std::string::npos) << words << " in: " << message;
    }
    EXPECT_EQ(pair_directories(first.path(), second.path(), message).code(), Errc::BadLayout);
    EXPECT_FALSE(read_reserved(first.path(), message).ok());
    EXPECT_EQ(DirectorySource{first.path()}.list().code(), Errc::BadLayout);
    Shared fresh;
    Journaling refused{fresh};
    EXPECT_NE(refused.open(first.path(), second.path()), Errc::Ok);

    put_in_place_of(second.path(), of_second_start);
    Journaling taken{fresh};
    EXPECT_EQ(taken.open(first.path(), second.path()), Errc::Ok) << taken.message;
}

TEST(SecondDirectoryAge, AFirstOneFromBeforeTheLastStartsIsRefusedByWhatTheSecondWasTold) {
    const TempDir first;
    const TempDir second;
    const TempDir copies;
    const std::string older = copies.path() + "/older";
    const std::string newer = copies.path() + "/newer";
    for (int start = 1; start <= 4; ++start) {
        Shared fresh;
        Journaling p{fresh};
        ASSERT_EQ(p.open(first.path(), second.path()), Errc::Ok) << p.message;
        p.journal.reset();
        if (start == 1) {
            fs::copy(first.path(), older, fs::copy_options::recursive);
        }
    }
    fs::copy(first.path(), newer, fs::copy_options::recursive);
    put_in_place_of(first.path(), older);
    std::string message;
    EXPECT_EQ(pair_directories(first.path(), second.path(), message).code(), Errc::BadLayout);
    for (const std::string& words :
         {first.path() + " is an older copy", second.path(), std::string{"is of epoch 1"},
          std::string{"to epoch 4"}, std::string{"Bring back the directory"}}) {
        EXPECT_NE(message.find(words), std::string::npos) << words << " in: " << message;
    }
    EXPECT_FALSE(read_reserved(first.path(), message).ok());
    Shared fresh;
    Journaling refused{fresh};
    EXPECT_NE(refused.open(first.path(), second.path()), Errc::Ok);

    put_in_place_of(first.path(), newer);
    Journaling taken{fresh};
    EXPECT_EQ(taken.open(first.path(), second.path()), Errc::Ok) << taken.message;
}

TEST(SecondDirectoryAge, AStartThatEndedBeforeItsFirstFileIsNoCopy) {
    const TempDir first;
    const TempDir second;
    std::string message;
    // What the second one was told of a start, and of one that went on alone, without a file.
    for (const std::uint64_t begun : {0U, 3U, 4U}) {
        if (begun != 0) {
            ASSERT_TRUE(note_epoch(second.path(), begun, message).ok()) << message;
        }
        Shared fresh;
        Journaling p{fresh};
        ASSERT_EQ(p.open(first.path(), second.path()), Errc::Ok) << p.message;
    }
}

TEST_F(TwoDirectories, ACopyFromBeforeTheMoveIsRefusedForTheFullDiskWasTold) {
    const auto here = Reservation::read(first_.path(), message_);
    ASSERT_TRUE(here.ok()) << message_;
    take_second_away();
    fs::create_directories(second_.path());
    Reserved before = here.value();
    before.epoch = 1;
    ASSERT_TRUE(Reservation::succeed(second_.path(), before, message_).ok()) << message_;
    EXPECT_EQ(check_second_directory(first_.path(), second_.path(), message_).code(),
              Errc::BadLayout);
    EXPECT_NE(message_.find("is an older copy"), std::string::npos) << message_;
}

TEST_F(TwoDirectories, WhatASnapshotIsOfMustBeInTheLogOrTheStartIsRefused) {
    ASSERT_TRUE(write_snapshot(first_.path(), {2, Sequence{shared_.durable()}, 1},
                               std::as_bytes(std::span{"image"}), message_)
                    .ok())
        << message_;
    for (const auto& file : fs::directory_iterator{second_.path()}) {
        if (file.path().extension() == ".mrj") {  // as in a copy from that epoch's first moment
            const auto bytes = fs::file_size(file.path());
            fs::resize_file(file.path(), kBlockBytes);
            fs::resize_file(file.path(), bytes);
        }
    }
    Shared fresh;
    Journaling p{fresh};
    EXPECT_EQ(p.open(first_.path(), second_.path()), Errc::BadLayout);
    for (const std::string& words :
         {first_.path(), second_.path(), snapshot_name(Sequence{shared_.durable()}),
          std::string{"older copies"}}) {
        EXPECT_NE(p.message.find(words), std::string::npos) << words << " in: " << p.message;
    }
}

TEST(SecondDirectoryAge, OneThatWasPartedMayComeBackEmptyHoweverMuchLater) {
    const TempDir first;
    const TempDir was;
    const TempDir other;
    std::string message;
    for (const std::string& second : {was.path(), other.path()}) {
        Shared fresh;
        Journaling p{fresh};
        ASSERT_EQ(p.open(first.path(), second), Errc::Ok) << p.message;
        p.journal.reset();
        ASSERT_TRUE(part_directories(first.path(), message).ok()) << message;
    }
    ASSERT_TRUE(pair_directories(first.path(), was.path(), message).ok()) << message;
    EXPECT_TRUE(check_second_directory(first.path(), was.path(), message).ok()) << message;
}

}  // namespace
}  // namespace millrace::testing
