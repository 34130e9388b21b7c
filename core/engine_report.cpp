// What executors say. A report never puts out an order: follow-ups are timers and jobs, so that
// reports can be taken in even when the orders ring is full.
#include "core/engine.h"

#include <algorithm>

namespace millrace {
namespace {

bool has_seen(const Order& o, std::uint64_t deal) noexcept {
    return deal != 0 &&
           std::find(std::begin(o.deals), std::end(o.deals), deal) != std::end(o.deals);
}

/// "Rejected" with a code that says done proves neither. That nothing was left to do is no success.
bool contradicts(const Order& o, std::uint32_t code) noexcept {
    const RetcodeClass cls = classify(code, o.type, o.price_kind);
    return code != retcode::kPositionClosed && code != retcode::kNoChanges &&
           (cls == RetcodeClass::Ok || cls == RetcodeClass::Part);
}

/// Refusals that end by themselves, once something is closed.
bool is_limit_of_broker(std::uint32_t code) noexcept {
    return code == retcode::kLimitOrders || code == retcode::kLimitVolume ||
           code == retcode::kLimitPositions || code == retcode::kFifoClose ||
           code == retcode::kHedgeProhibited;
}

/// Of what its broker has taken away. Nobody here cancels a close of the engine's own: an operator
/// alone ends it.
Reason why_gone(const Order& o, bool expired) noexcept {
    return expired                      ? Reason::Expired
           : o.origin == Origin::Engine ? Reason::BrokerReject
                                        : Reason::CanceledByUser;
}

}  // namespace

Account* Engine::account_of(AccountId id) noexcept {
    return id.value < capacity_.accounts && accounts_[id.value].defined ? &accounts_[id.value]
                                                                        : nullptr;
}

std::uint32_t Engine::find_order(const Report& r) const noexcept {
    if (r.magic.tag() != g_.risk.magic_tag) {
        return kNoId;
    }
    return by_intent_.find(key_of(r.account, r.magic.intent()));
}

void Engine::on_report(const Report& r) noexcept {
    Account* a = account_of(r.account);
    if (a == nullptr) {
        if (r.account.value < capacity_.accounts && accounts_[r.account.value].removed) {
            on_report_of_removed(accounts_[r.account.value], r);
            return;
        }
        alert(AlertCode::UnknownReport, r.account, nullptr, r.magic.value);
        return;
    }
    by_intent_.prefetch(key_of(r.account, r.magic.intent()));
    if (r.position_id != 0) {
        by_position_.prefetch(key_of(r.account, r.position_id));
    }
    if (r.event_seq != 0) {
        if (r.event_seq <= a->last_event) {
            return;  // sent again after a reconnect: applied already
        }
        a->last_event = r.event_seq;
    }
    switch (r.type) {
        case ReportType::SessionUp: on_session_up(*a, r); return;
        case ReportType::SessionDown:
            if (is_current(*a, r)) {
                on_session_down(*a);
            }
            return;
        case ReportType::SyncDone:
            if (is_current(*a, r)) {
                a->synced = true;
                update_account_state(*a);
            }
            return;
        case ReportType::AccountInfo:
            a->equity = r.equity;
            a->balance = r.balance;
            take_permissions(*a, r);
            take_equity(*a, r.equity, r.balance);
            take_margin(*a, r);
            watch_week(*a);
            update_account_state(*a);
            account_row(*a);
            return;
        case ReportType::KillApplied: alert(AlertCode::Killed, r.account, nullptr, r.flags); return;
        case ReportType::Exec: on_exec(r); return;
        default: break;
    }
    const std::uint32_t i = find_order(r);
    if (i == kNoId || is_final(orders_[i].status)) {
        on_late(i, r);
        return;
    }
    switch (r.type) {
        case ReportType::Outcome: on_outcome(i, r); break;
        case ReportType::Unsent: on_unsent(i, r); break;
        default: on_query_answer(i, r); break;
    }
}

/// Evidence about an order that is over. Another execution of it would be a double.
void Engine::on_late(std::uint32_t i, const Report& r) noexcept {
    if (i == kNoId && book_late_close(r)) {
        return;
    }
    const bool executed = r.type == ReportType::Outcome && r.volume.value > 0 &&
                          !(i != kNoId && has_seen(orders_[i], r.deal_ticket));
    if (executed && i == kNoId && is_of_lost_log(r)) {
        alert(AlertCode::UnknownReport, r.account, nullptr, r.magic.value);
    } else if (executed) {
        on_second(i, r);
    }
}

void Engine::doubt_unanswered(const Account& a) noexcept {
    for (std::uint32_t i = a.first_order; i != kNoId; i = orders_[i].next_in_account) {
        if (orders_[i].status == OrdStatus::PendingNew) {
            doubt(i);
        }
    }
}

void Engine::bind_tickets(Order& o, const Report& r) noexcept {
    o.order_ticket = r.order_ticket != 0 ? r.order_ticket : o.order_ticket;
    const bool unbound = o.open_volume.value == 0 || o.position_id == 0;
    if (o.type == CommandType::Open && r.position_id != 0 && unbound) {
        o.position_id = r.position_id;
    }
}

void Engine::on_outcome(std::uint32_t i, const Report& r) noexcept {
    Order& o = orders_[i];
    const RetcodeClass cls = classify(r.retcode, o.type, o.price_kind);
    const bool done = cls == RetcodeClass::Ok || cls == RetcodeClass::Part;
    // About an older attempt, or one that is answered, only a deal is news: a refusal of it says
    // nothing about the attempt in flight.
    const bool news = r.magic == magic_of(o) && is_unanswered(o.status);
    if (!news && !(done && r.volume.value > 0)) {
        return;
    }
    o.retcode = r.retcode;
    AccountRisk& risk = risk_of(accounts_[o.account.value]);
    if (r.retcode != retcode::kTooManyRequests) {
        risk.refused_in_row = 0;
        risk.pauses = done ? std::uint8_t{0} : risk.pauses;
    }
    if (done) {
        bind_tickets(o, r);
        on_executed(i, r);
    } else if (r.retcode == retcode::kPositionClosed) {
        end(i, OrdStatus::Canceled, Reason::NothingToDo);  // SL, TP or a netting deal was first
    } else if (cls != RetcodeClass::Recon) {
        refused_by_broker(i, r.retcode, cls);
    } else if (o.status != OrdStatus::InDoubt) {
        doubt(i);
    }
}

void Engine::on_executed(std::uint32_t i, const Report& r) noexcept {
    switch (orders_[i].type) {
        case CommandType::Open: on_opened(i, r); return;
        case CommandType::Close: on_closed(i, r); return;
        case CommandType::Modify: on_modified(i); return;
        case CommandType::Cancel: on_canceled(i); return;
        case CommandType::Query:
        case CommandType::Resolve: return;
    }
}

void Engine::on_opened(std::uint32_t i, const Report& r) noexcept {
    const Order& o = orders_[i];
    if (r.volume.value > 0 && !has_seen(o, r.deal_ticket)) {
        add_fill(i, r, r.volume);
    }
    if (o.cum >= o.volume) {
        end(i, OrdStatus::Filled, Reason::None);
    } else if (o.price_kind != PriceKind::Market) {
        working(i);
    } else if (o.cum.value > 0) {
        settle_partial(i);
        end(i, OrdStatus::Canceled, Reason::None);  // the rest of an IOC is gone
    }
    // A market order that was only placed waits for its deal, or for the answer timeout.
}

void Engine::on_closed(std::uint32_t i, const Report& r) noexcept {
    const Order& o = orders_[i];
    if (r.volume.value > 0 && !has_seen(o, r.deal_ticket)) {
        add_fill(i, r, r.volume);
        end(i, o.cum >= o.volume ? OrdStatus::Filled : OrdStatus::Canceled, Reason::None);
    } else if (r.retcode == retcode::kPositionClosed || r.retcode == retcode::kNoChanges) {
        drop_lost_position(o.parent, r);
        end(i, OrdStatus::Canceled, Reason::NothingToDo);  // closed before us
    }
    // One that was only placed waits for its deal, or for the answer timeout.
}

/// Counts a deal of an entry or of a close.
void Engine::add_fill(std::uint32_t i, const Report& r, Lots volume) noexcept {
    const Order& o = orders_[i];
    const bool entry = o.type == CommandType::Open;
    Report deal = r;
    deal.volume = volume;
    execution_row(entry ? o : orders_[o.parent], deal, entry);
    fill(i, volume, r.price, r.deal_ticket);
    if (entry) {
        watch_slippage(i, r.price);
    } else {
        // The parent stays in the table while this child refers to it.
        const Lots excess = volume - orders_[o.parent].open_volume;
        position_reduced(o.parent, volume);
        if (excess.value > 0 &&
            accounts_[o.account.value].spec.margin_mode == MarginMode::Netting) {
            // A deal that came after this one was taken from the parent's share: it was another's.
            deal.volume = excess;
            deal.side = o.side;
            deal.symbol = o.symbol;
            if (reduce_shares(deal).value > 0) {
                alert(AlertCode::UnknownReport, o.account, &o, r.deal_ticket);
            }
        }
    }
}

void Engine::on_modified(std::uint32_t i) noexcept {
    const Order& o = orders_[i];
    Order& p = orders_[o.parent];
    p.stop_loss = o.stop_loss;
    p.take_profit = o.take_profit;
    p.price = p.open_volume.value > 0 ? p.price : o.price;
    order_row(p);
    if (p.open_volume.value > 0) {
        position_row(p);
    }
    end(i, OrdStatus::Filled, Reason::None);
}

void Engine::on_canceled(std::uint32_t i) noexcept {
    const std::uint32_t parent = orders_[i].parent;
    if (!is_final(orders_[parent].status)) {
        end(parent, OrdStatus::Canceled, Reason::CanceledByUser);
    }
    end(i, OrdStatus::Filled, Reason::None);
}

void Engine::refused_by_broker(std::uint32_t i, std::uint32_t code, RetcodeClass cls) noexcept {
    Order& o = orders_[i];
    Account& a = accounts_[o.account.value];
    if (cls == RetcodeClass::Reprice) {
        const bool once = code == retcode::kInvalidPrice;
        if (o.reprices < (once ? 1 : kRepricesMax)) {
            // Without any quote the next attempt would find none either: a tick has to come.
            const std::int64_t wait_s =
                code == retcode::kPriceOff ? std::int64_t{1} << o.reprices : 0;
            ++o.reprices;
            retry_at(i, g_.time + seconds(wait_s));
        } else {
            end(i, OrdStatus::Rejected, once ? Reason::BrokerReject : Reason::RetriesExhausted);
        }
        return;
    }
    if (cls == RetcodeClass::Backoff) {
        if (code == retcode::kTooManyRequests) {
            slow_down(i);
        }
        if (o.backoffs < kBackoffsMax) {
            const Nanos later = g_.time + seconds(std::int64_t{1} << o.backoffs++);
            const bool entry = o.type == CommandType::Open;
            retry_at(i, entry ? std::max(later, risk_of(a).paused_until) : later);
        } else {
            end(i, OrdStatus::Rejected, Reason::RetriesExhausted);
        }
        update_account_state(a);
        return;
    }
    const bool waits = o.origin == Origin::Engine
                           ? o.backoffs <= kBackoffsMax  // else it comes again by itself
                           : (ledger_[o.signal].signal.flags & kHoldUntilOpen) != 0;
    if (cls == RetcodeClass::Queue && waits) {
        await_open(i);
        update_account_state(a);
        return;
    }
    Reason reason = Reason::BrokerReject;
    if (cls == RetcodeClass::Queue) {
        reason = Reason::MarketClosed;
    } else if (code == retcode::kNoMoney) {
        reason = Reason::NoMoney;
        if (a.wanted == AccountState::Trading) {
            stop_account(a, AccountState::ReduceOnly);  // closes stay allowed (C13)
            alert(AlertCode::NoMoney, o.account, &o, code);
        }
    } else if (code == retcode::kTradeDisabled && a.permitted) {
        block_symbol(o, code);
    } else if (code >= retcode::kLongOnly && code <= retcode::kCloseOnly) {
        block_symbol(o, code);
    } else if (is_limit_of_broker(code)) {
        tell_broker_limit(o, code);
    } else if (cls == RetcodeClass::Suspend && a.wanted != AccountState::Suspended) {
        stop_account(a, AccountState::Suspended);
        alert(AlertCode::AccountSuspended, o.account, &o, code);
    }
    end(i, OrdStatus::Rejected, reason);
    update_account_state(a);
}

void Engine::on_unsent(std::uint32_t i, const Report& r) noexcept {
    const Order& o = orders_[i];
    const Reason why = static_cast<Reason>(r.reason);
    if (r.magic != magic_of(o) || !is_unanswered(o.status)) {
        return;
    }
    if (why == Reason::Expired) {
        end(i, OrdStatus::Expired, Reason::Expired);
    } else if (why == Reason::None) {
        // A frame of an older session was refused by the executor: the order was not executed.
        retry_at(i, g_.time);
    } else {
        end(i, OrdStatus::Rejected, why);
    }
}

void Engine::on_query_answer(std::uint32_t i, const Report& r) noexcept {
    Order& o = orders_[i];
    Account& a = accounts_[o.account.value];
    close_query(o);
    // An answer about an older attempt says nothing about the one in flight.
    if (r.magic == magic_of(o)) {
        if (r.type == ReportType::QueryFound) {
            on_found(i, r);
        } else if (r.type == ReportType::QueryAbsent && is_unanswered(o.status)) {
            // Proof: an intact intent journal never saw it and the session is newer than the send.
            retry_at(i, g_.time);
        }
    }
    update_account_state(a);
}

/// The broker or the executor's journal knows the order and says how it stands.
void Engine::on_found(std::uint32_t i, const Report& r) noexcept {
    Order& o = orders_[i];
    const auto status = static_cast<OrdStatus>(r.ord_status);
    const auto why = static_cast<Reason>(r.reason);
    if (status == OrdStatus::Rejected) {
        if (why != Reason::None) {  // an Unsent that the journal kept
            on_unsent(i, r);
        } else if (!contradicts(o, r.retcode)) {
            on_outcome(i, r);
        }
        return;
    }
    if (status == OrdStatus::PendingNew || status == OrdStatus::InDoubt) {
        return;  // on its way; the outcome follows
    }
    bind_tickets(o, r);
    o.retcode = r.retcode;
    Report news = r;
    news.retcode = retcode::kDone;
    news.volume = r.volume - o.cum;  // the answer cumulates: what we have counted is not new
    // A sum has no deal number of its own, and here no position tells one deal from another.
    if (news.volume.value > 0 &&
        accounts_[o.account.value].spec.margin_mode == MarginMode::Netting) {
        o.marks |= kUnnamedFill;
    }
    if (status != OrdStatus::Canceled && status != OrdStatus::Expired) {
        on_executed(i, news);
        return;
    }
    if (news.volume.value > 0 && !has_seen(o, r.deal_ticket)) {
        add_fill(i, news, news.volume);  // done in part before it was taken away
    }
    if (o.type == CommandType::Open && o.price_kind == PriceKind::Market && o.cum.value > 0) {
        settle_partial(i);
    }
    end(i, status, why_gone(o, status == OrdStatus::Expired));
}

void Engine::on_exec(const Report& r) noexcept {
    if (r.exec_kind == ExecKind::Foreign) {
        ++g_.foreign_deals;
        alert(AlertCode::ForeignTrade, r.account, nullptr, r.deal_ticket);
        return;
    }
    if (r.exec_kind != ExecKind::PendingFilled && r.exec_kind != ExecKind::PendingCanceled) {
        closed_at_broker(r);
        return;
    }
    const std::uint32_t i = find_order(r);
    if (i == kNoId && book_late_close(r)) {
        return;
    }
    if (i == kNoId || is_final(orders_[i].status)) {
        const bool filled = r.exec_kind == ExecKind::PendingFilled && r.volume.value > 0;
        if (filled && i != kNoId && !has_seen(orders_[i], r.deal_ticket)) {
            if (is_second(orders_[i], r)) {
                on_second(i, r);
                return;
            }
            name_fill(i, r);
        }
        alert(AlertCode::UnknownReport, r.account, nullptr, r.deal_ticket);
        return;
    }
    Order& o = orders_[i];
    bind_tickets(o, r);
    if (r.exec_kind == ExecKind::PendingCanceled) {
        const bool expired = r.reason == static_cast<std::uint16_t>(Reason::Expired);
        end(i, expired ? OrdStatus::Expired : OrdStatus::Canceled, why_gone(o, expired));
        return;
    }
    on_executed(i, r);
}

}  // namespace millrace
