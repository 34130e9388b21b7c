// Limits of accounts, groups and symbols: positions and volumes, halts after losses and after a
// fill that is far from its reference.
//
// Losses are measured in the equity that a terminal tells, and one wrong reading must neither halt
// an account nor lift what it is measured from: what counts is what three readings in a row say,
// the best of them for a loss, the worst for a peak, the middle one for the start of a day.
// Terminals tell equity when it changed, once a second at most: a reading that stands counts for
// all three.
#include "core/engine.h"

#include <algorithm>

namespace millrace {
namespace {

constexpr Nanos kEquityStands = seconds(5);  // a terminal that is busy may correct itself so late
constexpr std::int64_t kDaySeconds = 86'400;

/// Number of the account's day: a day begins `day_start_s` after midnight UTC.
std::int64_t day_of(Nanos now, std::uint32_t day_start_s) noexcept {
    return (now.value / 1'000'000'000 - std::int64_t{day_start_s} + kDaySeconds) / kDaySeconds;
}

/// True if `equity` is so far below `base` as one of the two limits says; 0 = no limit.
bool is_lost(Money base, Money equity, Money limit, Ratio share) noexcept {
    const __int128 lost = static_cast<__int128>(base.value) - equity.value;
    const __int128 part = static_cast<__int128>(base.value) * share.value / kScale;
    return (limit.value > 0 && lost >= limit.value) ||
           (share.value > 0 && base.value > 0 && lost >= part);
}

void let_stand(AccountRisk& r, Nanos now) noexcept {
    if (r.known > 0 && now - r.sampled >= kEquityStands) {
        r.samples[1] = r.samples[2] = r.samples[0];
        r.known = std::max<std::uint64_t>(r.known, 3);
    }
}

Money middle_of(const AccountRisk& r) noexcept {
    const auto& [a, b, c] = r.samples;
    return std::max(std::min(a, b), std::min(std::max(a, b), c));
}

}  // namespace

AdminAnswer Engine::define_limits(const LimitSpec& spec) noexcept {
    if (spec.action > LossAction::Suspend || spec.on_slippage > SlippageAction::Close ||
        spec.day_start_s >= kDaySeconds) {
        return AdminAnswer::BadState;
    }
    if (spec.scope == LimitScope::Group) {
        const bool known = spec.id < kGroupsMax;
        if (!known || !groups_[spec.id].defined) {
            return known && groups_[spec.id].state == GroupState::Removed
                       ? AdminAnswer::GroupRemoved
                       : AdminAnswer::UnknownGroup;
        }
        group_risk_[spec.id].limits = spec;
        return AdminAnswer::Ok;
    }
    if (spec.scope != LimitScope::Account) {
        return AdminAnswer::UnknownScope;
    }
    Account* a = account_of(AccountId{spec.id});
    if (a == nullptr) {
        const bool removed = spec.id < capacity_.accounts && accounts_[spec.id].removed;
        return removed ? AdminAnswer::AccountRemoved : AdminAnswer::UnknownAccount;
    }
    AccountRisk& r = risk_of(*a);
    r.limits = spec;
    const bool lifted = (r.halt == Halt::DailyLoss && !spec.daily()) ||
                        (r.halt == Halt::Drawdown && !spec.drawdown());
    r.halt = lifted ? Halt::None : r.halt;
    r.slipped = spec.slippage() ? r.slipped : std::uint8_t{0};
    watch_losses(*a);
    update_account_state(*a);
    account_row(*a);
    return AdminAnswer::Ok;
}

AdminAnswer Engine::define_symbol_limits(const SymbolLimitSpec& spec) noexcept {
    if (spec.id.value >= kSymbolsMax || !symbols_[spec.id.value].defined) {
        return AdminAnswer::UnknownScope;
    }
    symbol_risk_[spec.id.value].limits = spec;
    return AdminAnswer::Ok;
}

/// What `o` exposes has changed from `before`: its account, group and symbol count anew.
void Engine::recount(const Order& o, Lots before) noexcept {
    const Lots now = exposure_of(o);
    if (now == before) {
        return;
    }
    const std::uint32_t more = before.value == 0 ? 1 : 0;
    const std::uint32_t less = now.value == 0 ? 1 : 0;
    AccountRisk& account = account_risk_[o.account.value];
    account.volume = account.volume + (now - before);
    account.positions += more - less;
    SymbolRisk& symbol = symbol_risk_[o.symbol.value];
    Lots& side = o.side == Side::Buy ? symbol.bought : symbol.sold;
    side = side + (now - before);
    symbol.positions += more - less;
    if (currencies_[0].defined) {
        recount_money(o, before, now);
    }
    if (const GroupId group = ledger_[o.signal].signal.group; group.value < kGroupsMax) {
        GroupRisk& all = group_risk_[group.value];
        all.volume = all.volume + (now - before);
        all.positions += more - less;
        GroupGuard& guard = group_guard_[group.value];
        Lots& one_side = o.side == Side::Buy ? guard.bought_volume : guard.sold_volume;
        one_side = one_side + (now - before);
    }
}

/// From the table, after a load: images of older formats have no counts. And when the common
/// currency changes: there were none before, or they were of another.
void Engine::recount_all() noexcept {
    unvalued_ = 0;
    for (std::uint32_t n = 0; n < capacity_.accounts; ++n) {
        account_risk_[n].volume = Lots{};
        account_risk_[n].positions = 0;
        account_guard_[n].notional = 0;
        account_guard_[n].unvalued = 0;
    }
    for (std::uint32_t n = 0; n < kGroupsMax; ++n) {
        group_risk_[n].volume = Lots{};
        group_risk_[n].positions = 0;
        group_guard_[n].bought = group_guard_[n].sold = 0;
        group_guard_[n].bought_volume = group_guard_[n].sold_volume = Lots{};
        group_guard_[n].unvalued = 0;
    }
    for (std::uint32_t n = 0; n < kSymbolsMax; ++n) {
        symbol_risk_[n].bought = symbol_risk_[n].sold = Lots{};
        symbol_risk_[n].positions = 0;
    }
    for (std::uint32_t i = 0; i < orders_.used(); ++i) {
        if (orders_.is_live(i)) {
            recount(orders_[i], Lots{});
        }
    }
}

/// The order itself is counted already. Only who has limits by symbol pays for a walk.
Reason Engine::check_limits(const Order& o, const Account& a) const noexcept {
    const AccountRisk& r = account_risk_[a.spec.id.value];
    const LimitSpec& l = r.limits;
    if (l.max_positions > 0 && r.positions > l.max_positions) {
        return Reason::MaxPositions;
    }
    if (l.max_volume.value > 0 && r.volume > l.max_volume) {
        return Reason::MaxVolume;
    }
    if (l.max_symbol_positions > 0 || l.max_symbol_volume.value > 0) {
        std::uint32_t positions = 0;
        Lots volume;
        for (std::uint32_t i = a.first_order; i != kNoId; i = orders_[i].next_in_account) {
            if (const Order& other = orders_[i]; other.symbol == o.symbol) {
                const Lots exposed = exposure_of(other);
                volume = volume + exposed;
                positions += exposed.value > 0 ? 1U : 0U;
            }
        }
        if (l.max_symbol_positions > 0 && positions > l.max_symbol_positions) {
            return Reason::MaxPositions;
        }
        if (l.max_symbol_volume.value > 0 && volume > l.max_symbol_volume) {
            return Reason::MaxVolume;
        }
    }
    return check_shared_limits(o);
}

/// Those of its group, and of its symbol over all accounts; counted with the order, too. What makes
/// a net position smaller is no more than it was, whatever its limit is by now.
Reason Engine::check_shared_limits(const Order& o) const noexcept {
    const GroupRisk& g = group_risk_[ledger_[o.signal].signal.group.value];
    if ((g.limits.max_positions > 0 && g.positions > g.limits.max_positions) ||
        (g.limits.max_volume.value > 0 && g.volume > g.limits.max_volume)) {
        return Reason::GroupLimit;
    }
    const SymbolRisk& s = symbol_risk_[o.symbol.value];
    const SymbolLimitSpec& l = s.limits;
    const Lots net = o.side == Side::Buy ? s.bought - s.sold : s.sold - s.bought;
    const bool full = (l.max_positions > 0 && s.positions > l.max_positions) ||
                      (l.max_volume.value > 0 && s.bought + s.sold > l.max_volume) ||
                      (l.max_net_volume.value > 0 && net > l.max_net_volume);
    return full ? Reason::SymbolLimit : Reason::None;
}

/// A reading of the account. Nothing in both says that its executor does not tell them (FIX).
void Engine::take_equity(Account& a, Money equity, Money balance) noexcept {
    if (equity.value == 0 && balance.value == 0) {
        return;
    }
    watch_losses(a);  // first what stood until now: a new day begins with it
    AccountRisk& r = risk_of(a);
    r.samples[2] = r.samples[1];
    r.samples[1] = r.samples[0];
    r.samples[0] = equity;
    r.sampled = g_.time;
    ++r.known;
    watch_losses(a);
}

/// Begins the account's day if it is time, and halts the account if it has lost too much. A day's
/// halt ends with the day, one by drawdown by an operator: else it would never end.
void Engine::watch_losses(Account& a) noexcept {
    AccountRisk& r = risk_of(a);
    const LimitSpec& l = r.limits;
    let_stand(r, g_.time);
    if (r.known < 3 || !(l.daily() || l.drawdown())) {
        return;
    }
    const Halt before = r.halt;
    const auto [worst, best] = std::minmax({r.samples[0], r.samples[1], r.samples[2]});
    const std::int64_t day = day_of(g_.time, l.day_start_s);
    if (r.day_start.value == 0 || day != r.day) {
        r.day = day;
        r.day_start = middle_of(r);
        r.halt = r.halt == Halt::DailyLoss ? Halt::None : r.halt;
    }
    r.peak = std::max(r.peak, worst);
    if (r.halt == Halt::None && is_lost(r.peak, best, l.max_drawdown, l.max_drawdown_share)) {
        r.halt = Halt::Drawdown;
    } else if (r.halt == Halt::None &&
               is_lost(r.day_start, best, l.max_daily_loss, l.max_daily_loss_share)) {
        r.halt = Halt::DailyLoss;
    }
    if (r.halt == before) {
        return;
    }
    if (r.halt != Halt::None) {
        const Reason why = r.halt == Halt::DailyLoss ? Reason::DailyLoss : Reason::Drawdown;
        alert(AlertCode::LossLimit, a.spec.id, nullptr, static_cast<std::uint64_t>(why));
    }
    update_account_state(a);
    account_row(a);
}

/// A deal of an entry. The collar and the deviation hold a price that moved a little; one that is
/// far worse says that a quote is wrong, here or at the broker, and so may the next one be (C16).
/// A limit or stop order is measured from its own price.
void Engine::watch_slippage(std::uint32_t i, Price filled) noexcept {
    const Order& o = orders_[i];
    Account& a = accounts_[o.account.value];
    AccountRisk& r = risk_of(a);
    const Price reference = o.price_kind == PriceKind::Market ? o.reference : o.price;
    if (r.limits.max_slippage == 0 || reference.value <= 0 || filled.value <= 0) {
        return;  // nobody knows what it was to cost, or what it did
    }
    const std::int64_t worse =
        o.side == Side::Buy ? filled.value - reference.value : reference.value - filled.value;
    const __int128 share = static_cast<__int128>(worse) * kScale / reference.value;
    if (static_cast<__int128>(worse) * kScale <=
        static_cast<__int128>(reference.value) * r.limits.max_slippage) {
        return;
    }
    alert(AlertCode::Slippage, o.account, &o,
          static_cast<std::uint64_t>(std::min<__int128>(share, INT64_MAX)));
    if (r.limits.on_slippage == SlippageAction::Close) {
        close_by_itself(i);
    }
    if (r.limits.slippage() && r.slipped == 0) {
        r.slipped = 1;
        update_account_state(a);
        account_row(a);
    }
}

/// An operator lets a halted account trade again: its losses count from here. Measured from the old
/// peak it would be halted again at once, for ever.
void Engine::measure_anew(Account& a) noexcept {
    AccountRisk& r = risk_of(a);
    r.paused_until = Nanos{};
    r.refused_in_row = 0;
    r.pauses = 0;
    r.slipped = 0;
    if (r.halt == Halt::None) {
        return;
    }
    r.halt = Halt::None;
    let_stand(r, g_.time);
    r.day_start = r.peak = middle_of(r);
    r.day = day_of(g_.time, r.limits.day_start_s);
}

/// What the account is wanted to be, but for what stops its entries; of two halts the stricter.
AccountState Engine::within_halt(const Account& a) const noexcept {
    const AccountRisk& r = account_risk_[a.spec.id.value];
    const bool lost = r.halt != Halt::None;
    const bool slipped = r.slipped != 0;
    const bool trades = a.wanted == AccountState::Trading || a.wanted == AccountState::ReduceOnly;
    if (!trades || !(lost || slipped)) {
        return a.wanted;
    }
    const bool suspends = (lost && r.limits.action == LossAction::Suspend) ||
                          (slipped && r.limits.on_slippage == SlippageAction::Suspend);
    return suspends ? AccountState::Suspended : AccountState::ReduceOnly;
}

/// Why the account's state lets an order not go.
Reason Engine::why_not(const Account& a) const noexcept {
    const AccountRisk& r = account_risk_[a.spec.id.value];
    if (a.wanted == AccountState::Trading && a.permitted) {
        const bool suspends = r.limits.on_slippage == SlippageAction::Suspend;
        if (r.slipped != 0 && (suspends || r.halt == Halt::None)) {
            return Reason::Slippage;
        }
        if (r.halt != Halt::None) {
            return r.halt == Halt::DailyLoss ? Reason::DailyLoss : Reason::Drawdown;
        }
    }
    return a.state == AccountState::ReduceOnly ? Reason::ReduceOnly : Reason::AccountNotTrading;
}

}  // namespace millrace
