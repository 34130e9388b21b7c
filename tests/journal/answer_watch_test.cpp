// Goal: a disk that does not answer is found in time, and one that could not, because the machine
// stood still, is not taken for one. Method: a clock that the test moves.
#include "persist/answer_watch.h"

#include <gtest/gtest.h>

namespace millrace::testing {
namespace {

constexpr Nanos kBound = seconds(3);

TEST(AnswerWatch, FindsADiskThatIsSilentForLongerThanTheBound) {
    AnswerWatch watch;
    Nanos now = seconds(1'000);
    EXPECT_FALSE(watch.is_late(true, 7, kBound, now));
    for (int ms = 10; ms <= 3'000; ms += 10) {
        now = now + millis(10);
        ASSERT_FALSE(watch.is_late(true, 7, kBound, now)) << ms;
    }
    EXPECT_TRUE(watch.is_late(true, 7, kBound, now + millis(10)));
}

TEST(AnswerWatch, BeginsAnewWithEachAnswerAndWhereNothingWaits) {
    AnswerWatch watch;
    Nanos now = seconds(1'000);
    for (std::uint64_t i = 0; i < 1'000; ++i) {
        now = now + millis(500);
        EXPECT_FALSE(watch.is_late(true, i / 5, kBound, now)) << "an answer each 2.5 s";
    }
    for (int i = 0; i < 1'000; ++i) {
        now = now + millis(500);
        EXPECT_FALSE(watch.is_late(i % 5 != 0, 7, kBound, now));
    }
}

TEST(AnswerWatch, BeginsAnewWhereSomethingElseIsWaitedFor) {
    AnswerWatch watch;
    Nanos now = seconds(1'000);
    for (int ms = 0; ms < 20'000; ms += 10) {  // the next file is filled, which may take 30 s
        now = now + millis(10);
        ASSERT_FALSE(watch.is_late(true, 7, seconds(30), now));
    }
    EXPECT_FALSE(watch.is_late(true, 7, kBound, now + millis(10))) << "its header's write began";
}

TEST(AnswerWatch, TimeInWhichNobodyLookedIsNotTheDisks) {
    AnswerWatch watch;
    Nanos now = seconds(1'000);
    EXPECT_FALSE(watch.is_late(true, 7, kBound, now));
    now = now + seconds(3'600);  // a machine that was paused, or a process that was stopped
    EXPECT_FALSE(watch.is_late(true, 7, kBound, now));
    EXPECT_FALSE(watch.is_late(true, 7, kBound, now + seconds(2)));
    EXPECT_FALSE(watch.is_late(true, 7, kBound, now)) << "a clock that went back";
    int looks = 0;
    while (!watch.is_late(true, 7, kBound, now) && looks < 100) {
        now = now + seconds(1);
        ++looks;
    }
    EXPECT_LT(looks, 6) << "but it is silent";
}

}  // namespace
}  // namespace millrace::testing
