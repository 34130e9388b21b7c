// Goal: an alert is told at once, one that is raised without end does not fill the log, and no
// raise is left untold; a journal's failure is told once and each anew, and one that writes nothing
// is known. Method: pure functions over hours of drawn time.
#include <gtest/gtest.h>

#include "tools/millrace/alert_relay.h"
#include "tools/millrace/journal_alarm.h"
#include "tools/millrace/journal_pulse.h"

namespace millrace {
namespace {

TEST(AlertRelay, TellsAtOnceAndThenTogetherWhatFollowsSoon) {
    AlertRelay relay;
    relay.begin_at(3, 7);
    EXPECT_EQ(relay.due(3, 7, seconds(1)), 0U) << "of before our time";
    EXPECT_EQ(relay.due(3, 8, seconds(2)), 1U);
    EXPECT_EQ(relay.due(3, 9, seconds(3)), 0U);
    EXPECT_EQ(relay.due(3, 12, seconds(11)), 0U);
    EXPECT_EQ(relay.due(4, 1, seconds(11)), 1U) << "another one";
    EXPECT_EQ(relay.due(3, 12, seconds(12)), 4U);
    EXPECT_EQ(relay.due(3, 12, seconds(13)), 0U);
}

TEST(AlertRelay, TellsAnHourOfOneAlertTenTimesASecondInAFewLinesAndCountsEachRaise) {
    AlertRelay relay;
    int lines = 0;
    std::uint64_t told = 0;
    std::uint64_t count = 0;
    for (int tenths = 0; tenths < 36'000; ++tenths) {
        const std::uint64_t n = relay.due(0, ++count, millis(100 * (tenths + 1)));
        lines += n > 0 ? 1 : 0;
        told += n;
    }
    EXPECT_GE(lines, 6) << "it lasts, and nobody hears of it";
    EXPECT_LE(lines, 15);
    told += relay.due(0, count, seconds(3'600), true);
    EXPECT_EQ(told, count);
}

TEST(AlertRelay, TellsAtOnceAgainAfterAQuietTime) {
    AlertRelay relay;
    EXPECT_EQ(relay.due(0, 1, seconds(1)), 1U);
    EXPECT_EQ(relay.due(0, 2, seconds(12)), 1U) << "quiet for longer than the first gap";
    EXPECT_EQ(relay.due(0, 2, seconds(40)), 0U);
    EXPECT_EQ(relay.due(0, 3, seconds(41)), 1U);
    EXPECT_EQ(relay.due(0, 4, seconds(52)), 1U) << "the gap began anew";
}

TEST(JournalAlarm, TellsAFullDiskOnceHoweverOftenTheNextOneWritesALittleAndEnds) {
    JournalAlarm alarm;
    EXPECT_FALSE(alarm.is_gone(JournalState::Running)) << "killed: it had no failure";
    EXPECT_TRUE(alarm.is_gone(JournalState::Full));
    for (int second = 1; second < 3'600; ++second) {
        const auto written = static_cast<std::uint64_t>(second);
        alarm.is_running(written, seconds(second));
        alarm.is_running(written + 1, seconds(second) + millis(500));
        EXPECT_FALSE(alarm.is_gone(JournalState::Full)) << "second " << second;
    }
    EXPECT_TRUE(alarm.is_gone(JournalState::Poisoned)) << "another failure";
    EXPECT_FALSE(alarm.is_gone(JournalState::Poisoned));
}

TEST(JournalAlarm, TellsTheNextFailureOfAJournalThatHadWrittenForAWhile) {
    JournalAlarm alarm;
    EXPECT_TRUE(alarm.is_gone(JournalState::Full));
    alarm.is_running(7, seconds(10));
    alarm.is_running(7, seconds(20));
    EXPECT_FALSE(alarm.is_gone(JournalState::Full)) << "it had written nothing";
    alarm.is_running(7, seconds(30));
    alarm.is_running(9, seconds(30) + JournalAlarm::kMendedAfter);
    EXPECT_TRUE(alarm.is_gone(JournalState::Full));
}

TEST(JournalPulse, CountsHowLongRecordsWaitWithoutOneOfThemGettingToTheDisk) {
    JournalPulse pulse;
    EXPECT_EQ(pulse.waits(7, 7, seconds(1)), Nanos{}) << "none waits";
    EXPECT_EQ(pulse.waits(8, 7, seconds(2)), Nanos{});
    EXPECT_EQ(pulse.waits(9, 7, seconds(4)), seconds(2));
    EXPECT_EQ(pulse.waits(9, 8, seconds(5)), Nanos{}) << "slow, and it writes";
    EXPECT_EQ(pulse.waits(9, 8, seconds(6)), seconds(1));
    EXPECT_EQ(pulse.waits(9, 9, seconds(7)), Nanos{});
    EXPECT_EQ(pulse.waits(10, 9, seconds(9)), Nanos{}) << "of when there was nothing to write";
    pulse.forget();
    EXPECT_EQ(pulse.waits(10, 9, seconds(20)), Nanos{});
}

}  // namespace
}  // namespace millrace
