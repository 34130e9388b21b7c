// Sizing and pre-trade checks: what one account may send, decided from the inputs alone.
#include "core/engine.h"
#include "core/signal_bounds.h"

#include <algorithm>
#include <cstdint>

namespace millrace {
namespace {

constexpr std::int64_t kToken = 1'000'000'000;  // one request, in the bucket's unit
constexpr Nanos kRateStep = seconds(10);        // a rate that was cut grows by a step after each
constexpr std::uint32_t kRateCutMost = 16;      // never below this part of it
constexpr std::uint8_t kRefusedInRow = 3;       // then a pause of 60, 120, 240 s (C20)
constexpr std::uint8_t kPausesMax = 3;
constexpr std::int64_t kPauseSeconds = 60;

Lots floor_to_step(__int128 volume, Lots step) noexcept {
    if (volume >= 0 && volume <= kVolumeMax && step.value > 0) {  // a quarter of the time
        const auto v = static_cast<std::int64_t>(volume);
        return Lots{v - v % step.value};
    }
    const __int128 s = step.value > 0 ? step.value : 1;
    const __int128 v = volume > 0 ? volume / s * s : 0;
    // A step beyond what a symbol may allow: refused by any, and what waits can be added up.
    return Lots{static_cast<std::int64_t>(v > kVolumeMax ? kVolumeMax + s : v)};
}

/// The step after `rate`: quick up to nine tenths of what was too much last, then by a fiftieth to
/// see whether the broker takes more by now, and quick again once it does.
std::uint32_t faster(std::uint32_t rate, std::uint32_t knee) noexcept {
    const std::uint32_t near = knee / 10 * 9;
    if (rate < near) {
        return std::min(near, rate + rate / 2 + 1);
    }
    return rate + 1 + (rate <= knee + knee / 50 ? knee / 50 : rate / 4);
}

/// Entries in 1000 s that the account's spec allows.
std::uint32_t configured_milli(const Account& a) noexcept {
    constexpr std::uint32_t kMax = 1'000'000;
    return std::clamp(a.spec.rate_per_second, 1U, kMax) * 1000;
}

}  // namespace

bool Engine::has_price() const noexcept {
    const JournalRecord& r = *record_;
    if (r.bid.value <= 0 || r.ask.value <= 0) {
        return false;
    }
    const std::int64_t age_max = g_.risk.tick_age_max_ns;
    return age_max == 0 || g_.time.value - r.tick_time.value <= age_max;
}

Price Engine::market_price(Side side) const noexcept {
    return side == Side::Buy ? record_->ask : record_->bid;
}

Lots Engine::sized_volume(const Signal& s, const Account& a, const MemberSpec& m,
                          const SymbolSpec& spec) const noexcept {
    switch (m.sizing) {
        case SizingMode::Fixed: return floor_to_step(m.value, spec.volume_step);
        case SizingMode::Multiplier:
            if (m.value == kScale) {
                return floor_to_step(s.volume.value, spec.volume_step);
            }
            return floor_to_step(static_cast<__int128>(s.volume.value) * m.value / kScale,
                                 spec.volume_step);
        case SizingMode::EquityShare: {
            // lots = equity x share / (price x contract size); each factor in 1e-8.
            const Price px = s.price.value != 0 ? s.price : market_price(s.side);
            if (px.value <= 0 || spec.contract_size <= 0 || a.equity.value <= 0) {
                return Lots{0};
            }
            if (is_converted(a, s.symbol)) {
                const Lots wanted = share_of_equity(a, s.symbol, px, m.value);
                return floor_to_step(wanted.value, spec.volume_step);
            }
            const __int128 money = static_cast<__int128>(a.equity.value) * m.value / kScale;
            const __int128 lot = static_cast<__int128>(px.value) * spec.contract_size / kScale;
            return lot == 0 ? Lots{0} : floor_to_step(money * kScale / lot, spec.volume_step);
        }
    }
    return Lots{0};
}

Reason Engine::check_price(const Order& o) const noexcept {
    if (!has_price()) {
        return o.price_kind == PriceKind::Market ? Reason::NoPrice : Reason::None;
    }
    if (o.price_kind != PriceKind::Market || o.reference.value <= 0) {
        return Reason::None;
    }
    const Ratio own = symbols_[o.symbol.value].spec.collar;
    const std::int64_t collar = own.value > 0 ? own.value : g_.risk.collar.value;
    const std::int64_t moved = market_price(o.side).value - o.reference.value;
    const __int128 away = static_cast<__int128>(moved < 0 ? -moved : moved) * kScale;
    const bool beyond = away > static_cast<__int128>(o.reference.value) * collar ||
                        ((symbols_[o.symbol.value].guarded & kGuardCollar) != 0 &&
                         is_beyond_collar(o, moved < 0 ? -moved : moved));
    return beyond ? Reason::PriceCollar : Reason::None;
}

Reason Engine::check_entry(const Order& o, Account& a, Nanos now) noexcept {
    const SymbolSpec& spec = symbols_[o.symbol.value].spec;
    if (is_blocked(o, a)) {
        return Reason::SymbolBlocked;
    }
    if (o.volume > spec.volume_max || (a.spec.max_lots.value > 0 && o.volume > a.spec.max_lots)) {
        return Reason::MaxLots;
    }
    // The order itself is among live_orders already.
    if (a.spec.max_open_orders > 0 && a.live_orders + a.open_positions > a.spec.max_open_orders) {
        return Reason::MaxOpenOrders;
    }
    if (const Reason hours = check_hours(o, a); hours != Reason::None) {
        return hours;
    }
    if (const Reason limit = check_limits(o, a); limit != Reason::None) {
        return limit;
    }
    if (const Reason price = check_price(o); price != Reason::None) {
        return price;
    }
    if (const Reason money = check_money(o, a); money != Reason::None) {
        return money;
    }
    const bool first = o.attempt == 0 && o.origin == Origin::Signal;
    const bool repeated = first && is_recent_duplicate(o, a, now);
    if (repeated && a.spec.on_duplicate != DuplicateAction::Alert) {
        return Reason::DuplicateOrder;
    }
    if (!take_token(a, now)) {
        return Reason::RateLimit;
    }
    if (repeated) {
        alert(AlertCode::DuplicateOrder, o.account, &o, a.spec.duplicate_window_ms);
    }
    return Reason::None;
}

/// Grows a rate that was cut, by the steps that are over by `now`.
void Engine::quicken(Account& a, Nanos now) noexcept {
    AccountRisk& r = risk_of(a);
    const std::uint32_t full = configured_milli(a);
    while (r.rate_milli != 0 && now - a.rate_changed >= kRateStep) {
        a.rate_changed = a.rate_changed + kRateStep;
        r.rate_milli = faster(r.rate_milli, r.knee_milli);
        if (r.rate_milli >= full) {
            r.rate_milli = r.knee_milli = 0;
        }
    }
}

/// The broker asks for less (10024): the rate is halved, once for all that was sent in one second;
/// three entries in a row and the account sends none for a while; after three such pauses without
/// anything done between them it is an operator's.
void Engine::slow_down(std::uint32_t i) noexcept {
    const Order& o = orders_[i];
    Account& a = accounts_[o.account.value];
    AccountRisk& r = risk_of(a);
    const std::uint32_t full = configured_milli(a);
    if (r.cut.value != 0 && g_.time - r.cut < seconds(1)) {
        return;
    }
    quicken(a, g_.time);
    r.knee_milli = r.rate_milli != 0 ? r.rate_milli : full;
    r.rate_milli = std::max(r.knee_milli / 2, full / kRateCutMost);
    a.rate_changed = r.cut = g_.time;
    // Closes are never kept back, so what they are told makes no pause, and neither does what was
    // sent before one began: the way out stays open.
    if (o.type != CommandType::Open || g_.time < r.paused_until ||
        ++r.refused_in_row < kRefusedInRow) {
        return;
    }
    r.refused_in_row = 0;
    if (r.pauses < kPausesMax) {
        const std::int64_t pause = kPauseSeconds << r.pauses++;
        r.paused_until = g_.time + seconds(pause);
        alert(AlertCode::RatePaused, o.account, &o, static_cast<std::uint64_t>(pause));
    } else if (a.wanted != AccountState::Suspended) {
        stop_account(a, AccountState::Suspended);
        alert(AlertCode::AccountSuspended, o.account, &o, retcode::kTooManyRequests);
    }
}

/// Token bucket per account (mt5.md 1.4): rate and burst from its spec, both less after a 10024.
bool Engine::take_token(Account& a, Nanos now) noexcept {
    quicken(a, now);
    const AccountRisk& r = risk_of(a);
    // rate tokens a second = rate units a nanosecond; whole seconds beyond `full` change nothing.
    __int128 filled = now.value - a.tokens_time.value;
    std::int64_t full = std::int64_t{std::max(1U, a.spec.rate_burst)} * kToken;
    if (r.rate_milli == 0) {
        filled = filled * std::max(1U, a.spec.rate_per_second) + a.tokens;
    } else {  // divisions of 128 bits, for those that are slowed down alone
        const __int128 part = static_cast<__int128>(full) * r.rate_milli / configured_milli(a);
        full = std::max(kToken, static_cast<std::int64_t>(part));
        filled = filled * r.rate_milli / 1000 + a.tokens;
    }
    a.tokens = filled > full ? full : static_cast<std::int64_t>(filled);
    a.tokens_time = now;
    if (now < r.paused_until || a.tokens < kToken) {
        return false;
    }
    a.tokens -= kToken;
    return true;
}

/// Remembers what may leave: one that is refused begins no window of its own.
bool Engine::is_recent_duplicate(const Order& o, Account& a, Nanos now) noexcept {
    if (a.spec.duplicate_window_ms == 0) {
        return false;
    }
    const std::int64_t window = std::int64_t{a.spec.duplicate_window_ms} * 1'000'000;
    const bool repeated =
        std::any_of(std::begin(a.recent), std::end(a.recent), [&](const RecentOrder& r) {
            return r.symbol == o.symbol && r.side == o.side && r.volume == o.volume &&
                   now.value - r.time.value < window;
        });
    if (repeated && a.spec.on_duplicate != DuplicateAction::Alert) {
        return true;
    }
    RecentOrder& slot = a.recent[a.recent_next];
    a.recent_next = (a.recent_next + 1) % 8;
    slot.symbol = o.symbol;
    slot.side = o.side;
    slot.volume = o.volume;
    slot.time = now;
    return repeated;
}

/// Why this entry may not leave, whatever its account says. None for whatever is no entry.
Reason Engine::barred(const Order& o) const noexcept {
    if (o.type != CommandType::Open) {
        return Reason::None;
    }
    if ((kill_actions(o) & kKillStop) != 0) {
        return Reason::Killed;
    }
    const GroupId group = ledger_[o.signal].signal.group;
    return groups_[group.value].state == GroupState::Paused ? Reason::GroupPaused : Reason::None;
}

std::uint8_t Engine::kill_actions(const Order& o) const noexcept {
    const SignalEntry& e = ledger_[o.signal];
    std::uint8_t k = g_.killed_all;
    k = static_cast<std::uint8_t>(k | accounts_[o.account.value].killed);
    k = static_cast<std::uint8_t>(k | symbols_[o.symbol.value].killed);
    k = static_cast<std::uint8_t>(k | groups_[e.signal.group.value].killed);
    if (o.source.value < kSourcesMax) {
        k = static_cast<std::uint8_t>(k | sources_[o.source.value].killed);
    }
    return k;
}

}  // namespace millrace
