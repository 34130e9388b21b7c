// Goal: what a terminal's intent journal does not name leaves again only where that is proof, and a
// journal that lost records, or is not the one that served last, learns it.
// Method: terminals whose journals are set back, swapped or called suspect, over loopback.
#include "broker_world.h"

#include <gtest/gtest.h>

namespace millrace::test {
namespace {

TEST(BrokerResume, ProvesTheKeyToTheTerminal) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    EXPECT_EQ(t.forged_welcomes, 0U);
    t.disconnect();
    t.connect(w.stage->port());
    ASSERT_TRUE(w.until([&] { return t.welcomes.size() == 2; }));
    EXPECT_EQ(t.forged_welcomes, 0U);
    EXPECT_FALSE(wire::same_mac(t.welcomes[0].mac, t.welcomes[1].mac)) << "not of one nonce";
}

/// A command is written and the link is cut before RX_ACK. @return the terminal, disconnected.
Terminal& cut_before_ack(World& w) {
    Terminal& t = w.connect(kFirstLogin);
    t.acks = false;
    w.order(0);
    EXPECT_TRUE(w.until([&] { return t.commands.size() == 1; }));
    t.disconnect();
    EXPECT_TRUE(w.until([&] { return w.count(ReportType::SessionDown) == 1; }));
    t.command_seq = 0;  // it had not journalled it
    return t;
}

TEST(BrokerResume, MarksWhatAnEarlierSessionMayHaveSentAsResentAndNothingElse) {
    World w;
    Terminal& t = cut_before_ack(w);
    t.connect(w.stage->port());
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 2; }));
    EXPECT_EQ(t.commands[0].command.flags, 0U);
    EXPECT_EQ(t.commands[1].command.flags, bridge::kCommandResent);
    w.order(0);
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 3; }));
    EXPECT_EQ(t.commands[2].command.flags, 0U);
}

TEST(BrokerResume, MarksAResentCommandEvenAfterItsOwnRestart) {
    World w;
    Terminal& t = cut_before_ack(w);
    w.restart_stage();
    t.connect(w.stage->port());
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 2; }));
    EXPECT_EQ(t.commands[1].command.flags, bridge::kCommandResent);
}

TEST(BrokerResume, GivesUpToTheLookUpWhatASuspectJournalDoesNotName) {
    World w;
    Terminal& t = cut_before_ack(w);
    t.hello_permissions = bridge::kHelloMayTrade | bridge::kHelloJournalSuspect;
    t.connect(w.stage->port());
    ASSERT_TRUE(w.until([&] { return t.welcomes.size() == 2; }));
    EXPECT_EQ(w.stage->stats().in_doubt, 1U);
    EXPECT_EQ(w.stage->stats().resent, 0U);
    EXPECT_EQ(t.welcomes[1].event_seq, 0U) << "its events count on";
    w.steps(20);
    EXPECT_EQ(t.commands.size(), 1U);
}

TEST(BrokerResume, SeesAJournalThatNamesLessThanItDidAndSendsItNothingAgain) {
    for (const bool restarts : {false, true}) {
        SCOPED_TRACE(restarts ? "with a restart of the stage" : "same stage");
        World w;
        Terminal& t = w.connect(kFirstLogin);
        w.order(0);
        ASSERT_TRUE(w.until([&] { return t.command_seq == 1 && w.entry(0).named.load() == 1; }));
        t.acks = false;
        w.order(0);
        ASSERT_TRUE(w.until([&] { return t.commands.size() == 2; }));
        t.disconnect();
        ASSERT_TRUE(w.until([&] { return w.count(ReportType::SessionDown) == 1; }));
        if (restarts) {
            w.restart_stage();
        }
        t.command_seq = 0;  // put back from a copy, or cut off by a power failure
        t.connect(w.stage->port());
        ASSERT_TRUE(w.until([&] { return t.welcomes.size() == 2; }));
        EXPECT_EQ(w.stage->stats().in_doubt, 1U);
        EXPECT_GT(t.welcomes[1].event_seq, t.events.size()) << "how it learns that it is older";
        w.steps(20);
        EXPECT_EQ(t.commands.size(), 2U);
    }
}

TEST(BrokerResume, LetsAJournalThatForgotWhatItToldGiveThoseNumbersToNothingElse) {
    for (const bool restarts : {false, true}) {
        SCOPED_TRACE(restarts ? "with a restart of the stage" : "same stage");
        World w;
        Terminal& t = w.connect(kFirstLogin);
        for (std::uint32_t intent = 1; intent <= 3; ++intent) {
            t.send_event(filled(Magic::make(kTag, intent, 0)));
        }
        ASSERT_TRUE(w.until([&] { return w.count(ReportType::Outcome) == 3; }));
        t.disconnect();
        ASSERT_TRUE(w.until([&] { return w.count(ReportType::SessionDown) == 1; }));
        if (restarts) {  // then only the engine knows
            w.entry(0).applied_journal.store(77);
            w.entry(0).applied_event.store(3);
            w.restart_stage();
        }
        t.events.resize(1);
        t.connect(w.stage->port());
        ASSERT_TRUE(w.until([&] { return t.welcomes.size() == 2; }));
        EXPECT_GE(t.welcomes[1].event_seq, 3U);
    }
}

TEST(BrokerResume, TakesACommandAnsweredHereForNoRollback) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    t.disconnect();
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::SessionDown) == 1; }));
    w.order(0, CommandType::Open, millis(1));
    w.skew = seconds(1);
    ASSERT_TRUE(w.until([&] { return w.stage->stats().expired == 1; }));
    t.connect(w.stage->port());
    ASSERT_TRUE(w.until([&] { return t.welcomes.size() == 2; }));
    EXPECT_EQ(t.welcomes[1].event_seq, 0U);
}

TEST(BrokerResume, KeepsASecondTerminalWithAnotherJournalAwayWhileTheFirstLives) {
    World w;
    Terminal& first = w.connect(kFirstLogin);
    auto& second = *w.terminals.emplace_back(std::make_unique<Terminal>(kFirstLogin, 78));
    second.connect(w.stage->port());
    ASSERT_TRUE(w.until([&] { return !second.connected(); }));
    EXPECT_NE(second.denied.find("another terminal"), std::string::npos);
    EXPECT_TRUE(first.connected());
    EXPECT_TRUE(w.error_logged("another terminal"));
    first.disconnect();
    second.generation = 9;  // it has a past of its own
    second.connect(w.stage->port());
    ASSERT_TRUE(w.until([&] { return second.welcomes.size() == 1; }));
    EXPECT_GT(second.welcomes[0].event_seq, 0U) << "it knows nothing of what the first one took";
}

TEST(BrokerResume, TellsAJournalThatAnotherServedBeforeItEvenAfterItsOwnRestart) {
    World w;
    w.entry(0).applied_journal.store(77);
    auto& second = *w.terminals.emplace_back(std::make_unique<Terminal>(kFirstLogin, 78));
    second.generation = 9;
    second.events.assign(3, filled(Magic::make(kTag, 1, 0)));
    second.connect(w.stage->port());
    ASSERT_TRUE(w.until([&] { return second.welcomes.size() == 1; }));
    EXPECT_EQ(second.welcomes[0].event_seq, 4U);
}

// A finding that was lost on the way would leave the executor in doubt for ever, and its kills
// waiting: it is told again, also to a journal of which nothing is known.
TEST(BrokerResume, TellsAFindingAgainUntilTheExecutorHasIt) {
    for (const bool another : {false, true}) {
        SCOPED_TRACE(another ? "another journal" : "the same journal");
        World w;
        Terminal& t = w.connect(kFirstLogin);
        t.hello_permissions = bridge::kHelloMayTrade | bridge::kHelloTakesResolve;
        t.disconnect();
        ASSERT_TRUE(w.until([&] { return w.count(ReportType::SessionDown) == 1; }));
        t.connect(w.stage->port());
        ASSERT_TRUE(w.until([&] { return w.is_up(0); }));
        t.acks = false;
        const Magic magic = w.order(0, CommandType::Resolve, Nanos{});
        ASSERT_TRUE(w.until([&] { return t.commands.size() == 1; }));
        t.disconnect();
        ASSERT_TRUE(w.until([&] { return w.count(ReportType::SessionDown) == 2; }));
        t.command_seq = 0;
        t.journal_id += another ? 1 : 0;
        t.acks = true;
        w.restart_stage();
        t.connect(w.stage->port());
        ASSERT_TRUE(w.until([&] { return t.commands.size() == 2; }));
        EXPECT_EQ(t.commands[1].command.magic, magic.value);
        EXPECT_EQ(t.commands[1].command.type, static_cast<std::uint8_t>(CommandType::Resolve));
        ASSERT_TRUE(w.until([&] { return w.entry(0).named.load() == t.commands[1].seq; }));
        t.disconnect();
        ASSERT_TRUE(w.until([&] { return w.count(ReportType::SessionDown) == 3; }));
        t.connect(w.stage->port());
        ASSERT_TRUE(w.until([&] { return w.is_up(0); }));
        w.order(0);
        ASSERT_TRUE(w.until([&] { return t.commands.size() == 3; }));
        EXPECT_EQ(t.commands[2].command.type, static_cast<std::uint8_t>(CommandType::Open))
            << "told once more than it was asked for";
    }
}

TEST(BrokerResume, PassesOverAFindingWhereTheTerminalLooksForItself) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    w.order(0, CommandType::Resolve, Nanos{});
    const Magic next = w.order(0);
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 1; }));
    EXPECT_EQ(t.commands[0].command.magic, next.value);
    w.steps(20);
    EXPECT_EQ(w.count(ReportType::Unsent) + w.count(ReportType::QueryUnknown), 0U);
    EXPECT_TRUE(w.stage->drained());
}

}  // namespace
}  // namespace millrace::test
