// Goal: a run whose stop was not clean is not called good. Method: a stage is killed after the stop
// has begun; what the demo's own check of the supervisor says.
#include <gtest/gtest.h>

#include <thread>

#include "shm/clock.h"
#include "tests/chaos/world.h"

namespace millrace::chaos {
namespace {

TEST(ChaosDrain, IsAProblemOfTheRunIfAStageDiesInIt) {
    World world{WorldOptions{}};
    ASSERT_EQ(world.start(), "") << world.log();
    world.turn_for(seconds(1));
    ASSERT_TRUE(world.rest(seconds(60)));
    std::thread killer{[&] {
        const std::int64_t until = monotonic_ns() + seconds(20).value;
        while (world.segment().core().stop_requested.load() == 0 && monotonic_ns() < until) {
        }
        EXPECT_TRUE(world.kill_stage(StageId::Sqlite));  // of the last to go
    }};
    const std::string why = world.pipeline().stop();
    killer.join();
    EXPECT_NE(why.find("millrace up ended with exit status 5"), std::string::npos) << why;
    EXPECT_NE(why.find("sqlite did not drain: killed by signal 9"), std::string::npos) << why;
}

}  // namespace
}  // namespace millrace::chaos
