// Goal: a file that says nothing stands for the only pipeline of the host in a kill, and for
// nothing else; where there are several, each is told with who of it runs. Method: a folder with
// none, one and several segments in it.
#include "tools/millrace/locate.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include "shm/role.h"
#include "tests/ops/temp_dir.h"

namespace millrace {
namespace {

TEST(Locate, AFileThatSaysNothingStandsForTheOnlyPipelineInAKillAlone) {
    const test::TempDir dir;
    const Target target{dir.write("notes.txt", "half a fi"), ""};
    const auto located = [&](Doubt doubt) {
        std::string message;
        const auto path = locate_segment(target, message, doubt, dir / "shm");
        return path ? path.value() : "";
    };
    dir.write("shm/of-another-program", "");
    EXPECT_EQ(located(Doubt::TakeTheOnlyOne), "") << "there is none";
    const std::string only = dir.write("shm/millrace-production", "");
    EXPECT_EQ(located(Doubt::TakeTheOnlyOne), only);
    EXPECT_EQ(located(Doubt::Refuse), "");
    dir.write("shm/millrace-staging", "");
    EXPECT_EQ(located(Doubt::TakeTheOnlyOne), "") << "which of the two nobody can say";
}

/// A small segment. @return its path.
std::string make_segment(const test::TempDir& dir, const std::string& name) {
    dir.write("shm/of-another-program", "");
    SegmentPlan plan;
    plan.path = dir / ("shm/millrace-" + name);
    plan.journal_dir = dir.path();
    plan.sessions = 1;
    plan.session_slots = plan.journal_slots = plan.orders_slots = plan.holdings_slots = 16;
    plan.reports_slots = plan.signals_slots = plan.results_slots = plan.admin_slots = 16;
    plan.memory.lock = MemoryWish::Off;
    std::string message;
    EXPECT_TRUE(Segment::create(plan, message)) << message;
    return plan.path;
}

TEST(Locate, SaysOfEachOfSeveralPipelinesWhoOfItRuns) {
    const test::TempDir dir;
    std::string message;
    const auto running =
        Segment::attach(make_segment(dir, "production"), Segment::Mode::ReadWrite, message);
    ASSERT_TRUE(running) << message;
    StageEntry& broker = running.value().stage(StageId::Broker);
    broker.pid.store(static_cast<std::uint32_t>(::getpid()));
    broker.start_time.store(process_start_time(::getpid()));
    make_segment(dir, "stale");
    dir.write("shm/millrace-torn", "");
    const std::string own = std::to_string(::getpid());
    const auto expect_each_named = [&] {
        EXPECT_NE(message.find("several pipelines are here; say which:"), std::string::npos);
        EXPECT_NE(message.find("--segment production    runs: broker (pid " + own + ")\n"),
                  std::string::npos)
            << message;
        EXPECT_NE(message.find("--segment stale    nothing of it runs; pid " + own), message.npos)
            << message;
        EXPECT_NE(message.find("--segment torn    cannot be read: "), message.npos) << message;
    };
    EXPECT_FALSE(locate_segment({}, message, Doubt::Refuse, dir / "shm"));
    expect_each_named();
    const std::string nothing = dir.write("notes.txt", "half a fi");
    EXPECT_FALSE(locate_segment({nothing, ""}, message, Doubt::TakeTheOnlyOne, dir / "shm"));
    EXPECT_NE(message.find(nothing), std::string::npos) << "the file's mistake: " << message;
    expect_each_named();
}

TEST(Locate, WhatAStartPutAsideIsNobodysPipeline) {
    const test::TempDir dir;
    const std::string only = dir.write("shm/millrace-production", "");
    dir.write("shm/millrace-production.unusable", "");
    std::string message;
    const auto path = locate_segment({}, message, Doubt::Refuse, dir / "shm");
    ASSERT_TRUE(path) << message;
    EXPECT_EQ(path.value(), only);
}

TEST(Locate, APathWhereNoFileIsStandsForNothing) {
    const test::TempDir dir;
    dir.write("shm/millrace-production", "");
    std::string message;
    EXPECT_FALSE(
        locate_segment({dir / "misspelt", ""}, message, Doubt::TakeTheOnlyOne, dir / "shm"));
}

}  // namespace
}  // namespace millrace
