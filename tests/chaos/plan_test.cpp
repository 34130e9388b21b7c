// Goal: only the planned start of the planned stage is armed. Method: the pure part on plans.
#include <gtest/gtest.h>

#include "tools/millrace/crash_plan.h"

namespace millrace {
namespace {

constexpr const char* kPlan =
    "journal=journal.before_submit:20,-,journal.before_durable;core-0=a.b";

TEST(CrashPlan, ArmsEachStartWithItsOwnEntry) {
    EXPECT_EQ(planned_crash(kPlan, "journal", 0), "journal.before_submit:20");
    EXPECT_EQ(planned_crash(kPlan, "journal", 1), "");
    EXPECT_EQ(planned_crash(kPlan, "journal", 2), "journal.before_durable");
    EXPECT_EQ(planned_crash(kPlan, "core-0", 0), "a.b");
}

TEST(CrashPlan, ArmsNothingBeyondTheListAndNoOtherStage) {
    EXPECT_EQ(planned_crash(kPlan, "journal", 3), "");
    EXPECT_EQ(planned_crash(kPlan, "core-0", 1), "");
    EXPECT_EQ(planned_crash(kPlan, "core-1", 0), "");
    EXPECT_EQ(planned_crash(kPlan, "core", 0), "");
    EXPECT_EQ(planned_crash("", "journal", 0), "");
}

TEST(CrashPlan, ArmsNothingByAListWithoutAName) {
    EXPECT_EQ(planned_crash(";;journal;=x;", "journal", 0), "");
}

}  // namespace
}  // namespace millrace
