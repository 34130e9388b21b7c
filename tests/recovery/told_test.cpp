// Goal: what a start had to pass over or to refuse is told by name, a replica that computes
// otherwise than the live engine makes no snapshot, and a snapshot is what a replay gives.
// Method: a log written by real processes; then the stage under test in this process.
#include <gtest/gtest.h>

#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>

#include "persist/replica.h"
#include "tests/recovery/pipeline.h"
#include "tests/recovery/replayed_state.h"

namespace millrace::test {
namespace {

namespace fs = std::filesystem;

constexpr Capacity kCapacity{kAccounts, 64, 4096, 4096};

CoreOptions options_for(const Pipeline& p) {
    CoreOptions options;
    options.journal_dir = p.journal_dir();
    options.capacity = kCapacity;
    options.snapshot_every = seconds(3600);
    return options;
}

/// Errors of `stage` whose text has `part` in it.
int errors_of(const Segment& s, std::string_view stage, std::string_view part) {
    int found = 0;
    for (std::uint32_t i = 0; i < kErrors; ++i) {
        const ErrorEntry& e = s.error(i);
        const bool is_there = (e.hash.load(std::memory_order_acquire) & 1U) != 0;
        found += is_there && std::string_view{e.stage} == stage &&
                         std::string_view{e.text}.find(part) != std::string_view::npos
                     ? 1
                     : 0;
    }
    return found;
}

void damage(const fs::path& file, std::uintmax_t at) {
    std::fstream f{file, std::ios::binary | std::ios::in | std::ios::out};
    f.seekp(static_cast<std::streamoff>(at));
    f.write("damaged!", 8);
    ASSERT_TRUE(f.good());
}

void damage(const fs::path& file) {
    damage(file, fs::file_size(file) / 2);
}

class Told : public ::testing::Test {
protected:
    /// A log of configuration and `refused` signals, and no process left.
    void write_log(bool with_replica, int refused) {
        p.create_segment();
        const pid_t journal = p.fork_journal(nullptr);
        const pid_t engine = p.fork_core(nullptr);
        p.send_config();
        p.connect_accounts(1);
        const CoreCells& core = p.segment().core();
        ASSERT_TRUE(p.play_until([&] { return core.admin_applied.load() >= 4; }));
        const pid_t replica = with_replica ? p.fork_core(nullptr) : 0;
        for (int sent = 0; sent < refused; sent += 50) {
            p.send_refused_signals(50);
            ASSERT_TRUE(p.play_until([&] { return p.refused == p.signals_sent; }));
        }
        ASSERT_TRUE(p.play_until([&] {
            const bool idle = p.refused == p.signals_sent;
            const bool enough = !with_replica || snapshots().size() > 1;
            if (idle && !enough) {
                p.send_refused_signals(1);  // something that is worth a second snapshot
            }
            return idle && enough && core.durable.load() == core.completed.load();
        }));
        if (with_replica) {
            Pipeline::kill_and_reap(replica);
        }
        Pipeline::kill_and_reap(engine);
        Pipeline::kill_and_reap(journal);
    }
    [[nodiscard]] std::vector<Sequence> snapshots() const {
        return list_snapshots(p.journal_dir()).value();
    }
    [[nodiscard]] fs::path newest() const {
        return fs::path{p.journal_dir()} / snapshot_name(snapshots().back());
    }
    /// Steps an engine of this process until it runs or has failed. @return why it failed.
    std::string start_engine(const CoreOptions& options) {
        std::string message;
        auto stage = CoreStage::start(p.segment(), options, message);
        if (!stage) {
            return message;
        }
        EXPECT_TRUE(p.play_until([&] {
            stage.value()->step(p.segment().clock().now());
            return !stage.value()->healthy() || !stage.value()->recovering();
        }));
        return stage.value()->failure();
    }
    /// Steps a replica of this process to the end of the log and beyond `lives`.
    /// @return it is ready for an orderly stop.
    bool run_replica(Nanos lives) {
        Replica replica{p.segment(), options_for(p)};
        CoreCells& core = p.segment().core();
        core.replica_applied.store(0);  // of one before
        const Nanos start = p.segment().clock().now();
        EXPECT_TRUE(p.play_until([&] {
            replica.step(start);
            const std::uint64_t end = std::min(core.completed.load(), core.durable.load());
            return core.replica_applied.load() == end;
        })) << replica.failure();
        replica.step(start + lives);
        return p.play_until([&] {
            replica.step(start + lives);
            return replica.drained();
        });
    }
    Pipeline p;
};

TEST_F(Told, DamagedSnapshotThatAStartPassesOver) {
    write_log(true, 50);
    damage(newest());
    EXPECT_EQ(start_engine(options_for(p)), "");
    EXPECT_EQ(errors_of(p.segment(), "engine", p.journal_dir() + "/snapshot-"), 1);
    EXPECT_TRUE(run_replica(Nanos{0}));
    EXPECT_EQ(errors_of(p.segment(), "replica", p.journal_dir() + "/snapshot-"), 1);
}

TEST_F(Told, SnapshotThatAReplicaBeganFromAndNotTheNewerOneThatItPassedOver) {
    write_log(true, 50);
    const std::vector<Sequence> all = snapshots();
    ASSERT_GT(all.size(), 1U);
    damage(newest());
    std::atomic<std::uint64_t>& told = p.segment().core().snapshot_seq;
    told.store(all.back().value);
    Replica replica{p.segment(), options_for(p)};
    ASSERT_TRUE(p.play_until([&] {
        replica.step(p.segment().clock().now());
        return p.segment().core().replica_applied.load() != 0;
    })) << replica.failure();
    EXPECT_EQ(told.load(), all[all.size() - 2].value);
}

TEST_F(Told, NothingWhereNothingWasPassedOver) {
    write_log(true, 50);
    EXPECT_EQ(start_engine(options_for(p)), "");
    EXPECT_EQ(errors_of(p.segment(), "engine", "snapshot-"), 0);
}

TEST_F(Told, OtherSizesOfTablesByNameAndTheLogIsNotReadWithThem) {
    write_log(true, 50);
    CoreOptions options = options_for(p);
    options.capacity.orders = 8192;
    const std::string why = start_engine(options);
    EXPECT_NE(why.find("\"capacity.orders\" 4096, not 8192"), std::string::npos) << why;
    EXPECT_EQ(why.find("ledger"), std::string::npos) << why;
    options.capacity = {kAccounts * 2, 65, 4096, 4095};
    const std::string all = start_engine(options);
    EXPECT_NE(all.find("\"accounts_max\" 4, not 8"), std::string::npos) << all;
    EXPECT_NE(all.find("\"capacity.members\" 64, not 65"), std::string::npos) << all;
    EXPECT_NE(all.find("\"capacity.ledger\" 4096, not 4095"), std::string::npos) << all;
    EXPECT_EQ(start_engine(options_for(p)), "") << "set back, it starts";
}

TEST_F(Told, ReplicaThatDiffersAlertsAndTakesNoSnapshotEvenAtTheStop) {
    write_log(false, 300);
    ASSERT_GT(p.segment().core().completed.load(), kHashCheckEvery);
    p.segment().hash_check(1).hash ^= 1;  // the live engine put out something else
    EXPECT_TRUE(run_replica(seconds(7200))) << "a stop must not wait for a snapshot";
    EXPECT_EQ(p.segment().core().replica_hash_mismatch.load(), kHashCheckEvery);
    EXPECT_EQ(errors_of(p.segment(), "replica", "ALERT "), 1);
    EXPECT_TRUE(snapshots().empty());
    p.segment().core().replica_hash_mismatch.store(0);
    p.segment().hash_check(1).hash ^= 1;
    EXPECT_TRUE(run_replica(seconds(7200)));
    EXPECT_EQ(snapshots().size(), 1U) << "without a difference there is one";
}

TEST_F(Told, ReplicaWhoseEffectsLogCannotBeWrittenAlertsAndCountsNoWork) {
    write_log(false, 50);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto on_excess = ::signal(SIGXFSZ, SIG_IGN);
    const rlimit full{4096, before.rlim_max};  // room for the file's header, and little more
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
    {
        Replica replica{p.segment(), options_for(p)};
        int most = 0;
        EXPECT_TRUE(p.play_until([&] {
            most = std::max(most, replica.step(p.segment().clock().now()));
            return !replica.failure().empty();
        }));
        EXPECT_NE(replica.failure().find("effects log"), std::string::npos) << replica.failure();
        EXPECT_EQ(most, 0) << "it would be started again at once, for ever";
    }
    EXPECT_EQ(errors_of(p.segment(), "replica", "ALERT no replica: effects log"), 1);
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    ::signal(SIGXFSZ, on_excess);
}

TEST(SnapshotOfARun, IsWhatAReplayOfAllItsRecordsGives) {
    Pipeline p;
    p.create_segment();
    const pid_t journal = p.fork_journal(nullptr);
    const pid_t first = p.fork_core(nullptr);
    p.send_config();
    p.connect_accounts(1);
    const CoreCells& core = p.segment().core();
    ASSERT_TRUE(p.play_until([&] { return core.admin_applied.load() >= 4; }));
    const pid_t second = p.fork_core(nullptr);
    ASSERT_TRUE(p.play_until([&] { return core.replica_applied.load() > 4; }));
    p.send_signals(40);
    ASSERT_TRUE(p.play_until([&] { return p.executed.size() > 40; }));
    Pipeline::kill_and_reap(first);  // the spare takes over in the middle of it
    const pid_t third = p.fork_core(nullptr);
    ASSERT_TRUE(p.play_until([&] { return p.done_results.size() == p.signals_sent; }));
    Pipeline::kill_and_reap(journal);
    const pid_t next_journal = p.fork_journal(nullptr);
    p.resting = true;
    p.send_signals(10);
    ASSERT_TRUE(p.play_until([&] { return p.working == 10 * kAccounts; }));
    const std::uint64_t seen = core.completed.load();
    ASSERT_TRUE(p.play_until([&] {
        p.cancel_resting(1);
        return core.snapshot_seq.load() > seen;
    }));
    for (const pid_t pid : {third, second, next_journal}) {
        Pipeline::kill_and_reap(pid);
    }
    EXPECT_EQ(state_differs_from_replay(p.journal_dir()), "");

    // What cannot be compared is told by its reason: tests of the whole pipeline forgive one only.
    DirectorySource source{p.journal_dir()};
    const fs::path oldest = source.path_of(list_log(source).value().front().name);
    const fs::path away = oldest.string() + ".away";
    fs::rename(oldest, away);
    std::string why = state_differs_from_replay(p.journal_dir());
    EXPECT_TRUE(why.starts_with(kBeginsLater)) << why;
    fs::rename(away, oldest);
    damage(oldest, kBlockBytes + 64);
    why = state_differs_from_replay(p.journal_dir());
    EXPECT_TRUE(why.starts_with("the log cannot be replayed: ")) << why;
    const std::vector<Sequence> made = list_snapshots(p.journal_dir()).value();
    for (const Sequence seq : made) {
        fs::remove(fs::path{p.journal_dir()} / snapshot_name(seq));
    }
    why = state_differs_from_replay(p.journal_dir());
    EXPECT_TRUE(why.starts_with("there is no snapshot")) << why;
}

}  // namespace
}  // namespace millrace::test
