// What a deal does to a position: opening, adding, closing, netting, reversing.
#include "tools/simbroker/trade_server.h"

#include <algorithm>

namespace millrace::sim {
namespace {

// Volume-weighted average of two fills; both volumes > 0.
Price average(Price a, Lots a_volume, Price b, Lots b_volume) {
    const __int128 sum = static_cast<__int128>(a.value) * a_volume.value +
                         static_cast<__int128>(b.value) * b_volume.value;
    return Price{static_cast<std::int64_t>(sum / (a_volume.value + b_volume.value))};
}

}  // namespace

BookRecord TradeServer::deal_in(const Account& account, const Symbol& symbol,
                                const TradeRequest& request, Lots volume, Price price,
                                std::uint64_t order) {
    BookRecord deal = record_of(BookKind::Deal, account.login, request);
    deal.order = order;
    deal.deal = next_deal_++;
    deal.price = price.value;
    deal.volume = volume.value;
    if (account.margin_mode == MarginMode::Netting) {
        if (const Position* position = account.find_position(request.symbol)) {
            return net(account, *position, symbol, request, deal);
        }
    }
    deal.entry = Entry::In;
    deal.position = order;
    deal.position_ticket = order;
    deal.position_volume = request.side == Side::Buy ? volume.value : -volume.value;
    deal.open_price = price.value;
    return deal;
}

BookRecord TradeServer::net(const Account& account, const Position& position, const Symbol& symbol,
                            const TradeRequest& request, BookRecord deal) const {
    const std::int64_t signed_volume = deal.side == Side::Buy ? deal.volume : -deal.volume;
    deal.position = position.id;
    deal.position_ticket = position.ticket;
    deal.position_volume = position.volume + signed_volume;
    deal.open_price = position.open_price.value;
    // One pair of stops for the whole position: a new order that brings stops replaces them.
    const bool brings_stops = request.stop_loss.value != 0 || request.take_profit.value != 0;
    deal.stop_loss = brings_stops ? request.stop_loss.value : position.stop_loss.value;
    deal.take_profit = brings_stops ? request.take_profit.value : position.take_profit.value;
    if (position.side() == deal.side) {
        deal.entry = Entry::In;
        deal.open_price =
            average(position.open_price, position.lots(), Price{deal.price}, Lots{deal.volume})
                .value;
        return deal;
    }
    const std::int64_t closed = std::min(deal.volume, position.lots().value);
    const std::int64_t signed_closed = position.volume > 0 ? closed : -closed;
    deal.profit = profit_of(account, symbol, signed_closed, position.open_price, Price{deal.price});
    deal.balance += deal.profit;
    const bool reversed = deal.volume > position.lots().value;
    deal.entry = reversed ? Entry::InOut : Entry::Out;
    if (reversed) {
        deal.open_price = deal.price;
        deal.position_ticket = deal.order;  // the identifier stays (mt5.md 2.1)
        deal.stop_loss = request.stop_loss.value;
        deal.take_profit = request.take_profit.value;
    }
    return deal;
}

BookRecord TradeServer::deal_out(const Account& account, const Position& position,
                                 const Symbol& symbol, Lots volume, Price price,
                                 std::uint64_t order, std::uint64_t magic) {
    BookRecord deal = record_of(BookKind::Deal, account.login, {});
    const bool is_long = position.volume > 0;
    const std::int64_t signed_volume = is_long ? volume.value : -volume.value;
    deal.command = CommandType::Close;
    deal.magic = magic;
    deal.side = opposite(position.side());
    deal.entry = Entry::Out;
    deal.order = order;
    deal.deal = next_deal_++;
    deal.position = position.id;
    deal.position_ticket = position.ticket;
    deal.volume = volume.value;
    deal.price = price.value;
    deal.stop_loss = position.stop_loss.value;
    deal.take_profit = position.take_profit.value;
    deal.position_volume = position.volume - signed_volume;
    deal.open_price = position.open_price.value;
    deal.profit = profit_of(account, symbol, signed_volume, position.open_price, price);
    deal.balance += deal.profit;
    deal.symbol = position.symbol;
    deal.comment = position.comment;
    return deal;
}

/// On a netting account a close is a deal to the other side of what it closes, whatever the
/// position has become meanwhile: it may be smaller than the close, or stand on the other side.
bool TradeServer::offsets(const Account& account, const Position& position,
                          const TradeRequest& request) noexcept {
    return account.margin_mode == MarginMode::Netting && request.reason == ExecKind::None &&
           request.volume.value > 0 &&
           (request.side == position.side() || request.volume > position.lots());
}

}  // namespace millrace::sim
