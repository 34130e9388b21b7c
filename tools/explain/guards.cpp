#include "tools/explain/guards.h"

#include <fmt/core.h>

#include "shm/segment.h"
#include "tools/explain/show.h"
#include "tools/explain/words.h"

namespace millrace::explain {
namespace {

std::string name_of(const Engine& engine, std::uint8_t currency) {
    const bool known = currency != kNoCurrency && currency <= kCurrenciesMax &&
                       engine.currency(currency - 1U).defined;
    return known ? std::string{view(engine.currency(currency - 1U).spec.name)} : "no currency";
}

/// What is set of the account's limits in money, in its currency.
std::string money_limits(const MoneyLimitSpec& l) {
    std::string text;
    const auto add = [&text](const char* key, std::int64_t value) {
        if (value > 0) {
            text += fmt::format("{}{} {}", text.empty() ? "" : ", ", key, number(value));
        }
    };
    add("max_order_notional", l.max_order_notional.value);
    add("max_notional", l.max_notional.value);
    add("max_order_leverage", l.max_order_leverage.value);
    add("max_leverage", l.max_leverage.value);
    return text;
}

void held(const Decision& d, const AccountGuard& g, std::vector<std::string>& out) {
    out.push_back(fmt::format("{} lots; the account held {} {} before it, equity {} {}; {}",
                              number(d.row.volume.value), g.notional, name_of(*d.engine, 1),
                              number(d.engine->account(d.row.account).equity.value),
                              name_of(*d.engine, g.money.currency), money_limits(g.money)));
}

std::string rate_text(const Decision& d, std::uint8_t currency) {
    const std::string name = name_of(*d.engine, currency);
    if (currency <= 1 || currency > kCurrenciesMax) {
        return name;
    }
    const CurrencyState& c = d.engine->currency(currency - 1U);
    if (c.spec.cross.value == kNoId) {
        return fmt::format("{}: {} as configured", name, number(c.spec.rate.value));
    }
    const std::string when =
        c.tick_time.value == 0 || !d.cause
            ? "no quote has come"
            : "the last quote was " + span_text(d.cause->time - c.tick_time) + " old";
    return fmt::format("{} by {}: {}, {} ms are allowed", name, d.book->symbol(c.spec.cross), when,
                       c.spec.age_max_ms);
}

void rates(const Decision& d, const AccountGuard& g, std::vector<std::string>& out) {
    out.push_back("the account: " + rate_text(d, g.money.currency));
    if (d.row.symbol.value < kSymbolsMax) {
        out.push_back("the symbol: " +
                      rate_text(d, d.engine->symbol_guard(d.row.symbol).spec.currency));
    }
    if (g.unvalued > 0) {
        out.push_back(fmt::format("{} orders and positions could not be measured", g.unvalued));
    }
}

void margin(const Decision& d, const AccountGuard& g, std::vector<std::string>& out) {
    out.push_back(fmt::format(
        "{} lots; free margin {} {} at 1:{}, and {} {} filled since it was "
        "told; what was on its way counts too",
        number(d.row.volume.value), number(g.free_margin.value),
        name_of(*d.engine, g.money.currency), g.leverage, g.filled_since, name_of(*d.engine, 1)));
}

std::string moment(std::uint32_t minute) {
    static constexpr const char* kDays[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
    return fmt::format("{} {:02}:{:02}", kDays[minute / 1440 % 7], minute / 60 % 24, minute % 60);
}

void hours(const std::string& whose, const HoursSpec& h, std::vector<std::string>& out) {
    std::string text;
    for (std::uint32_t n = 0; n < h.count && n < kWindowsMax; ++n) {
        text += fmt::format("{}{} to {}", n == 0 ? "" : ", ", moment(h.windows[n].from),
                            moment(h.windows[n].to));
    }
    if (!text.empty()) {
        out.push_back("hours of " + whose + " (UTC): " + text);
    }
}

void group(const Decision& d, std::vector<std::string>& out) {
    const GroupId id = d.signal ? d.signal->group : GroupId{kNoId};
    if (id.value >= kGroupsMax || d.engine->group_risk(id).guarded == 0) {
        return;
    }
    const GroupGuard& g = d.engine->group_guard(id);
    out.push_back(
        fmt::format("{} lots bought and {} sold before it, {} and {} {}; max_net_volume "
                    "{}, max_notional {}, max_net_notional {}",
                    number(g.bought_volume.value), number(g.sold_volume.value), g.bought, g.sold,
                    name_of(*d.engine, 1), number(g.money.max_net_volume.value),
                    number(g.money.max_notional.value), number(g.money.max_net_notional.value)));
}

}  // namespace

void guard_numbers(const Decision& d, Reason reason, std::vector<std::string>& out) {
    if (d.engine == nullptr || d.row.account.value >= d.engine->account_count()) {
        return;
    }
    const AccountGuard& g = d.engine->account_guard(d.row.account);
    switch (reason) {
        case Reason::MaxNotional:
        case Reason::MaxLeverage: held(d, g, out); break;
        case Reason::NoRate: rates(d, g, out); break;
        case Reason::FreeMargin: margin(d, g, out); break;
        case Reason::OutsideHours:
            hours("the account", g.hours, out);
            if (d.row.symbol.value < kSymbolsMax) {
                hours(d.book->symbol(d.row.symbol), d.engine->symbol_guard(d.row.symbol).hours,
                      out);
            }
            break;
        case Reason::WeekEnd:
            out.push_back(fmt::format("the week closes {} and opens {} (UTC); flat_before_min {}",
                                      moment(g.hours.week_closes), moment(g.hours.week_opens),
                                      g.hours.flat_before_min));
            break;
        case Reason::ChangeRate:
            out.push_back(fmt::format("changes_per_minute {}", g.money.changes_per_minute));
            break;
        case Reason::GroupLimit: group(d, out); break;
        default: break;
    }
}

}  // namespace millrace::explain
