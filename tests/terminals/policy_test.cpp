// Goal: a terminal that dies, hangs or never gets ready is started again at once, three times and
// no more; what is not its fault is not held against it. Method: pure functions, a clock by hand.
#include <gtest/gtest.h>

#include "tests/covers.h"
#include "tools/terminals/policy.h"

namespace millrace::terminals {
namespace {

constexpr Sight kGone{false, true, false};
constexpr Sight kQuiet{true, true, false};
constexpr Sight kUp{true, true, true};
constexpr Sight kUnseen{true, false, false};

class TerminalPolicy : public testing::Test {
protected:
    void run() {
        ASSERT_TRUE(policy.wants_start(now));
        policy.started(now);
    }
    /// Looks ten times a second for that long. @return what it asked for last, if anything.
    Act look(Sight sight, Nanos time) {
        Act last = Act::None;
        for (const Nanos until = now + time; now < until;) {
            now = now + millis(100);
            const Act act = policy.turn(now, sight);
            millrace::test::covered("looks at a terminal");
            last = act == Act::None ? last : act;
        }
        return last;
    }
    void fail() {
        for (std::uint32_t i = 0; i < 4; ++i) {
            run();
            look(kGone, seconds(1));
        }
    }

    Limits limits;
    Policy policy{limits};
    Nanos now = seconds(1000);
};

TEST_F(TerminalPolicy, StartsAgainWithinASecondOfADeath) {
    for (std::uint32_t deaths = 1; deaths <= 3; ++deaths) {
        run();
        EXPECT_EQ(policy.turn(now, kGone), Act::None);
        EXPECT_EQ(policy.wants_start(now), deaths == 1);
        now = now + limits.pause;
        EXPECT_TRUE(policy.wants_start(now)) << deaths;
        EXPECT_EQ(policy.restarts(), deaths);
        EXPECT_TRUE(policy.again());
    }
    EXPECT_LT(limits.pause, seconds(1));
}

TEST_F(TerminalPolicy, GivesUpWithOneAlertAfterThreeRestartsWithoutAMinuteOfHealth) {
    for (std::uint32_t starts = 0; starts < 4; ++starts) {
        EXPECT_NE(policy.state(), State::Failed);
        run();
        look(kUp, millis(59'900));
        look(kGone, millis(500));
    }
    EXPECT_EQ(policy.state(), State::Failed);
    EXPECT_TRUE(policy.take_alert());
    EXPECT_FALSE(policy.take_alert());
    look(kGone, seconds(100'000));
    EXPECT_FALSE(policy.wants_start(now));
}

TEST_F(TerminalPolicy, ForgetsRestartsAfterAMinuteOfHealth) {
    for (std::uint32_t starts = 0; starts < 20; ++starts) {
        run();
        look(kUp, seconds(60));
        look(kGone, millis(500));
    }
    EXPECT_EQ(policy.restarts(), 1U);
    EXPECT_EQ(policy.state(), State::Queued);
}

TEST_F(TerminalPolicy, CountsAMinuteOfHealthWithoutABreak) {
    run();
    look(kGone, seconds(1));
    run();
    look(kUp, seconds(40));
    look(kQuiet, seconds(2));
    EXPECT_EQ(policy.state(), State::Silent);
    look(kUp, seconds(40));
    EXPECT_EQ(policy.restarts(), 1U);
    look(kUp, seconds(20));
    EXPECT_EQ(policy.restarts(), 0U);
}

TEST_F(TerminalPolicy, KillsWhatIsNotReadyInThirtySecondsAndStartsItAgain) {
    run();
    EXPECT_EQ(look(kQuiet, millis(29'900)), Act::None);
    EXPECT_EQ(policy.state(), State::Starting);
    EXPECT_EQ(look(kQuiet, millis(100)), Act::Kill);
    EXPECT_EQ(look(kQuiet, millis(900)), Act::None);
    EXPECT_EQ(look(kQuiet, millis(100)), Act::Kill) << "not again, though it lives";
    EXPECT_EQ(look(kQuiet, seconds(1)), Act::Kill) << "not a third time";
    look(kGone, millis(100));
    EXPECT_TRUE(policy.wants_start(now));
    EXPECT_EQ(policy.restarts(), 1U);
}

TEST_F(TerminalPolicy, KillsWhatWasReadyAndIsSilentForThirtySeconds) {
    run();
    look(kUp, seconds(5));
    EXPECT_EQ(policy.state(), State::Ready);
    EXPECT_EQ(look(kQuiet, millis(29'900)), Act::None);
    look(kUp, millis(100));  // it was a long call: everything begins anew
    EXPECT_EQ(look(kQuiet, millis(29'900)), Act::None);
    EXPECT_EQ(look(kQuiet, millis(100)), Act::Kill);
}

TEST_F(TerminalPolicy, DoesNotBlameATerminalThatNobodyCanSee) {
    run();
    EXPECT_EQ(look(kUnseen, seconds(3600)), Act::None);
    EXPECT_EQ(look(kQuiet, millis(29'900)), Act::None);
    EXPECT_EQ(look(kUnseen, seconds(3600)), Act::None);
    EXPECT_EQ(look(kQuiet, millis(100)), Act::Kill);
}

TEST_F(TerminalPolicy, CountsAPauseOfItsOwnAsASecond) {
    run();
    for (int i = 0; i < 29; ++i) {
        now = now + seconds(500);
        EXPECT_EQ(policy.turn(now, kQuiet), Act::None);
    }
    now = now + seconds(500);
    EXPECT_EQ(policy.turn(now, kQuiet), Act::Kill);
}

TEST_F(TerminalPolicy, StopsByAskingAndKillsWhatDoesNotEnd) {
    run();
    look(kUp, seconds(5));
    policy.stop(now);
    EXPECT_EQ(policy.turn(now, kUp), Act::AskToEnd);
    EXPECT_EQ(look(kUp, millis(9'900)), Act::None);
    EXPECT_EQ(look(kUp, millis(100)), Act::Kill);
    look(kGone, millis(100));
    EXPECT_EQ(policy.state(), State::Stopped);
    look(kGone, seconds(1000));
    EXPECT_FALSE(policy.wants_start(now));
    policy.start(now);
    EXPECT_TRUE(policy.wants_start(now));
    EXPECT_FALSE(policy.again());
}

TEST_F(TerminalPolicy, CountsNoRestartThatAnOperatorAskedFor) {
    for (int i = 0; i < 10; ++i) {
        run();
        policy.restart(now);
        EXPECT_EQ(look(kUp, millis(100)), Act::AskToEnd);
        look(kGone, millis(100));
    }
    EXPECT_EQ(policy.restarts(), 0U);
    EXPECT_TRUE(policy.wants_start(now));
}

TEST_F(TerminalPolicy, TakesTheLastWordOfAnOperatorWhileItEnds) {
    run();
    policy.restart(now);
    policy.stop(now);
    EXPECT_EQ(policy.state(), State::Ending) << "it still runs";
    look(kGone, millis(100));
    EXPECT_EQ(policy.state(), State::Stopped);
    policy.start(now);
    run();
    policy.stop(now);
    policy.start(now);
    look(kGone, millis(100));
    EXPECT_TRUE(policy.wants_start(now));
    run();
    look(kQuiet, seconds(30));  // killed for silence
    policy.stop(now);
    look(kGone, millis(100));
    EXPECT_EQ(policy.state(), State::Stopped);
}

TEST_F(TerminalPolicy, GetsItsThreeRestartsBackFromAnOperatorsStart) {
    fail();
    ASSERT_EQ(policy.state(), State::Failed);
    policy.start(now);
    EXPECT_FALSE(policy.take_alert());
    fail();
    EXPECT_EQ(policy.state(), State::Failed);
    EXPECT_TRUE(policy.take_alert());
}

TEST_F(TerminalPolicy, TriesOnceInEachCooldownIfToldTo) {
    limits.retry = seconds(30);
    policy = Policy{limits};
    fail();
    for (int i = 0; i < 5; ++i) {
        ASSERT_EQ(policy.state(), State::Failed);
        look(kGone, millis(28'900));
        EXPECT_FALSE(policy.wants_start(now)) << i;
        look(kGone, seconds(2));
        run();
        look(kGone, millis(100));
    }
    look(kGone, seconds(31));
    run();
    look(kUp, seconds(60));
    look(kGone, seconds(1));
    EXPECT_EQ(policy.restarts(), 1U) << "a minute of health does not end it";
}

TEST_F(TerminalPolicy, GivesNobodyUpForStartsThatDoNotComeAbout) {
    constexpr Sight kNeverBegan{false, true, false, true};
    Nanos last_pause;
    for (std::uint32_t i = 1; i <= 20; ++i) {
        if (i % 2 == 0) {
            policy.not_started(now);  // nothing could be started
        } else {
            run();
            look(kNeverBegan, millis(100));  // it ended before it was the command
        }
        ASSERT_EQ(policy.state(), State::Queued);
        EXPECT_EQ(policy.setbacks(), i);
        const Nanos begin = now;
        while (!policy.wants_start(now)) {
            now = now + millis(100);
        }
        EXPECT_GE(now - begin, last_pause - millis(100)) << i;
        last_pause = now - begin;
    }
    EXPECT_EQ(last_pause, limits.setback_max);
    EXPECT_EQ(policy.restarts(), 0U);
    run();
    look(kGone, millis(100));
    EXPECT_EQ(policy.restarts(), 1U) << "a death is one";
    EXPECT_EQ(policy.setbacks(), 0U);
}

TEST_F(TerminalPolicy, EndsOneThatAnOperatorStopsBeforeItCouldBegin) {
    run();
    policy.stop(now);
    look({false, true, false, true}, millis(100));
    EXPECT_EQ(policy.state(), State::Stopped);
}

TEST(TerminalStarts, TakeAccountsInNeedFirstThenWhatDiedThenTheOthersAsTheyStand) {
    const std::vector<Candidate> all{{true, false, false}, {true, false, true}, {false, true, true},
                                     {true, true, false},  {true, false, true}, {true, true, true},
                                     {true, false, false}};
    using Order = std::vector<std::size_t>;
    EXPECT_EQ(next_starts(all, 100), (Order{3, 5, 1, 4, 0, 6}));
    EXPECT_EQ(next_starts(all, 3), (Order{3, 5, 1}));
    EXPECT_EQ(next_starts(all, 0), Order{});
    EXPECT_EQ(next_starts({}, 3), Order{});
}

}  // namespace
}  // namespace millrace::terminals
