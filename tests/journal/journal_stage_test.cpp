// Goal: `durable` never says more than the disk holds, whatever the disk does. Method: the real
// stage over a disk that delays, reorders, shortens and fails writes.
#include "journal_fakes.h"

namespace millrace::testing {
namespace {

TEST(JournalStage, AcknowledgesWhatIsOnDiskAndFreesItsSlots) {
    Rig rig;
    ASSERT_TRUE(rig.start(false)) << rig.message;
    rig.publish(100);
    rig.settle();
    EXPECT_EQ(rig.durable(), 100U);
    EXPECT_EQ(rig.ring.released(), 100U);
    EXPECT_EQ(rig.state(), JournalState::Running);
    EXPECT_EQ(rig.cells->epoch.load(), 1U);
    EXPECT_GT(rig.cells->journal_commits.load(), 0U);
    EXPECT_EQ(scan(rig.log).last, 100U);
    EXPECT_TRUE(rig.stage->idle());
}

TEST(JournalStage, AcknowledgesNothingBeforeItsCompletion) {
    Rig rig;
    ASSERT_TRUE(rig.start(false));
    rig.disk->hold = true;
    rig.publish(50);
    rig.settle();
    EXPECT_EQ(rig.durable(), 0U);
    EXPECT_EQ(rig.ring.released(), 0U);
    EXPECT_FALSE(rig.stage->idle());
    rig.disk->hold = false;
    rig.settle();
    EXPECT_EQ(rig.durable(), 50U);
}

TEST(JournalStage, AcknowledgesInOrderWhenCompletionsAreReversed) {
    Rig rig;
    DiskFaults faults;
    faults.reverse = true;
    ASSERT_TRUE(rig.start(false, faults));
    rig.disk->hold = true;
    for (int i = 0; i < 4; ++i) {
        rig.publish(5);
        (void)rig.stage->step(Nanos{1});
    }
    rig.disk->hold = false;
    DiskCompletion one[1];
    // Takes the newest completion alone, as a disk that reorders would give it.
    ASSERT_EQ(rig.disk->poll(one), 1U);
    EXPECT_EQ(rig.durable(), 0U);
    Rig other;
    ASSERT_TRUE(other.start(false, faults));
    other.publish(20);
    other.settle();
    EXPECT_EQ(other.durable(), 20U);
}

TEST(JournalStage, NeverAcknowledgesBehindAWriteThatNeverCompletes) {
    Rig rig;
    DiskFaults faults;
    faults.never = {2};  // 0 is the header
    ASSERT_TRUE(rig.start(false, faults));
    for (int i = 0; i < 5; ++i) {
        rig.publish(5);
        rig.settle();
    }
    EXPECT_EQ(rig.durable(), 5U);
    EXPECT_EQ(rig.ring.released(), 5U);
    EXPECT_EQ(rig.state(), JournalState::Running);
}

TEST(JournalStage, LetsItStandThatItIsDownUntilAWriteIsAnsweredOrThereIsNothingToWrite) {
    Rig rig;
    ASSERT_TRUE(rig.start(false));
    const auto say_down = [&] {
        rig.cells->journal_state.store(static_cast<std::uint32_t>(JournalState::Down));
    };
    rig.settle();
    say_down();
    (void)rig.stage->step(Nanos{1});
    EXPECT_EQ(rig.state(), JournalState::Running) << "it was said in the moment it began";
    rig.disk->hold = true;
    rig.publish(5);
    rig.settle();
    say_down();
    rig.publish(5);
    rig.settle();
    EXPECT_EQ(rig.state(), JournalState::Down) << "its disk hangs, and closes wait";
    rig.disk->hold = false;
    rig.settle();
    EXPECT_EQ(rig.durable(), 10U);
    EXPECT_EQ(rig.state(), JournalState::Running);
}

TEST(JournalStage, WritesTheRestOfAShortWrite) {
    for (const std::int64_t bytes : {512, 2048, 3584}) {
        Rig rig;
        DiskFaults faults;
        faults.result = {{0, 512}, {2, bytes}, {3, 512}};
        ASSERT_TRUE(rig.start(false, faults)) << rig.message;
        rig.publish(20);
        rig.settle();
        EXPECT_EQ(rig.durable(), 20U);
        const auto s = scan(rig.log);
        EXPECT_EQ(s.last, 20U) << s.place.what;
    }
}

TEST(JournalStage, TriesAgainOnlyWhatWasNeverTried) {
    Rig rig;
    DiskFaults faults;
    faults.result = {{1, -EINTR}, {2, -EAGAIN}};
    ASSERT_TRUE(rig.start(false, faults));
    rig.publish(20);
    rig.settle();
    EXPECT_EQ(rig.durable(), 20U);
}

// SQLite's N-sweep: fail write 0, 1, 2 ... until a run needs fewer writes than that.
TEST(JournalStage, StopsAcknowledgingAfterFailedWrite) {
    for (const int error : {EIO, ENOSPC, EINVAL}) {
        bool reached = true;
        for (std::uint64_t n = 1; reached; ++n) {
            Rig rig;
            DiskFaults faults;
            faults.result = {{n, -error}};  // this write only: a retry would succeed, and lie
            ASSERT_TRUE(rig.start(false, faults));
            for (int i = 0; i < 30; ++i) {
                rig.publish(20);
                rig.settle();
            }
            reached = rig.disk->writes > n;  // the fault happened
            if (!reached) {
                EXPECT_EQ(rig.durable(), 600U);
                break;
            }
            EXPECT_TRUE(rig.stage->poisoned()) << "write " << n;
            const std::uint64_t durable = rig.durable();
            EXPECT_LT(durable, 600U) << "write " << n;
            EXPECT_EQ(rig.disk->writes, n + 1) << "wrote after a failed write";
            EXPECT_EQ(rig.state(), error == ENOSPC ? JournalState::Full : JournalState::Poisoned);
            EXPECT_EQ(rig.ring.released(), durable);
            EXPECT_GE(scan(rig.log).last, durable);
            // A new object is a new epoch, a new file, and everything is there again.
            ASSERT_TRUE(rig.start(true)) << rig.message;
            rig.settle();
            EXPECT_EQ(rig.durable(), 600U);
            EXPECT_EQ(rig.state(), JournalState::Running);
            const auto s = scan(rig.log);
            EXPECT_EQ(s.count, 600U) << s.place.what;
        }
    }
}

TEST(JournalStage, IsFullWhenTheNextFileCannotBeMadeButOnlyThen) {
    Rig rig;
    DiskFaults faults;
    faults.prepare_errno = ENOSPC;
    ASSERT_TRUE(rig.start(false, faults));
    rig.publish(40);
    rig.settle();
    EXPECT_EQ(rig.durable(), 40U);
    EXPECT_EQ(rig.state(), JournalState::Running) << "the open file still has room";
    for (int i = 0; i < 30; ++i) {
        rig.publish(20);
        rig.settle();
    }
    EXPECT_EQ(rig.state(), JournalState::Full);
    EXPECT_GT(rig.durable(), 40U);
    EXPECT_GE(scan(rig.log).last, rig.durable());
}

TEST(JournalStage, GoesOnWhenSpaceIsFreedInTime) {
    Rig rig(8192);
    DiskFaults faults;
    faults.prepare_errno = ENOSPC;
    ASSERT_TRUE(rig.start(false, faults));
    rig.publish(10);
    rig.settle();
    rig.disk->faults().prepare_errno = 0;
    (void)rig.stage->step(seconds(5));
    for (int i = 0; i < 60; ++i) {
        rig.publish(20);
        rig.settle();
    }
    EXPECT_EQ(rig.durable(), 1210U);
}

TEST(JournalStage, RefusesToStartWhenTheFirstFileCannotBeWritten) {
    Rig rig;
    DiskFaults faults;
    faults.result = {{0, -EIO}};
    const auto started = rig.start(false, faults);
    EXPECT_EQ(started.code(), Errc::IoError);
    EXPECT_NE(rig.message.find(rig.dir.path()), std::string::npos) << rig.message;
    EXPECT_EQ(rig.state(), JournalState::Down);
}

TEST(JournalStage, StopsAtAHoleInTheRing) {
    Rig rig;
    ASSERT_TRUE(rig.start(false));
    rig.publish(3);
    ASSERT_TRUE(rig.ring.publish(make_record(5)));
    rig.settle();
    EXPECT_EQ(rig.state(), JournalState::Poisoned);
    EXPECT_EQ(rig.stage->error().code, Errc::BadChain);
    EXPECT_LE(rig.durable(), 3U);
}

TEST(JournalStage, WritesAJumpOverNumbers) {
    Rig rig;
    ASSERT_TRUE(rig.start(false));
    rig.publish(3);
    ASSERT_TRUE(rig.ring.publish(make_record(5000, InputType::Jump)));
    rig.next_seq = 5001;
    rig.publish(3);
    rig.settle();
    EXPECT_EQ(rig.durable(), 5003U);
    EXPECT_EQ(scan(rig.log).count, 7U);
    EXPECT_EQ(scan(rig.log, 5001).count, 2U);
}

TEST(JournalStage, FreesSlotsThatTheLastWriterMadeDurableAndDidNotRelease) {
    Rig rig(64);
    ASSERT_TRUE(rig.start(false));
    rig.publish(64);
    rig.settle();
    // As if killed between storing `durable` and releasing the slots.
    rig.ring.view().control->read_cursor.store(0, std::memory_order_release);
    ASSERT_TRUE(rig.start(true)) << rig.message;
    (void)rig.stage->step(Nanos{1});
    EXPECT_EQ(rig.ring.released(), 64U);
    EXPECT_EQ(rig.durable(), 64U);
}

TEST(JournalStage, NewSegmentGoesOnBehindTheLastValidRecord) {
    Rig rig;
    ASSERT_TRUE(rig.start(false));
    rig.publish(33);
    rig.settle();
    rig.ring = HeapRing{};
    rig.cells = std::make_unique<CoreCells>();
    ASSERT_TRUE(rig.start(false)) << rig.message;
    EXPECT_EQ(rig.stage->start().last.seq.value, 33U);
    EXPECT_EQ(rig.stage->start().epoch, 2U);
    EXPECT_EQ(rig.stage->start().reserved_seq, 1U + (1ULL << 20));
    EXPECT_EQ(rig.durable(), 33U);
    EXPECT_GT(rig.cells->reserved_seq.load(), rig.stage->start().reserved_seq);
    ASSERT_TRUE(rig.ring.publish(make_record(1 + (1ULL << 20), InputType::Jump)));
    rig.settle();
    EXPECT_EQ(scan(rig.log).count, 34U);
}

TEST(JournalStage, RefusesToStartBelowWhatIsKnownToBeDurable) {
    Rig rig;
    ASSERT_TRUE(rig.start(false));
    rig.publish(33);
    rig.settle();
    rig.cells->durable.store(34);
    EXPECT_FALSE(rig.start(true));
    EXPECT_NE(rig.message.find("record 34 was acknowledged"), std::string::npos) << rig.message;
}

TEST(JournalStage, ManyEpochsLeaveOneLog) {
    Rig rig;
    ASSERT_TRUE(rig.start(false));
    for (int i = 0; i < 20; ++i) {
        rig.publish(7);
        rig.settle();
        rig.publish(5);
        rig.disk->hold = true;
        (void)rig.stage->step(Nanos{1});  // on its way when the writer dies
        ASSERT_TRUE(rig.start(true)) << rig.message;
    }
    rig.settle();
    EXPECT_EQ(rig.durable(), 240U);
    EXPECT_EQ(scan(rig.log).count, 240U);
}

TEST(JournalStage, RingsTheBellWhenDurableMoves) {
    Rig rig;
    auto disk = std::make_unique<FaultDisk>(rig.log);
    JournalStageOptions options;
    int bells = 0;
    options.directory = rig.dir.path();
    options.segment_bytes = options.first_file_bytes = 64 * 1024;
    options.on_durable = [&bells] { ++bells; };
    auto stage = JournalStage::open(options, std::move(disk), rig.log, rig.ring.view(), *rig.cells,
                                    rig.message);
    ASSERT_TRUE(stage.ok()) << rig.message;
    rig.publish(1);
    while (rig.durable() < 1) {
        (void)stage.value()->step(Nanos{1});
    }
    EXPECT_EQ(bells, 1);
}

}  // namespace
}  // namespace millrace::testing
