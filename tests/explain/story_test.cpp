// Goal: each account's order, or the reason why there is none, is told with the numbers that
// decided and the record that proves it. Method: logs that the engine made itself; whole texts are
// compared.
#include "tests/explain/logs.h"
#include "tools/explain/collect.h"
#include "tools/explain/show.h"
#include "tools/explain/subject.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace millrace::explain_test {
namespace {

using explain::Story;
using explain::Subject;
using test::centi;
using test::id_of;
using test::points;
using test::text;

class Explained : public ::testing::Test {
protected:
    Story tell(Subject::What what, const std::string& id) {
        const explain::Where where = logs_.where();
        std::string message;
        const auto subject = explain::parse_subject(what, id, where, message);
        EXPECT_TRUE(subject) << message;
        return explain::tell_story(subject.value_or(Subject{}), where);
    }
    Story signal(std::uint64_t n) {
        return tell(Subject::What::Signal, explain::id_text(id_of(n)));
    }
    std::string told(const Story& story) {
        const std::string json = explain::story_json(story, logs_.where().book);
        EXPECT_EQ(schema_breach("story", json), "");
        return explain::story_text(story, logs_.where().book);
    }
    void set_state(std::uint32_t account, AccountState state) {
        logs_.command(AdminOp::SetAccount, AccountCommand{AccountId{account}, state, {}});
    }
    /// Changes account `id` as a configuration would.
    template <class Change>
    void respec(std::uint32_t id, Change change) {
        AccountSpec spec = test::Rig::account_spec(id);
        change(spec);
        rig().admin(AdminOp::DefineAccount, spec);
    }
    template <class Change>
    void remember(std::uint32_t id, Change change) {
        MemberSpec m = test::Rig::member_spec(0, id);
        change(m);
        rig().admin(AdminOp::DefineMember, m);
    }
    void one_account() {
        for (std::uint32_t a = 1; a < 8; ++a) {
            remember(a, [](MemberSpec& m) { m.enabled = 0; });
        }
    }
    test::Rig& rig() { return logs_.rig; }
    Logs logs_;
};

TEST_F(Explained, TellsForEveryAccountOfASignalWhatBecameOfItAndWhy) {
    remember(1, [](MemberSpec& m) { m.symbols[0] = 2; });         // GBPUSD alone
    remember(2, [](MemberSpec& m) { m.value = kScale / 1000; });  // below the least
    respec(3, [](AccountSpec& a) { a.max_lots = centi(5); });     // too large
    set_state(4, AccountState::Inactive);                         // paused by hand
    set_state(5, AccountState::ReduceOnly);
    KillCommand kill;
    kill.scope = KillScope::Account;
    kill.scope_id = 6;
    logs_.command(AdminOp::Kill, kill, "bob");
    remember(7, [](MemberSpec& m) { m.enabled = 0; });
    rig().signal(rig().open(1));
    rig().now = rig().now + millis(20);
    rig().fill(rig().only_order());
    rig().now = rig().now + millis(500);
    rig().signal(rig().open(1));  // again
    logs_.write();
    expect_golden("signal.txt", told(signal(1)));
}

TEST_F(Explained, GivesTheNumbersOfAPriceThatMovedBeyondTheCollar) {
    Signal s = rig().open(2);
    s.reference_price = points(109'000);
    rig().signal(s);
    logs_.write();
    const std::string text = told(signal(2));
    EXPECT_NE(text.find("ask 1.1001, reference 1.09: 0.9266 % away; the collar is 0.1 % (of the "
                        "risk settings)"),
              std::string::npos)
        << text;
}

TEST_F(Explained, GivesTheNumbersOfTheRateTheRepeatAndTheLimitOfOpenOrders) {
    for (std::uint32_t a = 3; a < 8; ++a) {
        remember(a, [](MemberSpec& m) { m.enabled = 0; });
    }
    respec(0, [](AccountSpec& a) { a.duplicate_window_ms = 60'000; });
    respec(1, [](AccountSpec& a) { a.max_open_orders = 1; });
    for (std::uint64_t n = 1; n <= 2; ++n) {
        rig().signal(rig().open(n));
        rig().now = rig().now + seconds(1);
    }
    logs_.write();
    const std::string text = told(signal(2));
    EXPECT_NE(text.find("duplicate_window_ms 60000; BUY 0.1 EURUSD went 1s before"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("1 live orders and 0 open positions before it; max_open_orders 1"),
              std::string::npos)
        << text;
}

TEST_F(Explained, SaysInWhosePlaceAStandbyTookAnEntry) {
    one_account();
    remember(0, [](MemberSpec& m) { m.standby = 2; });
    set_state(0, AccountState::Disabled);
    rig().signal(rig().open(1));
    logs_.write();
    const std::string text = told(signal(1));
    EXPECT_NE(text.find("account a1: PENDING_NEW"), std::string::npos) << text;
    EXPECT_NE(text.find("taken in place of account a0, which was DISABLED"), std::string::npos)
        << text;
}

TEST_F(Explained, GivesTheNumbersOfLimitsAndLosses) {
    LimitSpec positions;
    positions.max_positions = 1;
    rig().limit(positions, 0);
    LimitSpec losses;
    losses.max_daily_loss = Money{500 * kScale};
    rig().limit(losses, 1);
    LimitSpec all;
    all.max_volume = centi(110);
    rig().limit(all, 0, LimitScope::Group);
    rig().signal(rig().open(1));
    for (const std::int64_t equity : {10'000, 10'000, 10'000, 9'400, 9'300, 9'200}) {
        rig().equity(equity, 1);
    }
    rig().signal(rig().open(2));
    logs_.write();
    const std::string text = told(signal(2));
    for (const char* said :
         {"0.1 lots; 1 positions of 0.1 lots before it", "max_positions 1",
          "equity 9200, 9300, 9400 (latest first); the day began with 10000, the highest is 10000",
          "daily_loss 500", "`millrace account resume a1` measures anew from here",
          "group grp: 8 positions of 0.8 lots before it; max_positions 0, max_volume 1.1"}) {
        EXPECT_NE(text.find(said), std::string::npos) << said << "\n" << text;
    }
    const std::string account = told(tell(Subject::What::Account, "a1"));
    EXPECT_NE(account.find("limit      on_loss reduce_only, day begins at 00:00 UTC"),
              std::string::npos)
        << account;
    EXPECT_NE(account.find("alert: halted after losses"), std::string::npos) << account;
}

TEST_F(Explained, GivesTheNumbersOfASymbolsLimit) {
    SymbolLimitSpec l;
    l.id = SymbolId{0};
    l.max_net_volume = centi(5);
    rig().admin(AdminOp::DefineSymbolLimits, l);
    rig().signal(rig().open(1));
    logs_.write();
    const std::string text = told(signal(1));
    EXPECT_NE(text.find("BUY 0.1 lots; all accounts: 0 positions, 0 lots bought and 0 sold before "
                        "it; max_positions 0, max_volume 0, max_net_volume 0.05"),
              std::string::npos)
        << text;
}

TEST_F(Explained, GivesTheNumbersOfLimitsInMoneyAndTime) {
    CurrencySpec usd;
    usd.index = 0;
    usd.name = text<8>("USD");
    rig().admin(AdminOp::DefineCurrency, usd);
    MoneyLimitSpec l;
    l.id = 0;
    l.currency = 1;
    l.max_notional = Money{5'000 * kScale};
    rig().admin(AdminOp::DefineMoneyLimits, l);
    rig().signal(rig().open(1));
    SymbolGuardSpec s;
    s.id = SymbolId{0};
    s.currency = 1;
    rig().admin(AdminOp::DefineSymbolGuard, s);
    rig().signal(rig().open(2));
    HoursSpec h;
    h.id = 0;
    h.count = 1;
    h.windows[0] = {480, 1020};
    rig().admin(AdminOp::DefineHours, h);
    rig().signal(rig().open(3));
    logs_.write();
    const std::string rates = told(signal(1));
    EXPECT_NE(rates.find("the symbol: no currency"), std::string::npos) << rates;
    const std::string worth = told(signal(2));
    EXPECT_NE(worth.find("0.1 lots; the account held 0 USD before it, equity 0 USD; max_notional "
                         "5000"),
              std::string::npos)
        << worth;
    const std::string hours = told(signal(3));
    EXPECT_NE(hours.find("hours of the account (UTC): Mon 08:00 to Mon 17:00"), std::string::npos)
        << hours;
}

TEST_F(Explained, SaysThatAnEarlierFillStoppedTheEntries) {
    LimitSpec l;
    l.max_slippage = kScale * 3 / 100;
    rig().limit(l, 0);
    rig().signal(rig().open(1));
    const OrderCommand entry = rig().take_orders().front();
    Report r = rig().outcome(entry, retcode::kDone, entry.volume);
    r.price = points(120'000);
    rig().report(r);
    rig().signal(rig().open(2));
    logs_.write();
    const std::string text = told(signal(2));
    EXPECT_NE(text.find("SLIPPAGE"), std::string::npos) << text;
    EXPECT_NE(text.find("max_slippage 3.0 %, on_slippage reduce_only"), std::string::npos) << text;
    const std::string account = told(tell(Subject::What::Account, "a0"));
    EXPECT_NE(account.find("alert: filled far from its reference, order"), std::string::npos)
        << account;
}

TEST_F(Explained, SaysWhatWasLeftOfTheRateWhenItRefused) {
    respec(0, [](AccountSpec& a) { a.rate_per_second = a.rate_burst = 1; });
    rig().now = rig().now + seconds(2);
    rig().signal(rig().open(1));
    rig().now = rig().now + millis(250);
    rig().signal(rig().open(2));
    logs_.write();
    const std::string text = told(signal(2));
    EXPECT_NE(text.find("RATE_LIMIT"), std::string::npos) << text;
    EXPECT_NE(text.find("rate 1 a second, burst 1; 0.25 of a request was left"), std::string::npos)
        << text;
}

TEST_F(Explained, TellsTheChainOfAnOrderThroughDoubtAndBack) {
    for (std::uint32_t a = 1; a < 8; ++a) {
        remember(a, [](MemberSpec& m) { m.enabled = 0; });
    }
    rig().signal(rig().open(1));
    const OrderCommand sent = rig().only_order();
    rig().advance(seconds(6));  // no answer
    rig().now = rig().now + millis(3);
    rig().report(rig().query_answer(sent, ReportType::QueryUnknown));
    rig().now = rig().now + seconds(10);
    rig().report(rig().query_answer(sent, ReportType::QueryFound, OrdStatus::Filled, sent.volume));
    logs_.write();
    expect_golden("order.txt", told(tell(Subject::What::Order, std::to_string(sent.magic.value))));
    const Story by_number = tell(Subject::What::Order, std::to_string(sent.magic.intent()));
    EXPECT_EQ(by_number.orders.size(), 1U);
}

TEST_F(Explained, SaysOfAnOrderInDoubtWhatWouldEndIt) {
    rig().signal(rig().open(1));
    const OrderCommand sent = rig().take_orders().front();
    rig().session_down(sent.account.value);
    logs_.write();
    const std::string text = told(tell(Subject::What::Order, std::to_string(sent.magic.intent())));
    EXPECT_NE(text.find("the session ended before it was answered"), std::string::npos) << text;
    EXPECT_NE(text.find("millrace resolve " + std::to_string(sent.magic.value)), std::string::npos)
        << text;
}

TEST_F(Explained, TakesNoRowForTheOneBeforeWhereEntriesWereLeftOut) {
    one_account();
    rig().signal(rig().pending(1, PriceKind::Limit, points(100'000)));
    const OrderCommand sent = rig().take_orders().front();
    rig().report(rig().outcome(sent, retcode::kPlaced));
    for (int i = 0; i < 80; ++i) {  // each changes the order
        rig().now = rig().now + seconds(1);
        rig().report(rig().exec(sent, ExecKind::PendingFilled, Lots{kScale / 1000}));
    }
    logs_.write();
    const Story story = tell(Subject::What::Order, std::to_string(sent.magic.intent()));
    const explain::OrderStory& order = story.orders.at(sent.magic.intent());
    ASSERT_GT(order.left_out, 0U);
    std::size_t gaps = 0;
    for (std::size_t i = 1; i < order.steps.size(); ++i) {
        const bool gap = order.steps[i].before == explain::RowBefore::LeftOut;
        EXPECT_EQ(order.steps[i].row.seq.value - order.steps[i - 1].row.seq.value > 10, gap) << i;
        gaps += gap ? 1 : 0;
    }
    EXPECT_EQ(gaps, 1U);
    EXPECT_EQ(order.steps.front().before, explain::RowBefore::None);
}

TEST_F(Explained, TakesNoRowForTheFirstOfAnOrderThatItHadForgotten) {
    logs_.write();
    const explain::Where where = logs_.where();
    Story story;
    story.subject.what = Subject::What::Account;
    story.subject.account = AccountId{0};
    explain::Collector collector{story, where};
    const auto filled = [&](std::uint64_t intent) {
        OrderRow row{};
        row.magic = Magic::make(1, intent, 0);
        row.account = AccountId{0};
        row.status = OrdStatus::Filled;
        collector.effect(Effect::make(EffectKind::Order, row));
    };
    for (std::uint64_t intent = 1; intent <= 20; ++intent) {  // more than it keeps
        filled(intent);
    }
    ASSERT_FALSE(story.orders.contains(1));
    filled(1);
    EXPECT_EQ(story.orders.at(1).steps.front().before, explain::RowBefore::LeftOut);
    EXPECT_EQ(story.orders.at(20).steps.front().before, explain::RowBefore::None);
}

TEST_F(Explained, NamesTheReturnCodeAndItsClassOfARefusalByTheBroker) {
    rig().signal(rig().open(1));
    const OrderCommand sent = rig().take_orders().front();
    rig().report(rig().outcome(sent, retcode::kNoMoney));
    logs_.write();
    const std::string text = told(signal(1));
    EXPECT_NE(text.find("OUTCOME 10019 NO_MONEY (refused for good)"), std::string::npos) << text;
    EXPECT_NE(text.find("the account had not enough money"), std::string::npos) << text;

    rig().signal(rig().open(2));  // from now on closes only, and that is why
    logs_.write();
    const std::string next = told(signal(2));
    EXPECT_NE(next.find("account REDUCE_ONLY, link UP\n"), std::string::npos) << next;
    EXPECT_NE(next.find("since the broker answered 10019 NO_MONEY (refused for good), record "),
              std::string::npos)
        << next;
}

TEST_F(Explained, GoesByNoCommandThatTheEngineRefused) {
    rig().signal(rig().open(1));
    logs_.command(AdminOp::RemoveAccount, AccountRemoval{AccountId{2}, 0});  // its order lives
    rig().signal(rig().open(2));
    logs_.write();
    std::size_t sized = 0;
    const std::string text = told(signal(2));
    for (std::size_t at = text.find("\n  sized "); at != std::string::npos;
         at = text.find("\n  sized ", at + 1)) {
        ++sized;
    }
    EXPECT_EQ(sized, 8U) << text;
}

TEST_F(Explained, BlamesWhoeverStoppedAnAccountLast) {
    rig().signal(rig().open(1));
    rig().report(rig().outcome(rig().take_orders().front(), retcode::kNoMoney));
    rig().now = rig().now + seconds(1);
    set_state(0, AccountState::Inactive);
    rig().signal(rig().open(2));
    logs_.write();
    const std::string text = told(signal(2));
    EXPECT_NE(text.find("set INACTIVE by alice (uid 1001) on desk-1, record "), std::string::npos)
        << text;
    EXPECT_EQ(text.find("since the broker answered"), std::string::npos) << text;
}

TEST_F(Explained, GivesNumbersFromTheOldestSnapshotOnWhereTheBeginningIsGone) {
    respec(0, [](AccountSpec& a) { a.max_open_orders = 1; });
    rig().signal(rig().open(1));
    rig().now = rig().now + seconds(1);
    logs_.snapshot();
    rig().signal(rig().open(2));
    logs_.write(2);
    const std::string text = told(tell(Subject::What::Account, "a0"));
    EXPECT_NE(text.find("1 live orders and 0 open positions before it; max_open_orders 1"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("some numbers are missing: no snapshot is as old as record "),
              std::string::npos)
        << text;
}

TEST_F(Explained, TellsASignalThatWasRefusedAsAWhole) {
    logs_.command(AdminOp::SetGroup, GroupCommand{GroupId{0}, GroupState::Paused, {}});
    rig().signal(rig().open(1));
    logs_.write();
    const std::string text = told(signal(1));
    EXPECT_NE(text.find("REFUSED    GROUP_PAUSED: the group was paused"), std::string::npos)
        << text;
    EXPECT_NE(text.find("group grp PAUSED by alice (uid 1001) on desk-1, record "),
              std::string::npos)
        << text;
}

TEST_F(Explained, TellsTheLifeOfAnAccountAndItsOrders) {
    rig().signal(rig().open(1));
    const auto orders = rig().take_orders();
    rig().fill(orders[0]);
    rig().now = rig().now + seconds(5);
    rig().signal(rig().open(2, Side::Sell));
    rig().now = rig().now + seconds(1);
    rig().session_down(0);
    set_state(0, AccountState::Inactive);
    logs_.write();
    expect_golden("account.txt", told(tell(Subject::What::Account, "a0")));
    EXPECT_EQ(tell(Subject::What::Account, "0").subject.account.value, 0U);
}

TEST_F(Explained, SaysWhichTimeTheLogsCoverWhenItFindsNothing) {
    logs_.write();
    const Story story = signal(99);
    EXPECT_FALSE(story.found());
    const std::string text = explain::not_found(story, logs_.where(), "none is known");
    EXPECT_NE(text.find("no signal 00000000-000a-11ce-0000-000000000063 in the logs of " +
                        logs_.dir() + ": the journal has records 1 to "),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("2023-11-14T22:13:20.000000Z"), std::string::npos) << text;
}

TEST_F(Explained, TellsWhatTheEffectsSayWhereTheJournalIsGone) {
    rig().signal(rig().open(1));
    rig().fill(rig().take_orders().front());
    const std::uint64_t after = rig().engine.seq().value + 1;
    rig().signal(rig().open(2));
    logs_.write(after);
    const Story story = signal(1);
    ASSERT_EQ(story.orders.size(), 8U);
    const std::string text = told(story);
    EXPECT_NE(text.find("FILLED 0.1 at 1.1001"), std::string::npos) << text;
    EXPECT_NE(text.find("cause no longer known"), std::string::npos) << text;
    EXPECT_NE(text.find("the journal goes back to record " + std::to_string(after) + " only"),
              std::string::npos)
        << text;
}

TEST_F(Explained, RefusesWhatIsNoIdAndNamesTheAccountsThatThereAre) {
    logs_.write();
    std::string message;
    const explain::Where where = logs_.where();
    EXPECT_FALSE(explain::parse_subject(Subject::What::Signal, "42", where, message));
    EXPECT_NE(message.find("UUID"), std::string::npos) << message;
    EXPECT_FALSE(explain::parse_subject(Subject::What::Order, "x", where, message));
    EXPECT_FALSE(explain::parse_subject(Subject::What::Account, "nobody", where, message));
    EXPECT_NE(message.find("known: a0 a1"), std::string::npos) << message;
}

}  // namespace
}  // namespace millrace::explain_test
