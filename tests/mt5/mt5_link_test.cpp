// Goal: the program finds the broker stage at its second address, does not go on with a key that is
// refused, and says when it is cut off from its trade server. Method: as mt5_order_test, with a
// desk that is not where it is looked for first, or that turns the terminal away.
#include "tests/mt5/mt5_world.h"
#include "tests/ops/quiet_port.h"

#include <cstring>

namespace millrace::mt5::test {
namespace {

class LinkTo : public World {};

TEST_F(LinkTo, TheSecondAddressAfterFiveAttemptsAndWhatWorkedAgain) {
    const millrace::test::QuietPort nobody;
    host.emplace(dir, nobody.number(),
                 HostSetup{.inputs = {"InpReadyMs=20", "InpBackupHost=127.0.0.1",
                                      "InpBackupPort=" + std::to_string(desk.port())}});
    host->start();
    ASSERT_TRUE(desk.until([&] { return desk.synced; }));
    EXPECT_EQ(answer_to(open(1)).retcode, kDone);
    desk.close();
    EXPECT_EQ(answer_to(open(2)).retcode, kDone);
    EXPECT_EQ(desk.sessions, 2U);
    EXPECT_EQ(booked(dir, 1).executions, 1U);
}

TEST_F(LinkTo, FreeMarginAndLeverageAreTold) {
    begin();
    ASSERT_TRUE(desk.until([&] { return desk.synced && desk.info.equity > 0; }));
    EXPECT_EQ(desk.info.retcode, 100U);
    EXPECT_EQ(desk.info.price, desk.info.equity) << "nothing is open";
    EXPECT_EQ(answer_to(open(1)).retcode, kDone);
    ASSERT_TRUE(desk.until([&] { return desk.info.price < desk.info.equity; }));
    EXPECT_GT(desk.info.price, 0);
}

TEST_F(LinkTo, ATradeServerThatIsAwayIsTold) {
    begin();
    ASSERT_TRUE(desk.until([&] { return desk.info.permissions == bridge::kInfoMayTrade; }));
    host->knob("disconnected", 1);
    ASSERT_TRUE(desk.until([&] { return desk.info.permissions == bridge::kInfoServerAway; }));
    host->control(R"("cmd":"reconnect")");
    ASSERT_TRUE(desk.until([&] { return desk.info.permissions == bridge::kInfoMayTrade; }));
}

// Who goes on with a wrong key is locked out, or at best fills the log of the host.
TEST_F(LinkTo, AKeyThatWasRefusedFiveTimesIsNotTriedAgainUntilSomebodyHasSeenToIt) {
    desk.refuses = "wrong MAC: the terminal's key differs from the configured one";
    host.emplace(dir, desk.port(), HostSetup{.inputs = {"InpRefusedMs=10"}});
    host->start();
    ASSERT_TRUE(desk.until([&] { return desk.refusals == 5; }));
    desk.refuses.clear();
    let_it_run();
    EXPECT_EQ(desk.sessions, 0U);
    EXPECT_EQ(desk.refusals, 5U);
    host->control(R"("cmd":"reinit")");
    ASSERT_TRUE(desk.until([&] { return desk.synced; }));
    EXPECT_EQ(answer_to(open(1)).retcode, kDone);
}

// The next attempt is 600 s away, which no other pause is: what is looked at is that one is made.
TEST_F(LinkTo, AnotherReasonToBeDeniedIsNoRefusalOfTheKey) {
    desk.refuses = "the engine has not taken this account's configuration yet: come again";
    host.emplace(dir, desk.port(), HostSetup{.inputs = {"InpRefusedMs=600000"}});
    host->start();
    ASSERT_TRUE(desk.until([&] { return desk.refusals == 3; }));
    desk.refuses.clear();
    ASSERT_TRUE(desk.until([&] { return desk.synced; }));
}

// By what it quotes and by what it is told to trade; again to a new session, and when it changes.
TEST_F(LinkTo, TellsWhatTheBrokerSaysOfASymbol) {
    begin({.inputs = {"InpTickSymbols=EURUSD"}});
    ASSERT_TRUE(desk.until([&] { return desk.symbols.size() == 1; }));
    const bridge::Symbol euro = desk.symbols[0];
    EXPECT_STREQ(euro.symbol, "EURUSD");
    EXPECT_EQ(euro.contract_size, 100'000 * kScale);
    EXPECT_EQ(euro.volume_min, kScale / 100);
    EXPECT_EQ(euro.volume_step, kScale / 100);
    EXPECT_EQ(euro.volume_max, 100 * kScale);
    EXPECT_EQ(euro.tick_size, kScale / 100'000);
    EXPECT_EQ(euro.digits, 5);
    EXPECT_EQ(euro.trade_mode, 4);
    EXPECT_STREQ(euro.currency, "USD");
    bridge::Command pound = open(1);
    std::memcpy(pound.symbol, "GBPUSD", 6);
    desk.submit(pound);
    ASSERT_TRUE(desk.until([&] { return desk.symbols.size() == 2; }));
    EXPECT_STREQ(desk.symbols[1].symbol, "GBPUSD");
    host->knob("contract_size", 1000);
    desk.close();
    ASSERT_TRUE(desk.until([&] { return desk.symbols.size() == 4; })) << "both, in a new session";
    EXPECT_EQ(desk.symbols[2].contract_size, 1000 * kScale);
    EXPECT_EQ(desk.symbols[3].contract_size, 1000 * kScale);
}

}  // namespace
}  // namespace millrace::mt5::test
