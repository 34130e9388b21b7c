// Goal: the kill switch gets through whatever else is full, and stays in force.
// Method: kills on `admin.broker` as the command line writes them.
#include "broker_world.h"

#include <gtest/gtest.h>

namespace millrace::test {
namespace {

KillCommand kill_account(std::uint64_t id, std::uint32_t account, std::uint8_t actions) {
    return KillCommand{id, KillScope::Account, actions, {}, account, {}};
}

TEST(BrokerKill, OvertakesTheQueueAndAnswersEntriesThatWait) {
    World w{{.gate = GateLevel::Disk}};
    Terminal& t = w.connect(kFirstLogin);
    const Magic entry = w.order(0);
    w.order(0, CommandType::Close);
    w.steps(5);
    w.kill(kill_account(9, 0, kKillStop | kKillFlatten));
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::KillApplied) == 1; }));
    w.durable_upto(9);
    ASSERT_TRUE(w.until([&] { return t.order.size() == 2; }));
    EXPECT_EQ(t.order, (std::vector<char>{'K', 'C'}));
    EXPECT_EQ(t.kills[0].kill_id, 9U);
    EXPECT_EQ(t.kills[0].actions, kKillStop | kKillFlatten);
    EXPECT_EQ(t.commands[0].command.type, static_cast<std::uint8_t>(CommandType::Close));
    ASSERT_NE(w.unsent(entry), nullptr);
    EXPECT_EQ(w.unsent(entry)->reason, static_cast<std::uint16_t>(Reason::Killed));
    EXPECT_EQ(w.entry(0).killed.load(), std::uint32_t{kKillStop | kKillFlatten});
}

TEST(BrokerKill, RefusesLaterEntriesUntilCleared) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    w.kill(kill_account(1, 0, kKillStop));
    w.steps(5);
    const Magic refused = w.order(0);
    ASSERT_TRUE(w.until([&] { return w.unsent(refused) != nullptr; }));
    w.kill(kill_account(2, 0, 0));
    w.steps(5);
    const Magic allowed = w.order(0);
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 1; }));
    EXPECT_EQ(t.commands[0].command.magic, allowed.value);
    EXPECT_EQ(t.kills.size(), 2U);
}

TEST(BrokerKill, TellsATerminalThatComesBackAndSurvivesTheStage) {
    World w;
    w.kill(kill_account(7, 0, kKillStop | kKillCancel));
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::KillApplied) == 1; }));
    w.restart_stage();
    Terminal& t = w.connect(kFirstLogin);
    ASSERT_TRUE(w.until([&] { return t.kills.size() == 1; }));
    EXPECT_EQ(t.kills[0].kill_id, 7U);
    const Magic refused = w.order(0);
    ASSERT_TRUE(w.until([&] { return w.unsent(refused) != nullptr; }));
    EXPECT_EQ(w.unsent(refused)->reason, static_cast<std::uint16_t>(Reason::Killed));
}

/// A `millrace kill` that was killed (or is on) between its first byte and its commit.
void leave_half_written(World& w, const KillCommand& kill) {
    auto command_line =
        RingProducer<KillSlot>::attach(w.segment.ring<KillSlot>("admin.broker")).value();
    KillSlot* slot = command_line.claim();
    ASSERT_NE(slot, nullptr);
    slot->value = kill;
}

/// The slot that the next command is written to still carries the number of a command that the
/// stage has done; `waiting` commands came while there was no stage.
void restore_beside_half_written(std::uint64_t waiting) {
    SCOPED_TRACE(waiting);
    constexpr std::uint64_t kSlots = 64;
    World w;
    const auto& control = w.segment.ring_control(w.segment.find_ring("admin.broker"));
    for (std::uint64_t id = 1; id <= kSlots; ++id) {
        // The oldest command whose slot nobody can be writing to.
        const bool is_oldest_whole = id == waiting + 2;
        w.kill(
            is_oldest_whole
                ? KillCommand{id, KillScope::Symbol, kKillStop, {}, kNoId, make_text<16>("EURUSD")}
                : kill_account(id, 1, 0));
        ASSERT_TRUE(w.until([&] { return control.read_cursor.load() == id; }));
    }
    w.stop_stage();
    for (std::uint64_t i = 1; i <= waiting; ++i) {
        w.kill(kill_account(kSlots + i, 1, 0));
    }
    leave_half_written(w, KillCommand{99, KillScope::All, kKillStop, {}, kNoId, {}});
    w.start_stage();
    EXPECT_EQ(w.entry(0).killed.load(), 0U);
    const Magic refused = w.order(0);
    ASSERT_TRUE(w.until([&] { return w.unsent(refused) != nullptr; }));
    EXPECT_EQ(w.unsent(refused)->reason, static_cast<std::uint16_t>(Reason::Killed));
}

TEST(BrokerKill, IsRestoredFromAllSlotsButTheOneThatIsBeingWritten) {
    for (const std::uint64_t waiting : {0U, 1U, 7U, 62U}) {
        restore_beside_half_written(waiting);
    }
}

TEST(BrokerKill, StopsOneSymbolOnEveryAccountInItsOwnSpelling) {
    World w{{.suffix = ".pro"}};
    Terminal& a = w.connect(kFirstLogin);
    Terminal& b = w.connect(kFirstLogin + 1);
    KillCommand kill{3, KillScope::Symbol, kKillStop, {}, kNoId, make_text<16>("EURUSD")};
    w.kill(kill);
    ASSERT_TRUE(w.until([&] { return a.kills.size() == 1 && b.kills.size() == 1; }));
    EXPECT_STREQ(a.kills[0].symbol, "EURUSD.pro");
    const Magic refused = w.order(1);
    ASSERT_TRUE(w.until([&] { return w.unsent(refused) != nullptr; }));
    w.order(1, CommandType::Close);
    ASSERT_TRUE(w.until([&] { return b.commands.size() == 1; }));
}

TEST(BrokerKill, ReachesEveryAccountWhileReportsIsFull) {
    World w{{.accounts = 3, .session_slots = 16, .reports_slots = 16}};
    Terminal& t = w.connect(kFirstLogin);
    const Magic entry = w.order(1);
    w.steps(3);
    w.engine_reads = false;
    for (std::uint64_t i = 0; i < 50; ++i) {
        t.send_event(filled(Magic::make(kTag, i + 1, 0)));
    }
    ASSERT_TRUE(w.until([&] { return w.stage->stats().stalls >= 1; }));
    while (w.segment.ring<ReportSlot>("reports").find_write_cursor().value() <
           w.segment.ring_control(w.segment.find_ring("reports")).read_cursor.load() + 16) {
        w.kill(KillCommand{4, KillScope::All, kKillStop, {}, kNoId, {}});
        w.steps(2);
    }
    w.kill(KillCommand{5, KillScope::All, kKillFlatten | kKillStop, {}, kNoId, {}});
    ASSERT_TRUE(w.until([&] { return !t.kills.empty() && t.kills.back().kill_id == 5; }));
    EXPECT_EQ(w.count(ReportType::KillApplied), 0U);
    w.engine_reads = true;
    ASSERT_TRUE(w.until([&] {
        std::size_t applied = 0;
        for (const Report& r : w.reports) {
            applied += r.type == ReportType::KillApplied && r.journal_id == 5 ? 1U : 0U;
        }
        return applied == 3;
    }));
    EXPECT_NE(w.unsent(entry), nullptr);
}

/// A terminal takes for ours what carries the tag that it was told.
TEST(BrokerKill, MissesNoOrderBecauseNoneOfAnotherTagLeaves) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    w.order_tag = kTag + 1;
    const Magic entry = w.order(0);
    const Magic close = w.order(0, CommandType::Close);
    w.order(0, CommandType::Query);
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::QueryUnknown) == 1; }));
    for (const Magic refused : {entry, close}) {
        ASSERT_NE(w.unsent(refused), nullptr);
        EXPECT_EQ(w.unsent(refused)->reason, static_cast<std::uint16_t>(Reason::AccountNotTrading));
    }
    EXPECT_EQ(w.errors("ALERT an order was refused whose magic_tag"), 3U);
    w.order_tag = kTag;
    const Magic ours = w.order(0);
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 1; }));
    EXPECT_EQ(t.commands[0].command.magic, ours.value);
}

TEST(BrokerKill, MissesNoOrderThatAStageOfAnotherTagLeftInTheQueue) {
    World w;
    const Magic left = w.order(0);
    w.steps(5);
    w.stop_stage();
    w.options.stage_tag = kTag + 1;
    w.start_stage();
    Terminal& t = w.connect(kFirstLogin);
    ASSERT_TRUE(w.until([&] { return w.unsent(left) != nullptr; }));
    EXPECT_TRUE(t.commands.empty());
}

TEST(BrokerKill, RefusesAScopeThatItCannotResolveAndSaysSo) {
    World w;
    w.kill(KillCommand{6, KillScope::Group, kKillStop, {}, 1, {}});
    w.steps(5);
    EXPECT_TRUE(w.error_logged("kill refused"));
    EXPECT_EQ(w.entry(0).killed.load(), 0U);
    w.kill(kill_account(7, 1, kKillStop));
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::KillApplied, 1) == 1; }));
}

}  // namespace
}  // namespace millrace::test
