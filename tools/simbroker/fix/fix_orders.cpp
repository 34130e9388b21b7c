#include "tools/simbroker/fix/fix_orders.h"

#include "tools/simbroker/trade_server.h"

namespace millrace::sim {

bool says_nothing(std::uint32_t code) noexcept {
    return code == 10011 || code == retcode::kTimeout || code == retcode::kConnection;
}

int ord_rej_reason(std::uint32_t code) noexcept {
    switch (code) {
        case retcode::kMarketClosed: return 2;    // exchange closed
        case retcode::kNoMoney: return 3;         // order exceeds limit
        case retcode::kInvalidVolume: return 13;  // incorrect quantity
        default: return 99;                       // other: the text has the code
    }
}

std::string refusal_text(std::uint32_t code) {
    return "refused by the trade server, code " + std::to_string(code);
}

const FixOrder* FixOrders::apply(const BookRecord& record) {
    if (record.kind == BookKind::Order) {
        return &make(record);
    }
    if (record.kind == BookKind::Refused) {
        return refused(record);
    }
    FixOrder* order = find_ticket(record.order);
    if (order == nullptr) {
        return nullptr;  // made by the server for a position, or by a person
    }
    if (record.kind == BookKind::Deal) {
        const __int128 before = static_cast<__int128>(order->average.value) * order->executed.value;
        const __int128 added = static_cast<__int128>(record.price) * record.volume;
        order->executed = order->executed + Lots{record.volume};
        order->average = Price{static_cast<std::int64_t>((before + added) / order->executed.value)};
        order->status =
            order->executed < order->requested ? OrdStatus::PartiallyFilled : OrdStatus::Filled;
    } else if (record.kind == BookKind::OrderCanceled) {
        order->status = OrdStatus::Canceled;
    } else if (record.kind == BookKind::OrderModified) {
        order->name = Magic{record.magic};
        order->price = Price{record.price};
        by_name_[record.magic] = by_ticket_.at(record.order);
    } else {
        return nullptr;
    }
    return order;
}

FixOrder& FixOrders::make(const BookRecord& record) {
    FixOrder order;
    order.name = Magic{record.magic};
    order.ticket = record.order;
    order.side = record.side;
    order.price_kind = record.price_kind;
    order.requested = Lots{record.volume};
    order.price = Price{record.price};
    order.symbol = record.symbol;
    by_name_[record.magic] = orders_.size();
    if (record.order != 0) {
        by_ticket_[record.order] = orders_.size();
    }
    return orders_.emplace_back(order);
}

/// Only what was an order by itself; and what it did before outweighs the refusal of a repeat.
const FixOrder* FixOrders::refused(const BookRecord& record) {
    if (record.command != CommandType::Open || knows(Magic{record.magic}) ||
        says_nothing(record.retcode)) {
        return nullptr;
    }
    FixOrder& order = make(record);
    // A requote is the market's refusal of an immediate-or-cancel order: nothing of it was filled.
    order.status = record.retcode == retcode::kRequote ? OrdStatus::Canceled : OrdStatus::Rejected;
    order.retcode = record.retcode;
    return &order;
}

FixOrder* FixOrders::find_ticket(std::uint64_t ticket) {
    const auto at = by_ticket_.find(ticket);
    return ticket == 0 || at == by_ticket_.end() ? nullptr : &orders_[at->second];
}

const FixOrder* FixOrders::by_ticket(std::uint64_t ticket) const {
    const auto at = by_ticket_.find(ticket);
    return ticket == 0 || at == by_ticket_.end() ? nullptr : &orders_[at->second];
}

const FixOrder* FixOrders::find(Magic name) const {
    const auto at = by_name_.find(name.value);
    if (at == by_name_.end() || orders_[at->second].name != name) {
        return nullptr;
    }
    return &orders_[at->second];
}

}  // namespace millrace::sim
