// What is open while a trade file is read: joins closes, changes and fills to their opening.
#pragma once

#include "tools/market/trade_reader.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

namespace millrace::market {

/// One row of a trade file, parsed.
struct TradeRow {
    Nanos time;
    std::string_view account;
    std::string_view symbol;
    std::string_view event;
    std::string_view comment;
    std::optional<Side> side;  // nothing on balance rows
    PriceKind price_kind{};    // Market for plain buy and sell
    Lots volume;
    Price price;
    Price stop_loss;
    Price take_profit;
    std::int64_t profit = 0;  // 1e-8 of the account's currency
    bool has_profit = false;
    std::uint64_t ticket = 0;
    std::uint64_t position = 0;
    std::uint64_t line = 0;
};

/// An opening that is not closed yet.
struct OpenTrade {
    std::uint64_t key = 0;
    Side side{};
    PriceKind price_kind{};  // Limit, Stop: a pending
    bool pending = false;    // not filled yet
    Lots volume;             // still open
    Price price;
    Price stop_loss;
    Price take_profit;
    Text<16> symbol;
    Text<16> account;
};

/// Threads: one.
class TradeBook {
public:
    using Id = std::pair<std::string, std::uint64_t>;  // account, ticket or position number

    OpenTrade& add(const Id& id, const OpenTrade& trade) { return open_[id] = trade; }
    [[nodiscard]] OpenTrade* find(const Id& id);
    void remove(const Id& id) { open_.erase(id); }
    /// MT4: the rest of a partly closed trade goes on under another number.
    void rename(const Id& from, const Id& to);
    /// MT5: a closing deal does not name its position. The filled trade of that account and symbol
    /// on the other side whose volume and profit fit best, the oldest among equals.
    [[nodiscard]] std::optional<Id> match_close(const TradeRow& row);
    /// The trade whose rest `row` reopens: same account, symbol, side and price.
    [[nodiscard]] std::optional<Id> match_rest(const TradeRow& row);

private:
    std::map<Id, OpenTrade> open_;
};

/// Stops on the wrong side of `price` set to 0. @return how many there were.
unsigned drop_impossible_stops(Side side, Price price, Price& stop_loss,
                               Price& take_profit) noexcept;

}  // namespace millrace::market
