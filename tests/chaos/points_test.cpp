// Goal: between any two durable facts the pipeline may die: nothing is lost, doubled or left in
// doubt. Method: the whole pipeline under load, each crash point that is compiled in armed in one
// start of its stage (tools/millrace/crash_plan.h); then everything goes on in the same segment.
// Which points: crash_matrix.h. With the segment lost at each: lost_segment_test.cpp.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <regex>
#include <set>

#include "shm/clock.h"
#include "tests/chaos/crash_matrix.h"
#include "tests/chaos/world.h"
#include "tests/not_proven.h"
#include "tools/millrace/crash_plan.h"

namespace millrace::chaos {
namespace {

constexpr Nanos kHitMax = seconds(300);  // until the last point of a group has struck
constexpr Nanos kNudgeAfter = seconds(4);
constexpr Nanos kEntriesWait = millis(500);  // shorter than a stopped journal is left alive

/// The plan is in the environment while this lives.
class Armed {
public:
    explicit Armed(const char* plan) { ::setenv(kCrashPlanVariable, plan, 1); }
    ~Armed() { ::unsetenv(kCrashPlanVariable); }
    Armed(const Armed&) = delete;
    Armed& operator=(const Armed&) = delete;
};

/// Points at which a process died by itself, by the supervisor's log.
std::set<std::string> struck(const std::string& log, const std::set<int>& ours) {
    static const std::regex kArmed{"pid (\\d+) is armed to die at (\\S+)"};
    static const std::regex kDied{"\\(pid (\\d+)\\) killed by signal 9"};
    // The supervisor's own blow for one that hung.
    static const std::regex kReplaced{"\\(pid (\\d+)\\) has not moved .*: killed, to be replaced"};
    std::set<int> dead;
    for (std::sregex_iterator at{log.begin(), log.end(), kDied}, end; at != end; ++at) {
        dead.insert(std::stoi((*at)[1]));
    }
    for (std::sregex_iterator at{log.begin(), log.end(), kReplaced}, end; at != end; ++at) {
        dead.erase(std::stoi((*at)[1]));
    }
    std::set<std::string> points;
    for (std::sregex_iterator at{log.begin(), log.end(), kArmed}, end; at != end; ++at) {
        const int pid = std::stoi((*at)[1]);
        if (dead.contains(pid) && !ours.contains(pid)) {
            points.insert((*at)[2]);
        }
    }
    return points;
}

bool runs(const Segment& segment, StageId id) {
    // Relaxed: a picture, looked at again.
    const auto state =
        static_cast<StageState>(segment.stage(id).state.load(std::memory_order_relaxed));
    return state == StageState::Running || state == StageState::Standby;
}

int pid_of(const Segment& segment, StageId id) {
    return static_cast<int>(segment.stage(id).pid.load(std::memory_order_relaxed));
}

class ChaosPointsInTheSameSegment : public testing::TestWithParam<CrashGroup> {
protected:
    /// Plays until every point of the group has struck. @return those that did not.
    std::set<std::string> play_until_struck(World& world, const CrashGroup& group) {
        std::set<std::string> missing = group.points();
        std::size_t before = missing.size();
        std::int64_t nudge_at = monotonic_ns() + kNudgeAfter.value;
        const std::int64_t until = monotonic_ns() + kHitMax.value;
        while (!missing.empty() && monotonic_ns() < until) {
            world.turn_for(millis(200));
            for (const std::string& point : struck(world.log(), ours_)) {
                missing.erase(point);
            }
            if (missing.size() != before) {
                before = missing.size();
                nudge_at = monotonic_ns() + kNudgeAfter.value;
            } else if (monotonic_ns() > nudge_at) {
                nudge(world, group.nudge);
                nudge_at = monotonic_ns() + kNudgeAfter.value;
            }
        }
        return missing;
    }

    void nudge(World& world, Nudge how) {
        switch (how) {
            case Nudge::None: return;
            case Nudge::KillEngine: return kill_engine(world);
            case Nudge::KillSwitch: return use_kill_switch(world);
            case Nudge::RebuildStore:
                std::ofstream{world.workspace().path("millrace.db.rebuild")};
                ours_.insert(pid_of(world.segment(), StageId::Sqlite));
                (void)world.kill_stage(StageId::Sqlite);
                return;
        }
    }

    void kill_engine(World& world) {
        const Segment& segment = world.segment();
        if (runs(segment, StageId::Engine) && runs(segment, StageId::Replica)) {
            ours_.insert(pid_of(segment, StageId::Engine));
            (void)world.kill_stage(StageId::Engine);
        }
    }

    /// Also while the broker stage dies of it: told again, it must get through. The journal's disk
    /// stands still meanwhile, so that entries wait in the queues, which the kill ends unsent.
    static void use_kill_switch(World& world) {
        const std::string name = world.pipeline().plan().accounts.back().name;
        std::string output;
        (void)world.kill_stage(StageId::Journal, SIGSTOP);
        world.turn_for(kEntriesWait);
        EXPECT_EQ(world.command({"kill", "--account", name}, kHitMax, &output), 0) << output;
        (void)world.kill_stage(StageId::Journal, SIGCONT);
        EXPECT_EQ(world.command({"unkill", "--account", name}, kHitMax, &output), 0) << output;
    }

    std::set<int> ours_;  // pids that the test itself killed
};

TEST_P(ChaosPointsInTheSameSegment, LoseAndDoubleNothing) {
    const CrashGroup& group = GetParam();
    WorldOptions options;
    options.edits = {{"\"journal\": {", "\"journal\": {\"snapshot_s\": 1, "}};
    World world{options};
    {
        const Armed armed{group.plan};
        ASSERT_EQ(world.start(), "") << world.log();
    }
    const std::set<std::string> missing = play_until_struck(world, group);
    for (const std::string& point : missing) {
        ADD_FAILURE() << "NOT PROVEN: crash point " << point << " was never reached";
    }
    EXPECT_TRUE(world.each_account_fills(kHitMax)) << "one does not trade any more";
    const Judgement judgement = world.finish();
    EXPECT_TRUE(judgement.good()) << describe(judgement, world);
    EXPECT_GIVEN(judgement.book_executions > 0) << "nothing was traded";
}

INSTANTIATE_TEST_SUITE_P(Groups, ChaosPointsInTheSameSegment, testing::ValuesIn(kCrashMatrix),
                         [](const auto& run) { return std::string{run.param.name}; });

}  // namespace
}  // namespace millrace::chaos
