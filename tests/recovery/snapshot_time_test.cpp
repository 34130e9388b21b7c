// Goal: snapshots are due by the age of the newest on disk, so that a replica that dies often takes
// one all the same; and not before their time. Method: a log written by real processes, then
// replicas in this one, whose clock is the test's; the age is that of the file.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <functional>

#include "persist/replica.h"
#include "persist/snapshot_file.h"
#include "shm/clock.h"
#include "tests/recovery/pipeline.h"

namespace millrace::test {
namespace {

namespace fs = std::filesystem;

constexpr Nanos kEvery = seconds(3600);

class SnapshotTime : public ::testing::Test {
protected:
    SnapshotTime() {
        p.create_segment();
        const pid_t journal = p.fork_journal(nullptr);
        const pid_t engine = p.fork_core(nullptr);
        const pid_t replica = p.fork_core(nullptr);
        p.send_config();
        p.connect_accounts(1);
        EXPECT_TRUE(p.play_until([&] { return !snapshots().empty(); }));
        p.send_signals(5);
        const CoreCells& core = p.segment().core();
        EXPECT_TRUE(p.play_until([&] {
            return p.done_results.size() == p.signals_sent &&
                   core.durable.load() == core.completed.load();
        }));
        for (const pid_t pid : {replica, engine, journal}) {  // no spare is left to take over
            Pipeline::kill_and_reap(pid);
        }
        keep_oldest();
    }
    [[nodiscard]] std::vector<Sequence> snapshots() const {
        return list_snapshots(p.journal_dir()).value();
    }
    [[nodiscard]] fs::path file(Sequence seq) const {
        return fs::path{p.journal_dir()} / snapshot_name(seq);
    }
    /// So that what follows it is worth a snapshot.
    void keep_oldest() {
        const auto all = snapshots();
        for (std::size_t i = 1; i < all.size(); ++i) {
            fs::remove(file(all[i]));
        }
    }
    void age_of_newest(Nanos age) {
        const auto by = std::chrono::nanoseconds{age.value};
        fs::last_write_time(file(snapshots().back()), fs::file_time_type::clock::now() - by);
    }
    /// A replica that starts, follows the log, and dies after `lives`. @return it took a snapshot.
    bool takes_snapshot_within(Nanos lives) {
        return takes_snapshot_within(lives, [](Replica&) {});
    }
    /// @param then runs before its death.
    bool takes_snapshot_within(Nanos lives, const std::function<void(Replica&)>& then) {
        const std::size_t before = snapshots().size();
        CoreOptions options;
        options.journal_dir = p.journal_dir();
        options.capacity = {kAccounts, 64, 4096, 4096};
        options.snapshot_every = kEvery;
        {
            std::string message;
            auto seen = Segment::attach(p.segment_path(), Segment::Mode::ReadWrite, message);
            EXPECT_TRUE(seen.ok()) << message;
            Replica replica{seen.value(), options};
            const Nanos start = p.segment().clock().now();
            EXPECT_TRUE(p.play_until([&] {
                replica.step(start);
                EXPECT_EQ(replica.failure(), "");
                return p.segment().core().replica_applied.load() != 0 && replica.idle();
            }));
            replica.step(start + lives);
            then(replica);
        }  // its end waits for the snapshot that it may be writing
        return snapshots().size() > before;
    }
    Pipeline p;
};

TEST_F(SnapshotTime, IsDueSoonAfterAStartIfTheNewestOnDiskIsOldEnough) {
    age_of_newest(kEvery);
    EXPECT_FALSE(takes_snapshot_within(Nanos{0})) << "it may be what the last one died of";
    EXPECT_TRUE(takes_snapshot_within(Nanos{kEvery.value / 10}));
}

TEST_F(SnapshotTime, IsNotDueBeforeTheNewestOnDiskIsOldEnough) {
    EXPECT_FALSE(takes_snapshot_within(Nanos{kEvery.value / 10}));
}

TEST_F(SnapshotTime, IsDueWhenTheRestOfTheIntervalHasPassed) {
    age_of_newest(Nanos{kEvery.value / 2});
    EXPECT_FALSE(takes_snapshot_within(Nanos{kEvery.value / 3}));
    EXPECT_TRUE(takes_snapshot_within(Nanos{kEvery.value / 2}));
}

TEST_F(SnapshotTime, IsDueSoonIfTheNewestOnDiskIsOfTheFuture) {
    age_of_newest(Nanos{-100 * kEvery.value});
    EXPECT_TRUE(takes_snapshot_within(Nanos{kEvery.value / 10}));
}

TEST_F(SnapshotTime, IsTakenAtAStopThoughAnEarlierOneFailed) {
    const fs::path in_the_way = fs::path{p.journal_dir()} / "snapshot.tmp";
    fs::remove(in_the_way);  // left by one that was killed
    fs::create_directory(in_the_way);
    age_of_newest(kEvery);
    const CoreCells& core = p.segment().core();
    const auto failed = [&] {
        for (std::uint32_t i = 0; i < kErrors; ++i) {
            const ErrorEntry& e = p.segment().error(i);
            if (e.count.load() != 0 && std::string_view{e.text}.find("snapshot") == 0) {
                return true;
            }
        }
        return false;
    };
    EXPECT_TRUE(takes_snapshot_within(Nanos{kEvery.value / 10}, [&](Replica& replica) {
        const auto step = [&] { replica.step(p.segment().clock().now()); };
        EXPECT_TRUE(p.play_until([&] {
            step();
            return failed();
        })) << "the first fails";
        fs::remove(in_the_way);
        EXPECT_FALSE(replica.drained()) << "it owes one";
        EXPECT_TRUE(p.play_until([&] {
            step();
            return replica.drained();
        }));
        EXPECT_EQ(core.snapshot_seq.load(), core.replica_applied.load());
    }));
}

TEST_F(SnapshotTime, IsTakenAtAStopThatMetOneUnderWayWhichThenFailed) {
    const fs::path in_the_way = fs::path{p.journal_dir()} / "snapshot.tmp";
    fs::remove(in_the_way);
    // Who opens it waits for a reader, and it cannot be flushed.
    ASSERT_EQ(::mkfifo(in_the_way.c_str(), 0600), 0);
    const auto before = ::signal(SIGPIPE, SIG_IGN);
    age_of_newest(kEvery);
    const CoreCells& core = p.segment().core();
    EXPECT_TRUE(takes_snapshot_within(Nanos{kEvery.value / 10}, [&](Replica& replica) {
        const int reader = ::open(in_the_way.c_str(), O_RDONLY | O_CLOEXEC);
        ASSERT_GE(reader, 0);  // so one is under way
        EXPECT_FALSE(replica.drained());
        ::close(reader);
        EXPECT_TRUE(p.play_until([&] {
            replica.step(p.segment().clock().now());
            return replica.drained();
        }));
        EXPECT_EQ(core.snapshot_seq.load(), core.replica_applied.load());
    }));
    ::signal(SIGPIPE, before);
}

TEST_F(SnapshotTime, CountsFromTheSegmentIfThereIsNoneOnDisk) {
    fs::remove(file(snapshots().back()));
    EXPECT_FALSE(takes_snapshot_within(Nanos{kEvery.value / 10}));
    const std::int64_t then = wall_ns() - kEvery.value;
    for (const std::uint64_t copy : {std::uint64_t{0}, kHeaderCopyOffset}) {
        auto* header = reinterpret_cast<std::byte*>(&p.segment().shared_header()) + copy;
        std::memcpy(header + offsetof(SegmentHeader, created_ns), &then, sizeof then);
    }
    EXPECT_TRUE(takes_snapshot_within(Nanos{kEvery.value / 10}));
}

}  // namespace
}  // namespace millrace::test
