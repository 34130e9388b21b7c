// Puts a trade file onto the ticks' days, symbols and prices, so that any pair of files gives work.
#pragma once

#include "tools/market/price_index.h"
#include "tools/market/trade_reader.h"

#include <string>
#include <vector>

namespace millrace::market {

/// What does not meet the ticks, as the files stand.
struct Coverage {
    std::uint64_t events = 0;
    std::uint64_t inside = 0;        // time and symbol have ticks
    std::uint64_t outside_time = 0;  // symbol has ticks, but not at that time
    std::uint64_t outside_symbols = 0;
};
[[nodiscard]] Coverage coverage(const std::vector<TradeEvent>& events, const PriceIndex& ticks);

/// Leaves only events that meet the ticks, and drops those whose opening was dropped.
[[nodiscard]] std::vector<TradeEvent> covered_only(const std::vector<TradeEvent>& events,
                                                   const PriceIndex& ticks);

struct ShiftReport {
    std::int64_t moved_days = 0;      // whole days, so the time of day stays
    bool to_begin = false;            // days alone did not do: moved to the ticks' first moments
    bool compressed = false;          // nor did that: times were scaled, too
    std::uint64_t rescaled = 0;       // prices, stops moved to the ticks' level
    std::uint64_t flipped = 0;        // pendings put on the side where they can work
    std::uint64_t stops_dropped = 0;  // stops that no price near the market allows
    std::map<std::string, std::string> substituted;  // symbol without ticks -> symbol used
    Coverage before;
    Coverage after;
};

/// Moves events by whole days to the first day of the ticks; if then fewer than half of them meet a
/// tick, to the ticks' beginning; if they are longer than the ticks, scales their times into the
/// ticks' span instead. Symbols without ticks are replaced by ones that have some, in turn: what is
/// traded so is another thing at another price, only sides, volumes and times are the file's.
/// Prices of pendings and all stops keep their ratio to the market.
/// @param events changed in place; stays sorted by time.
[[nodiscard]] ShiftReport shift_onto(std::vector<TradeEvent>& events, const PriceIndex& ticks);

/// Signals from a seed: opens, pendings, changes, closes of them, spread over the ticks' span.
/// @param count events at least; every opening is ended by a close or cancel.
[[nodiscard]] std::vector<TradeEvent> random_trades(std::uint64_t seed, std::uint64_t count,
                                                    const PriceIndex& ticks);

[[nodiscard]] std::string describe(const ShiftReport& report);

}  // namespace millrace::market
