// Goal: while the journal does not write, whoever wants out of the market gets out, over TCP and
// in shared memory; entries wait, or are refused with the reason; nothing that was sent meanwhile
// is lost or done twice when it writes again. Method: the whole pipeline, its journal stopped by
// SIGSTOP, or killed and unable to come back; by the broker's own books. (A disk that hangs or is
// full: stopped_disk_test.cpp.)
#include <gtest/gtest.h>

#include <signal.h>

#include <filesystem>

#include "shm/role.h"
#include "tests/chaos/way_out.h"
#include "tests/chaos/world.h"
#include "tests/not_proven.h"
#include "tools/millrace/process.h"

namespace millrace::chaos {
namespace {

class ChaosWayOut : public ::testing::Test {
protected:
    void start(std::vector<Edit> edits) {
        WorldOptions options;
        options.edits = WayOut::configured();
        options.edits.insert(options.edits.end(), edits.begin(), edits.end());
        world_ = std::make_unique<World>(options);
        ASSERT_EQ(world_->start(), "") << world_->log();
        world_->hush(true);
    }
    [[nodiscard]] const CoreCells& core() const { return world_->segment().core(); }

    /// @param stops the journal's writing, and `resumes` it.
    void expect_open(const std::function<void()>& stops, const std::function<void()>& resumes) {
        WayOut way_out{*world_};
        ASSERT_TRUE(way_out.opens()) << world_->log();
        stops();
        const std::uint64_t durable = core().durable.load();
        way_out.leaves();
        EXPECT_TRUE(way_out.is_out()) << world_->log();
        way_out.expect_entries_refused("only closes and cancels: the journal is down");
        way_out.expect_no_ack_and_no_entry();
        EXPECT_GIVEN(core().durable.load() == durable) << "it wrote";
        resumes();
        way_out.expect_all_answered_and_nothing_twice();
        world_->hush(false);
        world_->turn_for(seconds(1));
        const Judgement judgement = world_->finish();
        EXPECT_TRUE(judgement.good()) << describe(judgement, *world_);
    }

    std::unique_ptr<World> world_;
};

TEST_F(ChaosWayOut, IsOpenWhileTheJournalIsStopped) {
    // Left alone, as one that waits for its disk is.
    start({{"\"accounts_max\"",
            R"("restart": {"stuck_ms": 1000, "stalled": "report"}, "accounts_max")"}});
    expect_open(
        [&] {
            ASSERT_TRUE(world_->kill_stage(StageId::Journal, SIGSTOP));
            const int pid = static_cast<int>(world_->segment().stage(StageId::Journal).pid.load());
            const ProcessId journal{pid, process_start_time(pid)};
            ASSERT_TRUE(world_->turn_until([&] { return journal.stopped(); }, seconds(180)));
        },
        [&] { ASSERT_TRUE(world_->kill_stage(StageId::Journal, SIGCONT)); });
    EXPECT_NE(world_->log().find("ALERT the journal does not write"), std::string::npos);
}

TEST_F(ChaosWayOut, IsOpenWhileTheJournalCannotComeBack) {
    start({});
    const std::string reservation = world_->workspace().path("journal/reservation");
    const std::string aside = world_->workspace().path("aside");
    expect_open(
        [&] {
            std::filesystem::rename(reservation, aside);
            ASSERT_TRUE(world_->kill_stage(StageId::Journal));
            ASSERT_TRUE(world_->turn_until(
                [&] {
                    // Acquire: pairs with the supervisor's release.
                    return core().journal_state.load(std::memory_order_acquire) ==
                           static_cast<std::uint32_t>(JournalState::Down);
                },
                seconds(180)));
        },
        [&] { std::filesystem::rename(aside, reservation); });
}

}  // namespace
}  // namespace millrace::chaos
