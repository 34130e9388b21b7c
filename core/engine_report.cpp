// What executors say. A report never puts out an order: follow-ups are timers and jobs, so that
// reports can be taken in even when the orders ring is full.
#include "core/engine.h"

#include <algorithm>

namespace millrace {
namespace {

constexpr std::uint8_t kRepricesMax = 3;
constexpr std::uint8_t kBackoffsMax = 5;   // 1-2-4-8-16 s, cut by the TTL (C9)
constexpr std::uint32_t kRateShiftMax = 4;

bool has_seen(const Order& o, std::uint64_t deal) noexcept {
    return deal != 0 && std::find(std::begin(o.deals), std::end(o.deals), deal) != std::end(o.deals);
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
        alert(AlertCode::UnknownReport, r.account, nullptr, r.magic.value);
        return;
    }
    if (r.event_seq != 0) {
        if (r.event_seq <= a->last_event) {
            return;  // sent again after a reconnect: applied already
        }
        a->last_event = r.event_seq;
    }
    switch (r.type) {
        case ReportType::SessionUp: on_session_up(*a, r); return;
        case ReportType::SessionDown: on_session_down(*a); return;
        case ReportType::SyncDone:
            a->synced = true;
            update_account_state(*a);
            return;
        case ReportType::AccountInfo:
            a->equity = r.equity;
            a->balance = r.balance;
            a->permitted = (r.permissions & 1) != 0;
            update_account_state(*a);
            account_row(*a);
            return;
        case ReportType::KillApplied: alert(AlertCode::Killed, r.account, nullptr, r.flags); return;
        case ReportType::Exec: on_exec(r); return;
        default: break;
    }
    const std::uint32_t i = find_order(r);
    if (i == kNoId || is_final(orders_[i].status)) {
        // Late evidence about an order that is over. Another execution of it would be a double.
        const bool executed = r.type == ReportType::Outcome && r.volume.value > 0 &&
                              !(i != kNoId && has_seen(orders_[i], r.deal_ticket));
        if (executed) {
            ++g_.duplicate_executions;
            alert(AlertCode::DuplicateExecution, r.account, i == kNoId ? nullptr : &orders_[i],
                  r.deal_ticket);
        }
        return;
    }
    orders_[i].retcode = r.retcode != 0 ? r.retcode : orders_[i].retcode;
    switch (r.type) {
        case ReportType::Outcome: on_outcome(i, r); break;
        case ReportType::Unsent: on_unsent(i, r); break;
        default: on_query_answer(i, r); break;
    }
}

void Engine::on_session_up(Account& a, const Report& r) noexcept {
    a.link = LinkState::Syncing;
    a.generation = r.session_generation;
    a.synced = false;
    a.ready = false;
    if (a.journal_id != r.journal_id) {
        if (a.journal_id != 0) {
            alert(AlertCode::ExecutorJournalLost, r.account, nullptr, r.journal_id);
        }
        a.journal_id = r.journal_id;
        a.last_event = 0;  // a new journal numbers its events anew
    }
    // Look-ups of everything unanswered; what was never received is thereby proven absent.
    queue_queries(a);
    update_account_state(a);
    account_row(a);
}

void Engine::on_session_down(Account& a) noexcept {
    a.link = LinkState::Down;
    a.synced = false;
    a.ready = false;
    update_account_state(a);
    alert(AlertCode::LinkDown, a.spec.id, nullptr, a.generation);
    account_row(a);
}

void Engine::bind_tickets(Order& o, const Report& r) noexcept {
    o.order_ticket = r.order_ticket != 0 ? r.order_ticket : o.order_ticket;
    if (o.type == CommandType::Open && r.position_id != 0 && o.open_volume.value == 0) {
        o.position_id = r.position_id;
    }
}

void Engine::on_outcome(std::uint32_t i, const Report& r) noexcept {
    Order& o = orders_[i];
    const RetcodeClass cls = classify(r.retcode);
    bind_tickets(o, r);
    switch (cls) {
        case RetcodeClass::Ok:
        case RetcodeClass::Part: on_executed(i, r); return;
        case RetcodeClass::Recon:
            if (o.status != OrdStatus::InDoubt) {
                doubt(i);
            }
            return;
        default: refused_by_broker(i, r.retcode, cls); return;
    }
}

void Engine::on_executed(std::uint32_t i, const Report& r) noexcept {
    Order& o = orders_[i];
    const bool is_new = r.volume.value > 0 && !has_seen(o, r.deal_ticket);
    switch (o.type) {
        case CommandType::Open:
            if (is_new) {
                fill(i, r.volume, r.price, r.deal_ticket);
                execution_row(o, r, true);
            }
            if (o.cum >= o.volume) {
                end(i, OrdStatus::Filled, Reason::None);
            } else if (o.price_kind != PriceKind::Market) {
                working(i);
            } else if (o.cum.value > 0) {
                end(i, OrdStatus::Canceled, Reason::None);  // the rest of an IOC is gone
            }
            // A market order that was only placed waits for its deal, or for the answer timeout.
            return;
        case CommandType::Close: {
            const std::uint32_t parent = o.parent;
            if (!is_new) {
                end(i, OrdStatus::Canceled, Reason::NothingToDo);  // 10036: closed before us
                return;
            }
            fill(i, r.volume, r.price, r.deal_ticket);
            execution_row(orders_[parent], r, false);
            // The parent stays in the table while this child refers to it.
            position_reduced(parent, r.volume);
            end(i, o.cum >= o.volume ? OrdStatus::Filled : OrdStatus::Canceled, Reason::None);
            return;
        }
        case CommandType::Modify: {
            Order& p = orders_[o.parent];
            p.stop_loss = o.stop_loss;
            p.take_profit = o.take_profit;
            p.price = p.open_volume.value > 0 ? p.price : o.price;
            order_row(p);
            if (p.open_volume.value > 0) {
                position_row(p);
            }
            end(i, OrdStatus::Filled, Reason::None);
            return;
        }
        case CommandType::Cancel: {
            const std::uint32_t parent = o.parent;
            if (!is_final(orders_[parent].status)) {
                end(parent, OrdStatus::Canceled, Reason::CanceledByUser);
            }
            end(i, OrdStatus::Filled, Reason::None);
            return;
        }
        case CommandType::Query: return;
    }
}

void Engine::refused_by_broker(std::uint32_t i, std::uint32_t code, RetcodeClass cls) noexcept {
    Order& o = orders_[i];
    Account& a = accounts_[o.account.value];
    if (cls == RetcodeClass::Reprice) {
        if (o.reprices < kRepricesMax) {
            ++o.reprices;
            retry_at(i, g_.time);
        } else {
            end(i, OrdStatus::Rejected, Reason::RetriesExhausted);
        }
        return;
    }
    if (cls == RetcodeClass::Backoff) {
        a.rate_shift = code == retcode::kTooManyRequests
                           ? std::min(kRateShiftMax, a.rate_shift + 1) : a.rate_shift;
        if (o.backoffs < kBackoffsMax) {
            retry_at(i, g_.time + seconds(std::int64_t{1} << o.backoffs++));
        } else {
            end(i, OrdStatus::Rejected, Reason::RetriesExhausted);
        }
        return;
    }
    Reason reason = Reason::BrokerReject;
    if (cls == RetcodeClass::Queue) {
        reason = Reason::MarketClosed;
    } else if (code == retcode::kNoMoney) {
        reason = Reason::NoMoney;
        if (a.wanted == AccountState::Trading) {
            a.wanted = AccountState::ReduceOnly;  // closes stay allowed (C13)
        }
    } else if (cls == RetcodeClass::Suspend && a.wanted != AccountState::Suspended) {
        a.wanted = AccountState::Suspended;
        alert(AlertCode::AccountSuspended, o.account, &o, code);
    }
    end(i, OrdStatus::Rejected, reason);
    update_account_state(a);
}

void Engine::on_unsent(std::uint32_t i, const Report& r) noexcept {
    const Reason why = static_cast<Reason>(r.reason);
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
    if (o.query_open) {
        o.query_open = false;
        --a.queries_open;
    }
    bind_tickets(o, r);
    if (r.type == ReportType::QueryAbsent) {
        // Proof: an intact intent journal never saw it and the session is newer than the send.
        // An answer about an older attempt says nothing about the one in flight.
        const bool unanswered = o.status == OrdStatus::PendingNew || o.status == OrdStatus::InDoubt;
        if (r.magic == magic_of(o) && unanswered) {
            retry_at(i, g_.time);
        }
    } else if (r.type == ReportType::QueryFound && r.magic == magic_of(o)) {
        const auto status = static_cast<OrdStatus>(r.ord_status);
        if (status == OrdStatus::Rejected) {
            on_outcome(i, r);
        } else if (status == OrdStatus::Canceled || status == OrdStatus::Expired) {
            end(i, status, Reason::CanceledByUser);
        } else if (status != OrdStatus::PendingNew) {
            Report done = r;
            done.retcode = retcode::kDone;
            // The answer cumulates; only what we have not counted is new.
            done.volume = r.volume - o.cum;
            on_executed(i, done);
        }
    }
    update_account_state(a);
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
    if (i == kNoId || is_final(orders_[i].status)) {
        alert(AlertCode::UnknownReport, r.account, nullptr, r.deal_ticket);
        return;
    }
    Order& o = orders_[i];
    bind_tickets(o, r);
    if (r.exec_kind == ExecKind::PendingCanceled) {
        end(i, r.reason == static_cast<std::uint16_t>(Reason::Expired) ? OrdStatus::Expired
                                                                      : OrdStatus::Canceled,
            Reason::CanceledByUser);
        return;
    }
    on_executed(i, r);
}

/// SL, TP, stop-out, a human, the kill switch: our position shrank without a close of ours.
void Engine::closed_at_broker(const Report& r) noexcept {
    if (accounts_[r.account.value].spec.margin_mode == MarginMode::Hedging) {
        const std::uint32_t i = by_position_.find(key_of(r.account, r.position_id));
        if (i == kNoId) {
            return;  // not ours, or closed already by a close of ours
        }
        execution_row(orders_[i], r, false);
        position_reduced(i, r.volume);
        return;
    }
    reduce_position(r, r.volume);
}

/// Netting: one position per symbol made of several orders; the oldest shares go first.
void Engine::reduce_position(const Report& r, Lots volume) noexcept {
    std::uint32_t i = accounts_[r.account.value].first_order;
    while (i != kNoId && volume.value > 0) {
        const std::uint32_t next = orders_[i].next_in_account;
        const Order& o = orders_[i];
        if (o.open_volume.value > 0 && o.position_id == r.position_id) {
            const Lots cut = std::min(volume, o.open_volume);
            Report part = r;
            part.volume = cut;
            execution_row(o, part, false);
            volume = volume - cut;
            position_reduced(i, cut);
        }
        i = next;
    }
}

}  // namespace millrace
