#include "tools/market/trade_book.h"

#include "core/assert.h"
#include "tools/market/symbols.h"
#include "tools/market/text.h"

#include <cstdlib>
#include <limits>

namespace millrace::market {
namespace {

// Profit that closing `trade` at `price` would bring, in the quote currency, 1e-8.
std::int64_t profit_at(const OpenTrade& trade, Lots volume, Price price) {
    const SymbolInfo info = infer_symbol(view_of(trade.symbol), 0);
    const std::int64_t move =
        trade.side == Side::Buy ? price.value - trade.price.value : trade.price.value - price.value;
    const __int128 units = static_cast<__int128>(volume.value) * info.contract_size / kScale;
    return static_cast<std::int64_t>(units * move / kScale);
}

}  // namespace

OpenTrade* TradeBook::find(const Id& id) {
    const auto it = open_.find(id);
    return it == open_.end() ? nullptr : &it->second;
}

void TradeBook::rename(const Id& from, const Id& to) {
    const auto it = open_.find(from);
    if (it != open_.end()) {
        const OpenTrade trade = it->second;
        open_.erase(it);
        open_[to] = trade;
    }
}

std::optional<TradeBook::Id> TradeBook::match_close(const TradeRow& row) {
    ASSERT(row.side.has_value());  // balance rows are no trades
    const Text<16> symbol = to_text<16>(row.symbol);
    std::optional<Id> best;
    std::int64_t best_miss = std::numeric_limits<std::int64_t>::max();
    bool best_whole = false;
    for (const auto& [id, trade] : open_) {
        if (trade.pending || id.first != row.account || trade.symbol != symbol ||
            trade.side == *row.side || trade.volume < row.volume) {
            continue;
        }
        const bool whole = trade.volume == row.volume;
        const std::int64_t miss =
            row.has_profit ? std::abs(profit_at(trade, row.volume, row.price) - row.profit) : 0;
        if ((whole && !best_whole) || (whole == best_whole && miss < best_miss)) {
            best = id;
            best_miss = miss;
            best_whole = whole;
        }
    }
    return best;
}

std::optional<TradeBook::Id> TradeBook::match_rest(const TradeRow& row) {
    ASSERT(row.side.has_value());  // balance rows are no trades
    const Text<16> symbol = to_text<16>(row.symbol);
    for (const auto& [id, trade] : open_) {
        if (!trade.pending && id.first == row.account && trade.symbol == symbol &&
            trade.side == *row.side && trade.price == row.price && trade.volume == row.volume) {
            return id;
        }
    }
    return std::nullopt;
}

unsigned drop_impossible_stops(Side side, Price price, Price& stop_loss,
                               Price& take_profit) noexcept {
    unsigned dropped = 0;
    const auto check = [&](Price& level, bool must_be_below) {
        const bool fits = must_be_below ? level < price : level > price;
        if (level.value != 0 && !fits) {
            level = Price{0};
            ++dropped;
        }
    };
    check(stop_loss, side == Side::Buy);
    check(take_profit, side == Side::Sell);
    return dropped;
}

}  // namespace millrace::market
