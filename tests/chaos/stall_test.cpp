// Goal: a stage that stands still is replaced if work waits for it (or only reported, by policy),
// and left alone if none does.
// Method: SIGSTOP on stages of the running pipeline, the supervisor watched through its log and the
// stage table. MILLRACE_LONG: 60 s for each of six stages instead of 4 s for three.
#include <gtest/gtest.h>

#include <signal.h>

#include <cstdlib>

#include "shm/clock.h"
#include "shm/role.h"
#include "tests/chaos/excuses.h"
#include "tests/chaos/world.h"
#include "tools/millrace/process.h"

namespace millrace::chaos {
namespace {

constexpr Nanos kNoticeMax = seconds(180);  // 3 s, and whatever a loaded machine adds

int pid_of(const Segment& segment, StageId id) {
    return static_cast<int>(segment.stage(id).pid.load(std::memory_order_relaxed));
}

std::string who(StageId id, int pid) {
    return std::string{stage_name(id)} + " (pid " + std::to_string(pid) + ")";
}

TEST(ChaosStall, LeavesAStoppedStageAloneThatHasNoWork) {
    World world{WorldOptions{}};
    ASSERT_EQ(world.start(), "") << world.log();
    world.turn_for(seconds(2));
    ASSERT_TRUE(world.rest(seconds(180)));
    const int pid = pid_of(world.segment(), StageId::Ingress);
    ASSERT_TRUE(world.kill_stage(StageId::Ingress, SIGSTOP));
    const std::string report = who(StageId::Ingress, pid) + " has not moved";
    EXPECT_TRUE(
        world.turn_until([&] { return world.log().find(report) != std::string::npos; }, kNoticeMax))
        << world.log();
    world.turn_for(seconds(2));
    EXPECT_NE(world.log().find("It is left alone"), std::string::npos);
    EXPECT_EQ(pid_of(world.segment(), StageId::Ingress), pid);
    ASSERT_TRUE(world.kill_stage(StageId::Ingress, SIGCONT)) << "it was replaced";
    world.hush(false);
    world.turn_for(seconds(2));
    const Judgement judgement = world.finish();
    EXPECT_TRUE(judgement.good()) << describe(judgement, world);
}

TEST(ChaosStall, ReplacesAStoppedStageThatWorkWaitsFor) {
    World world{WorldOptions{}};
    ASSERT_EQ(world.start(), "") << world.log();
    world.turn_for(seconds(2));
    for (const StageId id : {StageId::Broker, StageId::Engine, StageId::Journal}) {
        SCOPED_TRACE(stage_name(id));
        const int pid = pid_of(world.segment(), id);
        const auto old = ProcessWatch::open({pid, process_start_time(pid)});
        ASSERT_TRUE(old.ok());
        ASSERT_TRUE(world.kill_stage(id, SIGSTOP));
        ASSERT_TRUE(
            world.turn_until([&] { return pid_of(world.segment(), id) != pid; }, kNoticeMax))
            << world.log();
        EXPECT_TRUE(old.value().dead()) << "replaced, and yet it may wake";
        const std::string log = world.log();
        const std::string report = "(pid " + std::to_string(pid) + ") has not moved for ";
        const std::size_t said = log.find(report);
        ASSERT_NE(said, std::string::npos) << log;
        EXPECT_GE(std::stoi(log.substr(said + report.size())), 3000) << "it had 3 s to move";
        EXPECT_NE(log.find("with work waiting: killed"), std::string::npos);
        ASSERT_TRUE(
            world.turn_until([&] { return world.pipeline().accounts_ready(); }, seconds(180)));
        world.turn_for(seconds(1));
    }
    const Judgement judgement = world.finish();
    EXPECT_TRUE(judgement.good()) << describe(judgement, world);
}

TEST(ChaosStall, GoesOnWithoutLossOrDuplicateAfterALongStopIfThePolicyIsReport) {
    WorldOptions options;
    options.exits_excused = {Reason::QueueFull};  // while a stage stands still: below
    options.edits = {{"\"accounts_max\"",
                      "\"restart\": {\"stuck_ms\": 1000, \"stalled\": "
                      "\"report\"}, \"accounts_max\""}};
    World world{options};
    ASSERT_EQ(world.start(), "") << world.log();
    world.turn_for(seconds(2));
    const bool is_long = std::getenv("MILLRACE_LONG") != nullptr;
    const Nanos stop = seconds(is_long ? 60 : 4);
    std::vector<StageId> stages{StageId::Broker, StageId::Engine, StageId::Journal};
    if (is_long) {
        stages.insert(stages.end(), {StageId::Ingress, StageId::Replica, StageId::Sqlite});
    }
    std::vector<HeldUp> stops;
    for (const StageId id : stages) {
        SCOPED_TRACE(stage_name(id));
        const int pid = pid_of(world.segment(), id);
        const std::uint64_t generation = world.segment().stage(id).generation.load();
        const Nanos stopped = world.source().now();
        ASSERT_TRUE(world.kill_stage(id, SIGSTOP));
        const std::string report = "(pid " + std::to_string(pid) + ") has not moved for ";
        EXPECT_TRUE(world.turn_until([&] { return world.log().find(report) != std::string::npos; },
                                     kNoticeMax))
            << world.log();
        world.turn_for(stop);
        EXPECT_EQ(pid_of(world.segment(), id), pid) << "it was replaced";
        EXPECT_EQ(world.segment().stage(id).generation.load(), generation);
        const std::uint64_t work = world.segment().stage(id).work.load();
        const std::int64_t woken = monotonic_ns();
        ASSERT_TRUE(world.kill_stage(id, SIGCONT));
        ASSERT_TRUE(world.turn_until([&] { return world.segment().stage(id).work.load() > work; },
                                     seconds(180)));
        const std::int64_t works = monotonic_ns();
        ASSERT_TRUE(
            world.turn_until([&] { return world.pipeline().accounts_ready(); }, seconds(180)));
        std::printf(
            "%-8s stopped for %2ld s and more; SIGCONT -> works %.1f ms, all accounts "
            "trade %.1f ms\n",
            stage_name(id), static_cast<long>(stop.value / 1'000'000'000),
            static_cast<double>(works - woken) / 1e6,
            static_cast<double>(monotonic_ns() - woken) / 1e6);
        // What waited in front of it has gone, or this would not have come through.
        ASSERT_TRUE(world.each_account_fills(seconds(180))) << world.log();
        stops.push_back({stopped, world.source().now()});
        world.turn_for(seconds(1));
    }
    EXPECT_EQ(world.log().find("killed, to be replaced"), std::string::npos);
    const Judgement judgement = world.finish();
    EXPECT_TRUE(judgement.good()) << describe(judgement, world);
    EXPECT_EQ(exits_ended_outside(world.source().lives(), Reason::QueueFull, stops), 0U)
        << "nothing stood still any more";
    std::printf("signals %lu, executed %lu, lost or doubled: %s\n",
                static_cast<unsigned long>(world.source().counts().sent),
                static_cast<unsigned long>(judgement.book_executions),
                judgement.good() ? "none" : "see above");
}

}  // namespace
}  // namespace millrace::chaos
