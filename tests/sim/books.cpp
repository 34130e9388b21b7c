#include "tests/sim/books.h"

#include <algorithm>

namespace millrace::sim {
namespace {

constexpr std::int64_t kStep = kScale / 100;

std::int64_t sign_of(Side side) {
    return side == Side::Buy ? 1 : -1;
}

}  // namespace

Report Books::answer(const OrderCommand& c, std::uint32_t code) const {
    Report r;
    r.account = account_;
    r.type = ReportType::Outcome;
    r.magic = c.magic;
    r.retcode = code;
    r.side = c.side;
    r.requested = c.volume;
    r.price = Price{kScale};
    r.symbol = SymbolId{symbol_of(c.symbol)};
    return r;
}

/// I2: at most one attempt of an intent is ever executed, and that once.
void Books::note_execution(const OrderCommand& c) {
    ++executions_;
    const std::uint64_t times = ++executed_by_[c.magic.intent()];
    require(times == 1, "I2 at most once at the broker",
            "account " + std::to_string(account_.value) + " intent " +
                std::to_string(c.magic.intent()) + " attempt " + std::to_string(c.magic.attempt()) +
                " was executed " + std::to_string(times) + " times");
}

Report Books::execute(const OrderCommand& c, std::uint32_t share_percent) {
    switch (c.type) {
        case CommandType::Open:
            return c.price_kind == PriceKind::Market ? open_market(c, share_percent)
                                                     : open_pending(c);
        case CommandType::Close: return close(c, share_percent);
        case CommandType::Modify: return modify(c);
        case CommandType::Cancel: return cancel(c);
        case CommandType::Query:
        case CommandType::Resolve: break;
    }
    violated("model", "a query reached the trade server");
}

BookPosition* Books::position_of(std::uint64_t id) {
    for (auto& [key, p] : positions_) {
        if (p.id == id) {
            return &p;
        }
    }
    return nullptr;
}

/// Brings a deal into the account's positions. @return the position's id.
std::uint64_t Books::book_deal(std::uint32_t symbol, Side side, Lots volume, Magic magic,
                               std::uint64_t order) {
    const std::uint64_t key = mode_ == MarginMode::Netting ? symbol : order;
    BookPosition& p = positions_[key];
    if (p.volume == 0 && p.id == 0) {
        p = {order, symbol, 0, magic};
    }
    const std::uint64_t id = p.id;
    p.volume += sign_of(side) * volume.value;
    if (p.volume == 0) {
        positions_.erase(key);
    }
    return id;
}

Report Books::open_market(const OrderCommand& c, std::uint32_t share_percent) {
    note_execution(c);
    const std::int64_t part = c.volume.value * share_percent / 100 / kStep * kStep;
    const Lots volume{
        std::clamp<std::int64_t>(part, std::min(kStep, c.volume.value), c.volume.value)};
    Report r = answer(c, volume == c.volume ? retcode::kDone : retcode::kDonePartial);
    r.order_ticket = next_ticket_++;
    r.deal_ticket = next_deal_++;
    r.volume = volume;
    r.position_id = book_deal(symbol_of(c.symbol), c.side, volume, c.magic, r.order_ticket);
    orders_[c.magic.value] = {
        c.type,         volume == c.volume ? OrdStatus::Filled : OrdStatus::Canceled,
        r.order_ticket, r.deal_ticket,
        r.position_id,  volume,
        c.volume};
    return r;
}

Report Books::open_pending(const OrderCommand& c) {
    note_execution(c);
    Report r = answer(c, retcode::kPlaced);
    r.order_ticket = next_ticket_++;
    pendings_[r.order_ticket] = {r.order_ticket, c.magic, symbol_of(c.symbol), c.side, c.volume};
    orders_[c.magic.value] = {c.type, OrdStatus::New, r.order_ticket, 0, 0, Lots{}, c.volume};
    return r;
}

Report Books::close(const OrderCommand& c, std::uint32_t share_percent) {
    if (c.position_ticket == 0 && mode_ == MarginMode::Netting) {
        return open_market(c, share_percent);  // an opposite deal: nothing says what it closes
    }
    const BookPosition* p = position_of(c.position_ticket);
    if (p == nullptr) {
        return answer(c, retcode::kPositionClosed);
    }
    if (c.volume.value > std::abs(p->volume) || (p->volume > 0) == (c.side == Side::Buy)) {
        return answer(c, 10038);  // INVALID_CLOSE_VOLUME
    }
    require(p->symbol == symbol_of(c.symbol), "I5 no phantom", "a close with another symbol");
    note_execution(c);
    const std::int64_t part = c.volume.value * share_percent / 100 / kStep * kStep;
    const Lots volume{
        std::clamp<std::int64_t>(part, std::min(kStep, c.volume.value), c.volume.value)};
    Report r = answer(c, volume == c.volume ? retcode::kDone : retcode::kDonePartial);
    r.order_ticket = next_ticket_++;
    const Report deal = close_position(p->id, volume, ExecKind::None);
    r.deal_ticket = deal.deal_ticket;
    r.position_id = deal.position_id;
    r.volume = volume;
    orders_[c.magic.value] = {
        c.type,         volume == c.volume ? OrdStatus::Filled : OrdStatus::Canceled,
        r.order_ticket, r.deal_ticket,
        r.position_id,  volume,
        c.volume};
    return r;
}

Report Books::modify(const OrderCommand& c) {
    const bool is_position = c.position_ticket != 0;
    if (is_position && position_of(c.position_ticket) == nullptr) {
        return answer(c, retcode::kPositionClosed);
    }
    if (!is_position && !pendings_.contains(c.order_ticket)) {
        return answer(c, 10035);  // INVALID_ORDER
    }
    orders_[c.magic.value] = {c.type, OrdStatus::Filled, 0, 0, 0, Lots{}, Lots{}};
    return answer(c, c.stop_loss.value % 2 == 0 ? retcode::kDone : retcode::kNoChanges);
}

Report Books::cancel(const OrderCommand& c) {
    const auto it = pendings_.find(c.order_ticket);
    if (it == pendings_.end()) {
        return answer(c, 10035);
    }
    orders_[it->second.magic.value].status = OrdStatus::Canceled;
    pendings_.erase(it);
    orders_[c.magic.value] = {c.type, OrdStatus::Filled, c.order_ticket, 0, 0, Lots{}, Lots{}};
    Report r = answer(c, retcode::kDone);
    r.order_ticket = c.order_ticket;
    return r;
}

Report Books::fill_pending(std::uint64_t ticket, Lots part) {
    BookPending& p = pendings_.at(ticket);
    BookOrder& order = orders_.at(p.magic.value);
    Report r;
    r.account = account_;
    r.type = ReportType::Exec;
    r.exec_kind = ExecKind::PendingFilled;
    r.magic = p.magic;
    r.symbol = SymbolId{p.symbol};
    r.retcode = retcode::kDone;
    r.side = p.side;
    r.volume = std::min(part, p.left);
    r.requested = order.requested;
    r.price = Price{kScale};
    r.order_ticket = ticket;
    r.deal_ticket = next_deal_++;
    r.position_id = book_deal(p.symbol, p.side, r.volume, p.magic, ticket);
    p.left = p.left - r.volume;
    order.executed = order.executed + r.volume;
    order.deal = r.deal_ticket;
    order.position = r.position_id;
    order.status = p.left.value == 0 ? OrdStatus::Filled : OrdStatus::PartiallyFilled;
    if (p.left.value == 0) {
        pendings_.erase(ticket);
    }
    return r;
}

Report Books::cancel_pending(std::uint64_t ticket) {
    const BookPending p = pendings_.at(ticket);
    pendings_.erase(ticket);
    orders_.at(p.magic.value).status = OrdStatus::Canceled;
    Report r;
    r.account = account_;
    r.type = ReportType::Exec;
    r.exec_kind = ExecKind::PendingCanceled;
    r.magic = p.magic;
    r.symbol = SymbolId{p.symbol};
    r.order_ticket = ticket;
    return r;
}

Report Books::close_position(std::uint64_t id, Lots part, ExecKind why) {
    BookPosition& p = *position_of(id);
    Report r;
    r.account = account_;
    r.type = ReportType::Exec;
    r.exec_kind = why;
    r.magic = p.magic;
    r.symbol = SymbolId{p.symbol};
    r.retcode = retcode::kDone;
    r.side = p.volume > 0 ? Side::Sell : Side::Buy;
    r.volume = Lots{std::min(part.value, std::abs(p.volume))};
    r.price = Price{kScale};
    r.order_ticket = next_ticket_++;
    r.deal_ticket = next_deal_++;
    r.position_id = id;
    p.volume += sign_of(r.side) * r.volume.value;
    if (p.volume == 0) {
        std::erase_if(positions_, [id](const auto& entry) { return entry.second.id == id; });
    }
    return r;
}

}  // namespace millrace::sim
