// EngineDriver, the hot path: which input is next, and rule 2 for each of them.
#include "persist/engine_driver.h"

#include "core/crash_point.h"
#include "shm/doorbell.h"

#include <algorithm>
#include <cstring>

namespace millrace {
namespace {

/// Most orders one record may put out: bounds the time of one apply().
constexpr std::uint64_t kBudgetMax = 4096;
/// Most result slots that one Deliver record offers: bounds the time of one apply().
constexpr std::uint64_t kDeliverMax = 256;
/// Intent ids that one record may hand out at most, with room to spare.
constexpr std::uint64_t kIntentMargin = 2 * kBudgetMax + 64;

}  // namespace

/// Prepares the next journal slot. Nothing is visible until commit_record().
JournalRecord& EngineDriver::begin_record(const Engine& engine, Nanos now, SymbolId symbol,
                                          std::uint32_t ring, std::uint64_t cursor,
                                          std::uint64_t budget) noexcept {
    JournalRecord* r = journal_.claim();
    ASSERT(r != nullptr);  // can_take() saw room
    *r = JournalRecord{};
    r->seq = Sequence{engine.seq().value + 1};
    r->time = std::max(now, engine.time());
    r->source_ring = static_cast<std::uint16_t>(ring);
    r->source_cursor = cursor;
    r->budget = static_cast<std::uint32_t>(outputs_.orders_free(std::min(budget, kBudgetMax)));
    if (symbol.value < kSymbolsMax) {
        const Quote q = segment_->tick(symbol).load();
        r->bid = q.bid;
        r->ask = q.ask;
        r->tick_time = q.time;
    }
    return *r;
}

void EngineDriver::commit_record(Engine& engine, const JournalRecord& record) noexcept {
    MILLRACE_CRASH_POINT("engine.before_journal");
    journal_.commit();  // (a) the commit point
    MILLRACE_CRASH_POINT("engine.after_journal");
    engine.apply(record, outputs_);  // (b) and (c)
    MILLRACE_CRASH_POINT("engine.after_apply");
    CoreCells& core = segment_->core();
    core.journal_seq.store(record.seq.value, std::memory_order_relaxed);
    core.next_intent.store(engine.globals().next_intent, std::memory_order_relaxed);
    note_hash(engine);
    // (d) Release: pairs with the replica's acquire; whoever sees it finds the outputs in place.
    core.completed.store(record.seq.value, std::memory_order_release);
    MILLRACE_CRASH_POINT("engine.after_completed");
    ring(segment_->doorbell(StageId::Journal));
    outputs_.wake();
}

bool EngineDriver::can_take(const Engine& engine) noexcept {
    const std::uint64_t seq = engine.seq().value + 1;
    const std::uint64_t intent = engine.globals().next_intent + kIntentMargin;
    if (seq < reserved_seq_ && intent < reserved_intent_) [[likely]] {
        return true;
    }
    const CoreCells& core = segment_->core();
    // Acquire: pairs with the journal stage's release of a longer reservation.
    reserved_seq_ = core.reserved_seq.load(std::memory_order_acquire);
    reserved_intent_ = core.reserved_intent.load(std::memory_order_acquire);
    return seq < reserved_seq_ && intent < reserved_intent_;
}

/// A full journal ring refuses only if something waits to be journalled.
bool EngineDriver::journal_free(const Engine& engine, Nanos now) noexcept {
    if (journal_room_.free(journal_.written(), 1) != 0) {
        return true;
    }
    return !idle(engine, now) && journal_.claim() != nullptr;
}

int EngineDriver::poll(Engine& engine, Nanos now, int limit) noexcept {
    int taken = 0;
    while (taken < limit && can_take(engine) && journal_free(engine, now)) {
        if (owes_start_) [[unlikely]] {
            pay_start(engine, now);
            ++taken;
            continue;
        }
        const bool any = take_admin(engine, now) || take_report(engine, now) ||
                         take_owed(engine, now) || take_deferred(engine, now) ||
                         take_signal(engine, now);
        if (!any) {
            break;
        }
        ++taken;
    }
    if (taken > 0) {
        EngineOutputs::prefetch_slot(journal_room_.next(journal_.written()));
        outputs_.prefetch_next();
    }
    return taken;
}

bool EngineDriver::take_admin(Engine& engine, Nanos now) noexcept {
    const AdminSlot* in = admin_.ring.peek();
    if (in == nullptr) {
        return false;
    }
    // The one admin record that puts out an order: what a person found goes on to the executor.
    if (in->value.op == AdminOp::Resolve && !outputs_.orders_free_now(kBudgetMin)) {
        return false;
    }
    const std::uint64_t cursor = admin_.ring.position();
    JournalRecord& record = begin_record(engine, now, SymbolId{kNoId}, admin_.index, cursor);
    record.set_body(InputType::Admin, in->value);
    commit_record(engine, record);
    admin_.ring.advance();
    admin_.ring.release();  // (e)
    answer_admin(engine);
    return true;
}

/// Slots that a Deliver record may offer to `source` now; 0 = not enough for the next end it waits
/// for, or nothing is owed.
std::uint32_t EngineDriver::room_for_owed(const Engine& engine, SourceId source) noexcept {
    const std::uint32_t needed = engine.results_owed(source);
    if (needed == 0) {
        return 0;
    }
    const std::uint32_t i = outputs_.result_ring_of(source);
    const std::uint64_t promised = outputs_.reserved(engine, i);
    const std::uint64_t free = outputs_.results_room(i, promised + kDeliverMax);
    const std::uint64_t room = free > promised ? free - promised : 0;
    return room >= needed ? static_cast<std::uint32_t>(room) : 0;
}

/// Ends of orders that rested at a broker, for a source whose ring has room again.
bool EngineDriver::take_owed(Engine& engine, Nanos now) noexcept {
    if (!engine.owes_results()) [[likely]] {
        return false;
    }
    for (std::uint32_t n = 0; n < kSourcesMax; ++n) {
        DeliverInput deliver;
        deliver.source = SourceId{n};
        deliver.slots = room_for_owed(engine, deliver.source);
        if (deliver.slots == 0) {
            continue;
        }
        JournalRecord& record = begin_record(engine, now, SymbolId{kNoId}, kNoRing, 0);
        record.set_body(InputType::Deliver, deliver);
        commit_record(engine, record);
        return true;
    }
    return false;
}

bool EngineDriver::take_report(Engine& engine, Nanos now) noexcept {
    const ReportSlot* in = reports_.ring.peek();
    if (in == nullptr) {
        return false;
    }
    const AccountId account = in->value.account;
    JournalRecord& record =
        begin_record(engine, now, SymbolId{kNoId}, reports_.index, reports_.ring.position());
    record.set_body(InputType::Report, in->value);
    commit_record(engine, record);
    MILLRACE_CRASH_POINT("engine.before_release");
    reports_.ring.advance();
    reports_.ring.release();  // (e)
    note_account(engine, account);
    return true;
}

/// What currencies are worth goes before what may send an entry.
bool EngineDriver::take_rate(Engine& engine, Nanos now) noexcept {
    RateInput rate;
    rate.symbol = engine.rate_symbol(std::max(now, engine.time()));
    if (rate.symbol.value == kNoId) [[likely]] {
        return false;
    }
    JournalRecord& record = begin_record(engine, now, rate.symbol, kNoRing, 0);
    record.set_body(InputType::Rate, rate);
    commit_record(engine, record);
    return true;
}

bool EngineDriver::take_deferred(Engine& engine, Nanos now) noexcept {
    const bool due = engine.next_deadline() <= now || engine.has_work();
    if (!due || !outputs_.orders_free_now(kBudgetMin)) {
        return false;
    }
    if (take_rate(engine, now)) {
        return true;
    }
    if (engine.next_deadline() <= now) {
        TimerInput timer;
        timer.deadline = static_cast<std::uint64_t>(engine.next_deadline().value);
        JournalRecord& record = begin_record(engine, now, engine.timer_symbol(), kNoRing, 0);
        record.set_body(InputType::Timer, timer);
        commit_record(engine, record);
        return true;
    }
    JournalRecord& record = begin_record(engine, now, engine.work_symbol(), kNoRing, 0, kBudgetMax);
    record.type = InputType::Continue;
    commit_record(engine, record);
    return true;
}

bool EngineDriver::has_credit(const Engine& engine, const Input<SignalSlot>& in,
                              const Signal& signal) noexcept {
    const std::uint32_t needed = engine.results_needed(signal);
    if (needed > outputs_.results_most(in.results) && !told_too_many_) [[unlikely]] {
        told_too_many_ = true;
        segment_->report_error("engine",
                               "a signal needs more results than its source's ring has "
                               "slots, so that source stands still: raise rings.results");
    }
    return outputs_.results_free(in.results, outputs_.reserved(engine, in.results) + needed);
}

bool EngineDriver::take_signal(Engine& engine, Nanos now) noexcept {
    // A fan-out under way goes first; signals keep their order.
    if (engine.has_work()) {
        return false;
    }
    for (std::size_t n = 0; n < signals_.size(); ++n) {
        Input<SignalSlot>& in = signals_[(next_signal_ + n) % signals_.size()];
        const SignalSlot* slot = in.ring.peek();
        if (slot == nullptr) {
            continue;
        }
        if (!outputs_.orders_free_now(kBudgetMin)) {
            return false;
        }
        if (!has_credit(engine, in, slot->value)) {
            continue;  // a source that does not read its results stops itself only
        }
        if (take_rate(engine, now)) {
            return true;
        }
        next_signal_ = (next_signal_ + n + 1) % signals_.size();
        const Signal& s = slot->value;
        if (s.edge_time.value > 0) {
            segment_->hop(Hop::EdgeToEngine).record((now - s.edge_time).value);
        }
        // Here for every kind of source: an edge that measured it too would count it twice.
        if (s.edge_time.value > 0 && s.send_time.value > 0) {
            segment_->hop(Hop::SourceToEdge).record((s.edge_time - s.send_time).value);
        }
        // Not fewer than one for each account it goes to, if there are so many.
        const std::uint64_t budget = std::max(kBudgetMin, engine.results_needed(s));
        JournalRecord& record =
            begin_record(engine, now, s.symbol, in.index, in.ring.position(), budget);
        record.set_body(InputType::Signal, s);
        // A strategy's ring proves who it is, whatever it wrote.
        if (const std::uint32_t owner = segment_->ring_entry(in.index).owner_id; owner != kNoId) {
            std::memcpy(record.body + offsetof(Signal, source), &owner, sizeof owner);
        }
        commit_record(engine, record);
        MILLRACE_CRASH_POINT("engine.before_signal_release");
        in.ring.advance();
        in.ring.release();  // (e)
        return true;
    }
    return false;
}

bool EngineDriver::idle(const Engine& engine, Nanos now) const noexcept {
    if (admin_.ring.peek() != nullptr || reports_.ring.peek() != nullptr || engine.has_work() ||
        engine.next_deadline() <= now || owes_start_) {
        return false;
    }
    // Results that are owed and find no room are no work: the next look is a park later.
    return std::all_of(signals_.begin(), signals_.end(),
                       [](const auto& in) { return in.ring.peek() == nullptr; });
}

}  // namespace millrace
