// Goal: no entry leaves without a record of its intent at the configured level; the way out stays
// open without a journal. Method: the test plays the journal stage's cells.
#include "broker_world.h"

#include <gtest/gtest.h>

namespace millrace::test {
namespace {

TEST(BrokerGate, HoldsEveryCommandUntilItsRecordIsDurable) {
    World w{{.gate = GateLevel::Disk}};
    Terminal& t = w.connect(kFirstLogin);
    w.order(0);
    w.order(0, CommandType::Close);
    w.order(0, CommandType::Query);
    w.steps(20);
    EXPECT_TRUE(t.commands.empty());
    EXPECT_LE(w.stage->park_limit(w.now()), millis(1)) << "something waits for the gate";
    w.durable_upto(2);
    EXPECT_FALSE(w.stage->idle());
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 2; }));
    w.steps(20);
    EXPECT_EQ(t.commands.size(), 2U);
    w.durable_upto(3);
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 3; }));
    EXPECT_EQ(w.segment.hop(Hop::Gate).total.load(), 3U);
}

TEST(BrokerGate, AnswersExpiryOfAnOrderThatTheDiskKeptTooLong) {
    World w{{.gate = GateLevel::Disk}};
    Terminal& t = w.connect(kFirstLogin);
    const Magic magic = w.order(0, CommandType::Open, seconds(1));
    w.steps(5);
    w.skew = seconds(1);
    ASSERT_TRUE(w.until([&] { return w.unsent(magic) != nullptr; }));
    EXPECT_EQ(w.unsent(magic)->reason, static_cast<std::uint16_t>(Reason::Expired));
    w.durable_upto(9);
    w.steps(10);
    EXPECT_TRUE(t.commands.empty());
}

TEST(BrokerGate, LetsCloseAndCancelGoWithTheJournalDown) {
    World w{{.gate = GateLevel::Disk}};
    Terminal& t = w.connect(kFirstLogin);
    w.journal_is(JournalState::Poisoned);
    w.order(0, CommandType::Close);
    w.order(0, CommandType::Cancel);
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 2; }));
}

TEST(BrokerGate, SendsNoEntryWithTheJournalDownEvenAtLevelProcess) {
    World w{{.gate = GateLevel::Process}};
    Terminal& t = w.connect(kFirstLogin);
    w.journal_is(JournalState::Full);
    const Magic magic = w.order(0, CommandType::Open, seconds(2));
    w.steps(20);
    EXPECT_TRUE(t.commands.empty());
    w.skew = seconds(2);
    ASSERT_TRUE(w.until([&] { return w.unsent(magic) != nullptr; }));
    EXPECT_EQ(w.unsent(magic)->reason, static_cast<std::uint16_t>(Reason::JournalDown));
}

TEST(BrokerGate, SendsTheWaitingEntryWhenTheJournalComesBack) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    w.journal_is(JournalState::Down);
    w.order(0);
    w.steps(20);
    EXPECT_TRUE(t.commands.empty());
    w.journal_is(JournalState::Running);
    EXPECT_FALSE(w.stage->idle());
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 1; }));
}

TEST(BrokerGate, GivesUpAnEntryThatKeepsACloseWaitingForADeadJournal) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    w.freeze();
    w.journal_is(JournalState::Down);
    const Magic entry = w.order(0);
    const Magic close = w.order(0, CommandType::Close);
    w.steps(5);
    EXPECT_TRUE(t.commands.empty()) << "a journal that restarts gets a moment";
    w.skew = millis(300);
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 1; }));
    EXPECT_EQ(t.commands[0].command.magic, close.value);
    ASSERT_NE(w.unsent(entry), nullptr);
    EXPECT_EQ(w.unsent(entry)->reason, static_cast<std::uint16_t>(Reason::JournalDown));
}

}  // namespace
}  // namespace millrace::test
