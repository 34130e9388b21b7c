// Goal: an account that is another one than the configuration has in mind takes no entries, is told
// to the operator, and its closes go on. Method: terminals that tell what the test says.
#include "broker_world.h"

#include <gtest/gtest.h>

#include <cstring>

namespace millrace::test {
namespace {

bridge::Account account_in(const char* currency) {
    bridge::Account a{};
    std::memcpy(a.currency, currency, std::strlen(currency));
    a.leverage = 100;
    a.flags = bridge::kAccountMayHedge;
    return a;
}

class BrokerAccount : public testing::Test {
protected:
    using Kind = AccountFacts::Kind;
    void begin(AccountFacts facts) {
        world.emplace(WorldOptions{.facts = facts});
        terminal = std::make_unique<Terminal>(kFirstLogin);
        terminal->syncs = false;
        connect();
    }
    void connect() {
        const std::size_t welcomes = terminal->welcomes.size();
        terminal->connect(world->stage->port());
        ASSERT_TRUE(until([&] { return terminal->welcomes.size() > welcomes; }));
    }
    bool until(const std::function<bool()>& condition) {
        return world->until([&] {
            terminal->poll();
            return condition();
        });
    }
    void tell(const bridge::Account& account) {
        const std::uint64_t before = world->stage->stats().accounts;
        terminal->send(bridge::FrameType::Account, 0, account);
        ASSERT_TRUE(until([&] { return world->stage->stats().accounts == before + 1; }));
    }
    void sync() {
        terminal->send_sync_done();
        ASSERT_TRUE(until([&] { return world->is_up(0); }));
    }
    void expect_sent(Magic magic) {
        EXPECT_TRUE(until([&] {
            return !terminal->commands.empty() &&
                   terminal->commands.back().command.magic == magic.value;
        }));
    }
    void expect_refused(Magic magic) {
        ASSERT_TRUE(until([&] { return world->unsent(magic) != nullptr; }));
        EXPECT_EQ(world->unsent(magic)->reason,
                  static_cast<std::uint16_t>(Reason::AccountNotTrading));
    }

    std::optional<World> world;
    std::unique_ptr<Terminal> terminal;
};

TEST_F(BrokerAccount, InAnotherCurrencyTakesNoEntriesFromTheFirstOneOnAndItsClosesGo) {
    ASSERT_NO_FATAL_FAILURE(begin({.currency = make_text<8>("USD")}));
    const Magic waited = world->order(0);
    tell(account_in("EUR"));
    EXPECT_EQ(world->errors("ALERT account 0 is kept in EUR, configured in USD"), 1U);
    sync();
    expect_refused(waited);
    expect_refused(world->order(0));
    expect_sent(world->order(0, CommandType::Close));
    EXPECT_EQ(terminal->commands.size(), 1U);
    EXPECT_EQ(world->stage->stats().barred, 2U);
    EXPECT_EQ(world->errors("magic_tag"), 0U);
    tell(account_in("USD"));
    expect_sent(world->order(0));
}

TEST_F(BrokerAccount, IsToldOnceAndStaysBarredOverAReconnection) {
    ASSERT_NO_FATAL_FAILURE(begin({.currency = make_text<8>("USD")}));
    for (int i = 0; i < 3; ++i) {
        tell(account_in("EUR"));
        sync();
        terminal->disconnect();
        ASSERT_TRUE(until([&] { return !world->is_up(0); }));
        ASSERT_NO_FATAL_FAILURE(connect());
    }
    EXPECT_EQ(world->errors("ALERT account 0 is kept in EUR"), 1U);
    tell(account_in("EUR"));
    sync();
    expect_refused(world->order(0));
}

TEST_F(BrokerAccount, StaysBarredOverASessionThatSaysNothing) {
    ASSERT_NO_FATAL_FAILURE(begin({.currency = make_text<8>("USD")}));
    tell(account_in("EUR"));
    sync();
    terminal->disconnect();
    ASSERT_TRUE(until([&] { return !world->is_up(0); }));
    ASSERT_NO_FATAL_FAILURE(connect());
    sync();
    expect_refused(world->order(0));
    tell(account_in("USD"));
    expect_sent(world->order(0));
}

TEST_F(BrokerAccount, ItsCurrencyIsTheSameInSmallLetters) {
    ASSERT_NO_FATAL_FAILURE(begin({.currency = make_text<8>("usd")}));
    tell(account_in("USD"));
    sync();
    expect_sent(world->order(0));
    EXPECT_EQ(world->errors("ALERT"), 0U);
}

TEST_F(BrokerAccount, ThatAgreesOrOfWhichNothingIsConfiguredTradesAndIsNotTold) {
    for (const AccountFacts& facts :
         {AccountFacts{},
          AccountFacts{.currency = make_text<8>("EUR"), .leverage = 100, .kind = Kind::Demo}}) {
        ASSERT_NO_FATAL_FAILURE(begin(facts));
        tell(account_in("EUR"));
        sync();
        expect_sent(world->order(0));
        EXPECT_EQ(world->errors("account 0"), 0U);
    }
}

TEST_F(BrokerAccount, OfAnExecutorThatTellsNothingTradesUnlessItsKindIsConfigured) {
    ASSERT_NO_FATAL_FAILURE(begin({.currency = make_text<8>("USD"), .leverage = 30}));
    sync();
    expect_sent(world->order(0));
    ASSERT_NO_FATAL_FAILURE(begin({.kind = Kind::Demo}));
    sync();
    expect_refused(world->order(0));
    EXPECT_EQ(world->errors("ALERT account 0 is configured as demo (trade_mode), and its executor "
                            "does not tell"),
              1U);
}

TEST_F(BrokerAccount, OfRealMoneyWhereADemoAccountIsMeantTakesNoEntries) {
    ASSERT_NO_FATAL_FAILURE(begin({.kind = Kind::Demo}));
    bridge::Account real = account_in("USD");
    real.trade_mode = 2;
    tell(real);
    sync();
    expect_refused(world->order(0));
    EXPECT_EQ(world->errors("ALERT account 0 is a real account, configured as demo"), 1U);
    real.trade_mode = 77;
    tell(real);
    expect_refused(world->order(0));
}

TEST_F(BrokerAccount, OfAnotherLeverageOrThatClosesInOrderIsToldAndTrades) {
    ASSERT_NO_FATAL_FAILURE(begin({.leverage = 30}));
    bridge::Account fifo = account_in("USD");
    fifo.flags = bridge::kAccountClosesFifo;
    tell(fifo);
    tell(fifo);
    sync();
    expect_sent(world->order(0));
    EXPECT_EQ(world->errors("ALERT account 0 has a leverage of 1:100, configured is 1:30"), 1U);
    EXPECT_EQ(world->errors("account 0 closes positions in the order of their opening"), 1U);
}

TEST_F(BrokerAccount, ThatClosesInOrderTakesNoNameFromAlerts) {
    world.emplace(WorldOptions{.accounts = 9, .facts = {.currency = make_text<8>("USD")}});
    std::vector<std::unique_ptr<Terminal>> all;
    for (std::uint64_t i = 0; i < 9; ++i) {
        all.push_back(std::make_unique<Terminal>(kFirstLogin + i));
        terminal.swap(all.back());
        terminal->syncs = false;
        ASSERT_NO_FATAL_FAILURE(connect());
        bridge::Account told = account_in(i < Session::kFactsNamedMax ? "USD" : "EUR");
        told.flags = bridge::kAccountClosesFifo;
        tell(told);
        terminal.swap(all.back());
    }
    EXPECT_EQ(world->errors("ALERT account 8 is kept in EUR"), 1U);
    EXPECT_EQ(world->errors("further accounts close positions in the order"), 1U);
}

TEST_F(BrokerAccount, AFrameOfAnotherSizeEndsTheSession) {
    ASSERT_NO_FATAL_FAILURE(begin({}));
    terminal->send(bridge::FrameType::Account, 0, bridge::Heartbeat{});
    EXPECT_TRUE(until([&] { return !terminal->connected(); }));
}

}  // namespace
}  // namespace millrace::test
