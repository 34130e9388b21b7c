// Goal: a source that damages its own rings stops itself alone, whoever has to start again after
// it. Method: the pipeline under load with two strategies in shared memory; the rings of one are
// overwritten with nonsense, then every stage is killed. What trades is judged by the broker's
// books.
#include <gtest/gtest.h>

#include <string>

#include "gateway/client/millrace_client.hpp"
#include "shm/clock.h"
#include "tests/chaos/world.h"

namespace millrace::chaos {
namespace {

constexpr Nanos kBackMax = seconds(180);
constexpr StageId kStagesKilled[] = {StageId::Replica, StageId::Engine,  StageId::Broker,
                                     StageId::Journal, StageId::Ingress, StageId::Sqlite};

std::uint64_t generation(const Segment& s, StageId id) {
    return s.stage(id).generation.load(std::memory_order_relaxed);
}

/// Cursors as a strategy could leave them that writes where it should not.
void damage(World& world, const std::string& source) {
    std::string message;
    auto s = Segment::attach(world.pipeline().segment_path(), Segment::Mode::ReadWrite, message);
    ASSERT_TRUE(s.ok()) << message;
    const std::uint32_t signals = s.value().find_ring("signals." + source);
    const std::uint32_t results = s.value().find_ring("results." + source);
    ASSERT_NE(signals, kNoId);
    ASSERT_NE(results, kNoId);
    s.value().ring_control(signals).read_cursor.store(~std::uint64_t{0});
    s.value().ring<SignalSlot>(signals).slots[1].sequence.store(0xDEAD);
    s.value().ring<ResultSlot>(results).slots[3].sequence.store(0xBEEF);
}

/// Cancels what there is none of: the engine takes the signal and answers, nothing is traded.
bool engine_answers(World& world, const std::string& source) {
    client::Strategy strategy;
    client::Signal signal{};
    signal.id = {1, static_cast<std::uint64_t>(monotonic_ns())};
    signal.target = {2, signal.id.lo};
    signal.action = MR_CANCEL;
    if (strategy.open(world.pipeline().segment_path(), source) != MR_OK ||
        strategy.group("all", signal.group) != MR_OK ||
        strategy.symbol(world.pipeline().plan().symbols[0].name, signal.symbol) != MR_OK ||
        strategy.submit(signal) != MR_OK) {
        ADD_FAILURE() << client::Strategy::error();
        return false;
    }
    bool answered = false;
    return world.turn_until(
        [&] {
            strategy.poll([&](const client::Result& r) {
                answered = answered || r.signal.lo == signal.id.lo;
            });
            return answered;
        },
        kBackMax);
}

bool kill_and_wait(World& world, StageId id) {
    const std::uint64_t before = generation(world.segment(), id);
    const auto back = [&] {
        const auto state = static_cast<StageState>(world.segment().stage(id).state.load());
        return generation(world.segment(), id) > before &&
               (state == StageState::Running || state == StageState::Standby) &&
               world.pipeline().accounts_ready();
    };
    return world.kill_stage(id) && world.turn_until(back, kBackMax);
}

TEST(ChaosDamagedRing, StopsTheSourceThatOwnsItAndNobodyElse) {
    WorldOptions options;
    options.edits = {{"\"sources\": [",
                      "\"sources\": [{\"name\": \"alpha\", \"kind\": \"shm\"}, "
                      "{\"name\": \"beta\", \"kind\": \"shm\"}, "}};
    World world{options};
    ASSERT_EQ(world.start(), "") << world.log();
    world.turn_for(seconds(1));
    EXPECT_TRUE(engine_answers(world, "alpha"));
    damage(world, "alpha");
    for (const StageId id : kStagesKilled) {
        ASSERT_TRUE(kill_and_wait(world, id)) << stage_name(id) << "\n" << world.log();
    }
    const auto before = world.fills();
    EXPECT_TRUE(world.turn_until([&] { return world.fills() > before; }, kBackMax))
        << "nothing is traded any more";
    EXPECT_TRUE(engine_answers(world, "beta"));
    client::Strategy alpha;
    EXPECT_EQ(alpha.open(world.pipeline().segment_path(), "alpha"), MR_BAD_SEGMENT);
    EXPECT_NE(std::string{client::Strategy::error()}.find("ring signals.alpha: slot "),
              std::string::npos)
        << client::Strategy::error();
    EXPECT_NE(world.log().find("ALERT source alpha is disabled until a clean stop: ring "),
              std::string::npos);
    const Judgement judgement = world.finish();
    EXPECT_TRUE(judgement.good()) << describe(judgement, world);
}

}  // namespace
}  // namespace millrace::chaos
