// Goal: an effects log that is lost or cut, after the journal's beginning has gone by retention, is
// begun again where snapshot and journal still follow each other: replica and sinks go on, and a
// store that had come further is not given up. Method: a log written by real processes over two
// journal files; files taken away, then replica and sink in this process.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "persist/effects_log_source.h"
#include "persist/replica.h"
#include "persist/snapshot_file.h"
#include "persist/sqlite_files.h"
#include "persist/sqlite_sink.h"
#include "tests/recovery/pipeline.h"
#include "tests/shm/error_log.h"

namespace millrace::test {
namespace {

namespace fs = std::filesystem;

class EffectsLost : public ::testing::Test {
protected:
    /// Two journal files, the snapshot `last_` in the second one, and all processes gone.
    /// @param quiet the second file holds records without an effect only.
    void write_log(bool quiet) {
        p.create_segment();
        const pid_t first = p.fork_journal(nullptr);
        const pid_t engine = p.fork_core(nullptr);
        const pid_t replica = p.fork_core(nullptr);
        p.send_config();
        p.connect_accounts(1);
        p.send_signals(5);
        ASSERT_TRUE(p.play_until([&] { return p.done_results.size() == p.signals_sent; }));
        ASSERT_TRUE(p.play_until([&] { return all_followed(); }));
        Pipeline::kill_and_reap(first);
        early_ = core().completed.load();
        const pid_t second = p.fork_journal(nullptr);
        if (quiet) {
            p.resend_signals();
            ASSERT_TRUE(p.play_until([&] { return p.duplicates == p.signals_sent; }));
        } else {
            p.send_signals(5);
            ASSERT_TRUE(p.play_until([&] { return p.done_results.size() == p.signals_sent; }));
        }
        ASSERT_TRUE(p.play_until([&] { return all_followed() && snapshot() > early_; }));
        for (const pid_t pid : {replica, engine, second}) {  // no spare is left to take over
            Pipeline::kill_and_reap(pid);
        }
        last_ = snapshot();
    }
    /// As retention leaves it when there is no room: what the newest snapshot needs.
    void forget_the_beginning() {
        for (const auto& entry : fs::directory_iterator{p.journal_dir()}) {
            const auto name = JournalFileName::parse(entry.path().filename().string());
            if (name && name.value().epoch < core().epoch.load()) {
                fs::remove(entry.path());
            }
        }
        const auto snapshots = list_snapshots(p.journal_dir());
        for (const Sequence seq : snapshots.value()) {
            if (seq.value < last_) {
                fs::remove(fs::path{p.journal_dir()} / snapshot_name(seq));
            }
        }
    }
    [[nodiscard]] fs::path effects() const {
        return fs::path{p.journal_dir()} / "effects-0000000001.mre";
    }
    /// A replica of this process, at the end of the log; it is there for the sinks from then on.
    void run_replica() {
        CoreOptions options;
        options.journal_dir = p.journal_dir();
        options.capacity = {kAccounts, 64, 4096, 4096};
        options.snapshot_every = seconds(3600);
        replica_ = std::make_unique<Replica>(p.segment(), options);
        const Nanos start = p.segment().clock().now();
        core().replica_applied.store(0);
        EXPECT_TRUE(p.play_until([&] {
            replica_->step(start);
            const std::uint64_t end = std::min(core().completed.load(), core().durable.load());
            return !replica_->failure().empty() || core().replica_applied.load() == end;
        }));
        ASSERT_EQ(replica_->failure(), "");
        p.segment()
            .stage(StageId::Replica)
            .state.store(static_cast<std::uint32_t>(StageState::Standby));
    }
    /// Steps a sink, ten seconds on its clock, or until it has come to `seq`.
    EffectCursor run_sink(std::uint64_t seq = UINT64_MAX) {
        SqliteSinkOptions options;
        options.store.path = store_;
        SqliteSink sink{p.segment(), std::make_unique<EffectsLogSource>(p.journal_dir()), options};
        const Nanos end = now_ + seconds(10);
        for (; now_ < end && (sink.stored().seq.value < seq || sink.rebuilding());
             now_ = now_ + millis(50)) {
            sink.step(now_);
        }
        return sink.stored();
    }
    void lose_all_and_go_on() {
        const EffectCursor before = run_sink();
        forget_the_beginning();
        fs::remove(effects());
        core().replica_applied.store(0);
        (void)run_sink();
        EXPECT_TRUE(said("waits for the replica")) << error_log(p.segment());
        EXPECT_FALSE(sqlite_file_exists(store_ + ".stale-1")) << "it may yet come so far";
        ASSERT_NO_FATAL_FAILURE(run_replica());
        EXPECT_TRUE(said("ALERT effects")) << error_log(p.segment());
        EXPECT_EQ(run_sink(), before);
        EXPECT_FALSE(sqlite_file_exists(store_ + ".stale-1")) << error_log(p.segment());
        EXPECT_FALSE(sqlite_file_exists(store_ + ".rebuild"));
        ASSERT_TRUE(fs::exists(effects())) << "the log is there, whatever comes";
        replica_.reset();
        ASSERT_NO_FATAL_FAILURE(run_replica());
        EXPECT_EQ(run_sink(), before);
    }
    [[nodiscard]] bool said(std::string_view text) {
        return error_log(p.segment()).find(text) != std::string::npos;
    }
    [[nodiscard]] CoreCells& core() { return p.segment().core(); }

    Pipeline p;
    std::string store_ = p.journal_dir() + "/store.db";
    std::uint64_t early_ = 0;
    std::uint64_t last_ = 0;
    std::unique_ptr<Replica> replica_;
    Nanos now_ = seconds(1'000);

private:
    [[nodiscard]] std::uint64_t snapshot() { return core().snapshot_seq.load(); }
    [[nodiscard]] bool all_followed() {
        const std::uint64_t end = core().completed.load();
        return core().replica_applied.load() == end && core().durable.load() == end &&
               snapshot() == end;
    }
};

TEST_F(EffectsLost, IsBegunAgainBehindTheSnapshotAndTheStoreGoesOnWhereItWas) {
    ASSERT_NO_FATAL_FAILURE(write_log(false));
    lose_all_and_go_on();
}

TEST_F(EffectsLost, LacksNothingForAStoreThatHadAllWhenTheSnapshotWasTaken) {
    ASSERT_NO_FATAL_FAILURE(write_log(true));  // the snapshot is further on than any effect
    lose_all_and_go_on();
}

TEST_F(EffectsLost, OfItsTornTailOnlyNeedsNoSnapshotBeforeIt) {
    ASSERT_NO_FATAL_FAILURE(write_log(true));
    const EffectCursor before = run_sink();
    forget_the_beginning();
    std::ofstream{effects(), std::ios::app | std::ios::binary} << "torn";
    ASSERT_NO_FATAL_FAILURE(run_replica());
    EXPECT_FALSE(said("ALERT")) << error_log(p.segment());
    EXPECT_EQ(run_sink(), before);
}

/// Cut so many bytes behind a quarter: what is left ends with a record's mark, with effects whose
/// mark is lost, or in the middle of one.
class EffectsLostInTheMiddle : public EffectsLost, public ::testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(Cut, EffectsLostInTheMiddle, ::testing::Range(0, 480, 48));

TEST_P(EffectsLostInTheMiddle, IsToldToWhoHadNotComeBehindIt) {
    ASSERT_NO_FATAL_FAILURE(write_log(false));
    const EffectCursor before = run_sink();
    const std::string ahead = store_;
    fs::copy_file(effects(), p.journal_dir() + "/whole");
    fs::resize_file(effects(),
                    fs::file_size(effects()) / 4 + static_cast<std::uintmax_t>(GetParam()));
    store_ = p.journal_dir() + "/slow.db";
    const EffectCursor slow = run_sink();
    ASSERT_GT(slow.seq.value, 0U);
    ASSERT_LT(slow.seq.value, early_);
    forget_the_beginning();
    ASSERT_NO_FATAL_FAILURE(run_replica());
    EXPECT_TRUE(said("ALERT effects")) << error_log(p.segment());
    EXPECT_TRUE(fs::exists(effects())) << "what there was is kept";
    (void)run_sink();
    EXPECT_TRUE(sqlite_file_exists(store_ + ".stale-1")) << "it lacks what is lost";
    EXPECT_TRUE(said("the effects log begins after its cursor")) << error_log(p.segment());
    store_ = ahead;
    EXPECT_EQ(run_sink(), before);
    EXPECT_FALSE(sqlite_file_exists(store_ + ".stale-1"));
}

}  // namespace
}  // namespace millrace::test
