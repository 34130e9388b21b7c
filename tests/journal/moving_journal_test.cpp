// Goal: when the first directory's disk is full, fails or does not answer, the journal goes on in
// the second one: nothing acknowledged is lost, what was not is written there before anything
// newer, and both directories read as one log; killed at each step of the move it goes on too.
// Method: real ENOSPC, EIO and a frozen ext4; a file-size limit for the kills, in children that
// share ring and cells with those that follow.
#include "journaling.h"
#include "tests/chaos/frozen_disk.h"
#include "tests/journal/loop_device.h"

namespace millrace::testing {
namespace {

int reads_as_one_log(Journaling& p, const std::string& first, const std::string& second) {
    const std::uint64_t durable = p.shared.durable();
    const std::uint64_t reserved = p.shared.cells().reserved_seq.load();
    p.journal.reset();
    p.message = wrong_with(first, durable);
    REQUIRE(p.message.empty());
    Shared fresh;
    Journaling next{fresh};
    REQUIRE(next.open(first, second) == Errc::Ok);
    p.message = "begins behind " + std::to_string(next.journal->start().last.seq.value);
    REQUIRE(next.journal->start().last.seq.value >= durable);
    REQUIRE(next.journal->start().epoch == 3);
    REQUIRE(!next.journal->in_second());  // the first one answers again
    REQUIRE(fresh.cells().jump_seq.load() >= reserved);
    return 0;
}

void expect_well(int status) {
    if (status == kNotPossibleHere) {
        GTEST_SKIP() << "SKIPPED: needs root, loop devices and mkfs.ext4";
    }
    EXPECT_EQ(status, 0);
}

TEST(MovingJournal, GoesOnInTheSecondDirectoryWhenTheFirstFileSystemIsFull) {
    const TempDir first;
    const TempDir second;
    expect_well(in_child([&] {
        if (!private_mounts() ||
            ::mount("none", first.path().c_str(), "tmpfs", 0, "size=2m") != 0) {
            return kNotPossibleHere;
        }
        Shared shared;
        Journaling p{shared};
        REQUIRE(p.open(first.path(), second.path()) == Errc::Ok);
        REQUIRE(!p.journal->in_second());
        const int moved = goes_on(p, first.path(), second.path());
        REQUIRE(p.until_durable(shared.durable() + 20'000));  // through further files
        if (moved != 0) {
            return moved;
        }
        return reads_as_one_log(p, first.path(), second.path());
    }));
}

TEST(MovingJournal, GoesOnInTheSecondDirectoryAfterRealEio) {
    const TempDir dir;
    const TempDir second;
    expect_well(in_child([&] {
        const std::string backing = dir.path() + "/backing";
        const std::string first = dir.path() + "/mounted";
        const std::string image = backing + "/image";
        fs::create_directories(backing);
        fs::create_directories(first);
        if (!private_mounts() || ::mount("none", backing.c_str(), "tmpfs", 0, "size=80m") != 0 ||
            !run("truncate -s 64m " + image) || !run("mkfs.ext4 -q -O ^has_journal " + image)) {
            return kNotPossibleHere;
        }
        const LoopDevice device{image};
        if (!device.ready() ||
            ::mount(device.path().c_str(), first.c_str(), "ext4", 0, nullptr) != 0) {
            return kNotPossibleHere;
        }
        Shared shared;
        Journaling p{shared};
        REQUIRE(p.open(first, second.path()) == Errc::Ok);
        REQUIRE(p.until_durable(1000));
        REQUIRE(device.limit(1 << 20));
        if (const int moved = goes_on(p, first, second.path()); moved != 0) {
            return moved;
        }
        REQUIRE(device.limit(0));
        const int read = reads_as_one_log(p, first, second.path());
        (void)::umount2(first.c_str(), MNT_DETACH);
        return read;
    }));
}

TEST(MovingJournal, GoesOnInTheSecondDirectoryWhenTheFirstDiskDoesNotAnswer) {
    std::string why;
    const auto disk = chaos::FreezableDisk::make(why);
    if (disk == nullptr) {
        GTEST_SKIP() << "SKIPPED: " << why;
    }
    const TempDir second;
    const std::string first = disk->folder();
    fs::create_directories(first);
    Shared shared;
    Journaling p{shared};
    ASSERT_EQ(p.open(first, second.path()), Errc::Ok) << p.message;
    if (p.journal->start().backend != JournalBackend::UringDirect) {
        GTEST_SKIP() << "SKIPPED: io_uring is refused here; NOT TESTED: a disk without an answer";
    }
    ASSERT_TRUE(p.until_durable(1000)) << p.message;
    {
        const chaos::Frozen frozen{*disk};
        ASSERT_TRUE(frozen.ok());
        ASSERT_EQ(goes_on(p, first, second.path()), 0);
    }
    // What waited in the kernel is written now: into a file that the newer epoch has made void.
    EXPECT_EQ(reads_as_one_log(p, first, second.path()), 0);
}

TEST(MovingJournal, KilledAtEachStepOfTheMoveLosesNothing) {
    // The start reserves four times (both reservations, the second one's epoch, and a block), and
    // makes three files, of which one is the journal's. The fourth file, the second header and the
    // fifth and sixth reservation are the move's: the second one's, and word of it in the first.
    for (const char* point :
         {"journal.move_begin", "journal.before_reserve:5", "journal.after_reserve:5",
          "journal.file_prepared:4", "journal.before_header:2", "journal.move_opened",
          "journal.before_reserve:6", "journal.after_reserve:6"}) {
        SCOPED_TRACE(point);
        const TempDir first;
        const TempDir second;
        Shared shared;
        ASSERT_EQ(in_child([&] {
                      return moves_under_a_limit(shared, first.path(), second.path(), point);
                  }),
                  128 + SIGKILL);
        const std::uint64_t durable = shared.durable();
        ASSERT_GT(durable, 500U);
        Journaling p{shared};
        ASSERT_EQ(p.open(first.path(), second.path()), Errc::Ok) << p.message;
        EXPECT_EQ(shared.durable(), durable);
        ASSERT_TRUE(p.until_durable(durable + 5000)) << p.message << p.alert;
        const std::uint64_t reserved = shared.cells().reserved_seq.load();
        p.journal.reset();
        EXPECT_EQ(wrong_with(first.path(), durable + 5000), "");
        std::string message;
        const auto both = read_reserved(first.path(), message);
        ASSERT_TRUE(both.ok()) << message;
        EXPECT_GE(both.value().seq, reserved);
    }
}

TEST(MovingJournal, StaysInTheSecondDirectoryUntilTheSegmentIsNewAndMovesBackIfThatFails) {
    const TempDir first;
    const TempDir second;
    Shared shared;
    ASSERT_EQ(
        in_child([&] { return moves_under_a_limit(shared, first.path(), second.path(), nullptr); }),
        0);
    {
        Journaling p{shared};
        ASSERT_EQ(p.open(first.path(), second.path()), Errc::Ok) << p.message;
        EXPECT_TRUE(p.journal->in_second());
        EXPECT_TRUE(p.until_durable(shared.durable() + kMore));
    }
    EXPECT_EQ(in_child([&] {
                  const rlimit limit{600 * 1024, 600 * 1024};
                  ::setrlimit(RLIMIT_FSIZE, &limit);
                  Journaling p{shared};
                  REQUIRE(p.open(first.path(), second.path()) == Errc::Ok);
                  REQUIRE(p.journal->in_second());
                  REQUIRE(p.work([&p] { return !p.journal->in_second(); }));
                  REQUIRE(p.until_durable(shared.durable() + kMore));
                  REQUIRE(p.alert.find("ALERT the journal goes on in " + first.path()) == 0);
                  return 0;
              }),
              0);
    EXPECT_EQ(wrong_with(first.path(), shared.durable()), "");
}

}  // namespace
}  // namespace millrace::testing
