// Goal: each pre-trade limit of an account refuses just what is beyond it, and what orders go by at
// the broker (tag, login) is not changed under them.
// Method: one entry within a limit and one beyond it, told by what came out of the engine.
#include "tests/engine/rig.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace millrace::test {
namespace {

constexpr std::uint64_t kOtherTag = 0x1111;
constexpr std::uint32_t kInvalidVolume = 10014;  // ends the order, and only that

AdminAnswer answer(const Rig& rig) {
    return rig.engine.globals().admin_answer;
}

void expect_detail(const Rig& rig, std::uint32_t orders, std::uint32_t positions) {
    EXPECT_EQ(rig.engine.globals().admin_detail.orders, orders);
    EXPECT_EQ(rig.engine.globals().admin_detail.positions, positions);
}

AdminAnswer set_tag(Rig& rig, std::uint64_t tag) {
    RiskSpec risk;
    risk.magic_tag = tag;
    rig.admin(AdminOp::RiskLimits, risk);
    return answer(rig);
}

AdminAnswer set_login(Rig& rig, std::uint32_t account, std::uint64_t login) {
    AccountSpec spec = Rig::account_spec(account);
    spec.login = login;
    rig.admin(AdminOp::DefineAccount, spec);
    return answer(rig);
}

/// Why the latest entry did not leave.
std::vector<Reason> refusals(Rig& rig) {
    EXPECT_TRUE(rig.orders.empty());
    std::vector<Reason> why = rig.reasons(ResultKind::OrderDone);
    rig.take_results();
    return why;
}

void expect_sent(Rig& rig) {
    EXPECT_EQ(rig.take_orders().size(), 1U);
    EXPECT_EQ(rig.count(ResultKind::OrderDone), 0U);
    rig.take_results();
}

TEST(Limits, MaxLotsOfTheAccountIsTheLargestOrderThatLeaves) {
    Rig rig;
    rig.world();
    AccountSpec spec = Rig::account_spec(0);
    spec.max_lots = centi(20);
    rig.admin(AdminOp::DefineAccount, spec);
    rig.signal(rig.open(1, Side::Buy, centi(21)));
    EXPECT_EQ(refusals(rig), std::vector{Reason::MaxLots});
    rig.signal(rig.open(2, Side::Buy, centi(20)));
    expect_sent(rig);
    spec.max_lots = Lots{};
    rig.admin(AdminOp::DefineAccount, spec);
    rig.signal(rig.open(3, Side::Buy, centi(21)));
    expect_sent(rig);
}

TEST(Limits, MaxLotsOfTheSymbolHoldsForWhatTheSizingMakesOfASignal) {
    Rig rig;
    rig.world();
    MemberSpec twice = Rig::member_spec(0, 0);
    twice.value = 2 * kScale;
    rig.admin(AdminOp::DefineMember, twice);
    rig.signal(rig.open(1, Side::Buy, centi(5'001)));
    EXPECT_EQ(refusals(rig), std::vector{Reason::MaxLots});
    rig.signal(rig.open(2, Side::Buy, centi(5'000)));
    expect_sent(rig);
}

TEST(Limits, WhatIsSizedBeyondAllVolumesIsRefusedByTheLargestSymbol) {
    Rig rig;
    rig.world();
    SymbolSpec spec = Rig::eurusd();
    spec.volume_max = Lots{1'000'000 * kScale};  // what a configuration may say
    rig.admin(AdminOp::DefineSymbol, spec);
    MemberSpec five = Rig::member_spec(0, 0);
    five.value = 5 * kScale;
    rig.admin(AdminOp::DefineMember, five);
    rig.signal(rig.open(1, Side::Buy, spec.volume_max));
    EXPECT_EQ(refusals(rig), std::vector{Reason::MaxLots});
    five.value = kScale;
    rig.admin(AdminOp::DefineMember, five);
    rig.signal(rig.open(2, Side::Buy, spec.volume_max));
    expect_sent(rig);
}

TEST(Limits, MaxOpenOrdersCountsLiveOrdersAndOpenPositions) {
    Rig rig;
    rig.world();
    AccountSpec spec = Rig::account_spec(0);
    spec.max_open_orders = 2;
    rig.admin(AdminOp::DefineAccount, spec);
    rig.signal(rig.open(1));
    rig.fill(rig.only_order());  // a position
    rig.signal(rig.open(2));     // an order on its way
    const OrderCommand second = rig.only_order();
    rig.take_results();
    rig.signal(rig.open(3));
    EXPECT_EQ(refusals(rig), std::vector{Reason::MaxOpenOrders});
    rig.signal(rig.change(4, SignalAction::Close, 1));
    rig.fill(rig.only_order());  // the way out is open
    rig.take_results();
    rig.signal(rig.open(5));
    expect_sent(rig);
    rig.report(rig.outcome(second, kInvalidVolume));
    rig.take_results();
    rig.signal(rig.open(6));
    expect_sent(rig);
}

TEST(Limits, DuplicateOrderIsTheSameSymbolSideAndVolumeWithinTheWindow) {
    Rig rig;
    rig.world();
    AccountSpec spec = Rig::account_spec(0);
    spec.duplicate_window_ms = 1000;
    rig.admin(AdminOp::DefineAccount, spec);
    rig.signal(rig.open(1));
    const OrderCommand first = rig.only_order();
    rig.take_results();
    rig.signal(rig.open(2));
    EXPECT_EQ(refusals(rig), std::vector{Reason::DuplicateOrder});
    rig.signal(rig.open(3, Side::Sell));
    expect_sent(rig);
    rig.signal(rig.open(4, Side::Buy, centi(11)));
    expect_sent(rig);
    Signal other = rig.open(5);
    other.symbol = SymbolId{1};
    rig.signal(other);
    expect_sent(rig);
    rig.report(rig.outcome(first, retcode::kRequote));
    expect_sent(rig);  // the next attempt of one order is no second order
    rig.advance(millis(999));
    rig.take_results();
    rig.signal(rig.open(6));
    EXPECT_EQ(refusals(rig), std::vector{Reason::DuplicateOrder});
    rig.advance(millis(1));
    rig.signal(rig.open(7));
    expect_sent(rig);
}

TEST(Limits, ADuplicateOrderMayBeToldInPlaceOfRefused) {
    Rig rig;
    rig.world();
    AccountSpec spec = Rig::account_spec(0);
    spec.duplicate_window_ms = 1000;
    spec.on_duplicate = DuplicateAction::Alert;
    rig.admin(AdminOp::DefineAccount, spec);
    rig.signal(rig.open(1));
    expect_sent(rig);
    EXPECT_EQ(rig.alerts(AlertCode::DuplicateOrder), 0U);
    rig.advance(millis(999));
    rig.signal(rig.open(2));
    expect_sent(rig);
    EXPECT_EQ(rig.alerts(AlertCode::DuplicateOrder), 1U);
    rig.advance(millis(999));
    rig.signal(rig.open(3));
    expect_sent(rig);
    EXPECT_EQ(rig.alerts(AlertCode::DuplicateOrder), 2U) << "each counts from the one before it";
    rig.advance(millis(1000));
    rig.take_results();
    rig.signal(rig.open(4));
    expect_sent(rig);
    EXPECT_EQ(rig.alerts(AlertCode::DuplicateOrder), 2U);
    spec.on_duplicate = DuplicateAction::Refuse;
    rig.admin(AdminOp::DefineAccount, spec);
    rig.signal(rig.open(5));
    EXPECT_EQ(refusals(rig), std::vector{Reason::DuplicateOrder});
}

// ---- money (the rest: tests/scenarios/risk_*.scn)
// ------------------------------------------------

/// USD is the common currency; EUR is told by EURUSD, JPY by what is symbol 1 here.
void currencies(Rig& rig, std::uint8_t of_symbol_0 = 1) {
    CurrencySpec c;
    c.index = 0;
    c.name = text<8>("USD");
    rig.admin(AdminOp::DefineCurrency, c);
    c.index = 1;
    c.name = text<8>("EUR");
    c.cross = SymbolId{0};
    rig.admin(AdminOp::DefineCurrency, c);
    c.index = 2;
    c.name = text<8>("JPY");
    c.cross = SymbolId{1};
    c.inverse = 1;
    rig.admin(AdminOp::DefineCurrency, c);
    rig.quotes[1] = {Price{150 * kScale}, Price{150 * kScale}, {}};
    for (std::uint32_t n = 0; n < 2; ++n) {
        SymbolGuardSpec s;
        s.id = SymbolId{n};
        s.currency = n == 0 ? of_symbol_0 : std::uint8_t{3};
        rig.admin(AdminOp::DefineSymbolGuard, s);
    }
}

AdminAnswer set_money(Rig& rig, const MoneyLimitSpec& l) {
    rig.admin(AdminOp::DefineMoneyLimits, l);
    return answer(rig);
}

MoneyLimitSpec in_currency(std::uint8_t currency) {
    MoneyLimitSpec l;
    l.id = 0;
    l.currency = currency;
    return l;
}

TEST(Limits, AShareOfTheEquityIsConvertedFromTheAccountsCurrencyToTheSymbols) {
    Rig rig;
    rig.world();
    currencies(rig);
    MemberSpec m = Rig::member_spec(0, 0);
    m.sizing = SizingMode::EquityShare;
    m.value = kScale;
    rig.admin(AdminOp::DefineMember, m);
    rig.bid = rig.ask = points(125'000);
    rig.equity(100'000);
    EXPECT_EQ(set_money(rig, in_currency(2)), AdminAnswer::Ok);
    const auto volume_and_end = [&rig] {
        const OrderCommand c = rig.only_order();
        rig.report(rig.outcome(c, kInvalidVolume));
        rig.take_results();
        return c.volume;
    };
    Signal s = rig.open(1);
    rig.signal(s);  // 100,000 EUR are 125,000 USD, and so is a lot
    EXPECT_EQ(volume_and_end(), centi(100));
    s = rig.open(2);
    s.symbol = SymbolId{1};
    rig.signal(s);  // a lot is 15,000,000 JPY = 100,000 USD
    EXPECT_EQ(volume_and_end(), centi(125));
    EXPECT_EQ(set_money(rig, in_currency(3)), AdminAnswer::Ok);
    rig.signal(rig.open(3));  // 100,000 JPY are 666 USD
    EXPECT_EQ(refusals(rig), std::vector{Reason::VolumeBelowMin});
    rig.quotes[1].time = rig.now;
    rig.advance(seconds(61));
    rig.signal(rig.open(4));
    EXPECT_EQ(refusals(rig), std::vector{Reason::NoRate});
    EXPECT_EQ(set_money(rig, in_currency(kNoCurrency)), AdminAnswer::Ok);
    rig.signal(rig.open(5));  // as if it were the symbol's
    EXPECT_EQ(rig.only_order().volume, centi(80));
    EXPECT_EQ(rig.replayed_hash(), rig.engine.state_hash());
}

TEST(Limits, InMoneyOfWhatIsNotThereAndWrongOnesAreRefused) {
    Rig rig;
    rig.world();
    CurrencySpec c;
    c.index = kCurrenciesMax;
    rig.admin(AdminOp::DefineCurrency, c);
    EXPECT_EQ(answer(rig), AdminAnswer::TableFull);
    c.index = 1;
    c.cross = SymbolId{7};
    rig.admin(AdminOp::DefineCurrency, c);
    EXPECT_EQ(answer(rig), AdminAnswer::UnknownScope);
    MoneyLimitSpec l = in_currency(kCurrenciesMax + 1);
    EXPECT_EQ(set_money(rig, l), AdminAnswer::BadState);
    l = in_currency(1);
    l.id = 5;
    EXPECT_EQ(set_money(rig, l), AdminAnswer::UnknownAccount);
    l.scope = LimitScope::Group;
    EXPECT_EQ(set_money(rig, l), AdminAnswer::UnknownGroup);
    SymbolGuardSpec s;
    s.id = SymbolId{9};
    rig.admin(AdminOp::DefineSymbolGuard, s);
    EXPECT_EQ(answer(rig), AdminAnswer::UnknownScope);
    HoursSpec h;
    h.id = 0;
    h.count = 1;
    h.windows[0] = {0, kWeekMinutes};
    rig.admin(AdminOp::DefineHours, h);
    EXPECT_EQ(answer(rig), AdminAnswer::BadState);
    h.count = kWindowsMax + 1;
    rig.admin(AdminOp::DefineHours, h);
    EXPECT_EQ(answer(rig), AdminAnswer::BadState);
    h = {};
    h.id = 9;
    rig.admin(AdminOp::DefineHours, h);
    EXPECT_EQ(answer(rig), AdminAnswer::UnknownAccount);
    h.scope = HoursScope::Symbol;
    rig.admin(AdminOp::DefineHours, h);
    EXPECT_EQ(answer(rig), AdminAnswer::UnknownScope);
}

TEST(Limits, InMoneyCountWhatWasOpenBeforeThereWereCurrenciesAndAnewInAnotherOne) {
    Rig rig;
    rig.world();
    rig.ask = points(120'000);
    rig.signal(rig.open(1));
    rig.fill(rig.only_order());
    currencies(rig, 2);
    EXPECT_EQ(rig.engine.account_guard(AccountId{0}).notional, 0) << "EURUSD is in EUR here";
    EXPECT_EQ(rig.engine.account_guard(AccountId{0}).unvalued, 1U);
    rig.bid = rig.ask = points(120'000);
    rig.rates();
    EXPECT_EQ(rig.engine.account_guard(AccountId{0}).notional, 14'400);
    EXPECT_EQ(rig.engine.group_guard(GroupId{0}).bought, 14'400);
    CurrencySpec common;
    common.index = 0;
    common.name = text<8>("CHF");
    rig.admin(AdminOp::DefineCurrency, common);
    EXPECT_EQ(rig.engine.account_guard(AccountId{0}).notional, 0) << "its number is another's";
    rig.admin(AdminOp::ConfigCommit, ConfigCommit{77});
    EXPECT_EQ(rig.engine.account_guard(AccountId{0}).notional, 14'400) << "valued again";
    std::vector<std::byte> image;
    rig.engine.save(image);
    Engine next{Rig::kSmall};
    ASSERT_TRUE(next.load(image.data(), image.size()).ok());
    EXPECT_EQ(next.state_hash(), rig.engine.state_hash()) << "counted as it was";
    EXPECT_EQ(rig.replayed_hash(), rig.engine.state_hash());
}

TEST(Tag, StaysWhileAnOrderOrPositionGoesByIt) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    const OrderCommand entry = rig.only_order();
    EXPECT_EQ(set_tag(rig, kOtherTag), AdminAnswer::TagInUse);
    expect_detail(rig, 1, 0);
    rig.advance(seconds(6));  // no answer came: in doubt, looked up
    const OrderCommand query = rig.only_order();
    EXPECT_EQ(query.type, CommandType::Query);
    EXPECT_EQ(query.magic, entry.magic) << "absent under another id would prove nothing";
    EXPECT_EQ(set_tag(rig, kOtherTag), AdminAnswer::TagInUse);
    rig.fill(entry);
    EXPECT_EQ(rig.open_volume(), entry.volume);
    EXPECT_EQ(set_tag(rig, kOtherTag), AdminAnswer::TagInUse);
    expect_detail(rig, 0, 1);
    rig.signal(rig.change(2, SignalAction::Close, 1));
    rig.fill(rig.only_order());
    EXPECT_EQ(set_tag(rig, kOtherTag), AdminAnswer::Ok) << "nothing is left that goes by it";
    rig.signal(rig.open(3));
    EXPECT_EQ(rig.only_order().magic.tag(), kOtherTag);
    EXPECT_EQ(rig.replayed_hash(), rig.engine.state_hash());
}

TEST(Tag, RefusedTakesTheWholeRecordWithItAndTheSameTagTakesTheRest) {
    Rig rig;
    rig.world();
    rig.signal(rig.pending(1, PriceKind::Limit, points(109'000)));
    const OrderCommand entry = rig.only_order();
    rig.report(rig.outcome(entry, retcode::kPlaced));
    RiskSpec risk;
    risk.collar = Ratio{kScale / 7};
    risk.magic_tag = kOtherTag;
    rig.admin(AdminOp::RiskLimits, risk);
    EXPECT_EQ(answer(rig), AdminAnswer::TagInUse);
    EXPECT_NE(rig.engine.globals().risk.collar, risk.collar);
    risk.magic_tag = RiskSpec{}.magic_tag;
    rig.admin(AdminOp::RiskLimits, risk);
    EXPECT_EQ(answer(rig), AdminAnswer::Ok);
    EXPECT_EQ(rig.engine.globals().risk.collar, risk.collar);
    rig.report(rig.exec(entry, ExecKind::PendingFilled, entry.volume));
    EXPECT_EQ(rig.open_volume(), entry.volume) << "its fill is known by the tag it was placed with";
}

TEST(Login, StaysWhileTheAccountHasAnOrderOrPosition) {
    Rig rig;
    rig.world(2);
    rig.admin(AdminOp::RemoveAccount, AccountRemoval{AccountId{1}, 0});
    rig.admin(AdminOp::DefineAccount, Rig::account_spec(2));
    rig.signal(rig.open(1));
    const OrderCommand entry = rig.only_order();
    EXPECT_EQ(set_login(rig, 0, 4711), AdminAnswer::LoginInUse);
    expect_detail(rig, 1, 0);
    EXPECT_EQ(rig.engine.account(AccountId{0}).spec.login, 1000U);
    EXPECT_EQ(set_login(rig, 0, 1000), AdminAnswer::Ok) << "all else may change";
    EXPECT_EQ(set_login(rig, 2, 4711), AdminAnswer::Ok) << "another account has nothing open";
    rig.fill(entry);
    EXPECT_EQ(set_login(rig, 0, 4711), AdminAnswer::LoginInUse);
    expect_detail(rig, 0, 1);
    rig.signal(rig.change(2, SignalAction::Close, 1));
    rig.fill(rig.only_order());
    EXPECT_EQ(set_login(rig, 0, 4711), AdminAnswer::Ok);
    EXPECT_EQ(rig.engine.account(AccountId{0}).spec.login, 4711U);
}

/// USD is common; EURUSD is quoted in it.
struct Currencies : testing::Test {
    Currencies() {
        rig.world();
        define({"USD", "EUR", "JPY"});
        quoted_in(1);
    }
    void define(const std::vector<std::string>& names) {
        const std::map<std::string, std::int64_t> rates = {
            {"EUR", kScale}, {"JPY", kScale / 160}, {"USD", 150 * kScale}};
        for (std::uint32_t n = 0; n < names.size(); ++n) {
            CurrencySpec spec;
            spec.index = n;
            spec.name = text<8>(names[n]);
            spec.rate = Ratio{rates.at(names[n])};
            rig.admin(AdminOp::DefineCurrency, spec);
        }
    }
    void quoted_in(std::uint8_t currency) {
        SymbolGuardSpec spec;
        spec.id = SymbolId{0};
        spec.currency = currency;
        rig.admin(AdminOp::DefineSymbolGuard, spec);
    }
    void account_in(std::uint8_t currency) {
        MoneyLimitSpec spec;
        spec.id = 0;
        spec.currency = currency;
        spec.max_notional = Money{100'000'000 * kScale};
        rig.admin(AdminOp::DefineMoneyLimits, spec);
    }
    /// A configuration begins.
    void begin() { rig.admin(AdminOp::RiskLimits, RiskSpec{}); }
    void commit() { rig.admin(AdminOp::ConfigCommit, ConfigCommit{1}); }
    [[nodiscard]] std::int64_t notional() const {
        return rig.engine.account_guard(AccountId{0}).notional;
    }
    Rig rig;
};

TEST_F(Currencies, AreNotTakenForOthersWhileAConfigurationThatShiftsThemIsSent) {
    MemberSpec by_equity = Rig::member_spec(0, 0);
    by_equity.sizing = SizingMode::EquityShare;
    by_equity.value = kScale;
    rig.admin(AdminOp::DefineMember, by_equity);
    account_in(3);
    rig.equity(16'000'000);
    rig.signal(rig.open(1));
    const OrderCommand before = rig.only_order();
    rig.report(rig.outcome(before, kInvalidVolume));
    rig.take_results();
    begin();
    define({"USD", "JPY", "EUR"});
    rig.signal(rig.open(2));
    EXPECT_EQ(refusals(rig), std::vector{Reason::NoRate}) << "the account has no number of now";
    quoted_in(1);
    account_in(2);
    commit();
    rig.signal(rig.open(3));
    EXPECT_EQ(rig.only_order().volume, before.volume);
    EXPECT_EQ(rig.replayed_hash(), rig.engine.state_hash());
}

TEST_F(Currencies, ThatAreCommonAnewMeasureWhatIsOpenByTheNumbersOfTheirConfiguration) {
    account_in(1);
    rig.signal(rig.open(1));
    rig.fill(rig.only_order());
    EXPECT_EQ(notional(), 11'001);
    begin();
    define({"JPY", "USD"});
    EXPECT_EQ(notional(), 0);
    rig.take_results();
    rig.signal(rig.open(2));
    EXPECT_EQ(refusals(rig), std::vector{Reason::NoRate});
    quoted_in(2);
    account_in(1);
    commit();
    EXPECT_EQ(notional(), 1'650'150);
}

TEST_F(Currencies, AreThoseOfTheConfigurationBeforeOnceItIsSentAgainAfterHalfOfAnother) {
    const auto send = [this] {
        begin();
        define({"USD", "EUR", "JPY"});
        quoted_in(1);
        account_in(1);
        rig.admin(AdminOp::ConfigCommit, ConfigCommit{77});
    };
    send();
    rig.signal(rig.open(1));
    expect_sent(rig);
    EXPECT_EQ(set_tag(rig, kOtherTag), AdminAnswer::TagInUse);
    EXPECT_EQ(rig.engine.globals().config_hash, 77U) << "refused, nothing has begun";
    rig.signal(rig.open(2));
    expect_sent(rig);
    begin();
    EXPECT_EQ(rig.engine.globals().config_hash, 1U) << "else who has the first one sends nothing";
    rig.signal(rig.open(3));  // no number has another name: nobody has to wait
    expect_sent(rig);
    define({"JPY"});
    rig.signal(rig.open(4));
    EXPECT_EQ(refusals(rig), std::vector{Reason::NoRate});
    send();
    rig.signal(rig.open(5));
    expect_sent(rig);
}

}  // namespace
}  // namespace millrace::test
