// Goal: a wall clock that jumps an hour forth and back loses, doubles, expires and restarts
// nothing. Method: every process of the pipeline and the broker with a preloaded library that
// shifts CLOCK_REALTIME while they run; deaths on either side of a jump.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

#include "tests/chaos/world.h"

namespace millrace::chaos {
namespace {

/// The step that the preloaded library adds. Set before the processes start.
class WallClock {
public:
    WallClock() {
        char path[] = "/tmp/millrace-clock-XXXXXX";
        const int fd = ::mkstemp(path);
        EXPECT_EQ(::ftruncate(fd, sizeof(std::int64_t)), 0);
        void* at = ::mmap(nullptr, sizeof(std::int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        step_ = static_cast<std::atomic<std::int64_t>*>(at);
        ::close(fd);
        path_ = path;
        ::setenv("MILLRACE_CLOCK_STEP", path, 1);
        ::setenv("LD_PRELOAD", MILLRACE_CLOCK_STEP_LIBRARY, 1);
    }
    ~WallClock() {
        ::unsetenv("LD_PRELOAD");
        ::unsetenv("MILLRACE_CLOCK_STEP");
        ::unlink(path_.c_str());
        ::munmap(step_, sizeof(std::int64_t));
    }
    WallClock(const WallClock&) = delete;
    WallClock& operator=(const WallClock&) = delete;
    void set(std::int64_t seconds) { step_->store(seconds); }

private:
    std::atomic<std::int64_t>* step_ = nullptr;
    std::string path_;
};

std::uint64_t restarts(const Segment& segment) {
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < kStages; ++i) {
        sum += segment.stage(static_cast<StageId>(i)).restarts.load();
    }
    return sum;
}

TEST(ChaosClock, LosesAndDoublesNothingWhenTheWallClockJumpsAnHour) {
    WallClock clock;
    WorldOptions options;
    // A disk that stalls for the usual 3 s is no reason to replace anybody here.
    options.edits = {{"\"accounts_max\"", "\"restart\": {\"stuck_ms\": 600000}, \"accounts_max\""}};
    World world{options};
    ASSERT_EQ(world.start(), "") << world.log();
    world.turn_for(seconds(2));
    std::uint64_t killed = 0;
    for (const std::int64_t step : {3600, -3600, 0}) {
        SCOPED_TRACE(step);
        // Those of the ones killed below are counted when their deaths are noticed.
        EXPECT_TRUE(
            world.turn_until([&] { return restarts(world.segment()) >= killed; }, seconds(180)));
        EXPECT_TRUE(
            world.turn_until([&] { return world.pipeline().stages_running(); }, seconds(180)));
        const std::uint64_t before = restarts(world.segment());
        clock.set(step);
        world.turn_for(seconds(2));
        EXPECT_EQ(restarts(world.segment()), before) << "a jump is no reason to die";
        // One that starts after the jump, and so never saw the old time.
        for (const StageId id : {StageId::Engine, StageId::Ingress, StageId::Broker}) {
            killed += world.turn_until([&] { return world.kill_stage(id); }, seconds(180)) ? 1 : 0;
            world.turn_for(seconds(1));
        }
        ASSERT_TRUE(
            world.turn_until([&] { return world.pipeline().accounts_ready(); }, seconds(180)));
    }
    EXPECT_EQ(killed, 9U);
    EXPECT_EQ(world.log().find("has not moved"), std::string::npos) << "nobody was held for hung";
    const Judgement judgement = world.finish();
    EXPECT_TRUE(judgement.good()) << describe(judgement, world);
}

}  // namespace
}  // namespace millrace::chaos
