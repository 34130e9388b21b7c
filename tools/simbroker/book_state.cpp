#include "tools/simbroker/book_state.h"

#include "core/assert.h"

#include <algorithm>
#include <tuple>

namespace millrace::sim {
namespace {

void set_armed(std::set<Trigger>& levels, const Trigger& trigger, bool on) {
    if (trigger.price == 0) {
        return;  // 0 = no such level
    }
    if (on) {
        levels.insert(trigger);
    } else {
        levels.erase(trigger);
    }
}

}  // namespace

const Position* Account::find_position(std::uint64_t ticket) const noexcept {
    if (const auto it = positions.find(ticket); it != positions.end()) {
        return &it->second;
    }
    for (const auto& [id, position] : positions) {
        if (margin_mode == MarginMode::Netting && position.ticket == ticket) {
            return &position;
        }
    }
    return nullptr;
}

const Position* Account::find_position(const Text<16>& symbol) const noexcept {
    for (const auto& [id, position] : positions) {
        if (position.symbol == symbol) {
            return &position;
        }
    }
    return nullptr;
}

std::vector<Trigger> TriggerBook::hit_by(Price bid, Price ask) const {
    std::vector<Trigger> hit;
    const auto falls = [&hit](const std::set<Trigger>& levels, std::int64_t price) {
        hit.insert(hit.end(), levels.lower_bound(Trigger{price, 0, 0, {}}), levels.end());
    };
    const auto rises = [&hit](const std::set<Trigger>& levels, std::int64_t price) {
        hit.insert(hit.end(), levels.begin(), levels.lower_bound(Trigger{price + 1, 0, 0, {}}));
    };
    falls(bid_falls_to, bid.value);
    rises(bid_rises_to, bid.value);
    falls(ask_falls_to, ask.value);
    rises(ask_rises_to, ask.value);
    // A gap can reach both levels of one position: the stop loss is the one that counts.
    std::sort(hit.begin(), hit.end(), [](const Trigger& a, const Trigger& b) {
        return std::tie(a.kind, a.login, a.id) < std::tie(b.kind, b.login, b.id);
    });
    return hit;
}

Account* BookState::find(std::uint64_t login) noexcept {
    const auto it = accounts_.find(login);
    return it == accounts_.end() ? nullptr : &it->second;
}
const Account* BookState::find(std::uint64_t login) const noexcept {
    const auto it = accounts_.find(login);
    return it == accounts_.end() ? nullptr : &it->second;
}

void BookState::arm(const Account& account, const Position& position, bool on) {
    TriggerBook& book = triggers_[position.symbol];
    const Trigger stop{position.stop_loss.value, account.login, position.id, TriggerKind::StopLoss};
    const Trigger take{position.take_profit.value, account.login, position.id,
                       TriggerKind::TakeProfit};
    // A long position closes at the bid, a short one at the ask.
    const bool is_long = position.volume > 0;
    set_armed(is_long ? book.bid_falls_to : book.ask_rises_to, stop, on);
    set_armed(is_long ? book.bid_rises_to : book.ask_falls_to, take, on);
}

void BookState::arm(const Account& account, const WorkingOrder& order, bool on) {
    TriggerBook& book = triggers_[order.symbol];
    const Trigger trigger{order.price.value, account.login, order.ticket, TriggerKind::Order};
    const bool limit = order.price_kind == PriceKind::Limit;
    if (order.side == Side::Buy) {
        set_armed(limit ? book.ask_falls_to : book.ask_rises_to, trigger, on);
    } else {
        set_armed(limit ? book.bid_rises_to : book.bid_falls_to, trigger, on);
    }
}

void BookState::note_done(Account& account, const BookRecord& record, OrdStatus status) {
    OrderSummary& summary = account.by_magic[record.magic];
    summary.command = record.command;
    summary.status = status;
    summary.side = record.side;
    summary.retcode = record.retcode;
    summary.order = record.order;
    summary.position = record.position;
    summary.requested = Lots{record.volume};
    summary.time_ns = record.time_ns;
    summary.symbol = record.symbol;
}

void BookState::apply(const BookRecord& record) {
    next_order_ = std::max(next_order_, record.order + 1);
    next_deal_ = std::max(next_deal_, record.deal + 1);
    Account& account = accounts_[record.login];
    switch (record.kind) {
        case BookKind::Account:
            account.login = record.login;
            account.margin_mode = static_cast<MarginMode>(record.price_kind);
            account.balance = Money{record.balance};
            return;
        case BookKind::Order: return apply_order(account, record);
        case BookKind::Deal: return apply_deal(account, record);
        case BookKind::OrderModified:
        case BookKind::OrderCanceled: return apply_order_change(account, record);
        case BookKind::PositionModified: return apply_position_change(account, record);
        case BookKind::Refused:
            // Evidence of an execution outweighs a later refusal of a repeat.
            if (!account.by_magic.contains(record.magic)) {
                note_done(account, record, OrdStatus::Rejected);
            }
            return;
        case BookKind::Repeated: return;  // what it asks for has been done, or not, before
    }
}

void BookState::apply_order(Account& account, const BookRecord& record) {
    account.by_magic[record.magic] = OrderSummary{};
    note_done(account, record, OrdStatus::New);
    if (record.price_kind == PriceKind::Market) {
        return;
    }
    const WorkingOrder order{record.order,
                             record.magic,
                             record.side,
                             record.price_kind,
                             Lots{record.volume},
                             Price{record.price},
                             Price{record.stop_loss},
                             Price{record.take_profit},
                             record.symbol,
                             record.comment};
    account.orders[record.order] = order;
    arm(account, order, true);
}

void BookState::apply_deal(Account& account, const BookRecord& record) {
    account.balance = Money{record.balance};
    if (const auto order = account.orders.find(record.order); order != account.orders.end()) {
        arm(account, order->second, false);
        account.orders.erase(order);
    }
    Position& position = account.positions[record.position];
    if (position.volume != 0) {
        arm(account, position, false);
    } else {
        position.id = record.position;
        position.magic = record.magic;
        position.symbol = record.symbol;
        position.comment = record.comment;
    }
    position.ticket = record.position_ticket;
    position.volume = record.position_volume;
    position.open_price = Price{record.open_price};
    position.stop_loss = Price{record.stop_loss};
    position.take_profit = Price{record.take_profit};
    if (position.volume == 0) {
        account.positions.erase(record.position);
    } else {
        arm(account, position, true);
    }
    const auto it = account.by_magic.find(record.magic);
    if (it == account.by_magic.end() || it->second.order != record.order) {
        return;  // made by the server for a position of that magic
    }
    OrderSummary& summary = it->second;
    const __int128 before = static_cast<__int128>(summary.average.value) * summary.executed.value;
    const __int128 added = static_cast<__int128>(record.price) * record.volume;
    summary.executed = summary.executed + Lots{record.volume};
    summary.average = Price{static_cast<std::int64_t>((before + added) / summary.executed.value)};
    summary.deal = record.deal;
    summary.position = record.position;
    summary.status =
        summary.executed == summary.requested ? OrdStatus::Filled : OrdStatus::PartiallyFilled;
}

void BookState::apply_order_change(Account& account, const BookRecord& record) {
    const auto order = account.orders.find(record.order);
    const bool canceled = record.kind == BookKind::OrderCanceled;
    if (order == account.orders.end()) {
        // The rest of a partly filled market order was cancelled.
        if (const auto it = account.by_magic.find(record.magic);
            it != account.by_magic.end() && it->second.order == record.order) {
            it->second.status = OrdStatus::Canceled;
        }
        return;
    }
    WorkingOrder& working = order->second;
    const std::uint64_t owner = working.magic;
    arm(account, working, false);
    if (canceled) {
        account.orders.erase(order);
        if (const auto it = account.by_magic.find(owner); it != account.by_magic.end()) {
            it->second.status = OrdStatus::Canceled;
            it->second.retcode = record.retcode;
        }
    } else {
        working.price = Price{record.price};
        working.stop_loss = Price{record.stop_loss};
        working.take_profit = Price{record.take_profit};
        arm(account, working, true);
    }
    if (record.reason == ExecKind::None && record.magic != owner) {
        note_done(account, record, OrdStatus::Filled);  // the request to change it is done
    }
}

void BookState::apply_position_change(Account& account, const BookRecord& record) {
    const auto it = account.positions.find(record.position);
    ASSERT(it != account.positions.end());
    arm(account, it->second, false);
    it->second.stop_loss = Price{record.stop_loss};
    it->second.take_profit = Price{record.take_profit};
    arm(account, it->second, true);
    note_done(account, record, OrdStatus::Filled);
}

}  // namespace millrace::sim
