// Goal: a terminal flattens on a kill, and refuses what is late, noise or a second owner's. Method:
// the real process against a scripted broker stage; the oracle is the broker's own books.
#include "core/admin.h"
#include "tests/simbroker/terminal_fixture.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <random>
#include <thread>

namespace millrace::sim::test {
namespace {

TEST_F(Terminal, FlattensOnKillBeforeQueuedCommandsAndRefusesEntriesUntilCleared) {
    SimProcess sim{dir, stage.port()};
    sim.quote("1.10000", "1.10010");
    stage.open({});
    stage.send_command(1, open_command(1));
    ASSERT_TRUE(stage.next_event());
    bridge::Kill kill{};
    kill.kill_id = 9;
    kill.actions = kKillStop | kKillCancel | kKillFlatten;
    stage.send_kill(kill);
    const auto closed = stage.next_event();
    ASSERT_TRUE(closed);
    EXPECT_EQ(closed->second.exec_kind, static_cast<std::uint8_t>(ExecKind::ClosedByKill));
    stage.send_command(2, open_command(2));
    const auto refused = stage.next_event();
    ASSERT_TRUE(refused);
    EXPECT_EQ(type_of(refused->second), ReportType::Unsent);
    EXPECT_EQ(refused->second.retcode, 10026U);
    EXPECT_EQ(refused->second.reason, static_cast<std::uint16_t>(Reason::Killed));
    stage.send_kill(kill);  // a repeat: nothing happens
    kill.kill_id = 10;
    kill.actions = 0;
    stage.send_kill(kill);
    stage.send_command(3, open_command(3));
    const auto open = stage.next_event();
    ASSERT_TRUE(open);
    EXPECT_EQ(open->second.retcode, 10009U);
}

TEST_F(Terminal, ExpiresACommandThatWaitedTooLongBeforeItIsSent) {
    {
        SimProcess sim{dir, stage.port()};
        sim.quote("1.10000", "1.10010");
        sim.control({{"cmd", "fault"}, {"kind", "crash_on_receive"}});
        stage.open({});
        auto command = open_command(1);
        command.ttl_ms = 1;
        stage.send_command(1, command);
        sim.wait_death();
    }
    SimProcess sim{dir, stage.port()};
    stage.open({.next_command_seq = 2});
    const auto event = stage.next_event();
    ASSERT_TRUE(event);
    EXPECT_EQ(type_of(event->second), ReportType::Unsent);
    EXPECT_EQ(event->second.reason, static_cast<std::uint16_t>(Reason::Expired));
    EXPECT_EQ(executions(dir, 1), 0U);
}

TEST_F(Terminal, ClosesAConnectionThatSendsNoiseAndComesBack) {
    SimProcess sim{dir, stage.port()};
    std::mt19937 random{3};
    for (int round = 0; round < 5; ++round) {
        stage.open({.generation = static_cast<std::uint64_t>(round + 1)});
        std::vector<std::byte> noise(64 + random() % 2000);
        for (std::byte& byte : noise) {
            byte = static_cast<std::byte>(random());
        }
        stage.send_bytes(noise);
        EXPECT_TRUE(stage.wait_closed()) << "round " << round;
    }
    sim.quote("1.10000", "1.10010");
    stage.open({.generation = 9});
    auto command = open_command(1);
    command.generation = 9;
    stage.send_command(1, command);
    EXPECT_TRUE(stage.next_event());
}

TEST_F(Terminal, InjectedTimeoutAfterExecutionIsFoundByQuery) {
    SimProcess sim{dir, stage.port()};
    sim.quote("1.10000", "1.10010");
    sim.control({{"cmd", "fault"}, {"kind", "retcode"}, {"code", 10012}, {"executed", true}});
    stage.open({});
    stage.send_command(1, open_command(1));
    const auto outcome = stage.next_event();
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->second.retcode, 10012U);
    EXPECT_EQ(outcome->second.deal_ticket, 0U);
    stage.send_command(2, query_command(open_command(1).magic));
    const auto found = stage.next_event();
    ASSERT_TRUE(found);
    EXPECT_EQ(type_of(found->second), ReportType::QueryFound);
    EXPECT_EQ(found->second.volume, kScale / 10);
}

TEST_F(Terminal, SecondBrokerOnTheSameBooksIsRefusedByName) {
    SimProcess sim{dir, stage.port()};
    const auto books = Books::open(dir.path("books"), [](const BookRecord&) {});
    EXPECT_EQ(books.code(), Errc::NotOwner);
}

}  // namespace
}  // namespace millrace::sim::test
