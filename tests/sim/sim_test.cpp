// Goal: under every mix of faults, the engine, the broker's books and every replay tell one story.
// Method: a seeded simulation (world.h); canaries prove that the invariants bite.
#include "tests/sim/world.h"

#include <gtest/gtest.h>

namespace millrace::sim {
namespace {

#ifdef MILLRACE_SANITIZED
constexpr std::uint64_t kSeeds = 25;
#else
constexpr std::uint64_t kSeeds = 250;  // eight slices make 2,000
#endif

class Simulation : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(Simulation, HoldsEveryInvariantUnderEveryMixOfFaults) {
    for (std::uint64_t n = 0; n < kSeeds; ++n) {
        Options options;
        options.seed = GetParam() * 1'000'000 + n;
        try {
            World world{options};
            static_cast<void>(world.run());
        } catch (const Violation& v) {
            FAIL() << "seed " << options.seed << ": " << v.what();
        }
    }
}
INSTANTIATE_TEST_SUITE_P(Seeds, Simulation, ::testing::Range<std::uint64_t>(1, 9));

TEST(SimulationRegression, HoldsForSeedsThatOnceFailed) {
    for (const std::uint64_t seed : {514'417ULL}) {
        Options options;
        options.seed = seed;
        try {
            World world{options};
            static_cast<void>(world.run());
        } catch (const Violation& v) {
            FAIL() << "seed " << seed << ": " << v.what();
        }
    }
}

class CanaryTest : public ::testing::TestWithParam<int> {};

// ForgetsIntents is the shyest: since the engine asks after every order that a cut link left open,
// a command is seldom sent twice at all (first found at seed 164).
constexpr std::uint64_t kCanarySeeds = 500;

TEST_P(CanaryTest, IsFoundByAnInvariantWithinFiveHundredSeeds) {
    for (std::uint64_t seed = 1; seed <= kCanarySeeds; ++seed) {
        Options options;
        options.seed = seed;
        options.canary = static_cast<Canary>(GetParam());
        try {
            World world{options};
            static_cast<void>(world.run());
        } catch (const Violation&) {
            return;
        }
    }
    FAIL() << "canary " << GetParam() << " lived through " << kCanarySeeds << " seeds";
}
INSTANTIATE_TEST_SUITE_P(Bugs, CanaryTest, ::testing::Range(1, kCanaries + 1));

TEST(Determinism, GivesTheSameRunForTheSameSeed) {
    Options options;
    options.seed = 42;
    const Summary first = World{options}.run();
    const Summary second = World{options}.run();
    EXPECT_EQ(first.records, second.records);
    EXPECT_EQ(first.executions, second.executions);
}

}  // namespace
}  // namespace millrace::sim
