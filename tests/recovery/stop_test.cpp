// Goal: a spare that starts, or finds the engine's role free, while the pipeline is being stopped
// begins nothing: what it would journal, no journal stage takes any more. Method: a log written by
// real processes that end, then a core in this process, step by step.
#include <gtest/gtest.h>

#include "persist/core_stage.h"
#include "tests/recovery/pipeline.h"

namespace millrace::test {
namespace {

class SpareAtAStop : public ::testing::Test {
protected:
    SpareAtAStop() {
        p.create_segment();
        journal_ = p.fork_journal(nullptr);
        engine_ = p.fork_core(nullptr);
        p.send_config();
        p.connect_accounts(1);
        p.send_signals(5);
        // A record's results are out before its number is in the cells: rest is where these have
        // come as far as the results.
        EXPECT_TRUE(p.play_until([&] {
            return p.done_results.size() == p.signals_sent &&
                   core().completed.load() >= p.last_result_seq &&
                   core().durable.load() == core().completed.load();
        }));
        journalled_ = core().journal_seq.load();
    }
    [[nodiscard]] CoreCells& core() { return p.segment().core(); }
    void stop() {
        core().stop_requested.store(1);
        Pipeline::kill_and_reap(engine_);  // its role is free then, however it ends
        Pipeline::kill_and_reap(journal_);
    }
    std::unique_ptr<CoreStage> start_core() {
        CoreOptions options;
        options.journal_dir = p.journal_dir();
        options.capacity = {kAccounts, 64, 4096, 4096};
        std::string message;
        auto stage = CoreStage::start(p.segment(), options, message);
        EXPECT_TRUE(stage.ok()) << message;
        return std::move(stage).value();
    }
    void expect_it_drains_and_journals_nothing(CoreStage& spare) {
        EXPECT_TRUE(p.play_until([&] {
            spare.step(p.segment().clock().now());
            return core().replica_applied.load() == journalled_ && spare.drained();
        }));
        EXPECT_EQ(spare.stage_id(), StageId::Replica);
        EXPECT_FALSE(spare.owns_engine());
        EXPECT_STREQ(spare.failure(), "");
        EXPECT_EQ(core().journal_seq.load(), journalled_);
    }
    Pipeline p;

private:
    pid_t journal_ = 0;
    pid_t engine_ = 0;
    std::uint64_t journalled_ = 0;
};

TEST_F(SpareAtAStop, ThatStartsWhenTheEngineHasEndedBringsTheEffectsToTheEndAndBeginsNothing) {
    stop();
    const auto spare = start_core();
    ASSERT_EQ(spare->stage_id(), StageId::Replica);
    expect_it_drains_and_journals_nothing(*spare);
}

TEST_F(SpareAtAStop, ThatWasThereBeforeTakesNothingOver) {
    const auto spare = start_core();
    ASSERT_EQ(spare->stage_id(), StageId::Replica);
    stop();
    expect_it_drains_and_journals_nothing(*spare);
}

}  // namespace
}  // namespace millrace::test
