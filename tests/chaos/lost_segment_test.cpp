// Goal: where a crash point is followed by the loss of the segment, as if the host had gone down
// there, nothing is lost, doubled or left in doubt. Method: the whole pipeline under load, one
// crash point a start. Nobody starts again what dies at it: the supervisor is dead by then and the
// hot spare stopped. At once everything is killed, the journal first, and the segment removed; the
// next start arms the next point, and the last one none. The broker's books and the source's log
// tell.
//
// A point that is passed in a start, or that needs a restart to be passed, strikes while the
// supervisor lives: what it has started again by then dies a few milliseconds later too.
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <regex>

#include "shm/clock.h"
#include "shm/role.h"
#include "tests/chaos/crash_matrix.h"
#include "tests/chaos/world.h"
#include "tests/not_proven.h"
#include "tools/millrace/crash_plan.h"
#include "tools/millrace/process.h"

namespace millrace::chaos {
namespace {

constexpr Nanos kHitMax = seconds(300);  // until a point has struck
constexpr Nanos kNudgeAfter = seconds(2);
constexpr Nanos kEntriesWait = millis(500);
constexpr Nanos kSlowMachine = seconds(180);

struct Strike {
    CrashGroup group;
    std::string point;

    /// Arms this point alone, in each stage of its group.
    [[nodiscard]] std::string plan() const {
        std::string text;
        std::istringstream stages{group.plan};
        for (std::string stage; std::getline(stages, stage, ';');) {
            const std::size_t is = stage.find('=');
            const bool at_restart = stage.compare(is + 1, 2, "-,") == 0;
            text += stage.substr(0, is) + (at_restart ? "=-," : "=") + point + ";";
        }
        return text;
    }
    [[nodiscard]] bool needs_restart() const { return group.nudge == Nudge::RebuildStore; }
    /// Passed by whoever has the engine's role, again and again.
    [[nodiscard]] bool is_engine_at_work() const {
        return point.starts_with("engine.") && !point.starts_with("engine.begin.") &&
               !point.starts_with("engine.recover.");
    }
};

std::vector<Strike> strikes() {
    std::vector<Strike> all;
    for (const CrashGroup& group : kCrashMatrix) {
        for (const std::string& point : group.points()) {
            all.push_back({group, point});
        }
    }
    return all;
}

/// One life of the pipeline, from its start to the death of the armed one.
class ArmedLife {
public:
    ArmedLife(World& world, const Strike& strike) : world_{world}, strike_{strike} {}

    /// @return why it did not come to that; empty = it died at the point.
    std::string play() {
        log_from_ = world_.log().size();
        ::setenv(kCrashPlanVariable, strike_.plan().c_str(), 1);
        const std::string why = world_.pipeline().begin();
        ::unsetenv(kCrashPlanVariable);
        const std::int64_t until = monotonic_ns() + kHitMax.value;
        while (why.empty() && !has_struck() && monotonic_ns() < until) {
            world_.turn();
            if (!is_up_ && world_.pipeline().stages_running()) {
                is_up_ = true;
                nudge_at_ = monotonic_ns() + kNudgeAfter.value;
                leave_alone();
            } else if (is_up_ && monotonic_ns() > nudge_at_) {
                nudge();
                nudge_at_ = monotonic_ns() + kNudgeAfter.value;
            }
        }
        return !why.empty() ? why : has_struck() ? "" : "was never reached";
    }

private:
    struct Armed {
        int pid = 0;
        ProcessWatch watch;  // empty: it was dead before we looked
    };

    void find_armed() {
        static const std::regex kSaid{"pid (\\d+) is armed to die at (\\S+)"};
        const std::string log = world_.log().substr(log_from_);
        for (std::sregex_iterator at{log.begin(), log.end(), kSaid}, end; at != end; ++at) {
            const int pid = std::stoi((*at)[1]);
            if (std::none_of(armed_.begin(), armed_.end(),
                             [&](const Armed& a) { return a.pid == pid; })) {
                auto watch = ProcessWatch::open({pid, process_start_time(pid)});
                armed_.push_back({pid, watch ? std::move(watch.value()) : ProcessWatch{}});
            }
        }
    }

    bool has_struck() {
        if (!is_alone_) {
            find_armed();
        }
        return std::any_of(armed_.begin(), armed_.end(), [&](const Armed& a) {
            return a.pid != killed_ && (a.watch.empty() || a.watch.dead()) && by_the_point(a.pid);
        });
    }

    /// Our child since the supervisor's death: then it is known how it died.
    [[nodiscard]] static bool by_the_point(int pid) {
        int status = 0;
        const bool known = ::waitpid(pid, &status, WNOHANG) == pid;
        EXPECT_TRUE(!known || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
            << "pid " << pid << ": " << describe_wait_status(status);
        return true;
    }

    /// All stages run. From here on nobody takes the place of what dies.
    void leave_alone() {
        if (!strike_.needs_restart()) {
            find_armed();
            world_.pipeline().supervisor().signal(SIGKILL);
            EXPECT_TRUE(world_.pipeline().supervisor().wait(kSlowMachine));
            is_alone_ = true;
        }
        if (strike_.is_engine_at_work()) {
            (void)world_.kill_stage(StageId::Replica, SIGSTOP);
        }
        EXPECT_EQ(world_.pipeline().start_broker(), "");
    }

    void nudge() {
        switch (strike_.group.nudge) {
            case Nudge::None: return;
            case Nudge::KillEngine: return kill_engine();
            case Nudge::KillSwitch: return use_kill_switch();
            case Nudge::RebuildStore:
                std::ofstream{world_.workspace().path("millrace.db.rebuild")};
                (void)world_.kill_stage(StageId::Sqlite);
                return;
        }
    }

    /// So that the spare, which is armed too, takes over.
    void kill_engine() {
        if (!strike_.is_engine_at_work() && killed_ == 0) {
            killed_ = static_cast<int>(world_.segment().stage(StageId::Engine).pid.load());
            (void)world_.kill_stage(StageId::Engine);
        }
    }

    void use_kill_switch() {
        const std::string name = world_.pipeline().plan().accounts.back().name;
        const auto over = [this] { return has_struck(); };
        (void)world_.kill_stage(StageId::Journal, SIGSTOP);
        (void)world_.turn_until(over, kEntriesWait);
        (void)world_.command({"kill", "--account", name}, kSlowMachine, nullptr, over);
        (void)world_.kill_stage(StageId::Journal, SIGCONT);
        (void)world_.command({"unkill", "--account", name}, kSlowMachine, nullptr, over);
    }

    World& world_;
    const Strike& strike_;
    std::size_t log_from_ = 0;
    std::vector<Armed> armed_;
    int killed_ = 0;  // by us: that was not the point
    bool is_up_ = false;
    bool is_alone_ = false;
    std::int64_t nudge_at_ = 0;
};

void lose_the_host(World& world) {
    (void)world.kill_stage(StageId::Journal);
    world.kill_everything();
    EXPECT_EQ(::unlink(world.pipeline().segment_path().c_str()), 0);
}

/// The last start, in which nothing is armed. A kill of before may be in force.
void start_for_good(World& world) {
    ASSERT_EQ(world.pipeline().begin(), "") << world.log();
    ASSERT_EQ(world.pipeline().start_broker(), "");
    ASSERT_TRUE(world.turn_until([&] { return world.pipeline().stages_running(); }, kSlowMachine));
    std::string output;
    const std::string name = world.pipeline().plan().accounts.back().name;
    EXPECT_EQ(world.command({"unkill", "--account", name}, kSlowMachine, &output), 0) << output;
}

TEST(ChaosPoints, LoseAndDoubleNothingWhereTheHostGoesDownAtOne) {
    WorldOptions options;
    options.edits = {{"\"journal\": {", "\"journal\": {\"snapshot_s\": 1, "}};
    World world{options};
    ASSERT_EQ(world.start(), "") << world.log();
    world.turn_for(seconds(1));
    const std::vector<Strike> all = strikes();
    for (const Strike& strike : all) {
        lose_the_host(world);
        EXPECT_EQ(ArmedLife(world, strike).play(), "") << strike.point << "\n" << world.log();
    }
    lose_the_host(world);
    start_for_good(world);
    EXPECT_TRUE(world.each_account_fills(kHitMax)) << "one does not trade any more";
    const Judgement judgement = world.finish();
    EXPECT_TRUE(judgement.good()) << describe(judgement, world);
    EXPECT_GIVEN(judgement.book_executions > 0) << "nothing was traded";
    std::printf("%zu crash points, each followed by the loss of the segment; %lu executions\n",
                all.size(), static_cast<unsigned long>(judgement.book_executions));
}

}  // namespace
}  // namespace millrace::chaos
