// Who is promised which slots of a source's results ring, and the ends that wait for one.
//
//     accepted ---> two slots an order, one for SignalDone
//     working  ---> none: an order may rest at the broker for weeks, and as many as the order table
//                   holds; its end is told under a Deliver record, which says that there is room
#include "core/engine.h"

namespace millrace {

std::uint32_t Engine::results_needed(const Signal& s) const noexcept {
    // Accepted and SignalDone, and for each order OrderDone and one intermediate word.
    if (s.action == SignalAction::Open) {
        return s.group.value < kGroupsMax ? 2 + 2 * groups_[s.group.value].members : 2;
    }
    const std::uint32_t target = find_target(s.target);
    return target == kNoId ? 2 : 2 + 2 * kChildrenPerTarget * ledger_[target].in_table;
}

std::uint32_t Engine::results_reserved(SourceId source) const noexcept {
    return source.value < kSourcesMax ? sources_[source.value].reserved_results : 0;
}

void Engine::reserve_results(SourceId source, std::uint32_t n) noexcept {
    if (source.value < kSourcesMax) {
        sources_[source.value].reserved_results += n;
        g_.total_reserved_results += n;
    }
}

void Engine::unreserve_results(SourceId source, std::uint32_t n) noexcept {
    if (source.value < kSourcesMax) {
        ASSERT(sources_[source.value].reserved_results >= n);
        sources_[source.value].reserved_results -= n;
        g_.total_reserved_results -= n;
    }
}

/// The order works at the broker: whatever is promised to it goes back.
void Engine::rest(Order& o) noexcept {
    ASSERT(o.results == ResultsDue::End);
    o.results = ResultsDue::Resting;
    unreserve_results(o.source, 1);
    ++ledger_[o.signal].orders_resting;
    finish_signal_if_done(o.signal);
}

/// A resting order has ended: its source hears of it when its ring has room.
void Engine::owe_end(std::uint32_t i) noexcept {
    Order& o = orders_[i];
    ASSERT(o.results == ResultsDue::Resting);
    o.results = ResultsDue::Owed;
    SourceState& s = sources_[o.source.value];
    (s.last_owed != kNoId ? orders_[s.last_owed].next_owed : s.first_owed) = i;
    s.last_owed = i;
    ++g_.ends_owed;
}

/// Slots that the end of `o`, first of the owed, takes: SignalDone may follow it.
std::uint32_t Engine::slots_of_end(const Order& o) const noexcept {
    const SignalEntry& e = ledger_[o.signal];
    return e.done_returned && e.orders_open == 1 ? 2 : 1;
}

std::uint32_t Engine::results_owed(SourceId source) const noexcept {
    const std::uint32_t first =
        source.value < kSourcesMax ? sources_[source.value].first_owed : kNoId;
    return first == kNoId ? 0 : slots_of_end(orders_[first]);
}

void Engine::on_deliver(const DeliverInput& d) noexcept {
    if (d.source.value >= kSourcesMax) {
        return;
    }
    SourceState& s = sources_[d.source.value];
    std::uint32_t left = d.slots;
    while (s.first_owed != kNoId && slots_of_end(orders_[s.first_owed]) <= left) {
        const std::uint32_t i = s.first_owed;
        left -= slots_of_end(orders_[i]);
        s.first_owed = orders_[i].next_owed;
        s.last_owed = s.first_owed == kNoId ? kNoId : s.last_owed;
        orders_[i].next_owed = kNoId;
        --g_.ends_owed;
        --ledger_[orders_[i].signal].orders_resting;
        tell_end(i);
        release_if_done(i);
    }
}

/// The last word about an order; its slot was promised or is offered by the record.
void Engine::tell_end(std::uint32_t i) noexcept {
    Order& o = orders_[i];
    put_result(o, ResultKind::OrderDone);
    o.results = ResultsDue::Nothing;
    --ledger_[o.signal].orders_open;
    finish_signal_if_done(o.signal);
}

}  // namespace millrace
