// Goal: a stage in another pid namespace (another container over the same segment) is not called
// gone, and none of its pids is handed out as one of this namespace. Method: the looker is what is
// put into a namespace; the role is held outside it.
#include "tests/inspect/cli.h"
#include "tests/inspect/fixture.h"
#include "tests/inspect/owner.h"
#include "tests/shm/children.h"
#include "tools/inspect/found_segment.h"
#include "tools/inspect/recover_plan.h"
#include "tools/inspect/view.h"

namespace millrace::inspect {
namespace {

class PidNamespace : public SegmentFixture {
protected:
    void SetUp() override {
        SegmentFixture::SetUp();
        journal_dir_ = (dir_ / "journal").string();
        std::filesystem::create_directory(journal_dir_);
    }
    /// Runs `body` with its own pids. @return what it returns.
    static int looked(const std::function<int()>& body) {
        return test::end_of(test::run_child([&] { return test::in_own_pid_namespace(body); }));
    }
    std::string journal_dir_;
};

TEST_F(PidNamespace, AStageThatHoldsItsRoleElsewhereIsAliveAndHasNoPidHere) {
    const Owner owner{journal_dir_, "engine"};
    play_stage(StageId::Engine, StageState::Running);
    play_stage(StageId::Broker, StageState::Running);  // and nobody has that role
    const int answer = looked([&] {
        PipelineView v = read_view(*segment_);
        look_closer(*segment_, v);
        const StageStat& engine = v.stages.at(static_cast<std::size_t>(StageId::Engine));
        EXPECT_EQ(engine.liveness, Liveness::Elsewhere);
        EXPECT_EQ(engine.lock_pid, -1);
        EXPECT_EQ(engine.cpu_now, -1) << "of a pid of this namespace";
        EXPECT_EQ(v.stages.at(static_cast<std::size_t>(StageId::Broker)).liveness, Liveness::Gone);
        EXPECT_EQ(run_json("pid", {"pid", "engine", path_}, 1)["process"], "elsewhere");
        EXPECT_EQ(run_cli({"pid", "engine", path_}).out, "") << "a pid of another namespace";
        EXPECT_EQ(run_cli({"wait", path_, "--stage", "engine", "--timeout", "0s"}).status, 0);
        EXPECT_EQ(plan_recovery(find_segment(path_, journal_dir_), journal_dir_).alive,
                  std::vector<std::string>{"engine (in another pid namespace)"});
        return ::testing::Test::HasFailure() ? 1 : 0;
    });
    if (answer == test::kSkipped) {
        GTEST_SKIP() << "SKIPPED: no pid namespace may be had here";
    }
    EXPECT_EQ(answer, 0);
}

}  // namespace
}  // namespace millrace::inspect
