// Closes that are executed after they were over: given up, refused, ended by an operator's word.
// Their position is gone then, and the books must not keep it: the next close of its source would
// open the other side of a netting account.
//
// A close leaves the table with its end, so what its execution would mean is kept here, of the
// newest kEndedClosesMax whose attempts may have reached a broker.
#include "core/engine.h"

#include <algorithm>

namespace millrace {

/// Before `o`, a close, loses its parent. Of one that a broker has refused at its first attempt
/// nothing can come: it takes no place.
void Engine::remember_ended_close(const Order& o) noexcept {
    EndedClose& c = ended_closes_->ring[ended_closes_->next++ % kEndedClosesMax];
    c = EndedClose{};
    c.intent = o.intent;
    c.target = orders_[o.parent].intent;
    c.signal = o.signal_id;
    c.account = o.account;
    c.symbol = o.symbol;
    c.side = o.side;
    c.volume = o.volume;
    c.cum = o.cum;
    c.share = o.cum.value == 0 && is_told(o.origin) ? ledger_[o.signal].signal.volume : Lots{};
    static_assert(sizeof c.deals == sizeof o.deals);
    std::copy(std::begin(o.deals), std::end(o.deals), std::begin(c.deals));
    c.unnamed = (o.marks & kSaidByHand) != 0 ? o.cum : Lots{};
}

/// True if `r` is the deal that an operator has named already: of a part that is as large or, where
/// no deal told is a difference to what was named (as those of a FIX venue are), no larger.
bool Engine::is_what_was_said(EndedClose& c, const Report& r) const noexcept {
    const bool hedging = accounts_[c.account.value].spec.margin_mode == MarginMode::Hedging;
    const bool is = hedging ? r.volume <= c.unnamed : r.volume == c.unnamed;
    if (is) {
        c.unnamed = c.unnamed - r.volume;
        std::rotate(std::begin(c.deals), std::end(c.deals) - 1, std::end(c.deals));
        c.deals[0] = r.deal_ticket;
    }
    return is;
}

/// True if `r` tells that a close which is over was executed: its target is smaller by so much from
/// here on. Its source has had the close's end and is told no other one; the stores are, and people
/// (LATE_CLOSE). What it closed more than there was is another's on a netting account; what nothing
/// explains there stands open on the other side, which is told too.
bool Engine::book_late_close(const Report& r) noexcept {
    const auto status = static_cast<OrdStatus>(r.ord_status);
    const bool found = r.type == ReportType::QueryFound && status != OrdStatus::Rejected;
    const bool told = found || r.type == ReportType::Outcome ||
                      (r.type == ReportType::Exec && r.exec_kind == ExecKind::PendingFilled);
    if (!told || r.volume.value <= 0 || r.magic.tag() != g_.risk.magic_tag) {
        return false;
    }
    EndedClose* const end = std::end(ended_closes_->ring);
    EndedClose* const c = std::find_if(ended_closes_->ring, end, [&](const EndedClose& e) {
        return e.intent == r.magic.intent() && e.intent != 0 && e.account == r.account;
    });
    if (c == end) {
        return false;
    }
    const bool seen = r.deal_ticket != 0 && std::find(std::begin(c->deals), std::end(c->deals),
                                                      r.deal_ticket) != std::end(c->deals);
    Report deal = r;
    // A look-up cumulates, a deal is told by itself; beyond what was asked for it is another's.
    deal.volume = std::min(found ? r.volume - c->cum : r.volume, c->volume - c->cum);
    if (seen || deal.volume.value <= 0) {
        return seen || found;
    }
    if (!found && is_what_was_said(*c, r)) {
        return false;  // somebody is told, as of any order that is over
    }
    c->cum = c->cum + deal.volume;
    std::rotate(std::begin(c->deals), std::end(c->deals) - 1, std::end(c->deals));
    c->deals[0] = r.deal_ticket;
    Order shown;
    shown.intent = c->intent;
    shown.attempt = static_cast<std::uint8_t>(r.magic.attempt());
    shown.signal_id = c->signal;
    alert(AlertCode::LateClose, r.account, &shown, r.deal_ticket);
    deal.side = c->side;
    deal.symbol = c->symbol;
    const std::uint32_t target = by_intent_.find(key_of(r.account, c->target));
    if (target != kNoId) {
        orders_[target].close_shares = orders_[target].close_shares + c->share;
        c->share = Lots{};
        Report part = deal;
        part.volume = std::min(deal.volume, orders_[target].open_volume);
        deal.volume = deal.volume - part.volume;
        if (part.volume.value > 0) {
            execution_row(orders_[target], part, false);
            position_reduced(target, part.volume);  // may free it
        }
    }
    const bool nets = accounts_[r.account.value].spec.margin_mode == MarginMode::Netting;
    if (nets && deal.volume.value > 0 && reduce_shares(deal).value > 0) {
        alert(AlertCode::UnknownReport, r.account, &shown, r.deal_ticket);
    }
    return true;
}

}  // namespace millrace
