// Goal: restarts are fast after work and slow without, and only a death by its own fault, twice at
// one record, halts the engine. Method: pure functions.
#include <gtest/gtest.h>

#include "tools/millrace/restart_policy.h"

namespace millrace {
namespace {

TEST(RestartPolicy, RestartsAtOnceThenWithGrowingDelayWhileNothingIsDone) {
    RestartPolicy policy{RestartConfig{}};
    std::vector<std::int64_t> ms;
    for (int i = 0; i < 8; ++i) {
        ms.push_back(policy.after_death(false).value / 1'000'000);
    }
    EXPECT_EQ(ms, (std::vector<std::int64_t>{0, 200, 400, 800, 1600, 3200, 5000, 5000}));
}

TEST(RestartPolicy, RestartsAtOnceAgainAfterProgress) {
    RestartPolicy policy{RestartConfig{}};
    for (int i = 0; i < 5; ++i) {
        (void)policy.after_death(false);
    }
    EXPECT_EQ(policy.after_death(true).value, 0);
    EXPECT_EQ(policy.after_death(true).value, 0);
    EXPECT_EQ(policy.after_death(false).value, millis(200).value);
}

TEST(PoisonWatch, HaltsAtTheSecondDeathAtOneRecord) {
    PoisonWatch watch;
    EXPECT_FALSE(watch.died_at(Sequence{7}));
    EXPECT_TRUE(watch.died_at(Sequence{7}));
}

TEST(PoisonWatch, ForgetsARecordThatWasPassed) {
    PoisonWatch watch;
    EXPECT_FALSE(watch.died_at(Sequence{7}));
    EXPECT_FALSE(watch.died_at(Sequence{8}));
    EXPECT_FALSE(watch.died_at(Sequence{7}));
    watch.clear();
    EXPECT_FALSE(watch.died_at(Sequence{7}));
}

}  // namespace
}  // namespace millrace
