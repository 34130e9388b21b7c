// Positions: found by their id, shrinking by deals of ours and of others.
//
// Mind: position_reduced() may free the order's slot; nobody touches it afterwards.
#include "core/engine.h"

#include <algorithm>

namespace millrace {

/// Hedging accounts: a position is found by its id. Should a broker give one id to two orders, the
/// first keeps the place and the other is found by walking (cut_shares).
void Engine::index_position(std::uint32_t i) noexcept {
    Order& o = orders_[i];
    const Key128 key = key_of(o.account, o.position_id);
    if (o.indexed || o.position_id == 0 || by_position_.find(key) != kNoId ||
        accounts_[o.account.value].spec.margin_mode != MarginMode::Hedging) {
        return;
    }
    o.indexed = true;
    by_position_.insert(key, i);
}

void Engine::unindex_position(std::uint32_t i) noexcept {
    Order& o = orders_[i];
    if (o.indexed) {
        o.indexed = false;
        by_position_.erase(key_of(o.account, o.position_id));
    }
}

void Engine::position_reduced(std::uint32_t i, Lots volume) noexcept {
    Order& o = orders_[i];
    const Lots cut = std::min(volume, o.open_volume);
    if (cut.value <= 0) {
        return;
    }
    const Lots before = exposure_of(o);
    o.open_volume = o.open_volume - cut;
    recount(o, before);
    position_row(o);
    if (o.open_volume.value == 0) {
        --accounts_[o.account.value].open_positions;
        --g_.open_positions;
        unindex_position(i);
        if (o.close_wanted) {
            answered(i);  // what waits finds nothing left
        }
        release_if_done(i);
    }
}

/// The symbol that a deal is in. An executor names it; one that uses a name we do not know still
/// tells by the order.
SymbolId Engine::symbol_of(const Report& r) const noexcept {
    if (r.symbol.value < kSymbolsMax) {
        return r.symbol;
    }
    const std::uint32_t i = find_order(r);
    return i == kNoId ? SymbolId{kNoId} : orders_[i].symbol;
}

/// SL, TP, stop-out, a human, the kill switch: our position shrank without a close of ours.
void Engine::closed_at_broker(const Report& r) noexcept {
    if (accounts_[r.account.value].spec.margin_mode == MarginMode::Netting) {
        reduce_shares(r);
        return;
    }
    const std::uint32_t i = find_order(r);
    std::uint32_t known = by_position_.find(key_of(r.account, r.position_id));
    if (known == kNoId && i != kNoId && orders_[i].open_volume.value > 0 &&
        (orders_[i].position_id == 0 || r.position_id == 0)) {
        known = i;  // its opener is named, its id was not (an operator found it filled)
    }
    if (is_news_of_lost_log(known, r)) {
        return;
    }
    if (known != kNoId) {
        execution_row(orders_[known], r, false);
        position_reduced(known, r.volume);
        return;
    }
    // The answer to the entry may still be on its way: what it opened is closed by so much.
    if (i != kNoId && orders_[i].type == CommandType::Open && !is_final(orders_[i].status)) {
        orders_[i].closed_early = orders_[i].closed_early + r.volume;
        execution_row(orders_[i], r, false);
        return;
    }
    Report rest = r;
    cut_shares(rest, SymbolId{kNoId}, true);  // two orders with one position id
    if (rest.volume == r.volume) {
        // Closed for us already, or never known to us (an entry that was executed twice). Another
        // position of the symbol stands apart from it and is still open: none is taken for it.
        alert(AlertCode::UnknownReport, r.account, nullptr, r.deal_ticket);
    }
}

/// Netting: one position per symbol is made of several orders, some of which may offset others.
/// The deal closes shares of its own opposite side: of that position, the oldest first; then of the
/// symbol, because an order whose fills came before and after a flat moment has shares of two
/// positions. What they do not explain was opened by an entry that is not answered yet.
/// @return what no entry explains either: it stands open on the other side, or was told before.
Lots Engine::reduce_shares(const Report& r) noexcept {
    const SymbolId symbol = symbol_of(r);
    Report rest = r;
    cut_shares(rest, symbol, true);
    cut_shares(rest, symbol, false);
    return close_early(rest, symbol);
}

/// Takes `rest.volume` from open shares and leaves what they do not explain.
void Engine::cut_shares(Report& rest, SymbolId symbol, bool same_position) noexcept {
    const Side side = opposite(rest.side);
    std::uint32_t i = accounts_[rest.account.value].first_order;
    while (i != kNoId && rest.volume.value > 0) {
        const std::uint32_t next = orders_[i].next_in_account;
        const Order& o = orders_[i];
        const bool fits = !same_position
                              ? o.symbol == symbol
                              : rest.position_id != 0 && o.position_id == rest.position_id;
        if (fits && o.side == side && o.open_volume.value > 0) {
            Report part = rest;
            part.volume = std::min(rest.volume, o.open_volume);
            execution_row(o, part, false);
            rest.volume = rest.volume - part.volume;
            position_reduced(i, part.volume);
        }
        i = next;
    }
}

/// Lays `rest.volume` at the door of entries that may still turn out to have executed.
/// @return what is left of it.
Lots Engine::close_early(const Report& rest, SymbolId symbol) noexcept {
    const Side side = opposite(rest.side);
    Lots volume = rest.volume;
    std::uint32_t i = accounts_[rest.account.value].first_order;
    for (; i != kNoId && volume.value > 0; i = orders_[i].next_in_account) {
        Order& o = orders_[i];
        const bool fits = o.symbol == symbol && o.side == side;
        if (o.type == CommandType::Open && is_unanswered(o.status) && fits) {
            const Lots cut = std::min(volume, o.volume - o.cum - o.closed_early);
            o.closed_early = o.closed_early + cut;
            o.position_id = o.position_id == 0 ? rest.position_id : o.position_id;
            volume = volume - cut;
        }
    }
    return volume;
}

/// An entry ended, or works at the broker, with less than was laid at its door: another one
/// explains the rest. (A pending's fills are told before the deals that close them.)
void Engine::pass_on_closed_early(Order& o) noexcept {
    if (o.closed_early.value > 0 &&
        accounts_[o.account.value].spec.margin_mode == MarginMode::Netting) {
        Report rest;
        rest.account = o.account;
        rest.exec_kind = ExecKind::ClosedManually;
        rest.magic = magic_of(o);
        rest.side = opposite(o.side);
        rest.symbol = o.symbol;
        rest.position_id = o.position_id;
        rest.volume = o.closed_early;
        o.closed_early = Lots{};
        reduce_shares(rest);
    }
}

}  // namespace millrace
