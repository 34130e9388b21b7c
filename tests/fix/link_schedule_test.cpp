// Goal: a broken link is tried as the requirements say: each 3 s with jitter, at 5 failures the
// other access point and a word, at 10 slowly and another word, for ever; refused credentials a
// minute apart, doubling, five times. Method: the schedule alone, with a clock by hand.
#include "gateway/link_schedule.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Time = LinkSchedule::Time;

/// In units of `pause`, 0.8 to 1.2.
::testing::AssertionResult is_about(Time waited, Time pause) {
    const double ratio = static_cast<double>(waited.count()) / static_cast<double>(pause.count());
    if (ratio >= 0.8 && ratio <= 1.2) {
        return ::testing::AssertionSuccess();
    }
    return ::testing::AssertionFailure() << waited.count() << " ns, " << ratio << " of the pause";
}

LinkRules two_points() {
    LinkRules rules;
    rules.access_points = 2;
    return rules;
}

TEST(LinkSchedule, DialsAtOnceThenEachThreeSecondsAndTellsAtFiveAndTen) {
    LinkSchedule link{two_points(), 7};
    Time now = seconds(100);
    EXPECT_TRUE(link.is_due(now));
    for (unsigned n = 1; n <= 10; ++n) {
        EXPECT_EQ(link.access_point(), n <= 5 ? 0U : 1U) << "attempt " << n;
        const LinkMilestone told = link.on_failure(now);
        EXPECT_EQ(told, n == 5    ? LinkMilestone::Failing
                        : n == 10 ? LinkMilestone::Suspended
                                  : LinkMilestone::None)
            << "attempt " << n;
        EXPECT_FALSE(link.is_due(now));
        EXPECT_FALSE(link.is_due(link.next() - Time{1}));
        EXPECT_TRUE(link.is_due(link.next()));
        EXPECT_TRUE(is_about(link.next() - now, n < 10 ? seconds(3) : seconds(30)));
        now = link.next();
    }
}

TEST(LinkSchedule, ProbesSlowerAndSlowerForEverByTurns) {
    LinkSchedule link{two_points(), 8};
    Time now{0};
    for (int n = 0; n < 9; ++n) {
        link.on_failure(now);
    }
    unsigned point = link.access_point();
    for (const int pause_s : {30, 60, 120, 240, 300, 300, 300}) {
        now = link.next();
        link.on_failure(now);
        EXPECT_TRUE(is_about(link.next() - now, seconds(pause_s))) << pause_s;
        EXPECT_NE(link.access_point(), point);
        point = link.access_point();
    }
    for (int n = 0; n < 100'000; ++n) {
        EXPECT_EQ(link.on_failure(now), LinkMilestone::None);
        EXPECT_TRUE(is_about(link.next() - now, seconds(300)));
    }
}

TEST(LinkSchedule, StaysAtItsOneAccessPoint) {
    LinkSchedule link{LinkRules{}, 9};
    for (int n = 0; n < 30; ++n) {
        link.on_failure(Time{0});
        EXPECT_EQ(link.access_point(), 0U);
    }
}

TEST(LinkSchedule, CountsASuccessOnlyAfterFiveSecondsOfIt) {
    LinkSchedule link{two_points(), 10};
    Time now{0};
    for (int n = 0; n < 4; ++n) {
        link.on_failure(now);
    }
    link.on_up(now);
    EXPECT_FALSE(link.is_due(now + seconds(3600))) << "it is up";
    EXPECT_EQ(link.on_lost(now + milliseconds(4999)), LinkMilestone::Failing) << "the fifth";
    EXPECT_EQ(link.access_point(), 1U);
    link.on_up(now);
    EXPECT_EQ(link.on_lost(now + seconds(5)), LinkMilestone::None);
    EXPECT_EQ(link.failures(), 0U);
    EXPECT_TRUE(link.is_due(now + seconds(5))) << "at once";
    EXPECT_EQ(link.access_point(), 1U) << "where it worked";
}

TEST(LinkSchedule, StopsAfterFiveRefusalsAMinuteApartAndDoubling) {
    LinkSchedule link{two_points(), 11};
    Time now{0};
    for (const int pause_s : {60, 120, 240, 480}) {
        EXPECT_EQ(link.on_refusal(now), LinkMilestone::None);
        EXPECT_TRUE(is_about(link.next() - now, seconds(pause_s))) << pause_s;
        now = link.next();
    }
    EXPECT_EQ(link.on_refusal(now), LinkMilestone::Stopped);
    EXPECT_TRUE(link.is_stopped());
    EXPECT_FALSE(link.is_due(now + std::chrono::hours(24 * 365)));
    EXPECT_EQ(link.failures(), 0U) << "no failures of the network";
}

TEST(LinkSchedule, ForgetsRefusalsOnceItWasLetIn) {
    LinkSchedule link{two_points(), 12};
    for (int n = 0; n < 20; ++n) {
        for (int refused = 0; refused < 4; ++refused) {
            EXPECT_EQ(link.on_refusal(Time{0}), LinkMilestone::None);
        }
        link.on_up(Time{0});
        link.on_lost(seconds(60));
    }
}

TEST(LinkSchedule, NeverStopsWhereItIsToldSo) {
    LinkRules rules;
    rules.refusals_max = 0;
    LinkSchedule link{rules, 13};
    for (int n = 0; n < 100; ++n) {
        EXPECT_EQ(link.on_refusal(Time{0}), LinkMilestone::None);
        EXPECT_LE(link.next(), seconds(60 * 16 * 12 / 10));
    }
}

TEST(LinkSchedule, AsksAVenueThatIsClosedEachFiveMinutesForEver) {
    LinkSchedule link{LinkRules{}, 14};
    for (const int pause_s : {60, 120, 240, 300, 300}) {
        link.on_closed(Time{0});
        EXPECT_TRUE(is_about(link.next(), seconds(pause_s))) << pause_s;
    }
    for (int n = 0; n < 100; ++n) {
        link.on_closed(Time{0});
    }
    EXPECT_TRUE(link.is_due(seconds(360)));
}

// Half dead: the network connects, and nobody is behind it.
TEST(LinkSchedule, TakesTheOtherAccessPointAtOnceWhereOneIsClosedAndRestsWhenBothAre) {
    LinkSchedule link{two_points(), 15};
    Time now = seconds(10);
    for (const int pause_s : {60, 120, 240, 300, 300}) {
        EXPECT_EQ(link.access_point(), 0U);
        link.on_closed(now);
        EXPECT_EQ(link.access_point(), 1U);
        EXPECT_TRUE(is_about(link.next() - now, seconds(3))) << "the other one is not tried yet";
        now = link.next();
        link.on_closed(now);
        EXPECT_TRUE(is_about(link.next() - now, seconds(pause_s))) << pause_s;
        now = link.next();
    }
    EXPECT_EQ(link.failures(), 0U);
    link.on_closed(now);
    link.on_up(now);
    EXPECT_EQ(link.on_lost(now + seconds(60)), LinkMilestone::None);
    EXPECT_EQ(link.access_point(), 1U) << "where it worked";
}

// Or a thousand accounts would dial as one after an outage.
TEST(LinkSchedule, SpreadsItsAttemptsOverTheWholeOfTheJitter) {
    int buckets[4] = {};
    for (std::uint64_t seed = 0; seed < 1000; ++seed) {
        LinkSchedule link{LinkRules{}, seed * 0x9E3779B97F4A7C15ULL};
        link.on_failure(Time{0});
        const double ratio = static_cast<double>(link.next().count()) / 3e9;
        ++buckets[std::min(3, static_cast<int>((ratio - 0.8) * 10))];
    }
    for (const int count : buckets) {
        EXPECT_GT(count, 150);
    }
}

}  // namespace
}  // namespace millrace
