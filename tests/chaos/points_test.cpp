// Goal: between any two durable facts the pipeline may die: nothing is lost, doubled or left in
// doubt. Method: the whole pipeline under load, each crash point that is compiled in armed in one
// start of its stage (tools/millrace/crash_plan.h); then everything goes on in the same segment, or
// everything is killed and the segment removed, as by a reboot. The engine's, the journal's and the
// broker stage's points are tested one by one in tests/recovery and tests/broker too, those of the
// shared-memory client in tests/client.
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <ostream>
#include <regex>
#include <set>
#include <sstream>

#include "shm/clock.h"
#include "tests/chaos/world.h"
#include "tools/millrace/crash_plan.h"

namespace millrace::chaos {
namespace {

constexpr Nanos kHitMax = seconds(300);  // until the last point of a group has struck
constexpr Nanos kNudgeAfter = seconds(4);

/// What is done when no point has struck for a while.
enum class Nudge : std::uint8_t {
    None,
    KillEngine,    // a core may be armed for the role that it does not have: then roles change
    KillSwitch,    // `millrace kill` and `unkill` for one account
    RebuildStore,  // gives the sink a reason to replace its store
};

struct Group {
    const char* name;
    const char* plan;
    Nudge nudge = Nudge::None;
    /// GoogleTest shows it so in the test's name, instead of its bytes, which differ by run.
    friend void PrintTo(const Group& g, std::ostream* out) { *out << g.name; }
};

const Group kGroups[] = {
    {"journal",
     "journal=journal.before_reserve,journal.after_reserve,journal.before_header,"
     "journal.file_prepared,journal.before_submit:20,journal.after_submit:20,"
     "journal.before_durable:20,journal.before_release:20"},
    {"engine",
     "core-0=engine.begin.jumped,engine.before_journal:60,engine.after_apply:60,"
     "engine.before_order:20,engine.before_result:20,engine.recover.replayed,"
     "engine.before_signal_release:20,engine.before_release:60;"
     "core-1=engine.begin.jumped,engine.after_journal:60,engine.after_completed:60,"
     "engine.after_order:20,engine.after_result:20,engine.recover.released",
     Nudge::KillEngine},
    {"takeover",
     "core-0=takeover.locked,takeover.attached,takeover.running;"
     "core-1=takeover.locked,takeover.attached,takeover.running",
     Nudge::KillEngine},
    {"replica",
     "core-0=effects.after_write:20,snapshot.before_rename,snapshot.after_rename;"
     "core-1=effects.after_write:20,snapshot.before_rename,snapshot.after_rename"},
    {"broker",
     "broker=broker.after_settle,broker.after_welcome:3,broker.before_claim:20,"
     "broker.after_claim:20,broker.after_write:20,broker.after_done:20,broker.after_release:20,"
     "broker.before_report:20,broker.after_report:20,broker.after_ack:20,broker.after_drain:20,"
     "broker.after_orders_release:20,broker.after_kill_noted,broker.after_kill_sent",
     Nudge::KillSwitch},
    {"sqlite", "sqlite=-,sqlite-replace-wal-moved,sqlite-replace-old-moved", Nudge::RebuildStore},
};

/// The plan is in the environment while this lives.
class Armed {
public:
    explicit Armed(const char* plan) { ::setenv(kCrashPlanVariable, plan, 1); }
    ~Armed() { ::unsetenv(kCrashPlanVariable); }
    Armed(const Armed&) = delete;
    Armed& operator=(const Armed&) = delete;
};

std::set<std::string> points_of(const std::string& plan) {
    std::set<std::string> points;
    static const std::regex kList{"[^;=]+=([^;]*)"};
    for (std::sregex_iterator at{plan.begin(), plan.end(), kList}, end; at != end; ++at) {
        std::istringstream entries{(*at)[1].str()};
        for (std::string point; std::getline(entries, point, ',');) {
            if (point != "-") {
                points.insert(point);
            }
        }
    }
    return points;
}

/// Points at which a process died by itself, by the supervisor's log.
std::set<std::string> struck(const std::string& log, const std::set<int>& ours) {
    static const std::regex kArmed{"pid (\\d+) is armed to die at (\\S+)"};
    static const std::regex kDied{"\\(pid (\\d+)\\) killed by signal 9"};
    std::set<int> dead;
    for (std::sregex_iterator at{log.begin(), log.end(), kDied}, end; at != end; ++at) {
        dead.insert(std::stoi((*at)[1]));
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

class ChaosPoints : public testing::TestWithParam<std::tuple<Group, bool>> {
protected:
    /// Plays until every point of the group has struck. @return those that did not.
    std::set<std::string> play_until_struck(World& world, const Group& group) {
        std::set<std::string> missing = points_of(group.plan);
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

    /// Also while the broker stage dies of it: told again, it must get through.
    static void use_kill_switch(World& world) {
        const std::string name = world.pipeline().plan().accounts.back().name;
        std::string output;
        EXPECT_EQ(world.command({"kill", "--account", name}, seconds(30), &output), 0) << output;
        EXPECT_EQ(world.command({"unkill", "--account", name}, seconds(30), &output), 0) << output;
    }

    std::set<int> ours_;  // pids that the test itself killed
};

TEST_P(ChaosPoints, LoseAndDoubleNothing) {
    const auto& [group, removed] = GetParam();
    WorldOptions options;
    options.edits = {{"\"journal\": {", "\"journal\": {\"snapshot_s\": 1, "}};
    World world{options};
    {
        const Armed armed{group.plan};
        ASSERT_EQ(world.start(), "") << world.log();
    }
    const std::set<std::string> missing = play_until_struck(world, group);
    for (const std::string& point : missing) {
        ADD_FAILURE() << "crash point " << point << " was never reached";
    }
    if (removed) {
        world.kill_everything();
        ASSERT_EQ(::unlink(world.pipeline().segment_path().c_str()), 0);
        ASSERT_EQ(world.start_again(), "") << world.log();
    }
    world.turn_for(seconds(2));
    const Judgement judgement = world.finish();
    EXPECT_TRUE(judgement.good()) << describe(judgement, world);
    EXPECT_GT(judgement.book_executions, 0U) << "nothing was traded: this proves nothing";
}

INSTANTIATE_TEST_SUITE_P(Groups, ChaosPoints,
                         testing::Combine(testing::ValuesIn(kGroups), testing::Bool()),
                         [](const auto& run) {
                             return std::string{std::get<0>(run.param).name} +
                                    (std::get<1>(run.param) ? "_segment_removed" : "_same_segment");
                         });

}  // namespace
}  // namespace millrace::chaos
