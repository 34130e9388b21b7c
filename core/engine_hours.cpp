// When entries may leave, how far a price may have moved in points and spreads, and how often an
// account's orders are changed. Closes and cancels pass all of it.
#include "core/engine.h"

#include <algorithm>

namespace millrace {
namespace {

constexpr std::int64_t kChange = 1'000'000'000;  // one change, in the bucket's unit
constexpr std::int64_t kMinute = 60'000'000'000;

/// Minutes since a Monday 00:00 UTC; 1970 began on a Thursday.
std::int64_t monday_minutes(Nanos now) noexcept {
    return now.value / kMinute + std::int64_t{3} * 24 * 60;
}
std::uint32_t minute_of_week(Nanos now) noexcept {
    return static_cast<std::uint32_t>(monday_minutes(now) % kWeekMinutes);
}

bool is_valid(const HoursSpec& spec) noexcept {
    const auto wrong = [](const Window& w) {
        return w.from >= kWeekMinutes || w.to >= kWeekMinutes;
    };
    return spec.count <= kWindowsMax && spec.week_closes < kWeekMinutes &&
           spec.week_opens < kWeekMinutes && spec.flat_before_min < kWeekMinutes &&
           std::none_of(std::begin(spec.windows), std::begin(spec.windows) + spec.count, wrong);
}

bool is_open(const HoursSpec& h, std::uint32_t minute) noexcept {
    return h.count == 0 || std::any_of(std::begin(h.windows), std::begin(h.windows) + h.count,
                                       [minute](const Window& w) { return w.holds(minute); });
}

/// From `flat_before_min` before the week closes until it opens.
bool is_week_end(const HoursSpec& h, std::uint32_t minute) noexcept {
    const std::uint32_t from = (h.week_closes + kWeekMinutes - h.flat_before_min) % kWeekMinutes;
    return h.flat_before_min > 0 &&
           Window{static_cast<std::uint16_t>(from), h.week_opens}.holds(minute);
}

}  // namespace

AdminAnswer Engine::define_hours(const HoursSpec& spec) noexcept {
    if (spec.scope > HoursScope::Symbol) {
        return AdminAnswer::UnknownScope;
    }
    if (!is_valid(spec)) {
        return AdminAnswer::BadState;
    }
    const bool any = spec.count > 0 || spec.flat_before_min > 0;
    const auto mark = [any](std::uint8_t& guarded) {
        const unsigned kept = guarded & ~unsigned{kGuardHours};
        guarded = static_cast<std::uint8_t>(kept | (any ? kGuardHours : 0U));
    };
    if (spec.scope == HoursScope::Symbol) {
        if (spec.id >= kSymbolsMax || !symbols_[spec.id].defined) {
            return AdminAnswer::UnknownScope;
        }
        symbol_guard_[spec.id].hours = spec;
        symbol_guard_[spec.id].named |= kNamedHours;
        mark(symbols_[spec.id].guarded);
        return AdminAnswer::Ok;
    }
    Account* a = account_of(AccountId{spec.id});
    if (a == nullptr) {
        return AdminAnswer::UnknownAccount;
    }
    account_guard_[spec.id].hours = spec;
    account_guard_[spec.id].named |= kNamedHours;
    mark(a->guarded);
    return AdminAnswer::Ok;
}

AdminAnswer Engine::define_symbol_guard(const SymbolGuardSpec& spec) noexcept {
    if (spec.id.value >= kSymbolsMax || !symbols_[spec.id.value].defined) {
        return AdminAnswer::UnknownScope;
    }
    if (spec.currency > kCurrenciesMax) {
        return AdminAnswer::BadState;
    }
    SymbolGuard& g = symbol_guard_[spec.id.value];
    g.spec = spec;
    g.named |= kNamedQuotes;
    std::uint8_t& guarded = symbols_[spec.id.value].guarded;
    const bool any = spec.collar_points > 0 || spec.collar_spreads.value > 0;
    const unsigned kept = guarded & ~unsigned{kGuardCollar};
    guarded = static_cast<std::uint8_t>(kept | (any ? kGuardCollar : 0U));
    value_rest();
    return AdminAnswer::Ok;
}

Reason Engine::check_hours(const Order& o, const Account& a) const noexcept {
    const SymbolState& symbol = symbols_[o.symbol.value];
    if (((a.guarded | symbol.guarded) & kGuardHours) == 0) {
        return Reason::None;
    }
    const std::uint32_t minute = minute_of_week(g_.time);
    const HoursSpec& own = account_guard_[a.spec.id.value].hours;
    if (!is_open(own, minute) || !is_open(symbol_guard_[o.symbol.value].hours, minute)) {
        return Reason::OutsideHours;
    }
    return is_week_end(own, minute) ? Reason::WeekEnd : Reason::None;
}

/// Tells once a week that an account still holds positions which it is not to hold over its end.
/// Nothing closes them: whoever sends the signals knows at what price that is worth it.
void Engine::watch_week(const Account& a) noexcept {
    if ((a.guarded & kGuardHours) == 0 || a.open_positions == 0) {
        return;
    }
    AccountGuard& g = account_guard_[a.spec.id.value];
    const std::int64_t week = 1 + monday_minutes(g_.time) / kWeekMinutes;
    if (g.told_week != week && is_week_end(g.hours, minute_of_week(g_.time))) {
        g.told_week = week;
        alert(AlertCode::WeekEnd, a.spec.id, nullptr, a.open_positions);
    }
}

/// Modifies are refused when the bucket is empty; cancels, which make less, use it and always go.
/// An order's own retries are no new changes.
Reason Engine::check_change(const Order& o, const Account& a) noexcept {
    const bool modifies = o.type == CommandType::Modify;
    if ((a.guarded & kGuardChanges) == 0 || o.attempt > 0 ||
        !(modifies || o.type == CommandType::Cancel)) {
        return Reason::None;
    }
    AccountGuard& g = account_guard_[a.spec.id.value];
    const std::int64_t n = g.money.changes_per_minute;
    const __int128 grown =
        static_cast<__int128>(g_.time.value - g.changes_time.value) * n * kChange / kMinute;
    g.change_tokens = static_cast<std::int64_t>(
        std::min<__int128>(grown + g.change_tokens, static_cast<__int128>(n) * kChange));
    g.changes_time = g_.time;
    if (g.change_tokens < kChange) {
        return modifies ? Reason::ChangeRate : Reason::None;
    }
    g.change_tokens -= kChange;
    return Reason::None;
}

/// @param moved how far the price is from the reference, either way.
bool Engine::is_beyond_collar(const Order& o, std::int64_t moved) const noexcept {
    const SymbolGuardSpec& l = symbol_guard_[o.symbol.value].spec;
    std::int64_t point = kScale;
    for (std::uint32_t n = 0; n < symbols_[o.symbol.value].spec.digits && point > 1; ++n) {
        point /= 10;
    }
    const std::int64_t spread = record_->ask.value - record_->bid.value;
    return (l.collar_points > 0 && moved > static_cast<__int128>(point) * l.collar_points) ||
           (l.collar_spreads.value > 0 && spread > 0 &&
            static_cast<__int128>(moved) * kScale >
                static_cast<__int128>(spread) * l.collar_spreads.value);
}

}  // namespace millrace
