// Goal: children are started, waited for and ended as told, and never left behind; the demo kills
// each stage, and its kills excuse no more than they may. Method: real processes of /bin/sh; kills
// made by hand.
#include <gtest/gtest.h>

#include <signal.h>

#include <set>

#include "tools/demo_run/chaos.h"
#include "tools/demo_run/workspace.h"

namespace millrace::demo {
namespace {

struct Folder {
    Workspace w;
    Folder() {
        std::string message;
        auto made = Workspace::create("", message);
        EXPECT_TRUE(made) << message;
        w = std::move(made.value());
    }
};

TEST(Child, GivesExitStatusAndWritesOutputToItsLog) {
    const Folder f;
    std::string message;
    auto child =
        Child::spawn({"/bin/sh", "-c", "echo one; echo two >&2; exit 3"}, f.w.path("log"), message);
    ASSERT_TRUE(child) << message;
    ASSERT_TRUE(child.value().wait(seconds(180)));
    EXPECT_EQ(child.value().how_it_ended(), "exit status 3");
    EXPECT_EQ(tail_of(f.w.path("log"), 1), "  two\n");
}

TEST(Child, SaysWhatCannotBeStarted) {
    const Folder f;
    std::string message;
    const auto child = Child::spawn({f.w.path("nothing-here")}, f.w.path("log"), message);
    ASSERT_FALSE(child);
    EXPECT_NE(message.find("nothing-here"), std::string::npos) << message;
}

TEST(Child, IsKilledWithItsOwner) {
    const Folder f;
    int pid = 0;
    {
        std::string message;
        auto child = Child::spawn({"/bin/sleep", "600"}, f.w.path("log"), message);
        ASSERT_TRUE(child) << message;
        EXPECT_TRUE(child.value().running());
        EXPECT_FALSE(child.value().wait(millis(5)));
        pid = child.value().pid();
    }
    EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(Child, ReportsTheSignalThatKilledIt) {
    const Folder f;
    std::string message;
    auto child = Child::spawn({"/bin/sleep", "600"}, f.w.path("log"), message);
    ASSERT_TRUE(child) << message;
    child.value().signal(SIGKILL);
    ASSERT_TRUE(child.value().wait(seconds(180)));
    EXPECT_EQ(child.value().how_it_ended(), "killed by signal 9");
}

TEST(Chaos, KillsEveryStageAndBothHelpersOnce) {
    const auto targets = chaos_targets(false);
    const std::set<std::string> all{targets.begin(), targets.end()};
    EXPECT_EQ(all.size(), targets.size());
    for (const StageId id : {StageId::Engine, StageId::Replica, StageId::Broker, StageId::Journal,
                             StageId::Ingress, StageId::Sqlite, StageId::Supervisor}) {
        EXPECT_TRUE(all.contains(stage_name(id))) << stage_name(id);
    }
    EXPECT_TRUE(all.contains("simbroker"));
}

std::vector<Kill> kills_of(const std::vector<std::string>& stages) {
    std::vector<Kill> kills;
    for (const std::string& stage : stages) {
        Kill& kill = kills.emplace_back();
        kill.stage = stage;
        kill.at = seconds(static_cast<std::int64_t>(kills.size()));
        kill.running_ns = kill.all_back_ns = millis(100).value;
    }
    return kills;
}

TEST(Chaos, NamesWhoWasNotKilledWhenItWasStoppedEarly) {
    EXPECT_TRUE(not_killed(kills_of(chaos_targets(false)), false).empty());
    EXPECT_EQ(not_killed(kills_of({"engine", "replica", "broker", "journal", "ingress"}), false),
              (std::vector<std::string>{"sqlite", "supervisor", "simbroker"}));
    EXPECT_EQ(not_killed({}, true), chaos_targets(true));
}

TEST(Chaos, ExcusesNothingByTheKillOfAStageThatNobodyWhoTradesMayMiss) {
    EXPECT_TRUE(outages_of(kills_of({"sqlite", "replica", "supervisor"})).list().empty());
    const Outages outages = outages_of(kills_of({"replica", "engine"}));
    ASSERT_EQ(outages.list().size(), 1U);
    EXPECT_FALSE(outages.touch(seconds(1), seconds(1) + millis(500)));
    EXPECT_TRUE(outages.touch(seconds(2) + millis(50), seconds(3)));
    std::vector<Kill> gone = kills_of({"broker"});
    gone[0].all_back_ns = -1;
    EXPECT_TRUE(outages_of(gone).touch(seconds(100), seconds(101))) << "it never came back";
}

}  // namespace
}  // namespace millrace::demo
