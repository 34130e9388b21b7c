// Goal: no request goes to another account, over an unproven connection or again and again where it
// is refused; of several orders of one magic the executed one counts. Method: as mt5_order_test,
// with a terminal that changes its account or its connection inside a blocking call.
#include "tests/mt5/mt5_world.h"

#include <chrono>
#include <cmath>

namespace millrace::mt5::test {
namespace {

class WrongPlace : public World {
protected:
    void until_allowed() {
        ASSERT_TRUE(desk.until([&] { return desk.info.permissions == 1; }));
    }
};

TEST_F(WrongPlace, ASwitchOfTheAccountInABlockingCallKeepsTheRestOfTheBatchFromTheNewOne) {
    for (const char* knob : {"switch_in_send=1", "switch_in_send=2"}) {
        SCOPED_TRACE(knob);
        TempDir own;
        Desk one;
        HostProcess terminal{
            own, one.port(), {.inputs = {"InpReadyMs=20"}, .knobs = {"busy_ms=100", knob}}};
        terminal.start();
        ASSERT_TRUE(one.until([&] { return one.info.permissions == 1; }));
        one.submit(open(1));
        one.submit(open(2));
        ASSERT_TRUE(one.until([&] { return one.rx_acked == 2; }));
        ASSERT_TRUE(one.until([&] { return (one.info.permissions & kNotYet) != 0; })) << "noticed";
        EXPECT_EQ(booked(own, 2).executions, 0U);
        EXPECT_TRUE(one.told[open(2).magic].outcomes.empty()) << "it waits for its account";
        terminal.knob("other_account", 0);
        ASSERT_TRUE(one.until_answered(open(2).magic));
        EXPECT_EQ(booked(own, 2).executions, 1U);
    }
}

TEST_F(WrongPlace, AJournalOfTheSameLoginAtAnotherServerIsAnother) {
    begin();
    until_allowed();
    EXPECT_EQ(answer_to(open(1)).retcode, kDone);
    host->stop();
    host->at_start("other_account=2");
    host->start();
    ASSERT_TRUE(desk.until([&] { return desk.sessions == 2; }));
    EXPECT_EQ(desk.journal_ids.size(), 2U);
}

TEST_F(WrongPlace, ABreakOfTheConnectionInABlockingCallDoesNotMakeAnOpenPositionClosed) {
    begin();
    const bridge::Event opened = answer_to(open(1));
    host->knob("lists_empty_ms", 600'000);
    host->knob("break_in_send", 1);
    EXPECT_EQ(answer_to(open(2)).retcode, 10012U);
    const std::uint64_t close = desk.submit(close_of(3, opened.position_id));
    ASSERT_TRUE(desk.until([&] { return desk.rx_acked == 3; }));
    for (int i = 0; i < 20; ++i) {  // longer than InpReadyMs: two equal, empty readings
        desk.serve(20);
    }
    host->knob("lists_empty_ms", 0);
    ASSERT_TRUE(desk.until_answered(close));
    EXPECT_EQ(desk.told[close].outcomes.back().retcode, kDone) << "not 10036";
    EXPECT_EQ(number("positions"), 0U);
}

TEST_F(WrongPlace, AnOrderRefusedForItsFillingModeDoesNotHideTheOneThatFollowedIt) {
    begin({.knobs = {"fill_accepted=1", "check_lies=1", "refused_in_history=1"}});
    const bridge::Event& done = answer_to(open(1));
    EXPECT_EQ(done.retcode, kDone);
    EXPECT_NE(done.deal_ticket, 0U);
    EXPECT_EQ(booked(dir, 1).executions, 1U);
    desk.query(open(1).magic);
    ASSERT_TRUE(desk.until([&] { return desk.told[open(1).magic].query.has_value(); }));
    EXPECT_EQ(desk.told[open(1).magic].query->volume, kScale / 10);
}

TEST_F(WrongPlace, AFillingModeRefusedWithoutWaitingIsFollowedByTheNextOne) {
    begin({.inputs = {"InpAsync=true"}, .knobs = {"fill_accepted=1", "check_lies=1"}});
    EXPECT_EQ(answer_to(open(1)).retcode, kDone);
    EXPECT_EQ(booked(dir, 1).executions, 1U);
}

TEST_F(WrongPlace, NoFillingModeAtAllIsADefiniteNo) {
    begin({.knobs = {"fill_accepted=0", "check_lies=1"}});
    EXPECT_EQ(answer_to(open(1)).retcode, 10030U);
    EXPECT_EQ(booked(dir, 1).executions, 0U);
}

TEST_F(WrongPlace, AKillInAClosedMarketAsksLessAndLessOftenAndActsOnTheFirstQuote) {
    begin();
    constexpr std::uint64_t kPositions = 5;
    for (std::uint64_t intent = 1; intent <= kPositions; ++intent) {
        answer_to(open(intent));
    }
    host->control(R"("cmd":"market","symbol":"EURUSD","open":false)");
    const std::uint64_t before = number("sends");
    const auto begin_at = std::chrono::steady_clock::now();
    desk.kill(9, kKillStop | kKillFlatten);
    ASSERT_TRUE(desk.until([&] { return number("sends") >= before + 3 * kPositions; }));
    for (int i = 0; i < 60; ++i) {
        desk.serve(20);
    }
    const std::uint64_t sends = number("sends") - before;
    const double ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin_at)
            .count();
    // 100 ms, then twice as long each time: n requests take 100 * (2^(n-1) - 1) ms at least.
    const double most = static_cast<double>(kPositions) * (std::log2(ms / 100 + 1) + 2);
    EXPECT_LE(static_cast<double>(sends), most) << "in " << ms << " ms";
    host->control(R"("cmd":"market","symbol":"EURUSD","open":true)");
    host->quote("1.10020", "1.10030");
    ASSERT_TRUE(desk.until([&] { return number("positions") == 0; }));
}

TEST_F(WrongPlace, AKillWithAlgoTradingOffSendsNothingAndActsWhenItIsOnAgain) {
    begin();
    answer_to(open(1));
    host->knob("terminal_denied", 1);
    const std::uint64_t before = number("sends");
    desk.kill(9, kKillStop | kKillFlatten);
    ASSERT_TRUE(desk.until([&] { return (desk.info.permissions & bridge::kInfoMayTrade) == 0; }));
    ASSERT_TRUE(desk.until([&] { return (desk.info.permissions & bridge::kInfoKillWaits) != 0; }))
        << "nobody is told that it cannot be flattened";
    EXPECT_EQ(number("sends"), before);
    host->knob("terminal_denied", 0);
    ASSERT_TRUE(desk.until([&] { return number("positions") == 0; }));
    ASSERT_TRUE(desk.until([&] { return (desk.info.permissions & bridge::kInfoKillWaits) == 0; }));
}

TEST_F(WrongPlace, ACommandOfAnotherTagThanTheTerminalWasToldIsRefusedAndForgotten) {
    desk.magic_tag = kTag + 1;
    begin();
    const bridge::Event refused = answer_to(open(1));
    EXPECT_TRUE(is(refused, ReportType::Unsent));
    EXPECT_EQ(refused.reason, static_cast<std::uint16_t>(Reason::AccountNotTrading));
    EXPECT_EQ(refused.retcode, bridge::kOtherTag);
    desk.query(open(1).magic);
    ASSERT_TRUE(desk.until([&] { return desk.told[open(1).magic].query.has_value(); }));
    EXPECT_TRUE(is(*desk.told[open(1).magic].query, ReportType::QueryUnknown));
    EXPECT_EQ(booked(dir, 1).executions, 0U);
    desk.magic_tag = kTag;
    desk.close();
    ASSERT_TRUE(desk.until([&] { return desk.sessions == 2 && desk.up; }));
    desk.submit(open(1));
    ASSERT_TRUE(desk.until([&] { return desk.told[open(1).magic].outcomes.size() == 2; }));
    EXPECT_EQ(booked(dir, 1).executions, 1U);
}

TEST_F(WrongPlace, AReadThatTimesOutWithAnErrorCodeKeepsTheConnection) {
    begin({.knobs = {"timeout_error=1"}});
    EXPECT_EQ(answer_to(open(1)).retcode, kDone);
    EXPECT_EQ(desk.sessions, 1U);
}

TEST_F(WrongPlace, AFlushThatDidNotReachTheFileStopsTheProgramBeforeAnythingIsSent) {
    begin();
    EXPECT_EQ(answer_to(open(1)).retcode, kDone);
    host->knob("flush_lies", 1);
    desk.submit(open(2));
    ASSERT_TRUE(desk.until([&] { return host->stat("stopped") == 1; }));
    EXPECT_EQ(booked(dir, 2).executions, 0U);
}

TEST_F(WrongPlace, ATerminalThatWasReplacedStaysAwayAndOneThatWasDeniedComesBack) {
    begin();
    desk.deny("come again");
    ASSERT_TRUE(desk.until([&] { return desk.sessions == 2; }));
    desk.deny("replaced by a newer connection of the same account");
    for (int i = 0; i < 75; ++i) {
        desk.serve(20);
    }
    EXPECT_EQ(desk.sessions, 2U);
}

}  // namespace
}  // namespace millrace::mt5::test
