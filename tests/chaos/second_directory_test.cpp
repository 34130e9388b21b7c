// Goal: a full or silent disk under the journal, where a second directory is configured, costs no
// trading: entries and their acknowledgements go on, an ALERT says where the journal is, a journal
// that dies then goes on there too, and once there is room again nothing is lost, doubled or
// computed otherwise by a replay of both directories. Method: the whole pipeline under load, its
// first journal directory on an ext4 of its own, which is filled to its last block, or frozen, so
// that whoever writes to it waits in the kernel.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/chaos/frozen_disk.h"
#include "tests/chaos/world.h"

namespace millrace::chaos {
namespace {

constexpr Nanos kSlowMachine = seconds(180);
constexpr std::uint64_t kFills = 40;

class ChaosSecondDirectory : public ::testing::Test {
protected:
    void SetUp() override {
        std::string why;
        disk_ = FreezableDisk::make(why);
        if (disk_ == nullptr) {
            GTEST_SKIP() << "SKIPPED: " << why
                         << "; needs root, loop devices and mkfs.ext4. NOT TESTED HERE: a pipeline "
                            "whose journal moves (MovingJournal tests the move itself)";
        }
        WorldOptions options;
        options.journal_dir = disk_->folder();
        options.edits = {{"\"file_mib\"", "\"second_directory\": \"" + second() +
                                              "\", \"answer_ms\": 500, \"spare_files\": 0, "
                                              "\"free_floor_mib\": 0, \"file_mib\""}};
        world_ = std::make_unique<World>(options);
        ASSERT_EQ(world_->start(), "") << world_->log();
        await("executions", [this] { return fills() >= kFills; });
    }
    [[nodiscard]] std::string second() const { return dir_ / "second"; }
    [[nodiscard]] std::uint64_t fills() const {
        std::uint64_t sum = 0;
        for (const auto& [account, count] : world_->fills()) {
            sum += count;
        }
        return sum;
    }
    void await(const char* what, const std::function<bool()>& done) {
        ASSERT_TRUE(world_->turn_until(done, kSlowMachine)) << "no " << what << "\n"
                                                            << world_->log();
    }
    [[nodiscard]] bool has_moved() const {
        return world_->log().find("ALERT the journal goes on in " + second()) != std::string::npos;
    }
    /// Acks are of level `disk`, and so is the gate: both say that the second disk has them.
    void expect_trading() {
        const std::uint64_t filled = fills();
        const std::size_t acked = world_->source().counts().accepted;
        const std::uint64_t durable = world_->segment().core().durable.load();
        await("executions and acks of new records", [&] {
            return fills() >= filled + kFills && world_->source().counts().accepted > acked &&
                   world_->segment().core().durable.load() > durable;
        });
    }
    /// The first disk answers again. The replica died of it, and comes back after a pause.
    void expect_good_end() {
        const CoreCells& core = world_->segment().core();
        const std::uint64_t durable = core.durable.load();
        await("stores that have come as far", [&] {
            return std::min(core.replica_applied.load(), core.sqlite_seq.load()) >= durable;
        });
        const Judgement judgement = world_->finish();
        EXPECT_TRUE(judgement.good()) << describe(judgement, *world_);
    }

    test::TempDir dir_;
    std::unique_ptr<FreezableDisk> disk_;  // outlives those who write to it
    std::unique_ptr<World> world_;
};

TEST_F(ChaosSecondDirectory, TakesTheJournalWhenTheFirstIsFullAndTradingGoesOn) {
    // What is prepared is used up first.
    ASSERT_TRUE(world_->turn_until(
        [this] {
            disk_->fill();
            return has_moved();
        },
        kSlowMachine))
        << world_->log();
    expect_trading();
    ASSERT_TRUE(world_->kill_stage(StageId::Journal));
    await("journal in the second directory",
          [this] { return world_->log().find(", in " + second()) != std::string::npos; });
    expect_trading();
    std::string output;
    EXPECT_EQ(world_->command({"explain", "audit"}, kSlowMachine, &output), 0) << output;
    disk_->make_room();
    expect_good_end();
}

TEST_F(ChaosSecondDirectory, TakesTheJournalWhenTheFirstDoesNotAnswerAndTradingGoesOn) {
    {
        const Frozen frozen{*disk_};
        ASSERT_TRUE(frozen.ok());
        await("move", [this] { return has_moved(); });
        expect_trading();
    }
    expect_good_end();
}

}  // namespace
}  // namespace millrace::chaos
