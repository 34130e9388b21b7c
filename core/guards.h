// Guards: what entries are held to besides positions, lots and losses: money, hours, quotes, and
// how often orders are changed. Admin records, as those of admin.h; what a configuration does not
// name before its ConfigCommit ends with it.
//
// Money of accounts in several currencies is compared in one, the common currency: the first that
// is defined. What one of another currency is worth is told by the quote of a symbol that the two
// are traded in (a Rate record), or by the configuration.
#pragma once

#include "core/types.h"

#include <cstdint>

namespace millrace {

inline constexpr std::uint32_t kCurrenciesMax = 32;
/// Names a currency in an account or symbol: 1 + its index; this is none.
inline constexpr std::uint8_t kNoCurrency = 0;

/// One currency. Index 0 is the common one: its rate is 1.
struct CurrencySpec {
    std::uint32_t index = kNoId;
    std::uint32_t age_max_ms = 60'000;  // an older quote says nothing; 0 = any age
    Text<8> name;
    Ratio rate;                // common units for one of it, where no quote says so; 0 = none
    SymbolId cross{kNoId};     // whose quotes say its rate; kNoId = none
    std::uint8_t inverse = 0;  // of `cross`: 1 = its price is in this one (USDJPY), 0 = in the
                               // common one (EURUSD)
    std::uint8_t reserved[3] = {};
};

enum class LimitScope : std::uint8_t { Account = 0, Group = 1 };

/// Limits in money; 0 = none. Notional of an order: lots x contract size x price when it was made,
/// in the common currency, in whole units, rounded up; entries count that are open and on their
/// way, buys and sells added. Refused too is what cannot be measured, for want of a rate.
struct MoneyLimitSpec {
    LimitScope scope{};
    std::uint8_t currency = kNoCurrency;  // the account's; a group's limits are in the common one
    std::uint8_t margin_check = 0;        // 1: what the free margin cannot carry is refused
    std::uint8_t reserved = 0;
    std::uint32_t id = kNoId;  // account or group
    Money max_order_notional;  // accounts
    Money max_notional;
    Ratio max_order_leverage;  // accounts: of one order's notional to the equity
    Ratio max_leverage;        // accounts: of all notional to the equity
    Money max_net_notional;    // groups: of the side that is more, without what the other offsets
    Lots max_net_volume;       // groups: the same in lots
    std::uint32_t changes_per_minute = 0;  // accounts: modifies; cancels count, and always go
    std::uint32_t reserved2 = 0;
    [[nodiscard]] bool measures() const noexcept {
        return max_order_notional.value > 0 || max_notional.value > 0 ||
               max_order_leverage.value > 0 || max_leverage.value > 0 || max_net_notional.value > 0;
    }
};

enum class HoursScope : std::uint8_t { Account = 0, Symbol = 1 };
inline constexpr std::uint32_t kWeekMinutes = 7 * 24 * 60;
inline constexpr std::uint32_t kWindowsMax = 16;

/// From one minute of the week, UTC, Monday 00:00 = 0, up to before another one; over the week's
/// end if `to` is not above `from`.
struct Window {
    std::uint16_t from = 0;
    std::uint16_t to = 0;
    [[nodiscard]] constexpr bool holds(std::uint32_t minute) const noexcept {
        return from < to ? minute >= from && minute < to : minute >= from || minute < to;
    }
};

/// When entries may leave. Closes, modifies and cancels always may.
struct HoursSpec {
    HoursScope scope{};
    std::uint8_t count = 0;  // of windows; 0 = at any time
    std::uint8_t reserved[2] = {};
    std::uint32_t id = kNoId;           // account or symbol
    std::uint16_t week_closes = 0;      // minute of the week
    std::uint16_t week_opens = 0;       // the same
    std::uint16_t flat_before_min = 0;  // no entries from so long before it closes until it opens;
                                        // 0 = positions may be held over it. Accounts
    std::uint16_t reserved2 = 0;
    Window windows[kWindowsMax] = {};
};

/// What a symbol's price is in, and how far it may have moved from the reference, besides
/// SymbolSpec::collar; each 0 = no limit.
struct SymbolGuardSpec {
    SymbolId id{kNoId};
    std::uint8_t currency = kNoCurrency;  // of its profit
    std::uint8_t reserved[3] = {};
    std::uint32_t collar_points = 0;  // of its digits
    std::uint32_t reserved2 = 0;
    Ratio collar_spreads;  // times the present spread
};

static_assert(sizeof(CurrencySpec) == 32 && sizeof(MoneyLimitSpec) == 64);
static_assert(sizeof(HoursSpec) == 80 && sizeof(SymbolGuardSpec) == 24 && sizeof(Window) == 4);

}  // namespace millrace
