// Goal: a run whose stop was not clean is not called good. Method: a stage is killed after the stop
// has begun; what the demo's own check of the supervisor says.
#include <gtest/gtest.h>

#include <signal.h>

#include "shm/clock.h"
#include "tests/chaos/world.h"

namespace millrace::chaos {
namespace {

TEST(ChaosDrain, IsAProblemOfTheRunIfAStageDiesInIt) {
    World world{WorldOptions{}};
    ASSERT_EQ(world.start(), "") << world.log();
    world.turn_for(seconds(1));
    ASSERT_TRUE(world.rest(seconds(60)));
    // Of the last to go, and stopped by a signal since before, or it would be through first.
    ASSERT_TRUE(world.kill_stage(StageId::Sqlite, SIGSTOP));
    world.pipeline().supervisor().signal(SIGTERM);
    ASSERT_TRUE(world.turn_until([&] { return world.segment().core().stop_requested.load() != 0; },
                                 seconds(60)));
    EXPECT_TRUE(world.kill_stage(StageId::Sqlite));
    const std::string why = world.pipeline().stop();
    EXPECT_NE(why.find("millrace up ended with exit status 5"), std::string::npos) << why;
    EXPECT_NE(why.find("sqlite did not drain: killed by signal 9"), std::string::npos) << why;
}

}  // namespace
}  // namespace millrace::chaos
