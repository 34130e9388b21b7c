// Goal: what kind of account it is, is told before the first command can come; what symbol and
// account do not permit is refused before it is sent; closes leave in the order that an account
// asks for. Method: as mt5_order_test.
#include "tests/mt5/mt5_world.h"

namespace millrace::mt5::test {
namespace {

class Permits : public World {
protected:
    /// Refused with `code`, and the server has not heard of it.
    void expect_refused(const bridge::Command& command, std::uint32_t code, const char* why) {
        const std::uint64_t sends = number("sends");
        const bridge::Event& event = answer_to(command);
        EXPECT_EQ(event.retcode, code) << why;
        EXPECT_TRUE(has_status(event, OrdStatus::Rejected)) << why;
        EXPECT_EQ(number("sends"), sends) << why;
    }
};

TEST_F(Permits, WhatKindOfAccountItIsComesBeforeTheSessionIsUp) {
    begin({.knobs = {"fifo_close=1", "limit_orders=7"}});
    ASSERT_EQ(desk.accounts.size(), 1U);
    EXPECT_FALSE(desk.accounts_synced[0]);
    const bridge::Account& told = desk.accounts[0];
    EXPECT_STREQ(told.currency, "USD");
    EXPECT_EQ(told.leverage, 100U);
    EXPECT_EQ(told.limit_orders, 7U);
    EXPECT_EQ(told.trade_mode, 0);
    EXPECT_EQ(told.flags, bridge::kAccountClosesFifo | bridge::kAccountMayHedge);
    host->knob("in_euros", 1);
    host->knob("real_account", 1);
    desk.close();
    desk.submit(open(1));  // comes with the WELCOME
    ASSERT_TRUE(desk.until([&] { return desk.accounts.back().trade_mode == 2; }));
    EXPECT_STREQ(desk.accounts.back().currency, "EUR");
    EXPECT_FALSE(desk.accounts_synced.back()) << "at once in a new session";
}

TEST_F(Permits, AnotherAccountThatIsLoggedInIsNotTakenForThisOne) {
    begin();
    host->knob("other_account", 1);
    desk.close();
    ASSERT_TRUE(desk.until([&] { return desk.synced && desk.sessions == 2; }));
    let_it_run();
    EXPECT_EQ(desk.accounts.size(), 1U);
    host->knob("other_account", 0);
    EXPECT_TRUE(desk.until([&] { return desk.accounts.size() == 2; }));
}

TEST_F(Permits, ASymbolThatIsTradedOneWayOrToCloseTakesNoOtherEntry) {
    begin();
    const bridge::Event opened = answer_to(open(1));
    host->knob("trade_mode", 1);
    expect_refused(open(2, 0.1, Side::Sell), 10042, "long only");
    EXPECT_EQ(answer_to(open(3)).retcode, kDone);
    host->knob("trade_mode", 2);
    expect_refused(open(4), 10043, "short only");
    EXPECT_EQ(answer_to(open(5, 0.1, Side::Sell)).retcode, kDone);
    host->knob("trade_mode", 3);
    expect_refused(open(6), 10044, "close only");
    host->knob("trade_mode", 0);
    expect_refused(open(7), 10017, "switched off");
    host->knob("trade_mode", 3);
    EXPECT_EQ(answer_to(close_of(8, opened.position_id)).retcode, kDone) << "the way out is open";
}

TEST_F(Permits, AnEntryThatMakesANettingPositionSmallerIsForTheServerToJudge) {
    begin({.margin_mode = "netting"});
    EXPECT_EQ(answer_to(open(1, 0.2)).retcode, kDone);
    host->knob("trade_mode", 1);
    EXPECT_EQ(answer_to(open(2, 0.1, Side::Sell)).retcode, kDone);
    host->knob("trade_mode", 3);
    expect_refused(open(3), 10044, "it would make it larger");
}

TEST_F(Permits, AKindOfOrderThatASymbolDoesNotTakeIsRefused) {
    begin();
    host->knob("order_mode", 127 - 2);
    expect_refused(pending(1, PriceKind::Limit, 1.09), 10035, "limit");
    EXPECT_EQ(answer_to(pending(2, PriceKind::Stop, 1.2)).retcode, 10008U);
    host->knob("order_mode", 127 - 4);
    expect_refused(pending(3, PriceKind::Stop, 1.2), 10035, "stop");
    host->knob("order_mode", 127 - 1);
    expect_refused(open(4), 10035, "market");
    host->knob("order_mode", 127 - 16);
    bridge::Command guarded = open(5);
    guarded.stop_loss = 105 * kScale / 100;
    expect_refused(guarded, 10035, "stop loss");
    EXPECT_EQ(answer_to(open(6)).retcode, kDone) << "without one";
    host->knob("order_mode", 127 - 32);
    bridge::Command with_profit = open(7);
    with_profit.take_profit = 12 * kScale / 10;
    expect_refused(with_profit, 10035, "take profit");
}

TEST_F(Permits, LimitsOfLotsAndOfPendingsAreHeldBeforeTheServerIsAsked) {
    begin();
    host->knob("volume_limit", 30);
    EXPECT_EQ(answer_to(open(1, 0.2)).retcode, kDone);
    EXPECT_EQ(answer_to(pending(2, PriceKind::Limit, 1.09)).retcode, 10008U);
    expect_refused(open(3, 0.01), 10034, "0.2 and 0.1 that wait are all of it");
    EXPECT_EQ(answer_to(open(4, 0.3, Side::Sell)).retcode, kDone) << "the other side's is its own";
    host->knob("volume_limit", 0);
    host->knob("limit_orders", 2);
    EXPECT_EQ(answer_to(pending(5, PriceKind::Limit, 1.08)).retcode, 10008U);
    expect_refused(pending(6, PriceKind::Limit, 1.07), 10033, "two pendings are there");
    EXPECT_EQ(answer_to(open(7, 0.01)).retcode, kDone) << "a market order is no pending";
}

// The server would refuse "good till cancelled" with 10022, today and tomorrow.
TEST_F(Permits, APendingStaysForAsLongAsItsSymbolLetsIt) {
    begin();
    std::uint64_t intent = 1;
    for (const std::int64_t expirations : {1, 2, 4, 8, 14}) {
        host->knob("expirations", expirations);
        const bridge::Event placed = answer_to(pending(intent++, PriceKind::Limit, 1.09));
        EXPECT_EQ(placed.retcode, 10008U) << expirations;
        bridge::Command move = cancel_of(intent++, placed.order_ticket);
        move.type = static_cast<std::uint8_t>(CommandType::Modify);
        move.price = 108'000'000;
        EXPECT_EQ(answer_to(move).retcode, kDone) << "as it was placed, " << expirations;
    }
}

/// An account that closes a symbol's positions in the order of their opening.
class Fifo : public Permits {
protected:
    void open_three(HostSetup setup = {}) {
        setup.knobs.push_back("fifo_close=1");
        begin(std::move(setup));
        for (std::uint64_t intent = 1; intent <= 3; ++intent) {
            opened.push_back(answer_to(open(intent)).position_id);
        }
        ASSERT_EQ(number("positions"), 3U);
        ASSERT_EQ(number("sends"), 3U);
    }
    std::vector<std::uint64_t> opened;
};

TEST_F(Fifo, ClosesThatComeTheOtherWayRoundLeaveTheOldestFirst) {
    ASSERT_NO_FATAL_FAILURE(open_three({.inputs = {"InpFifoWaitMs=600000"}}));
    std::vector<std::uint64_t> closes;
    desk.listens = false;  // they come together, when it is back
    desk.close();
    for (std::uint64_t i = 3; i > 0; --i) {
        closes.push_back(desk.submit(close_of(10 + i, opened[i - 1])));
    }
    desk.listens = true;
    for (const std::uint64_t magic : closes) {
        ASSERT_TRUE(desk.until_answered(magic));
        EXPECT_EQ(desk.told[magic].outcomes.back().retcode, kDone);
    }
    EXPECT_EQ(number("positions"), 0U);
    EXPECT_EQ(number("sends"), 6U) << "none in vain";
}

TEST_F(Fifo, ACloseWhoseElderStaysOpenGoesInTheEndAndTheBrokerSaysNo) {
    ASSERT_NO_FATAL_FAILURE(open_three({.inputs = {"InpFifoWaitMs=50"}}));
    EXPECT_EQ(answer_to(close_of(11, opened[1])).retcode, 10045U);
    EXPECT_EQ(number("sends"), 4U) << "the broker's own word";
    EXPECT_EQ(answer_to(close_of(12, opened[0])).retcode, kDone);
    EXPECT_EQ(answer_to(close_of(13, opened[1])).retcode, kDone);
}

// Half of its life it waits, at most; which of them lives long enough for that is the machine's.
TEST_F(Fifo, ACloseOfAShortLifeGoesBeforeItsEnd) {
    ASSERT_NO_FATAL_FAILURE(open_three({.inputs = {"InpFifoWaitMs=600000"}}));
    std::uint64_t intent = 10;
    for (const std::uint32_t ttl_ms : {400U, 4'000U, 40'000U, 100'000U}) {
        bridge::Command close = close_of(++intent, opened[1]);
        close.ttl_ms = ttl_ms;
        if (answer_to(close, 180'000).retcode == 10045U) {
            EXPECT_EQ(number("sends"), 4U) << "the broker's own word";
            return;
        }
    }
    FAIL() << "each one ended without the broker having heard of it";
}

TEST_F(Fifo, AKillClosesTheOldestFirst) {
    ASSERT_NO_FATAL_FAILURE(open_three());
    desk.kill(1, kKillStop | kKillFlatten);
    ASSERT_TRUE(desk.until([&] { return number("positions") == 0; }));
    EXPECT_EQ(number("sends"), 6U) << "none in vain";
}

}  // namespace
}  // namespace millrace::mt5::test
