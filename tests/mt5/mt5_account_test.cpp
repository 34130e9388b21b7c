// Goal: what happens on the account without a command is told once, foreign trades are never
// touched, the way out works, and the intent journal survives everything. Method: as
// mt5_order_test.
#include "tests/mt5/mt5_world.h"

#include <sys/wait.h>

#include <algorithm>
#include <fstream>

namespace millrace::mt5::test {
namespace {

class OfTheAccount : public World {
protected:
    /// The journal in use. Empty if there is none.
    [[nodiscard]] std::filesystem::path journal() const {
        const std::filesystem::path first = journal_file(dir, ".a");
        return first.empty() ? journal_file(dir, ".b") : first;
    }
    int exit_code_of_a_start() {
        host->start();
        const int status = host->wait_end();
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    /// What happens from now on is told: deals of before are another's to tell.
    void until_settled() {
        ASSERT_TRUE(desk.until([&] { return desk.info.permissions == bridge::kInfoMayTrade; }));
    }
    std::size_t execs_of(ExecKind kind) const {
        return static_cast<std::size_t>(
            std::count_if(desk.execs.begin(), desk.execs.end(), [kind](const bridge::Event& event) {
                return event.exec_kind == static_cast<std::uint8_t>(kind);
            }));
    }
};

TEST_F(OfTheAccount, TradesOfOthersAreToldAsForeignAndNeverTouched) {
    begin();
    const bridge::Event ours = answer_to(open(1));
    host->control(R"("cmd":"manual_trade","symbol":"EURUSD","volume":"0.3")");
    const bridge::Event* foreign = exec_of(ExecKind::Foreign);
    ASSERT_NE(foreign, nullptr);
    EXPECT_EQ(foreign->volume, 3 * kScale / 10);
    desk.kill(1, kKillStop | kKillCancel | kKillFlatten);
    ASSERT_NE(exec_of(ExecKind::ClosedByKill), nullptr);
    EXPECT_EQ(exec_of(ExecKind::ClosedByKill)->position_id, ours.position_id);
    EXPECT_EQ(number("positions"), 1U) << "the foreign one";
}

TEST_F(OfTheAccount, AClosePerHandAStopLossAndATakeProfitAreToldWithTheOrderThatOpened) {
    for (const std::int64_t server_magic : {0, 1}) {  // whose magic server-made deals carry
        SCOPED_TRACE(server_magic);
        TempDir own;
        Desk own_desk;
        HostProcess own_host{own, own_desk.port(), {.inputs = {"InpReadyMs=20"}}};
        own_host.start();
        own_host.knob("server_magic", server_magic);
        std::vector<std::uint64_t> magics;
        for (std::uint64_t intent = 1; intent <= 3; ++intent) {
            bridge::Command command = open(intent);
            command.stop_loss = intent == 2 ? 109'000'000 : 0;
            command.take_profit = intent == 3 ? 111'000'000 : 0;
            magics.push_back(own_desk.submit(command));
            ASSERT_TRUE(own_desk.until_answered(magics.back()));
        }
        own_host.control(R"("cmd":"manual_close")");  // the oldest
        ASSERT_TRUE(own_desk.until([&] { return own_desk.execs.size() == 1; }));
        own_host.quote("1.08990", "1.09000");
        ASSERT_TRUE(own_desk.until([&] { return own_desk.execs.size() == 2; }));
        own_host.quote("1.11000", "1.11010");
        ASSERT_TRUE(own_desk.until([&] { return own_desk.execs.size() == 3; }));
        const ExecKind kinds[] = {ExecKind::ClosedManually, ExecKind::ClosedByStopLoss,
                                  ExecKind::ClosedByTakeProfit};
        for (std::size_t i = 0; i < 3; ++i) {
            EXPECT_EQ(own_desk.execs[i].exec_kind, static_cast<std::uint8_t>(kinds[i]));
            EXPECT_EQ(own_desk.execs[i].magic, magics[i]);
        }
    }
}

TEST_F(OfTheAccount, TheListOfAllThatItHoldsIsTruthfulOrNotTold) {
    begin({.inputs = {"InpHoldingsSeconds=1", "InpReadyMs=300"}});
    ASSERT_TRUE(desk.until([&] { return desk.empty_lists > 0; })) << "flat, and known to be";
    bridge::Command command = open(1);
    command.stop_loss = 109'000'000;
    const bridge::Event ours = answer_to(command);
    const bridge::Event working = answer_to(pending(2, PriceKind::Limit, 1.08));
    host->control(R"("cmd":"manual_trade","symbol":"EURUSD","volume":"0.3")");
    ASSERT_TRUE(desk.until([&] { return desk.holdings.size() == 3; }));
    const bridge::Holding& position = desk.holdings[0];
    EXPECT_EQ(position.kind, 1);
    EXPECT_EQ(position.ticket, ours.position_id);
    EXPECT_EQ(position.magic, ours.magic);
    EXPECT_EQ(position.volume, kScale / 10);
    EXPECT_EQ(position.stop_loss, 109'000'000);
    EXPECT_STREQ(position.symbol, "EURUSD");
    EXPECT_EQ(desk.holdings[1].volume, 3 * kScale / 10) << "a hand's, too";
    const bridge::Holding& order = desk.holdings[2];
    EXPECT_EQ(order.kind, 2);
    EXPECT_EQ(order.ticket, working.order_ticket);
    EXPECT_EQ(order.price_kind, static_cast<std::uint8_t>(PriceKind::Limit));
    EXPECT_EQ(order.price, 108'000'000);
    // Away, and back with lists that are empty for a while.
    const std::uint64_t empty = desk.empty_lists;
    host->knob("disconnected", 1);
    ASSERT_TRUE(desk.until([&] { return (desk.info.permissions & bridge::kInfoServerAway) != 0; }));
    const std::uint64_t before = desk.lists;
    let_it_run(800);
    EXPECT_EQ(desk.lists, before) << "nobody knows";
    host->knob("lists_empty_ms", 200);
    host->control(R"("cmd":"reconnect")");
    ASSERT_TRUE(desk.until([&] { return desk.lists > before; }));
    EXPECT_EQ(desk.holdings.size(), 3U);
    EXPECT_EQ(desk.empty_lists, empty);
}

TEST_F(OfTheAccount, AKillTakesPendingsAndPositionsAndStaysInForceOverRestarts) {
    begin();
    answer_to(open(1));
    answer_to(open(2, 0.2, Side::Sell));
    answer_to(pending(3, PriceKind::Limit, 1.09));
    desk.kill(7, kKillStop | kKillCancel | kKillFlatten);
    ASSERT_TRUE(desk.until([&] {
        return execs_of(ExecKind::ClosedByKill) == 2 && execs_of(ExecKind::PendingCanceled) == 1;
    }));
    EXPECT_EQ(number("positions"), 0U);
    EXPECT_EQ(number("orders"), 0U);
    host->kill9();
    host->start();
    const bridge::Event& refused = answer_to(open(4));
    EXPECT_TRUE(is(refused, ReportType::Unsent));
    EXPECT_EQ(refused.reason, static_cast<std::uint16_t>(Reason::Killed));
    desk.kill(8, 0);
    EXPECT_EQ(answer_to(open(5)).retcode, kDone);
    EXPECT_EQ(execs_of(ExecKind::ClosedByKill), 2U) << "each is told once";
}

TEST_F(OfTheAccount, AKillOfOneSymbolLeavesTheOthersAndAKillOnANettingAccountIsFlat) {
    begin({.margin_mode = "netting"});
    host->control(R"("cmd":"tick","symbol":"GBPUSD","bid":"1.3","ask":"1.3001")");
    bridge::Command pound = open(1);
    std::memcpy(pound.symbol, "GBPUSD", 6);
    EXPECT_EQ(answer_to(pound).retcode, kDone);
    EXPECT_EQ(answer_to(open(2)).retcode, kDone);
    desk.kill(1, kKillStop | kKillFlatten, "EURUSD");
    ASSERT_TRUE(desk.until([&] { return execs_of(ExecKind::ClosedByKill) == 1; }));
    EXPECT_EQ(number("positions"), 1U);
    EXPECT_TRUE(is(answer_to(open(3)), ReportType::Unsent));
    std::memcpy(pound.symbol, "GBPUSD", 6);
    pound.magic = open(4).magic;
    EXPECT_EQ(answer_to(pound).retcode, kDone) << "another symbol trades on";
}

TEST_F(OfTheAccount, AKillOnANettingAccountEndsWhatIsOursAndLeavesWhatIsNot) {
    begin({.margin_mode = "netting"});
    ASSERT_NO_FATAL_FAILURE(until_settled());
    // The position has the hand's magic, for the hand dealt first.
    host->control(R"("cmd":"manual_trade","symbol":"EURUSD","volume":"0.3")");
    ASSERT_NE(exec_of(ExecKind::Foreign), nullptr);
    EXPECT_EQ(answer_to(open(1)).retcode, kDone);  // 0.10 more
    ASSERT_EQ(number("positions"), 1U);
    desk.kill(1, kKillStop | kKillFlatten);
    ASSERT_NE(exec_of(ExecKind::ClosedByKill), nullptr);
    EXPECT_EQ(exec_of(ExecKind::ClosedByKill)->volume, kScale / 10);
    let_it_run(500);
    EXPECT_EQ(execs_of(ExecKind::ClosedByKill), 1U);
    EXPECT_EQ(number("positions"), 1U) << "the hand's 0.3";
}

TEST_F(OfTheAccount, AKillOnANettingAccountLeavesWhatAHandHasAddedToOurs) {
    begin({.margin_mode = "netting"});
    EXPECT_EQ(answer_to(open(1)).retcode, kDone);
    host->control(R"("cmd":"manual_trade","symbol":"EURUSD","volume":"0.3")");
    ASSERT_NE(exec_of(ExecKind::Foreign), nullptr);
    desk.kill(1, kKillStop | kKillFlatten);
    ASSERT_NE(exec_of(ExecKind::ClosedByKill), nullptr);
    EXPECT_EQ(exec_of(ExecKind::ClosedByKill)->volume, kScale / 10);
    let_it_run(500);
    EXPECT_EQ(number("positions"), 1U);
}

TEST_F(OfTheAccount, ARolloverThatClosesAndOpensThePositionAgainIsToldToNobody) {
    begin();
    const bridge::Event ours = answer_to(open(1));
    host->control(R"("cmd":"manual_trade","symbol":"EURUSD","volume":"0.3")");
    ASSERT_NE(exec_of(ExecKind::Foreign), nullptr);
    const std::size_t told = execs_of(ExecKind::Foreign) + execs_of(ExecKind::ClosedManually);
    host->control(R"("cmd":"rollover")");
    let_it_run(1000);
    EXPECT_EQ(execs_of(ExecKind::ClosedManually), 0U) << "it is open";
    EXPECT_EQ(answer_to(close_of(2, ours.position_id)).retcode, kDone) << "by the old identifier";
    EXPECT_EQ(number("positions"), 1U) << "the hand's own";
    EXPECT_GE(execs_of(ExecKind::Foreign), told) << "the hand's deals are told as such";
}

TEST_F(OfTheAccount, LotsThatChangeInAPositionThatAHandBeganAreToldAsForeign) {
    begin({.margin_mode = "netting"});
    ASSERT_NO_FATAL_FAILURE(until_settled());
    host->control(R"("cmd":"manual_trade","symbol":"EURUSD","volume":"0.3")");
    ASSERT_NE(exec_of(ExecKind::Foreign), nullptr);
    EXPECT_EQ(answer_to(open(1)).retcode, kDone);  // 0.10 more
    host->control(R"("cmd":"rollover")");
    let_it_run(700);
    EXPECT_EQ(desk.execs.size(), 1U) << "a night is no trade";
    host->control(R"("cmd":"rollover","factor":0.5)");
    host->knob("server_ahead_s", 120);
    ASSERT_TRUE(desk.until([&] { return execs_of(ExecKind::Foreign) == 2; }));
    EXPECT_EQ(desk.execs.back().volume, kScale / 5);
    let_it_run(700);
    EXPECT_EQ(desk.execs.size(), 2U);
}

TEST_F(OfTheAccount, ACloseBetweenTheHalvesOfARolloverWaitsForThePositionToComeBack) {
    begin();
    const bridge::Event ours = answer_to(open(1));
    host->control(R"("cmd":"rollover","in":false)");
    const std::uint64_t close = desk.submit(close_of(2, ours.position_id));
    let_it_run(500);
    EXPECT_TRUE(desk.told[close].outcomes.empty()) << "it is not closed";
    host->control(R"("cmd":"rollover","out":false)");
    ASSERT_TRUE(desk.until_answered(close));
    EXPECT_EQ(desk.told[close].outcomes.back().retcode, kDone);
    EXPECT_EQ(number("positions"), 0U);
}

// A position next to it that adds up is no reason to wait for longer.
TEST_F(OfTheAccount, AKillOnANettingAccountEndsAPositionWhoseDealsStayAway) {
    begin({.margin_mode = "netting"});
    ASSERT_NO_FATAL_FAILURE(until_settled());
    host->control(R"("cmd":"tick","symbol":"GBPUSD","bid":"1.3","ask":"1.3001")");
    host->control(R"("cmd":"manual_trade","symbol":"GBPUSD","volume":"0.3")");
    ASSERT_NE(exec_of(ExecKind::Foreign), nullptr);
    const bridge::Event ours = answer_to(open(1));
    host->knob("hidden_position", static_cast<std::int64_t>(ours.position_id));
    desk.kill(1, kKillStop | kKillFlatten);
    EXPECT_TRUE(desk.until([&] { return number("positions") == 1; }));
}

TEST_F(OfTheAccount, LotsThatAServerChangesAreToldAsTheDifference) {
    begin();
    const std::uint64_t magic = desk.submit(open(1));
    ASSERT_TRUE(desk.until_answered(magic));
    host->control(R"("cmd":"rollover","factor":0.5)");
    EXPECT_EQ(execs_of(ExecKind::ClosedManually), 0U) << "the other half may come yet";
    host->knob("server_ahead_s", 120);
    const bridge::Event* told = exec_of(ExecKind::ClosedManually);
    ASSERT_NE(told, nullptr);
    EXPECT_EQ(told->magic, magic);
    EXPECT_EQ(told->volume, kScale / 20);
    EXPECT_EQ(told->side, static_cast<std::uint8_t>(Side::Sell)) << "against the position";
    let_it_run(500);
    EXPECT_EQ(execs_of(ExecKind::ClosedManually), 1U);
    EXPECT_EQ(execs_of(ExecKind::Foreign), 0U);
}

TEST_F(OfTheAccount, ATerminalThatIsNotLoggedInYetWaitsAndThenServes) {
    host.emplace(dir, desk.port(),
                 HostSetup{.inputs = {"InpReadyMs=20"}, .knobs = {"logged_out=1"}});
    host->start();
    ASSERT_GT(number("timers"), 0U) << "it has not given up";
    EXPECT_EQ(desk.sessions, 0U);
    host->knob("logged_out", 0);
    ASSERT_TRUE(desk.until([&] { return desk.synced; }));
    EXPECT_EQ(desk.hello.margin_mode, static_cast<std::uint8_t>(MarginMode::Hedging));
    EXPECT_EQ(answer_to(open(1)).retcode, kDone);
}

TEST_F(OfTheAccount, OneThatComesBackSaysThatItSettlesNotThatItMayNotTrade) {
    host.emplace(dir, desk.port(), HostSetup{.inputs = {"InpReadyMs=1000"}});
    host->start();
    ASSERT_TRUE(desk.until([&] { return desk.info.permissions != 0; }));
    EXPECT_EQ(desk.info.permissions, bridge::kInfoMayTrade | bridge::kInfoSettling);
    EXPECT_NE(desk.hello.permissions & bridge::kHelloMayTrade, 0);
    ASSERT_TRUE(desk.until([&] { return desk.info.permissions == bridge::kInfoMayTrade; }));
    host->knob("disconnected", 1);
    ASSERT_TRUE(desk.until([&] { return (desk.info.permissions & bridge::kInfoServerAway) != 0; }));
    EXPECT_EQ(desk.info.permissions & bridge::kInfoSettling, 0);
}

TEST_F(OfTheAccount, AKillOvertakesWhatIsQueued) {
    begin({.knobs = {"busy_ms=200"}});  // of a queue of 2 s, the kill may be late by one
    answer_to(open(1));
    std::vector<std::uint64_t> queued;
    for (std::uint64_t intent = 2; intent < 12; ++intent) {
        queued.push_back(desk.submit(open(intent)));
    }
    desk.kill(1, kKillStop | kKillFlatten);
    ASSERT_TRUE(desk.until([&] { return !desk.told[queued.back()].outcomes.empty(); }));
    std::size_t refused = 0;
    for (const std::uint64_t magic : queued) {
        refused += is(desk.told[magic].outcomes.back(), ReportType::Unsent) ? 1U : 0U;
    }
    EXPECT_GT(refused, 5U) << "it did not wait for the queue";
    ASSERT_TRUE(desk.until([&] { return number("positions") == 0; }));
}

TEST_F(OfTheAccount, AKillTriesAgainUntilTheMarketOpens) {
    begin();
    answer_to(open(1));
    host->control(R"("cmd":"market","open":false)");
    desk.kill(1, kKillStop | kKillFlatten);
    ASSERT_TRUE(desk.until([&] { return number("book_records") > 5; })) << "it goes on trying";
    EXPECT_EQ(number("positions"), 1U);
    host->control(R"("cmd":"market","open":true)");
    ASSERT_NE(exec_of(ExecKind::ClosedByKill), nullptr);
    EXPECT_EQ(number("positions"), 0U);
}

TEST_F(OfTheAccount, TheDeadMansSwitchFlattensWhenTheEngineStaysAway) {
    begin({.inputs = {"InpDeadManSeconds=1", "InpDeadManAction=6"}});
    answer_to(open(1));
    answer_to(pending(2, PriceKind::Limit, 1.09));
    desk.listens = false;
    desk.close();
    ASSERT_TRUE(desk.until([&] { return number("positions") + number("orders") == 0; }));
    desk.listens = true;
    ASSERT_TRUE(desk.until([&] {
        return execs_of(ExecKind::ClosedByKill) == 1 && execs_of(ExecKind::PendingCanceled) == 1;
    }));
    EXPECT_EQ(answer_to(open(3)).retcode, kDone) << "the engine is back: trading goes on";
}

TEST_F(OfTheAccount, ListsThatAreNotThereYetAfterAReconnectAreNotFlat) {
    begin({.inputs = {"InpReadyMs=600"}});
    const bridge::Event opened = answer_to(open(1));
    host->knob("lists_empty_ms", 300);
    host->knob("disconnected", 1);
    ASSERT_TRUE(desk.until([&] { return (desk.info.permissions & kNotYet) != 0; }));
    const std::uint64_t close = desk.submit(close_of(2, opened.position_id));
    host->control(R"("cmd":"reconnect")");
    ASSERT_TRUE(desk.until_answered(close));
    EXPECT_EQ(desk.told[close].outcomes.back().retcode, kDone) << "not 10036";
    EXPECT_EQ(number("positions"), 0U);
}

TEST_F(OfTheAccount, AChangeOfTheChartKeepsTheJournalAndARepeatIsAnsweredFromIt) {
    begin();
    const bridge::Event first = answer_to(open(1));
    host->control(R"("cmd":"reinit")");
    ASSERT_TRUE(desk.until([&] { return desk.sessions == 2 && desk.synced; }));
    const std::uint64_t magic = desk.submit(open(1));
    ASSERT_TRUE(desk.until([&] { return desk.told[magic].outcomes.size() == 2; }));
    EXPECT_EQ(desk.told[magic].outcomes.back().deal_ticket, first.deal_ticket);
    EXPECT_EQ(booked(dir, 1).executions, 1U);
    EXPECT_EQ(desk.journal_ids.size(), 1U);
}

TEST_F(OfTheAccount, ASecondTerminalOfTheSameAccountIsRefused) {
    begin();
    TempDir other;
    std::filesystem::create_directory_symlink(dir.path("files"), other.path("files"));
    HostProcess again{other, desk.port(), {}};
    again.start();
    const int status = again.wait_end();
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 3) << "OnInit must fail: the journal is locked";
    EXPECT_EQ(answer_to(open(1)).retcode, kDone);
}

TEST_F(OfTheAccount, ATornEndOfTheJournalIsCutAndDamageInsideStopsTheStart) {
    begin();
    const bridge::Event first = answer_to(open(1));
    host->kill9();
    std::ofstream{journal(), std::ios::app} << "half a rec";
    host->start();
    const std::uint64_t magic = desk.submit(open(1));
    ASSERT_TRUE(desk.until([&] { return desk.told[magic].outcomes.size() == 2; }));
    EXPECT_EQ(desk.told[magic].outcomes.back().deal_ticket, first.deal_ticket);
    EXPECT_EQ(desk.journal_ids.size(), 1U);
    host->kill9();
    std::fstream file{journal(), std::ios::in | std::ios::out | std::ios::binary};
    file.seekp(60);
    file.put('\x55');
    file.close();
    EXPECT_EQ(exit_code_of_a_start(), 3);
}

TEST_F(OfTheAccount, AJournalThatCannotBeWrittenStopsTheProgramBeforeAnythingIsSent) {
    begin();
    EXPECT_EQ(answer_to(open(1)).retcode, kDone);
    host->knob("file_full", 1);
    desk.submit(open(2));
    ASSERT_TRUE(desk.until([&] { return host->stat("stopped") == 1; }));
    EXPECT_EQ(booked(dir, 2).executions, 0U);
    host->kill9();
    host->start();  // with room again it goes on; the desk sends what was not journalled
    ASSERT_TRUE(desk.until_answered(open(2).magic));
    EXPECT_EQ(booked(dir, 2).executions, 1U);
}

TEST_F(OfTheAccount, ManyIntentsSurviveAChangeOfFiles) {
    begin();
    std::uint64_t last = 0;
    for (std::uint64_t intent = 1; intent <= 300; ++intent) {
        last = desk.submit(open(intent, 0.01));
    }
    ASSERT_TRUE(desk.until_answered(last, 60'000));
    host->kill9();
    std::ofstream{journal(), std::ios::app} << "torn";  // makes the next start write it anew
    host->start();
    desk.submit(open(1, 0.01));
    ASSERT_TRUE(desk.until([&] { return desk.told[open(1).magic].outcomes.size() == 2; }));
    EXPECT_EQ(booked(dir, 1).executions, 1U);
    EXPECT_EQ(booked(dir, 300).executions, 1U);
    EXPECT_EQ(desk.gaps, 0U);
}

}  // namespace
}  // namespace millrace::mt5::test
