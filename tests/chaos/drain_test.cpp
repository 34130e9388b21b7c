// Goal: a run is not called good whose stop was not clean, or whose journal would give another
// state back, or none. Method: a stage is killed after the stop has begun, a byte of the journal is
// changed behind everybody's back; what the check at the end says.
#include <gtest/gtest.h>

#include <signal.h>

#include <algorithm>
#include <fstream>

#include "persist/log_source.h"
#include "shm/clock.h"
#include "tests/chaos/world.h"

namespace millrace::chaos {
namespace {

TEST(ChaosDrain, IsAProblemOfTheRunIfAStageDiesInIt) {
    World world{WorldOptions{}};
    ASSERT_EQ(world.start(), "") << world.log();
    world.turn_for(seconds(1));
    ASSERT_TRUE(world.rest(seconds(180)));
    // Of the last to go, and stopped by a signal since before, or it would be through first.
    ASSERT_TRUE(world.kill_stage(StageId::Sqlite, SIGSTOP));
    world.pipeline().supervisor().signal(SIGTERM);
    ASSERT_TRUE(world.turn_until([&] { return world.segment().core().stop_requested.load() != 0; },
                                 seconds(180)));
    EXPECT_TRUE(world.kill_stage(StageId::Sqlite));
    const std::string why = world.pipeline().stop();
    EXPECT_NE(why.find("millrace up ended with exit status 5"), std::string::npos) << why;
    EXPECT_NE(why.find("sqlite did not drain: killed by signal 9"), std::string::npos) << why;
}

TEST(ChaosDrain, IsAProblemOfTheRunIfItsJournalCannotBeReplayed) {
    World world{WorldOptions{}};
    ASSERT_EQ(world.start(), "") << world.log();
    world.turn_for(seconds(1));
    ASSERT_TRUE(world.rest(seconds(180)));
    const CoreCells& core = world.segment().core();
    ASSERT_TRUE(world.turn_until(
        [&] { return core.replica_applied.load() >= core.completed.load(); }, seconds(180)));
    DirectorySource source{world.workspace().path("journal")};
    const std::string oldest = source.path_of(list_log(source).value().front().name);
    std::fstream file{oldest, std::ios::binary | std::ios::in | std::ios::out};
    file.seekp(static_cast<std::streamoff>(kBlockBytes + 64));
    file.write("damaged!", 8);
    file.close();
    ASSERT_TRUE(file.good());
    const Judgement judgement = world.finish();
    // By the snapshot's state, and by the live engine's own.
    EXPECT_EQ(std::count_if(judgement.problems.begin(), judgement.problems.end(),
                            [](const std::string& problem) {
                                return problem.starts_with("the log cannot be replayed: ");
                            }),
              2)
        << describe(judgement, world);
    EXPECT_EQ(judgement.problems.size(), 2U) << describe(judgement, world);
}

}  // namespace
}  // namespace millrace::chaos
