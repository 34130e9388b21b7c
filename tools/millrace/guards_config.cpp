#include "tools/millrace/guards_config.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <sstream>

#include "tools/millrace/fix_config.h"

namespace millrace {
namespace {

constexpr std::int64_t kMillion = 1'000'000;
constexpr DecimalRange kMoney{0, 10'000 * kMillion* kScale};
constexpr DecimalRange kTimes{0, 100'000 * kScale};
constexpr DecimalRange kVolume{0, kMillion* kScale};
constexpr TextRange kCurrencyName{3, 8};
constexpr std::uint32_t kDay = 24 * 60;
constexpr const char* kDays[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

std::optional<std::uint32_t> day_of(const std::string& word) {
    const auto* at = std::find(std::begin(kDays), std::end(kDays), word);
    return at == std::end(kDays) ? std::nullopt
                                 : std::optional{static_cast<std::uint32_t>(at - kDays)};
}

/// "08:30" in minutes; up to "24:00".
std::optional<std::uint32_t> clock_of(const std::string& word) {
    unsigned hours = 99;
    unsigned minutes = 99;
    const char* at = word.data();
    const bool shaped = word.size() == 5 && word[2] == ':' &&
                        std::from_chars(at, at + 2, hours).ptr == at + 2 &&
                        std::from_chars(at + 3, at + 5, minutes).ptr == at + 5;
    const bool valid = shaped && minutes < 60 && hours * 60 + minutes <= kDay;
    return valid ? std::optional{hours * 60 + minutes} : std::nullopt;
}

/// "Fri 22:00" in minutes of the week.
std::optional<std::uint32_t> moment_of(const std::string& day, const std::string& clock) {
    const auto d = day_of(day);
    const auto c = clock_of(clock);
    return d && c ? std::optional{(*d * kDay + *c) % kWeekMinutes} : std::nullopt;
}

/// Both sides of a '-'; the same twice if there is none.
std::pair<std::string, std::string> sides_of(const std::string& word) {
    const std::size_t dash = word.find('-');
    return dash == std::string::npos ? std::pair{word, word}
                                     : std::pair{word.substr(0, dash), word.substr(dash + 1)};
}

Window window_of(std::uint32_t from, std::uint32_t to) {
    return {static_cast<std::uint16_t>(from % kWeekMinutes),
            static_cast<std::uint16_t>(to % kWeekMinutes)};
}

/// The windows that one line names; none if it is wrong.
std::vector<Window> windows_of(const std::string& line) {
    std::istringstream in{line};
    const std::vector<std::string> words{std::istream_iterator<std::string>{in}, {}};
    std::vector<Window> out;
    if (words.size() == 3) {  // Sun 22:05-Fri 21:55
        const auto [opens, day] = sides_of(words[1]);
        const auto from = moment_of(words[0], opens);
        const auto to = moment_of(day, words[2]);
        if (from && to && *from != *to) {
            out.push_back(window_of(*from, *to));
        }
        return out;
    }
    if (words.size() != 2) {
        return out;
    }
    const auto [first, last] = sides_of(words[0]);  // Mon-Fri 08:00-17:00
    const auto [opens, closes] = sides_of(words[1]);
    const auto begin = day_of(first);
    const auto end = day_of(last);
    const auto from = clock_of(opens);
    const auto to = clock_of(closes);
    if (!begin || !end || !from || !to || *from == *to || *from == kDay) {
        return out;
    }
    for (std::uint32_t n = 0; n <= (*end + 7 - *begin) % 7; ++n) {
        const std::uint32_t day = (*begin + n) % 7 * kDay;
        out.push_back(window_of(day + *from, day + *to + (*to < *from ? kDay : 0)));
    }
    return out;
}

void read_moment(ObjectReader& o, const char* key, std::uint16_t& out) {
    std::string text;
    o.text(key, text, {1, 16});
    if (text.empty()) {
        return;
    }
    const std::size_t space = text.find(' ');
    const auto at = space == std::string::npos
                        ? std::nullopt
                        : moment_of(text.substr(0, space), text.substr(space + 1));
    if (at) {
        out = static_cast<std::uint16_t>(*at);
    } else {
        o.complain(key, "is \"" + text +
                            "\"; a day and a time in UTC such as \"Fri 22:00\" is "
                            "allowed");
    }
}

const SymbolConfig* find_symbol(const Config& c, const std::string& name) {
    const auto at = std::find_if(c.symbols.begin(), c.symbols.end(),
                                 [&](const SymbolConfig& s) { return s.name == name; });
    return at == c.symbols.end() ? nullptr : &*at;
}

}  // namespace

void read_money(ObjectReader& o, bool present, MoneyConfig& m) {
    if (present) {
        o.require("currency");
    }
    o.text("currency", m.currency, kCurrencyName);
    o.integer("rate_age_max_ms", m.rate_age_max_ms, {0, 86'400'000});
    o.list("rates", [&m](ObjectReader& r) {
        RateConfig rate;
        rate.line = r.line();
        r.require("currency");
        r.text("currency", rate.currency, kCurrencyName);
        r.text("symbol", rate.symbol, {1, 16});
        r.decimal("rate", rate.rate, {1, kMillion * kScale});
        if (rate.symbol.empty() && rate.rate == 0) {
            r.complain("currency", "\"" + rate.currency +
                                       "\" has neither \"symbol\" nor \"rate\"; name the symbol "
                                       "whose quotes say its rate, or the rate");
        }
        m.rates.push_back(rate);
    });
}

void read_account_facts(ObjectReader& o, AccountConfig& a) {
    o.text("currency", a.currency, kCurrencyName);
    o.integer("leverage", a.leverage, {0, 10'000});
    o.choice("trade_mode", a.kind,
             {{"any", AccountKind::Any},
              {"demo", AccountKind::Demo},
              {"contest", AccountKind::Contest},
              {"real", AccountKind::Real}});
    if (o.has("fix") && (a.leverage != 0 || a.kind != AccountKind::Any)) {
        o.complain(a.leverage != 0 ? "leverage" : "trade_mode",
                   "is told by terminals alone, and this account trades over FIX; take it out");
    }
}

void read_account_money(ObjectReader& o, MoneyLimitSpec& l) {
    o.decimal("max_order_notional", l.max_order_notional.value, kMoney);
    o.decimal("max_notional", l.max_notional.value, kMoney);
    o.decimal("max_order_leverage", l.max_order_leverage.value, kTimes);
    o.decimal("max_leverage", l.max_leverage.value, kTimes);
    bool check = false;
    o.boolean("margin_check", check);
    l.margin_check = check ? 1 : 0;
    o.integer("changes_per_minute", l.changes_per_minute, {0, kMillion});
}

void read_group_money(ObjectReader& o, MoneyLimitSpec& l) {
    l.scope = LimitScope::Group;
    o.decimal("max_notional", l.max_notional.value, kMoney);
    o.decimal("max_net_notional", l.max_net_notional.value, kMoney);
    o.decimal("max_net_volume", l.max_net_volume.value, kVolume);
}

void read_hours(ObjectReader& o, HoursSpec& h) {
    std::vector<std::string> lines;
    o.texts("hours", lines);
    for (const std::string& line : lines) {
        const std::vector<Window> windows = windows_of(line);
        if (windows.empty()) {
            o.complain("hours", "has \"" + line +
                                    "\"; \"Mon-Fri 08:00-17:00\" or \"Sun 22:05-Fri 21:55\", in "
                                    "UTC, is allowed");
            continue;
        }
        if (h.count + windows.size() > kWindowsMax) {
            o.complain("hours", "has more than " + std::to_string(kWindowsMax) +
                                    " windows, each day of a range counted; join some");
            return;
        }
        for (const Window& w : windows) {
            h.windows[h.count++] = w;
        }
    }
}

void read_week(ObjectReader& o, HoursSpec& h) {
    bool holds = true;
    std::uint32_t before = 60;
    h.week_closes = 4 * kDay + 22 * 60;
    h.week_opens = 6 * kDay + 22 * 60;
    o.boolean("hold_over_weekend", holds);
    o.integer("flat_before_min", before, {1, 1440});
    read_moment(o, "week_closes", h.week_closes);
    read_moment(o, "week_opens", h.week_opens);
    h.flat_before_min = holds ? std::uint16_t{0} : static_cast<std::uint16_t>(before);
    if (h.week_closes == h.week_opens) {
        o.complain("week_opens", "is when the week closes; it must be another moment");
    }
}

void read_symbol_guard(ObjectReader& o, SymbolConfig& s) {
    o.text("currency", s.currency, kCurrencyName);
    o.integer("collar_points", s.guard.collar_points, {0, kMillion});
    o.decimal("collar_spreads", s.guard.collar_spreads.value, kTimes);
    s.hours.scope = HoursScope::Symbol;
    read_hours(o, s.hours);
}

std::uint8_t currency_number(const Config& c, const std::string& name) {
    if (!name.empty() && name == c.money.currency) {
        return 1;
    }
    for (std::size_t n = 0; n < c.money.rates.size() && n + 2 <= kCurrenciesMax; ++n) {
        if (c.money.rates[n].currency == name) {
            return static_cast<std::uint8_t>(n + 2);
        }
    }
    return kNoCurrency;
}

std::string currency_of(const Config& c, const SymbolConfig& s) {
    if (!s.currency.empty()) {
        return s.currency;
    }
    const std::string end = s.name.size() == 6 ? s.name.substr(3) : "";
    return currency_number(c, end) == kNoCurrency ? "" : end;
}

std::vector<CurrencySpec> currency_specs(
    const Config& c, const std::function<SymbolId(const std::string&)>& symbol_id) {
    std::vector<CurrencySpec> specs;
    const auto add = [&](const std::string& name) -> CurrencySpec& {
        CurrencySpec& spec = specs.emplace_back();
        spec.index = static_cast<std::uint32_t>(specs.size() - 1);
        spec.name = make_text<8>(name);
        spec.age_max_ms = c.money.rate_age_max_ms;
        return spec;
    };
    if (!c.money.currency.empty()) {
        add(c.money.currency);
    }
    for (const RateConfig& r : c.money.rates) {
        CurrencySpec& spec = add(r.currency);
        spec.rate = Ratio{r.rate};
        if (const SymbolConfig* cross = find_symbol(c, r.symbol); cross != nullptr) {
            spec.cross = symbol_id(r.symbol);
            spec.inverse = currency_of(c, *cross) == r.currency ? 1 : 0;
        }
    }
    return specs;
}

namespace {

struct MoneyCheck {
    const Config& config;
    std::vector<Mistake>& mistakes;

    void add(const std::string& key, const std::string& text, unsigned line) {
        mistakes.push_back({config.file, line, key, text});
    }
    void known(const std::string& key, const std::string& name, unsigned line) {
        if (!name.empty() && currency_number(config, name) == kNoCurrency) {
            add(key, "\"" + name + "\" is none of the file's; name it in \"money\"", line);
        }
    }
};

void check_rates(MoneyCheck& check) {
    const MoneyConfig& m = check.config.money;
    if (m.rates.size() + 1 > kCurrenciesMax) {
        check.add("money.rates",
                  "has " + std::to_string(m.rates.size()) + " entries; at most " +
                      std::to_string(kCurrenciesMax - 1) + " fit",
                  0);
    }
    for (std::size_t n = 0; n < m.rates.size(); ++n) {
        const RateConfig& r = m.rates[n];
        const std::string key = "money.rates[\"" + r.currency + "\"]";
        if (r.currency == m.currency || currency_number(check.config, r.currency) != n + 2) {
            check.add(key, "is there twice; each currency has one entry, the common one none",
                      r.line);
        }
        if (r.symbol.empty()) {
            continue;
        }
        const SymbolConfig* cross = find_symbol(check.config, r.symbol);
        if (cross == nullptr) {
            check.add(key + ".symbol", "\"" + r.symbol + "\" is not defined", r.line);
            continue;
        }
        const std::string in = currency_of(check.config, *cross);
        if (in != m.currency && in != r.currency) {
            check.add(key + ".symbol",
                      "\"" + r.symbol + "\" is priced in \"" + in + "\"; one in " + m.currency +
                          " or " + r.currency + " says the rate (\"currency\" of a symbol)",
                      r.line);
        }
    }
}

bool in_money(const MoneyLimitSpec& l) {
    return l.measures() || l.margin_check != 0;
}

}  // namespace

void check_money(const Config& c, std::vector<Mistake>& mistakes) {
    MoneyCheck check{c, mistakes};
    const bool has = !c.money.currency.empty();
    const std::string mend =
        "needs to know what money is worth: name a common currency, \"money\": {\"currency\": "
        "\"USD\"}";
    check_rates(check);
    for (const SymbolConfig& s : c.symbols) {
        const std::string key = "symbols[\"" + s.name + "\"].currency";
        check.known(key, s.currency, s.line);
        if (has && currency_of(c, s).empty()) {
            check.add(key,
                      "is missing, and the name does not end with one of \"money\"; give the "
                      "currency of its prices",
                      s.line);
        }
    }
    for (const AccountConfig& a : c.accounts) {
        const std::string key = "accounts[\"" + a.name + "\"]";
        check.known(key + ".currency", a.currency, a.line);
        if (!has && in_money(a.money)) {
            check.add(key + ".limits", mend, a.line);
        }
    }
    for (const GroupConfig& g : c.groups) {
        if (!has && in_money(g.money)) {
            check.add("groups[\"" + g.name + "\"].limits", mend, 0);
        }
    }
    for (const FixConfig& f : fix_accounts(c)) {
        const auto account =
            std::find_if(c.accounts.begin(), c.accounts.end(),
                         [&](const AccountConfig& a) { return a.name == f.account_name; });
        if (account != c.accounts.end() &&
            (account->money.max_leverage.value > 0 || account->money.max_order_leverage.value > 0 ||
             account->money.margin_check != 0)) {
            check.add("accounts[\"" + f.account_name + "\"].limits",
                      "goes by equity or free margin, but FIX tells neither; take max_notional",
                      account->line);
        }
    }
}

}  // namespace millrace
