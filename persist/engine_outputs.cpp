#include "persist/engine_outputs.h"

#include "core/crash_point.h"
#include "shm/doorbell.h"
#include "shm/source_ring.h"

#include <cstring>

namespace millrace {
namespace {

/// True if (seq, k) is at or before the last output that this ring ever got. The rule that makes
/// delivery effectively once across a crash: each ring remembers its own last.
template <class Slot>
bool is_published(const RingProducer<Slot>& ring, Sequence seq, std::uint32_t k) noexcept {
    const Slot* last = ring.last();
    return last != nullptr &&
           (last->value.seq > seq || (last->value.seq == seq && last->value.k >= k));
}

}  // namespace

bool is_cut_off(const Segment& segment, std::uint32_t index) {
    std::string damage;
    if (!is_of_source(segment.ring_entry(index)) || segment.check_ring(index, damage)) {
        return false;
    }
    const std::string name{view(segment.ring_entry(index).name)};
    segment.report_error("engine", "ALERT source " + name.substr(name.find('.') + 1) +
                                       " is disabled until a clean stop: " + damage);
    return true;
}

Status EngineOutputs::attach(Segment& segment, std::string& message) {
    segment_ = &segment;
    auto orders = RingProducer<OrderSlot>::attach(segment.ring<OrderSlot>("orders"));
    if (!orders) {
        message = "ring orders: " + std::string{orders.error().what};
        return orders.error();
    }
    orders_ = orders.value();
    orders_room_ = RingRoom<OrderSlot>{segment.ring<OrderSlot>("orders")};
    results_.clear();
    for (std::uint32_t i = 0; i < segment.ring_count(); ++i) {
        const RingEntry& entry = segment.ring_entry(i);
        if (entry.kind != RingKind::Results) {
            continue;
        }
        Results r;
        r.cut_off = millrace::is_cut_off(segment, i);
        if (!r.cut_off) {
            auto ring = RingProducer<ResultSlot>::attach(segment.ring<ResultSlot>(i));
            if (!ring) {
                message = "ring " + std::string{view(entry.name)} + ": " + ring.error().what;
                return ring.error();
            }
            r.ring = ring.value();
            r.room = RingRoom<ResultSlot>{segment.ring<ResultSlot>(i)};
        }
        r.owner = SourceId{entry.owner_id};
        r.slots = entry.capacity;
        r.doorbell = entry.doorbell;
        if (entry.owner_id < kSourcesMax) {
            ring_of_source_[entry.owner_id] = static_cast<std::uint32_t>(results_.size());
        }
        results_.push_back(r);
    }
    ASSERT(!results_.empty());
    ASSERT(results_[0].owner.value == kNoId);  // ingress's ring is laid out first
    return ok_status();
}

std::uint32_t EngineOutputs::result_ring_of(SourceId source) const noexcept {
    return source.value < kSourcesMax ? ring_of_source_[source.value] : 0;
}

std::uint64_t EngineOutputs::reserved(const Engine& engine, std::uint32_t i) const noexcept {
    if (i != 0) {
        return engine.results_reserved(results_[i].owner);
    }
    std::uint64_t others = 0;
    for (std::size_t n = 1; n < results_.size(); ++n) {
        others += engine.results_reserved(results_[n].owner);
    }
    return engine.results_reserved_total() - others;
}

void EngineOutputs::order(const OrderCommand& command) noexcept {
    if (mode_ == Mode::Drop ||
        (mode_ == Mode::PublishNew && is_published(orders_, command.seq, command.k))) {
        return;
    }
    MILLRACE_CRASH_POINT("engine.before_order");
    OrderSlot* slot = orders_.claim();
    // The driver offered no bigger budget than there were free slots.
    ASSERT(slot != nullptr);
    std::memcpy(&slot->value, &command, sizeof command);
    orders_.commit();
    orders_rung_ = false;
    MILLRACE_CRASH_POINT("engine.after_order");
}

void EngineOutputs::result(const SignalResult& result) noexcept {
    if (mode_ == Mode::Drop) {
        return;
    }
    Results& to = results_[result_ring_of(result.source)];
    if (to.cut_off) {
        return;  // the source was told to be disabled; its orders have their rows in the store
    }
    if (mode_ == Mode::PublishNew && is_published(to.ring, result.seq, result.k)) {
        return;
    }
    MILLRACE_CRASH_POINT("engine.before_result");
    ResultSlot* slot = to.ring.claim();
    if (slot == nullptr) {
        // Slots are promised before a signal is taken; only the loss of a segment with more in
        // flight than a ring holds comes here. The source asks again by resending its signal.
        segment_->report_error("engine", "results ring full after the loss of a segment");
        return;
    }
    std::memcpy(&slot->value, &result, sizeof result);
    to.ring.commit();
    to.rung = false;
    if (result.kind == ResultKind::OrderDone && result.edge_time.value > 0) {
        segment_->hop(Hop::SignalToResult).record((result.time - result.edge_time).value);
    }
    MILLRACE_CRASH_POINT("engine.after_result");
}

void EngineOutputs::definition(const DefinitionRow& row) noexcept {
    NameTables& names = segment_->names();
    NameEntry* entry = nullptr;
    switch (row.kind) {
        case 'S': entry = &names.symbols[row.id % kNamesPerKind]; break;
        case 'G': entry = &names.groups[row.id % kNamesPerKind]; break;
        case 'O': entry = &names.sources[row.id % kNamesPerKind]; break;
        case 'A':
            if (row.id < segment_->sessions()) {
                const Account& account = engine_->account(AccountId{row.id});
                SessionEntry& session = segment_->session(AccountId{row.id});
                const bool gone = row.state == static_cast<std::uint8_t>(GroupState::Removed);
                // Before the login lets a terminal in: which journal spoke last for this account,
                // and how far, is what the stage judges its first word by. In a segment that has it
                // from an engine before us, it stays: what is replayed just now may be older.
                if (session.applied_journal.load(std::memory_order_relaxed) == 0) {
                    session.applied_event_seq.store(engine_->seq().value,
                                                    std::memory_order_relaxed);
                    session.applied_journal.store(account.journal_id, std::memory_order_relaxed);
                    session.applied_event.store(account.last_event, std::memory_order_release);
                }
                // Release: pairs with the broker stage's acquire; it then accepts this login, or
                // none any more.
                session.login.store(gone ? 0 : account.spec.login, std::memory_order_release);
            }
            return;
        default: return;
    }
    entry->name = row.name;
    if (row.kind == 'S') {
        entry->digits.store(engine_->symbol(SymbolId{row.id}).spec.digits,
                            std::memory_order_relaxed);
    }
    if (row.kind == 'G') {
        entry->digits.store(row.state, std::memory_order_relaxed);
    }
    const bool gone =
        row.kind == 'G' && row.state == static_cast<std::uint8_t>(GroupState::Removed);
    // Release: pairs with the edges' acquire; the name is whole before it counts.
    entry->ready.store(gone ? 0 : 1, std::memory_order_release);
}

void EngineOutputs::wake() noexcept {
    if (!orders_rung_) {
        orders_rung_ = true;
        ring(segment_->doorbell(StageId::Broker));
    }
    for (Results& r : results_) {
        if (!r.rung) {
            r.rung = true;
            ring(segment_->doorbell(r.doorbell));
        }
    }
}

void EngineOutputs::publish_stats(Nanos now) noexcept {
    orders_.publish_stats(now.value);
    for (Results& r : results_) {
        if (!r.cut_off) {
            r.ring.publish_stats(now.value);
        }
    }
}

}  // namespace millrace
