// Goal: a signal counts as touched exactly when its life shares a moment with an outage. Method:
// intervals written down by hand.
#include <gtest/gtest.h>

#include "tools/demo_run/outages.h"

namespace millrace::demo {
namespace {

Outages one(std::int64_t begin, std::int64_t end) {
    Outages list;
    list.add({"engine", Nanos{begin}, Nanos{end}});
    return list;
}

TEST(Outages, TouchLifeThatOverlapsInOneMoment) {
    const Outages list = one(100, 200);
    EXPECT_TRUE(list.touch(Nanos{50}, Nanos{100}));
    EXPECT_TRUE(list.touch(Nanos{200}, Nanos{300}));
    EXPECT_TRUE(list.touch(Nanos{120}, Nanos{130}));
    EXPECT_TRUE(list.touch(Nanos{50}, Nanos{300}));
}

TEST(Outages, DoNotTouchLifeBeforeOrAfter) {
    const Outages list = one(100, 200);
    EXPECT_FALSE(list.touch(Nanos{50}, Nanos{99}));
    EXPECT_FALSE(list.touch(Nanos{201}, Nanos{300}));
    EXPECT_FALSE(Outages{}.touch(Nanos{0}, Nanos{300}));
}

TEST(Outages, LastForEverWhenStageNeverCameBack) {
    EXPECT_TRUE(one(100, 0).touch(Nanos{5'000'000}, Nanos{6'000'000}));
    EXPECT_FALSE(one(100, 0).touch(Nanos{50}, Nanos{99}));
}

TEST(Outages, CountOverlappingTimeOnce) {
    Outages list = one(100, 200);
    list.add({"broker", Nanos{150}, Nanos{250}});
    list.add({"journal", Nanos{400}, Nanos{}});
    EXPECT_EQ(list.total(Nanos{500}).value, 150 + 100);
}

}  // namespace
}  // namespace millrace::demo
