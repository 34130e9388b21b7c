// Of Scenario: limits in money, hours, quotes of other symbols, margin.
#include "tests/scenarios/scenario.h"

#include <gtest/gtest.h>

namespace millrace::test {
namespace {

std::uint32_t number(Words& words) {
    return static_cast<std::uint32_t>(std::stoul(take(words)));
}
std::uint16_t minute(Words& words) {
    return static_cast<std::uint16_t>(std::stoul(take(words)));
}
/// How an account or symbol names the currency with that number.
std::uint8_t currency(Words& words) {
    return static_cast<std::uint8_t>(1 + number(words));
}

}  // namespace

/// currency 1 EUR [cross 0] [inverse yes] [rate 1.08] [age 60]: 0 is the common one.
void Scenario::currency(Words& words) {
    CurrencySpec c;
    c.index = number(words);
    c.name = text<8>(take(words));
    while (!words.empty()) {
        const std::string key = take(words);
        if (key == "cross") {
            c.cross = SymbolId{number(words)};
        } else if (key == "inverse") {
            c.inverse = take(words) == "yes" ? 1 : 0;
        } else if (key == "rate") {
            c.rate = Ratio{decimal(take(words))};
        } else {
            ASSERT_EQ(key, "age");
            c.age_max_ms = number(words) * 1000;
        }
    }
    rig().admin(AdminOp::DefineCurrency, c);
}

/// quoted 0 [currency 0] [collar_points 20] [collar_spreads 3]: how symbol 0 is.
void Scenario::quoted(Words& words) {
    SymbolGuardSpec s;
    s.id = SymbolId{number(words)};
    while (!words.empty()) {
        const std::string key = take(words);
        if (key == "currency") {
            s.currency = test::currency(words);
        } else if (key == "collar_points") {
            s.collar_points = number(words);
        } else {
            ASSERT_EQ(key, "collar_spreads");
            s.collar_spreads = Ratio{decimal(take(words))};
        }
    }
    rig().admin(AdminOp::DefineSymbolGuard, s);
}

/// money account|group 0 [currency 1] [max_notional 10000] ...: keys as in the configuration.
void Scenario::money(Words& words) {
    MoneyLimitSpec l;
    l.scope = take(words) == "group" ? LimitScope::Group : LimitScope::Account;
    l.id = number(words);
    const std::map<std::string, std::int64_t*> amounts = {
        {"max_order_notional", &l.max_order_notional.value},
        {"max_notional", &l.max_notional.value},
        {"max_order_leverage", &l.max_order_leverage.value},
        {"max_leverage", &l.max_leverage.value},
        {"max_net_notional", &l.max_net_notional.value},
        {"max_net_volume", &l.max_net_volume.value}};
    while (!words.empty()) {
        const std::string key = take(words);
        if (key == "currency") {
            l.currency = test::currency(words);
        } else if (key == "margin_check") {
            l.margin_check = take(words) == "yes" ? 1 : 0;
        } else if (key == "changes_per_minute") {
            l.changes_per_minute = number(words);
        } else {
            *amounts.at(key) = decimal(take(words));
        }
    }
    rig().admin(AdminOp::DefineMoneyLimits, l);
}

/// hours account|symbol 0 [open 480 1080]... [flat_before 60 closes 6900 opens 9960]: minutes of
/// the week, UTC, Monday 00:00 = 0.
void Scenario::hours(Words& words) {
    HoursSpec h;
    h.scope = take(words) == "symbol" ? HoursScope::Symbol : HoursScope::Account;
    h.id = number(words);
    const std::map<std::string, std::uint16_t*> minutes = {
        {"flat_before", &h.flat_before_min}, {"closes", &h.week_closes}, {"opens", &h.week_opens}};
    while (!words.empty()) {
        const std::string key = take(words);
        if (key == "open") {
            Window& w = h.windows[h.count++];
            w.from = minute(words);
            w.to = minute(words);
        } else {
            *minutes.at(key) = minute(words);
        }
    }
    rig().admin(AdminOp::DefineHours, h);
}

/// margin 500 100: account 0's terminal tells free margin and leverage, its equity is 10000.
void Scenario::margin(Words& words) {
    ++covered_.reports;
    Report r = rig().from(0, ReportType::AccountInfo);
    r.permissions = 1;
    r.equity = r.balance = Money{10'000 * kScale};
    r.price = Price{decimal(take(words))};
    r.retcode = number(words);
    report(r);
}

/// quote 1 1.20000 1.20010: of another symbol than `price`, beside each record; or `ended`: it has
/// just come, and no other comes.
void Scenario::quote(Words& words) {
    Rig::OtherQuote& q = rig().quotes[number(words)];
    if (words.front() == "ended") {
        take(words);
        q.time = rig().now;
        return;
    }
    q.bid = Price{decimal(take(words))};
    q.ask = Price{decimal(take(words))};
    q.time.reset();
}

/// configured: a configuration begins and ends that names none of it.
void Scenario::configured(Words&) {
    rig().admin(AdminOp::RiskLimits, RiskSpec{});
    rig().admin(AdminOp::ConfigCommit, ConfigCommit{77});
}

}  // namespace millrace::test
