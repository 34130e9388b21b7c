// Goal: an order is executed once whatever dies, repeats or arrives late, and what happened is told
// in the end. Method: the real process against a scripted broker stage; SIGKILL at named points;
// the oracle is the broker's own books.
#include "core/admin.h"
#include "tests/simbroker/terminal_fixture.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <random>
#include <thread>

namespace millrace::sim::test {
namespace {

TEST_F(Terminal, ExecutesAMarketOrderAtTheAskAndAnswersDone) {
    SimProcess sim{dir, stage.port()};
    sim.quote("1.10000", "1.10010");
    const bridge::Hello hello = stage.open({});
    EXPECT_EQ(hello.login, kLogin);
    EXPECT_EQ(hello.command_seq, 0U);
    stage.send_command(1, open_command(1));
    const auto event = stage.next_event();
    ASSERT_TRUE(event);
    EXPECT_EQ(type_of(event->second), ReportType::Outcome);
    EXPECT_EQ(event->second.retcode, 10009U);
    EXPECT_EQ(event->second.price, 110'010'000);
    EXPECT_EQ(event->second.volume, kScale / 10);
    EXPECT_TRUE(stage.wait_rx_ack(1));
    EXPECT_EQ(sim.stop(), 0);
    EXPECT_EQ(executions(dir, 1), 1U);
}

TEST_F(Terminal, AnswersARepeatAfterAReconnectFromItsJournalAndNeverExecutesItAgain) {
    SimProcess sim{dir, stage.port()};
    sim.quote("1.10000", "1.10010");
    stage.open({});
    stage.send_command(1, open_command(1));
    const auto first = stage.next_event();
    ASSERT_TRUE(first);
    stage.close();  // neither RX_ACK nor event was processed here
    const bridge::Hello hello = stage.open({.generation = 2, .next_command_seq = 2});
    EXPECT_EQ(hello.command_seq, 1U);
    EXPECT_EQ(hello.generation, 1U);
    const auto again = stage.next_event();  // unacknowledged: comes again by itself
    ASSERT_TRUE(again);
    EXPECT_EQ(again->first, first->first);
    auto command = open_command(1);
    command.generation = 2;
    stage.send_command(2, command);
    const auto repeat = stage.next_event();
    ASSERT_TRUE(repeat);
    EXPECT_EQ(repeat->second.deal_ticket, first->second.deal_ticket);
    EXPECT_EQ(executions(dir, 1), 1U);
}

TEST_F(Terminal, MakesADoubleVisibleInTheBooksWithoutItsIntentJournal) {
    SimProcess sim{dir, stage.port(), {.arguments = {"--no-intent-journal"}}};
    sim.quote("1.10000", "1.10010");
    stage.open({});
    stage.send_command(1, open_command(1));
    stage.send_command(2, open_command(1));
    ASSERT_TRUE(stage.next_event());
    ASSERT_TRUE(stage.next_event());
    EXPECT_EQ(executions(dir, 1), 2U);
    EXPECT_EQ(audit_books(dir.path("books"), kTag).value().doubled(), 1U);
}

struct CrashCase {
    const char* fault;
    std::uint32_t retcode;  // of the outcome after the restart
    std::uint64_t executions;
};
class TerminalKilled : public testing::TestWithParam<CrashCase> {};

TEST_P(TerminalKilled, TellsAfterTheRestartWhatBecameOfTheOrderAndDoesItOnce) {
    TempDir dir;
    Stage stage;
    {
        SimProcess sim{dir, stage.port()};
        sim.quote("1.10000", "1.10010");
        sim.control({{"cmd", "fault"}, {"kind", GetParam().fault}});
        stage.open({});
        stage.send_command(1, open_command(1));
        const int status = sim.wait_death();
        EXPECT_TRUE(WIFSIGNALED(status));
        EXPECT_EQ(WTERMSIG(status), SIGKILL);
    }
    SimProcess sim{dir, stage.port()};
    const bridge::Hello hello = stage.open({.generation = 2, .next_command_seq = 2});
    EXPECT_EQ(hello.command_seq, 1U) << "the command was journalled before the death";
    const auto event = stage.next_event();
    ASSERT_TRUE(event);
    EXPECT_EQ(type_of(event->second), ReportType::Outcome);
    EXPECT_EQ(event->second.retcode, GetParam().retcode);
    EXPECT_EQ(executions(dir, 1), GetParam().executions);
}

// on_receive: sent by the restart itself, which has no quote yet, so the server refuses it.
INSTANTIATE_TEST_SUITE_P(AtEveryCrashPoint, TerminalKilled,
                         testing::Values(CrashCase{"crash_on_receive", 10021, 0},
                                         CrashCase{"crash_before_books", 10031, 0},
                                         CrashCase{"crash_after_books", 10009, 1},
                                         CrashCase{"crash_after_answer", 10009, 1}),
                         [](const auto& crash) { return std::string{crash.param.fault}; });

TEST_F(Terminal, ProvesAbsentWhatDiedOnItsWayOnlyAfterAWhile) {
    {
        SimProcess sim{dir, stage.port()};
        sim.quote("1.10000", "1.10010");
        sim.control({{"cmd", "fault"}, {"kind", "crash_before_books"}});
        stage.open({});
        stage.send_command(1, open_command(1));
        sim.wait_death();
    }
    SimProcess sim{dir, stage.port(), {.absent_after_ms = "500"}};
    stage.open({.next_command_seq = 2});
    ASSERT_TRUE(stage.next_event());
    const auto magic = open_command(1).magic;
    stage.send_command(2, query_command(magic));
    const auto early = stage.next_event();
    ASSERT_TRUE(early);
    EXPECT_EQ(type_of(early->second), ReportType::QueryUnknown);
    ReportType last = ReportType::QueryUnknown;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{180};
    for (std::uint64_t seq = 3; last == ReportType::QueryUnknown; ++seq) {
        ASSERT_LT(std::chrono::steady_clock::now(), deadline);
        std::this_thread::sleep_for(std::chrono::milliseconds{20});  // between two polls
        stage.send_command(seq, query_command(magic));
        const auto event = stage.next_event();
        ASSERT_TRUE(event);
        last = type_of(event->second);
    }
    EXPECT_EQ(last, ReportType::QueryAbsent);
}

TEST_F(Terminal, ProvesAbsenceAtOnceFromAnIntactJournalButNotFromALostOne) {
    SimProcess sim{dir, stage.port(), {.absent_after_ms = "600000"}};
    sim.quote("1.10000", "1.10010");
    const auto before = stage.open({});
    stage.send_command(1, query_command(open_command(7).magic));
    auto event = stage.next_event();
    ASSERT_TRUE(event);
    EXPECT_EQ(type_of(event->second), ReportType::QueryAbsent);
    sim.control({{"cmd", "lose_journal"}, {"login", kLogin}});
    ASSERT_TRUE(stage.wait_closed());
    const auto after = stage.open({.generation = 2, .next_command_seq = 2});
    EXPECT_NE(after.journal_id, before.journal_id);
    auto query = query_command(open_command(7).magic);
    query.generation = 2;
    stage.send_command(2, query);
    event = stage.next_event();
    ASSERT_TRUE(event);
    EXPECT_EQ(type_of(event->second), ReportType::QueryUnknown);
    // A new entry shows where the intents stand: what comes after it can be vouched for again.
    auto command = open_command(20);
    command.generation = 2;
    stage.send_command(3, command);
    ASSERT_TRUE(stage.next_event());
    query = query_command(open_command(21).magic);
    query.generation = 2;
    stage.send_command(4, query);
    event = stage.next_event();
    ASSERT_TRUE(event);
    EXPECT_EQ(type_of(event->second), ReportType::QueryAbsent);
}

TEST_F(Terminal, LeavesAServerThatHasNotTheKeyOrNamesImpossibleNumbers) {
    SimProcess sim{dir, stage.port()};
    sim.quote("1.10000", "1.10010");
    for (const Stage::Session& session :
         {Stage::Session{.generation = 5, .spoils_mac = true},
          Stage::Session{.generation = std::uint64_t{1} << 63U},
          Stage::Session{.generation = 5, .event_seq = std::uint64_t{1} << 63U},
          Stage::Session{.generation = 5, .magic_tag = 0}}) {
        EXPECT_EQ(stage.open(session).generation, 0U) << "it persisted what a stranger said";
        EXPECT_TRUE(stage.wait_closed());
    }
    EXPECT_EQ(stage.open({}).generation, 0U);
    stage.send_command(1, open_command(1));
    ASSERT_TRUE(stage.next_event());
    EXPECT_EQ(executions(dir, 1), 1U);
}

/// Of a session of generation 2, sent once more.
bridge::Command resent(std::uint32_t intent) {
    auto command = open_command(intent);
    command.generation = 2;
    command.flags = bridge::kCommandResent;
    return command;
}

TEST_F(Terminal, LooksInTheAccountBeforeItExecutesAResentCommandThatALostJournalMayHaveHad) {
    SimProcess sim{dir, stage.port()};
    sim.quote("1.10000", "1.10010");
    stage.open({});
    stage.send_command(1, open_command(1));
    ASSERT_TRUE(stage.next_event());
    sim.control({{"cmd", "lose_journal"}, {"login", kLogin}});
    ASSERT_TRUE(stage.wait_closed());
    stage.open({.generation = 2, .next_command_seq = 1, .event_seq = 100});
    stage.send_command(1, resent(1));
    const auto found = stage.next_event();
    ASSERT_TRUE(found);
    EXPECT_EQ(type_of(found->second), ReportType::Outcome);
    EXPECT_EQ(found->second.retcode, 10009U);
    stage.send_command(2, resent(2));
    const auto unknown = stage.next_event();
    ASSERT_TRUE(unknown);
    EXPECT_EQ(unknown->second.ord_status, static_cast<std::uint8_t>(OrdStatus::InDoubt));
    EXPECT_EQ(executions(dir, 1), 1U);
    EXPECT_EQ(executions(dir, 2), 0U);
}

TEST_F(Terminal, LooksThereFirstAlsoIfItDiedBetweenTheCommandAndTheLook) {
    {
        SimProcess sim{dir, stage.port()};
        sim.quote("1.10000", "1.10010");
        stage.open({});
        stage.send_command(1, open_command(1));
        ASSERT_TRUE(stage.next_event());
        sim.control({{"cmd", "lose_journal"}, {"login", kLogin}});
        ASSERT_TRUE(stage.wait_closed());
        sim.control({{"cmd", "fault"}, {"kind", "crash_on_receive"}});
        stage.open({.generation = 2, .next_command_seq = 1, .event_seq = 100});
        stage.send_command(1, resent(1));
        sim.wait_death();
    }
    SimProcess sim{dir, stage.port()};
    stage.open({.generation = 3, .next_command_seq = 2, .event_seq = 100});
    const auto found = stage.next_event();
    ASSERT_TRUE(found);
    EXPECT_EQ(type_of(found->second), ReportType::Outcome);
    EXPECT_EQ(found->second.retcode, 10009U);
    EXPECT_EQ(executions(dir, 1), 1U);
}

TEST_F(Terminal, FindsInTheAccountWhatALostJournalHasForgotten) {
    SimProcess sim{dir, stage.port()};
    sim.quote("1.10000", "1.10010");
    stage.open({});
    stage.send_command(1, open_command(1));
    const auto done = stage.next_event();
    ASSERT_TRUE(done);
    sim.control({{"cmd", "lose_journal"}, {"login", kLogin}});
    ASSERT_TRUE(stage.wait_closed());
    stage.open({.next_command_seq = 2});
    stage.send_command(2, query_command(open_command(1).magic));
    const auto found = stage.next_event();
    ASSERT_TRUE(found);
    EXPECT_EQ(type_of(found->second), ReportType::QueryFound);
    EXPECT_EQ(found->second.deal_ticket, done->second.deal_ticket);
    EXPECT_EQ(found->second.volume, kScale / 10);
}

TEST_F(Terminal, RefusesACommandOfAnotherTagThanItWasToldAndForgetsIt) {
    SimProcess sim{dir, stage.port()};
    sim.quote("1.10000", "1.10010");
    stage.open({.magic_tag = kTag + 1});
    stage.send_command(1, open_command(1));
    const auto refused = stage.next_event();
    ASSERT_TRUE(refused);
    EXPECT_EQ(type_of(refused->second), ReportType::Unsent);
    EXPECT_EQ(refused->second.reason, static_cast<std::uint16_t>(Reason::AccountNotTrading));
    EXPECT_EQ(refused->second.retcode, bridge::kOtherTag);
    stage.send_command(2, query_command(open_command(1).magic));
    const auto look_up = stage.next_event();
    ASSERT_TRUE(look_up);
    EXPECT_EQ(type_of(look_up->second), ReportType::QueryUnknown) << "Unsent is about the order";
    EXPECT_EQ(executions(dir, 1), 0U);
    stage.close();
    stage.open({.generation = 2, .next_command_seq = 3});
    auto ours = open_command(1);
    ours.generation = 2;
    stage.send_command(3, ours);
    auto done = stage.next_event();
    while (done && type_of(done->second) != ReportType::Outcome) {
        done = stage.next_event();  // what nobody acknowledged comes again first
    }
    ASSERT_TRUE(done);
    EXPECT_EQ(done->second.retcode, 10009U);
}

TEST_F(Terminal, RefusesACommandOfAnOlderGenerationAndAnOlderOwnersSession) {
    SimProcess sim{dir, stage.port()};
    sim.quote("1.10000", "1.10010");
    stage.open({.generation = 5});
    auto command = open_command(1);
    command.generation = 4;
    stage.send_command(1, command);
    const auto event = stage.next_event();
    ASSERT_TRUE(event);
    EXPECT_EQ(type_of(event->second), ReportType::Unsent);
    EXPECT_EQ(event->second.retcode, bridge::kStaleGeneration);
    EXPECT_EQ(executions(dir, 1), 0U);
    auto look_up = query_command(command.magic);
    look_up.generation = 4;
    stage.send_command(2, look_up);
    const auto refused = stage.next_event();
    ASSERT_TRUE(refused);
    EXPECT_EQ(type_of(refused->second), ReportType::QueryUnknown) << "Unsent is about the order";
    EXPECT_EQ(refused->second.retcode, bridge::kStaleGeneration);
    stage.close();
    stage.open({.generation = 4});
    EXPECT_TRUE(stage.wait_closed()) << "a fenced owner must not get a session";
    const bridge::Hello hello = stage.open({.generation = 6, .next_command_seq = 3});
    EXPECT_EQ(hello.generation, 5U);
    command.generation = 6;
    stage.send_command(3, command);
    for (auto e = stage.next_event(); e; e = stage.next_event()) {
        if (type_of(e->second) == ReportType::Outcome) {
            EXPECT_EQ(e->second.retcode, 10009U) << "refused as stale is not executed: it may come";
            break;
        }
    }
    EXPECT_EQ(executions(dir, 1), 1U);
}

TEST_F(Terminal, RefusesAnOwnerWithAnotherJournalDirectoryHoweverNewItsEpoch) {
    SimProcess sim{dir, stage.port()};
    sim.quote("1.10000", "1.10010");
    stage.open({.generation = 5, .epoch = bridge::wire_epoch(8, 3)});
    stage.send_command(1, open_command(1));
    ASSERT_TRUE(stage.next_event());
    for (const std::uint64_t other :
         {bridge::wire_epoch(7, 9), bridge::wire_epoch(9, 9), std::uint64_t{9}}) {
        stage.close();
        stage.open({.generation = 6, .epoch = other, .command_epoch = 78});
        EXPECT_TRUE(stage.wait_closed()) << "it would answer new orders from what it remembers";
    }
    const bridge::Hello hello =
        stage.open({.generation = 6, .epoch = bridge::wire_epoch(8, 4), .next_command_seq = 2});
    EXPECT_EQ(hello.epoch, bridge::wire_epoch(8, 3)) << "nothing of the others was kept";
    EXPECT_EQ(hello.command_epoch, 77U);
}

TEST_F(Terminal, LosesTheCommandBeforeAndTheAnswerAfterTheExecutionAndRecoversBoth) {
    SimProcess sim{dir, stage.port()};
    sim.quote("1.10000", "1.10010");
    sim.control({{"cmd", "fault"}, {"kind", "disconnect_before"}});
    stage.open({});
    stage.send_command(1, open_command(1));
    ASSERT_TRUE(stage.wait_closed());
    bridge::Hello hello = stage.open({});
    EXPECT_EQ(hello.command_seq, 0U) << "the command was lost with the connection";
    sim.control({{"cmd", "fault"}, {"kind", "disconnect_after"}});
    stage.send_command(1, open_command(1));
    ASSERT_TRUE(stage.wait_closed());
    hello = stage.open({.next_command_seq = 2});
    EXPECT_EQ(hello.command_seq, 1U);
    const auto event = stage.next_event();
    ASSERT_TRUE(event);
    EXPECT_EQ(event->second.retcode, 10009U);
    EXPECT_EQ(executions(dir, 1), 1U);
}

TEST_F(Terminal, KeepsEventsUntilTheyAreAcknowledgedAndForgetsThemThen) {
    SimProcess sim{dir, stage.port()};
    sim.quote("1.10000", "1.10010");
    stage.open({});
    stage.send_command(1, open_command(1));
    const auto event = stage.next_event();
    ASSERT_TRUE(event);
    sim.control({{"cmd", "fault"}, {"kind", "duplicate_event"}});
    stage.send_command(2, open_command(2));
    const auto second = stage.next_event();
    const auto duplicate = stage.next_event();
    ASSERT_TRUE(second && duplicate);
    EXPECT_EQ(second->first, duplicate->first);
    stage.acknowledge(second->first);
    // Frames are handled in order: this answer proves that the acknowledgement was taken in.
    stage.send_command(3, open_command(3));
    ASSERT_TRUE(stage.next_event());
    sim.kill9();
    SimProcess again{dir, stage.port()};
    const auto hello = stage.open({.next_command_seq = 4});
    EXPECT_GT(hello.event_seq, second->first) << "numbers are never handed out twice";
    const auto third = stage.next_event();
    ASSERT_TRUE(third);
    EXPECT_EQ(third->second.magic, open_command(3).magic) << "acknowledged events came again";
}

TEST_F(Terminal, ReportsAStopLossThatStruckWhileNobodyListened) {
    SimProcess sim{dir, stage.port()};
    sim.quote("1.10000", "1.10010");
    stage.open({});
    auto command = open_command(1);
    command.stop_loss = 109'000'000;
    stage.send_command(1, command);
    const auto opened = stage.next_event();
    ASSERT_TRUE(opened);
    stage.acknowledge(opened->first);
    stage.close();
    sim.quote("1.08990", "1.09000");
    sim.kill9();
    SimProcess again{dir, stage.port()};
    stage.open({.next_command_seq = 2});
    const auto closed = stage.next_event();
    ASSERT_TRUE(closed);
    // The acknowledgement may have been lost with the connection: then the outcome comes first.
    const auto exec = type_of(closed->second) == ReportType::Outcome ? stage.next_event() : closed;
    ASSERT_TRUE(exec);
    EXPECT_EQ(type_of(exec->second), ReportType::Exec);
    EXPECT_EQ(exec->second.exec_kind, static_cast<std::uint8_t>(ExecKind::ClosedByStopLoss));
    EXPECT_EQ(exec->second.price, 108'990'000);
    EXPECT_EQ(exec->second.position_id, opened->second.position_id);
}

}  // namespace
}  // namespace millrace::sim::test
