// Limits in money: what an order is worth in the common currency, and what accounts and groups may
// hold of it.
//
// An order's worth is fixed when it is made, by the price it is to be had at and the rate of then:
// sums then change only with orders, and a limit is never broken by a quote alone. What had no rate
// then is valued as soon as there is one.
#include "core/engine.h"
#include "core/signal_bounds.h"

#include <algorithm>

namespace millrace {
namespace {

constexpr Nanos kRateEvery = seconds(1);
constexpr std::int64_t kUnitsMax = 100'000'000'000;  // of one order: sums of all orders fit

std::int64_t clamp_to_64(__int128 value) noexcept {
    return static_cast<std::int64_t>(std::min<__int128>(value, INT64_MAX));
}

/// Whole units of the common currency, rounded up, of `volume` when one lot is worth `lot`.
std::int64_t units_of(Lots volume, Money lot) noexcept {
    constexpr __int128 kUnit = static_cast<__int128>(kScale) * kScale;
    const __int128 value =
        static_cast<__int128>(std::max<std::int64_t>(volume.value, 0)) * lot.value;
    return static_cast<std::int64_t>(std::min<__int128>((value + kUnit - 1) / kUnit, kUnitsMax));
}

bool is_market_entry(const Order& o) noexcept {
    return o.type == CommandType::Open && o.price_kind == PriceKind::Market;
}

bool has_quote(const CurrencyState& c, Nanos now) noexcept {
    const std::int64_t age_max = std::int64_t{c.spec.age_max_ms} * 1'000'000;
    const bool fresh = age_max == 0 || now.value - c.tick_time.value <= age_max;
    return c.bid.value > 0 && c.ask.value > 0 && fresh;
}

/// One equity that is wrong neither frees an account nor halts it: of three the middle one.
Money trusted_equity(const AccountRisk& r) noexcept {
    const auto& [a, b, c] = r.samples;
    return r.known >= 3 ? std::max(std::min(a, b), std::min(std::max(a, b), c)) : a;
}

}  // namespace

struct Engine::Rate {
    std::int64_t value = 0;  // 1e-8; 0 = not known
    bool inverse = false;
    [[nodiscard]] bool known() const noexcept { return value > 0; }
    [[nodiscard]] __int128 common(__int128 amount) const noexcept {
        return inverse ? amount * kScale / value : amount * value / kScale;
    }
    /// Whole units, rounded down, of an amount in 1e-8.
    [[nodiscard]] __int128 units(std::int64_t amount) const noexcept {
        return common(amount) / kScale;
    }
};

AdminAnswer Engine::define_currency(const CurrencySpec& spec) noexcept {
    if (spec.index >= kCurrenciesMax) {
        return AdminAnswer::TableFull;
    }
    const std::uint32_t cross = spec.cross.value;
    if (cross != kNoId && (cross >= kSymbolsMax || !symbols_[cross].defined)) {
        return AdminAnswer::UnknownScope;
    }
    CurrencyState& c = currencies_[spec.index];
    const bool renamed = !c.defined || c.spec.name != spec.name;
    // Accounts and symbols that still go by the number mean the currency of before, until their own
    // records of this configuration have come.
    g_.naming = g_.naming || (c.defined && renamed);
    if (renamed || c.spec.cross != spec.cross || c.spec.inverse != spec.inverse) {
        c = CurrencyState{};  // its quote was another's
    }
    c.spec = spec;
    c.defined = c.named = true;
    note_currencies();
    if (spec.index == 0 && renamed) {
        forget_values();
    }
    value_rest();
    return AdminAnswer::Ok;
}

AdminAnswer Engine::define_money_limits(const MoneyLimitSpec& spec) noexcept {
    if (spec.currency > kCurrenciesMax) {
        return AdminAnswer::BadState;
    }
    if (spec.scope == LimitScope::Group) {
        if (spec.id >= kGroupsMax || !groups_[spec.id].defined) {
            return AdminAnswer::UnknownGroup;
        }
        GroupGuard& g = group_guard_[spec.id];
        g.money = spec;
        g.named |= kNamedMoney;
        const bool any = spec.measures() || spec.max_net_volume.value > 0;
        group_risk_[spec.id].guarded = any ? kGuardMoney : 0U;
        return AdminAnswer::Ok;
    }
    Account* a = account_of(AccountId{spec.id});
    if (a == nullptr) {
        return AdminAnswer::UnknownAccount;
    }
    AccountGuard& g = account_guard_[spec.id];
    if (g.money.changes_per_minute != spec.changes_per_minute) {
        g.change_tokens = std::int64_t{spec.changes_per_minute} * 1'000'000'000;
        g.changes_time = g_.time;
    }
    g.money = spec;
    g.named |= kNamedMoney;
    const unsigned kept = a->guarded & ~unsigned{kGuardMoney | kGuardMargin | kGuardChanges};
    a->guarded = static_cast<std::uint8_t>(kept | (spec.measures() ? kGuardMoney : 0U) |
                                           (spec.margin_check != 0 ? kGuardMargin : 0U) |
                                           (spec.changes_per_minute > 0 ? kGuardChanges : 0U));
    return AdminAnswer::Ok;
}

/// A configuration begins: what was said of its like before counts no more once it is complete.
void Engine::begin_naming() noexcept {
    for (std::uint32_t n = 0; n < capacity_.accounts; ++n) {
        account_guard_[n].named = 0;
    }
    for (std::uint32_t n = 0; n < kGroupsMax; ++n) {
        group_guard_[n].named = 0;
    }
    for (std::uint32_t n = 0; n < kSymbolsMax; ++n) {
        symbol_guard_[n].named = 0;
    }
    for (std::uint32_t n = 0; n < kCurrenciesMax; ++n) {
        currencies_[n].named = false;
    }
}

/// A configuration is complete: what it has not named is no more.
void Engine::end_unnamed() noexcept {
    end_unnamed_of_accounts();
    for (std::uint32_t n = 0; n < kGroupsMax; ++n) {
        if ((group_guard_[n].named & kNamedMoney) == 0) {
            group_guard_[n].money = MoneyLimitSpec{};
            group_risk_[n].guarded = 0;
        }
    }
    for (std::uint32_t n = 0; n < kSymbolsMax; ++n) {
        SymbolGuard& g = symbol_guard_[n];
        unsigned kept = symbols_[n].guarded;
        if ((g.named & kNamedQuotes) == 0) {
            g.spec = SymbolGuardSpec{};
            kept &= ~unsigned{kGuardCollar};
        }
        if ((g.named & kNamedHours) == 0) {
            g.hours = HoursSpec{};
            kept &= ~unsigned{kGuardHours};
        }
        symbols_[n].guarded = static_cast<std::uint8_t>(kept);
    }
    const bool had = currencies_[0].defined;
    for (std::uint32_t n = 0; n < kCurrenciesMax; ++n) {
        if (!currencies_[n].named) {
            currencies_[n] = CurrencyState{};
        }
    }
    note_currencies();
    if (had && !currencies_[0].defined) {
        forget_values();
    }
    begin_naming();
    g_.naming = false;
    value_rest();
}

void Engine::end_unnamed_of_accounts() noexcept {
    for (std::uint32_t n = 0; n < capacity_.accounts; ++n) {
        AccountGuard& g = account_guard_[n];
        unsigned kept = accounts_[n].guarded;
        if ((g.named & kNamedMoney) == 0) {
            g.money = MoneyLimitSpec{};
            kept &= ~unsigned{kGuardMoney | kGuardMargin | kGuardChanges};
        }
        if ((g.named & kNamedHours) == 0) {
            g.hours = HoursSpec{};
            kept &= ~unsigned{kGuardHours};
        }
        accounts_[n].guarded = static_cast<std::uint8_t>(kept);
    }
}

void Engine::note_currencies() noexcept {
    crosses_ = 0;
    for (std::uint32_t n = 0; n < kCurrenciesMax; ++n) {
        const CurrencyState& c = currencies_[n];
        crosses_ += c.defined && c.spec.cross.value != kNoId ? 1U : 0U;
    }
}

/// The common currency is another one now.
void Engine::forget_values() noexcept {
    std::fill_n(order_value_.get(), orders_.used(), Money{});
    recount_all();
}

SymbolId Engine::rate_symbol(Nanos now) const noexcept {
    for (std::uint32_t n = 0; crosses_ > 0 && n < kCurrenciesMax; ++n) {
        const CurrencyState& c = currencies_[n];
        const bool due = c.asked.value == 0 || now - c.asked >= kRateEvery;
        if (c.defined && c.spec.cross.value != kNoId && due) {
            return c.spec.cross;
        }
    }
    return SymbolId{kNoId};
}

void Engine::on_rate(const RateInput& r) noexcept {
    bool news = false;
    for (std::uint32_t n = 0; n < kCurrenciesMax; ++n) {
        CurrencyState& c = currencies_[n];
        if (!c.defined || c.spec.cross != r.symbol) {
            continue;
        }
        const bool had = has_quote(c, g_.time);
        c.asked = g_.time;
        if (record_->bid.value > 0 && record_->ask.value > 0) {
            c.bid = record_->bid;
            c.ask = record_->ask;
            c.tick_time = record_->tick_time;
        }
        news = news || (!had && has_quote(c, g_.time));
    }
    if (news) {  // a walk over the table: not each second, in front of somebody's entry
        value_rest();
    }
}

/// None while a configuration is being sent: a currency is named by its place in it, and who has
/// which is said record by record. What money measures is refused until it is whole (NO_RATE).
Engine::Rate Engine::rate_of(std::uint8_t currency) const noexcept {
    if (currency == kNoCurrency || currency > kCurrenciesMax || !currencies_[0].defined ||
        g_.naming) {
        return {};
    }
    const CurrencyState& c = currencies_[currency - 1U];
    if (currency == 1) {
        return {kScale, false};
    }
    if (!c.defined) {
        return {};
    }
    if (c.spec.cross.value != kNoId && has_quote(c, g_.time)) {
        return {c.bid.value + (c.ask.value - c.bid.value) / 2, c.spec.inverse != 0};
    }
    return {c.spec.rate.value, false};
}

/// One lot in the common currency; 0 = not known.
Money Engine::lot_value(SymbolId symbol, Price price) const noexcept {
    const Rate rate = rate_of(symbol_guard_[symbol.value].spec.currency);
    const std::int64_t contract = symbols_[symbol.value].spec.contract_size;
    if (!rate.known() || price.value <= 0 || contract <= 0) {
        return Money{};
    }
    const std::int64_t own = clamp_to_64(static_cast<__int128>(contract) * price.value / kScale);
    return Money{std::max<std::int64_t>(clamp_to_64(rate.common(own)), 1)};
}

/// What it was had at; else at what it is to be had.
Price Engine::valued_at(const Order& o) const noexcept {
    if (o.avg.value > 0) {
        return o.avg;
    }
    if (o.price_kind != PriceKind::Market) {
        return o.price;
    }
    const bool priced = record_ != nullptr && record_symbol_ == o.symbol && has_price();
    return priced ? market_price(o.side) : o.reference;
}

/// Before the order counts.
void Engine::value_order(std::uint32_t i) noexcept {
    if (!currencies_[0].defined) {
        return;
    }
    const Order& o = orders_[i];
    const Price price = valued_at(o);
    if (valued_symbol_ != o.symbol || valued_price_ != price) {  // one for a whole fan-out
        valued_symbol_ = o.symbol;
        valued_price_ = price;
        value_ = lot_value(o.symbol, price);
    }
    order_value_[i] = value_;
}

/// One that counts already.
void Engine::value_again(std::uint32_t i) noexcept {
    const Order& o = orders_[i];
    const Lots exposed = exposure_of(o);
    const Money value = lot_value(o.symbol, valued_at(o));
    if (value.value == 0 || exposed.value == 0) {
        return;
    }
    recount_money(o, exposed, Lots{});
    order_value_[i] = value;
    recount_money(o, Lots{}, exposed);
}

void Engine::value_rest() noexcept {
    for (std::uint32_t i = 0; !g_.naming && unvalued_ > 0 && i < orders_.used(); ++i) {
        if (orders_.is_live(i) && order_value_[i].value == 0) {
            value_again(i);
        }
    }
}

void Engine::recount_money(const Order& o, Lots before, Lots now) noexcept {
    const Money lot = order_value_[orders_.index_of(o)];
    const GroupId group = ledger_[o.signal].signal.group;
    AccountGuard& account = account_guard_[o.account.value];
    GroupGuard& all = group_guard_[group.value < kGroupsMax ? group.value : 0];
    if (lot.value == 0) {
        const std::uint32_t more = before.value == 0 ? 1 : 0;
        const std::uint32_t less = now.value == 0 ? 1 : 0;
        account.unvalued += more - less;
        all.unvalued += group.value < kGroupsMax ? more - less : 0U;
        unvalued_ += more - less;
        return;
    }
    const std::int64_t change = units_of(now, lot) - units_of(before, lot);
    account.notional += change;
    if (group.value < kGroupsMax) {
        (o.side == Side::Buy ? all.bought : all.sold) += change;
    }
}

bool Engine::is_converted(const Account& a, SymbolId symbol) const noexcept {
    return currencies_[0].defined &&
           account_guard_[a.spec.id.value].money.currency != kNoCurrency &&
           symbol_guard_[symbol.value].spec.currency != kNoCurrency;
}

bool Engine::has_rates(const Account& a, SymbolId symbol) const noexcept {
    return rate_of(account_guard_[a.spec.id.value].money.currency).known() &&
           rate_of(symbol_guard_[symbol.value].spec.currency).known();
}

/// Lots for a share of an account's equity, each in its own currency; 0 without a rate.
Lots Engine::share_of_equity(const Account& a, SymbolId symbol, Price price,
                             std::int64_t share) const noexcept {
    const Rate own = rate_of(account_guard_[a.spec.id.value].money.currency);
    const Money lot = lot_value(symbol, price);
    if (!own.known() || lot.value == 0) {
        return Lots{};
    }
    const __int128 money = static_cast<__int128>(a.equity.value) * share / kScale;
    const __int128 common = own.common(clamp_to_64(money));
    const __int128 most = static_cast<__int128>(2) * kVolumeMax;
    return Lots{static_cast<std::int64_t>(
        std::min(static_cast<__int128>(clamp_to_64(common)) * kScale / lot.value, most))};
}

/// Counted with the order itself. Only who has such limits pays for them.
Reason Engine::check_money(const Order& o, const Account& a) noexcept {
    const GroupId group = ledger_[o.signal].signal.group;
    const bool of_account = (a.guarded & (kGuardMoney | kGuardMargin)) != 0;
    const bool of_group = group_risk_[group.value].guarded != 0;
    if (!of_account && !of_group) {
        return Reason::None;
    }
    if (const std::uint32_t i = orders_.index_of(o); order_value_[i].value == 0) {
        value_again(i);
    }
    const Reason own = of_account ? check_account_money(o, a) : Reason::None;
    return own == Reason::None && of_group ? check_group_money(o) : own;
}

Reason Engine::check_account_money(const Order& o, const Account& a) const noexcept {
    const AccountGuard& g = account_guard_[a.spec.id.value];
    const MoneyLimitSpec& l = g.money;
    const Rate own = rate_of(l.currency);
    const Money lot = order_value_[orders_.index_of(o)];
    if (!own.known() || lot.value == 0 || g.unvalued > 0) {
        return Reason::NoRate;
    }
    const std::int64_t one = units_of(o.volume, lot);
    if ((l.max_order_notional.value > 0 && one > own.units(l.max_order_notional.value)) ||
        (l.max_notional.value > 0 && g.notional > own.units(l.max_notional.value))) {
        return Reason::MaxNotional;
    }
    const __int128 equity = own.units(trusted_equity(account_risk_[a.spec.id.value]).value);
    const auto beyond = [equity](std::int64_t units, Ratio most) {
        return most.value > 0 && static_cast<__int128>(units) * kScale > equity * most.value;
    };
    if (beyond(one, l.max_order_leverage) || beyond(g.notional, l.max_leverage)) {
        return Reason::MaxLeverage;
    }
    return l.margin_check != 0 && is_beyond_margin(o, a) ? Reason::FreeMargin : Reason::None;
}

/// True if the free margin, as its terminal told it last, cannot carry it with what has been sent
/// or filled since. By the account's leverage: a symbol that takes more is its broker's to refuse
/// (10019). What works at a price of its own takes margin when it is filled.
bool Engine::is_beyond_margin(const Order& o, const Account& a) const noexcept {
    const AccountGuard& g = account_guard_[a.spec.id.value];
    if (g.leverage == 0 || !is_market_entry(o)) {
        return false;
    }
    __int128 units = g.filled_since + units_of(o.volume, order_value_[orders_.index_of(o)]);
    for (std::uint32_t i = a.first_order; i != kNoId; i = orders_[i].next_in_account) {
        const Order& other = orders_[i];
        if (&other != &o && is_market_entry(other) && is_unanswered(other.status)) {
            units += units_of(other.volume - other.cum, order_value_[i]);
        }
    }
    return units > rate_of(g.money.currency).units(g.free_margin.value) * g.leverage;
}

Reason Engine::check_group_money(const Order& o) const noexcept {
    const GroupGuard& g = group_guard_[ledger_[o.signal].signal.group.value];
    const MoneyLimitSpec& l = g.money;
    const bool buys = o.side == Side::Buy;
    if (l.measures() && g.unvalued > 0) {
        return Reason::NoRate;
    }
    const std::int64_t net = buys ? g.bought - g.sold : g.sold - g.bought;
    const Lots lots = buys ? g.bought_volume - g.sold_volume : g.sold_volume - g.bought_volume;
    // What makes a net position smaller is no more than it was, whatever its limit is by now.
    const bool full =
        (l.max_notional.value > 0 && g.bought + g.sold > l.max_notional.value / kScale) ||
        (l.max_net_notional.value > 0 && net > l.max_net_notional.value / kScale) ||
        (l.max_net_volume.value > 0 && lots > l.max_net_volume);
    return full ? Reason::GroupLimit : Reason::None;
}

void Engine::take_margin(Account& a, const Report& r) noexcept {
    AccountGuard& g = account_guard_[a.spec.id.value];
    g.leverage = r.retcode;
    g.free_margin = Money{r.retcode != 0 ? r.price.value : 0};
    g.filled_since = 0;
}

/// The next reading of the free margin has it in it.
void Engine::note_filled(std::uint32_t i, Lots volume) noexcept {
    if (!currencies_[0].defined) {
        return;
    }
    const Order& o = orders_[i];
    if (order_value_[i].value == 0) {
        value_again(i);
    }
    if ((accounts_[o.account.value].guarded & kGuardMargin) != 0) {
        account_guard_[o.account.value].filled_since += units_of(volume, order_value_[i]);
    }
}

}  // namespace millrace
