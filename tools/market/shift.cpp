#include "tools/market/shift.h"

#include "core/assert.h"
#include "tools/market/generator.h"
#include "tools/market/text.h"
#include "tools/market/trade_book.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace millrace::market {
namespace {

constexpr std::int64_t kDayNs = 86'400LL * 1'000'000'000;
// A pending whose distance cannot be known waits this far from the market: 0.05 %.
constexpr std::int64_t kDistance = kScale / 2'000;

bool meets(const TradeEvent& event, const PriceIndex& ticks) {
    const auto [first, last] = ticks.span(event.symbol);
    return ticks.has(event.symbol) && event.time >= first && event.time <= last;
}

std::int64_t day_of(Nanos time) noexcept {
    return time.value / kDayNs - (time.value % kDayNs < 0 ? 1 : 0);
}

std::int64_t scaled(std::int64_t value, std::int64_t numerator, std::int64_t denominator) {
    return denominator == 0
               ? value
               : static_cast<std::int64_t>(static_cast<__int128>(value) * numerator / denominator);
}

// Prices of one file onto the level of the ticks. The source's own market is known only from its
// fills: the last price traded in a symbol stands for it.
class Rescaler {
public:
    Rescaler(const PriceIndex& ticks, ShiftReport& report) : ticks_{ticks}, report_{report} {}

    void apply(TradeEvent& event, const Text<16>& source_symbol) {
        const auto quote = ticks_.at(event.symbol, event.time);
        if (!quote) {
            return;
        }
        const SymbolInfo info = ticks_.info(event.symbol);
        const Price now = event.side == Side::Buy ? quote->ask : quote->bid;
        Price& source_market = source_market_[source_symbol];
        const bool fill = event.action == TradeAction::Open ||
                          event.action == TradeAction::ClosePart ||
                          event.action == TradeAction::CloseAll;
        if ((fill && event.price.value > 0) || source_market.value == 0) {
            source_market = event.price;
        }
        Anchor& anchor = anchors_[event.key];
        if (event.action == TradeAction::Open) {
            anchor = {event.price, now};
        } else if (event.action == TradeAction::PlacePending) {
            const Price placed = pending_price(event, source_market, now, info);
            anchor = {event.price, placed};
        }
        rescale(event, anchor, now, info);
    }

private:
    struct Anchor {
        Price source;  // the trade's price in the file
        Price here;    // and on the ticks
    };

    Price pending_price(const TradeEvent& event, Price source_market, Price now,
                        const SymbolInfo& info) {
        const std::int64_t level = scaled(event.price.value, now.value, source_market.value);
        const bool below = (event.side == Side::Buy) == (event.price_kind == PriceKind::Limit);
        const std::int64_t least =
            std::max(scaled(now.value, kDistance, kScale), 3 * info.typical_spread.value);
        std::int64_t distance = below ? now.value - level : level - now.value;
        if (distance < least) {
            report_.flipped += distance < 0 ? 1U : 0U;
            distance = std::max(distance < 0 ? -distance : distance, least);
        }
        const std::int64_t price = below ? now.value - distance : now.value + distance;
        return Price{round_to_step(price, info.tick_size.value)};
    }

    void rescale(TradeEvent& event, const Anchor& anchor, Price now, const SymbolInfo& info) {
        if (event.action == TradeAction::CancelPending || event.action == TradeAction::CloseAll ||
            event.action == TradeAction::ClosePart) {
            event.price = Price{0};
            event.stop_loss = event.take_profit = Price{0};
            return;
        }
        const auto moved = [&](Price price) {
            return price.value == 0 ? price
                                    : Price{round_to_step(scaled(price.value, anchor.here.value,
                                                                 anchor.source.value),
                                                          info.tick_size.value)};
        };
        const bool pending = event.price_kind != PriceKind::Market;
        event.stop_loss = moved(event.stop_loss);
        event.take_profit = moved(event.take_profit);
        event.price = event.action == TradeAction::Open ? Price{0} : moved(event.price);
        ++report_.rescaled;
        // Against what the broker will compare them with.
        const Price reference = pending && event.price.value > 0 ? event.price : now;
        report_.stops_dropped +=
            drop_impossible_stops(event.side, reference, event.stop_loss, event.take_profit);
    }

    const PriceIndex& ticks_;
    ShiftReport& report_;
    std::map<Text<16>, Price> source_market_;
    std::map<std::uint64_t, Anchor> anchors_;
};

void substitute(std::vector<TradeEvent>& events, const PriceIndex& ticks, ShiftReport& report) {
    std::size_t next = 0;
    for (TradeEvent& event : events) {
        if (ticks.has(event.symbol) || ticks.symbols().empty()) {
            continue;
        }
        auto [it, fresh] = report.substituted.try_emplace(std::string{view_of(event.symbol)});
        if (fresh) {
            it->second = std::string{view_of(ticks.symbols()[next++ % ticks.symbols().size()])};
        }
        event.symbol = to_text<16>(it->second);
    }
}

/// Puts the first event where the ticks begin. They keep their distances if all of them fit so, and
/// are scaled into the ticks' span if not, or if `scale` asks for it.
void fit(std::vector<TradeEvent>& events, const PriceIndex& ticks, bool scale,
         ShiftReport& report) {
    const Nanos first = events.front().time;
    const std::int64_t span = std::max<std::int64_t>(1, (events.back().time - first).value);
    // A little room at both ends: the first event needs a quote, the last one an answer.
    const std::int64_t room = (ticks.end() - ticks.begin()).value / 50;
    const std::int64_t target = (ticks.end() - ticks.begin()).value - 2 * room;
    report.compressed = scale || span > target;
    report.to_begin = true;
    for (TradeEvent& event : events) {
        const std::int64_t since = (event.time - first).value;
        event.time =
            ticks.begin() + Nanos{room + (report.compressed ? scaled(since, target, span) : since)};
    }
}

/// Fewer than half of them meet a tick.
bool miss(const std::vector<TradeEvent>& events, const PriceIndex& ticks) {
    return coverage(events, ticks).inside * 2 < events.size();
}

}  // namespace

Coverage coverage(const std::vector<TradeEvent>& events, const PriceIndex& ticks) {
    Coverage c;
    c.events = events.size();
    for (const TradeEvent& event : events) {
        if (!ticks.has(event.symbol)) {
            ++c.outside_symbols;
        } else if (meets(event, ticks)) {
            ++c.inside;
        } else {
            ++c.outside_time;
        }
    }
    return c;
}

std::vector<TradeEvent> covered_only(const std::vector<TradeEvent>& events,
                                     const PriceIndex& ticks) {
    std::vector<TradeEvent> kept;
    std::set<std::uint64_t> opened;
    for (const TradeEvent& event : events) {
        const bool opens =
            event.action == TradeAction::Open || event.action == TradeAction::PlacePending;
        if (!meets(event, ticks) || (!opens && !opened.contains(event.key))) {
            continue;
        }
        opened.insert(event.key);
        kept.push_back(event);
    }
    return kept;
}

ShiftReport shift_onto(std::vector<TradeEvent>& events, const PriceIndex& ticks) {
    ShiftReport report;
    report.before = coverage(events, ticks);
    if (events.empty() || ticks.symbols().empty()) {
        return report;
    }
    std::vector<Text<16>> source_symbols;
    source_symbols.reserve(events.size());
    for (const TradeEvent& event : events) {
        source_symbols.push_back(event.symbol);
    }
    substitute(events, ticks, report);
    report.moved_days = day_of(ticks.begin()) - day_of(events.front().time);
    for (TradeEvent& event : events) {
        event.time = event.time + Nanos{report.moved_days * kDayNs};
    }
    if (miss(events, ticks)) {
        fit(events, ticks, false, report);
    }
    if (miss(events, ticks)) {
        fit(events, ticks, true, report);
    }
    Rescaler rescaler{ticks, report};
    for (std::size_t i = 0; i < events.size(); ++i) {
        rescaler.apply(events[i], source_symbols[i]);
    }
    report.after = coverage(events, ticks);
    return report;
}

std::vector<TradeEvent> random_trades(std::uint64_t seed, std::uint64_t count,
                                      const PriceIndex& ticks) {
    std::vector<TradeEvent> events;
    if (ticks.symbols().empty()) {
        return events;
    }
    Random random{seed};
    const auto span = static_cast<std::uint64_t>((ticks.end() - ticks.begin()).value);
    const auto moment = [&](std::uint64_t from_percent, std::uint64_t to_percent) {
        const std::uint64_t at =
            span / 100 * from_percent + random.below(span / 100 * (to_percent - from_percent) + 1);
        return ticks.begin() + Nanos{static_cast<std::int64_t>(at)};
    };
    for (std::uint64_t key = 1; events.size() < count; ++key) {
        TradeEvent event;
        event.key = key;
        event.symbol = ticks.symbols()[random.below(ticks.symbols().size())];
        event.side = random.below(2) == 0 ? Side::Buy : Side::Sell;
        event.volume = Lots{kScale / 100 * static_cast<std::int64_t>(1 + random.below(20))};
        event.time = moment(1, 90);
        const SymbolInfo info = ticks.info(event.symbol);
        const auto quote = ticks.at(event.symbol, event.time);
        ASSERT(quote.has_value());  // of a symbol that has ticks
        const Price now = event.side == Side::Buy ? quote->ask : quote->bid;
        const std::int64_t step = std::max(now.value / 1'000, 5 * info.typical_spread.value);
        const auto level = [&](std::int64_t from, std::int64_t steps) {
            return Price{round_to_step(from + steps * step, info.tick_size.value)};
        };
        const std::int64_t up = event.side == Side::Buy ? 1 : -1;
        const bool pending = random.below(4) == 0;
        event.action = pending ? TradeAction::PlacePending : TradeAction::Open;
        if (pending) {
            event.price_kind = random.below(2) == 0 ? PriceKind::Limit : PriceKind::Stop;
            event.price = level(now.value, event.price_kind == PriceKind::Limit ? -up : up);
        }
        const std::int64_t base = pending ? event.price.value : now.value;
        if (random.below(2) == 0) {
            event.stop_loss = level(base, -5 * up);
            event.take_profit = level(base, 5 * up);
        }
        event.line = events.size() + 1;
        events.push_back(event);
        TradeEvent end = event;
        end.time = event.time + Nanos{static_cast<std::int64_t>(random.below(span / 20 + 1) + 1)};
        end.price = end.stop_loss = end.take_profit = Price{0};
        if (!pending && random.below(4) == 0) {
            TradeEvent change = end;
            change.action = TradeAction::Modify;
            change.time = event.time + Nanos{(end.time - event.time).value / 2};
            change.stop_loss = level(base, -8 * up);
            change.take_profit = level(base, 8 * up);
            change.line = events.size() + 1;
            events.push_back(change);
        }
        end.action = pending ? TradeAction::CancelPending : TradeAction::CloseAll;
        end.line = events.size() + 1;
        events.push_back(end);
    }
    std::sort(events.begin(), events.end(), [](const TradeEvent& a, const TradeEvent& b) {
        return std::tie(a.time, a.line) < std::tie(b.time, b.line);
    });
    return events;
}

std::string describe(const ShiftReport& r) {
    std::string out =
        "shifted by " + std::to_string(r.moved_days) + " days" +
        (r.compressed ? " and scaled into the ticks' span"
         : r.to_begin ? " and moved to the ticks' beginning"
                      : "") +
        ": " + std::to_string(r.after.inside) + " of " + std::to_string(r.after.events) +
        " signals meet ticks (before: " + std::to_string(r.before.inside) + "), " +
        std::to_string(r.after.outside_time) + " outside their time, " + std::to_string(r.flipped) +
        " pendings put on the side where they can work, " + std::to_string(r.stops_dropped) +
        " stops dropped";
    for (const auto& [from, to] : r.substituted) {
        out.append(", ").append(from).append(" traded as ").append(to);
    }
    return out;
}

}  // namespace millrace::market
