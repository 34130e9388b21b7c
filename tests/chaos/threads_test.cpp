// Goal: engine, journal, replica, broker, ingress and store as threads of one process race for
// nothing. Method: the whole pipeline in that mode under load, with its books held against the
// broker's; built with ThreadSanitizer (preset tsan) it is the check of every hand-over in memory.
#include <gtest/gtest.h>

#include <string>

#include "tests/chaos/world.h"

namespace millrace::chaos {
namespace {

TEST(ChaosThreads, CarryTheWholeLoadWithoutARace) {
    WorldOptions options;
    // A stage that is held for hung is the end of the whole process: not for a disk that stalls.
    options.edits = {{"\"mode\": \"processes\"", "\"mode\": \"threads\""},
                     {"\"accounts_max\"", "\"restart\": {\"stuck_ms\": 600000}, \"accounts_max\""}};
    World world{options};
    ASSERT_EQ(world.start(), "") << world.log();
    const auto pid_of = [&](StageId id) { return world.segment().stage(id).pid.load(); };
    EXPECT_EQ(pid_of(StageId::Engine), pid_of(StageId::Journal));
    EXPECT_EQ(pid_of(StageId::Broker), pid_of(StageId::Ingress));
    EXPECT_EQ(pid_of(StageId::Replica), pid_of(StageId::Engine));
    world.turn_for(seconds(6));
    EXPECT_TRUE(world.turn_until([&] { return world.segment().core().orders_sent.load() > 100; },
                                 seconds(120)));
    const Judgement judgement = world.finish();
    EXPECT_TRUE(judgement.good()) << describe(judgement, world);
    EXPECT_EQ(world.log().find("ThreadSanitizer"), std::string::npos) << world.log();
}

}  // namespace
}  // namespace millrace::chaos
