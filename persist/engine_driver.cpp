#include "persist/engine_driver.h"

#include "core/crash_point.h"
#include "persist/log_version.h"
#include "persist/skip_list.h"
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

template <class Slot>
Status attach_one(Segment& s, std::uint32_t index, RingConsumer<Slot>& to, std::string& message) {
    auto ring = RingConsumer<Slot>::attach(s.ring<Slot>(index));
    if (!ring) {
        message = "ring " + std::string{view(s.ring_entry(index).name)} + ": " + ring.error().what;
        return ring.error();
    }
    to = ring.value();
    return ok_status();
}

/// Records that are whole in the ring of a dead producer. Not the oldest of a full lap: the record
/// that the producer was writing when it died, and never committed, lies in that slot.
std::uint64_t whole_slots(const RingView<JournalRecord>& view) noexcept {
    return view.capacity() - 1;
}

}  // namespace

Result<EngineDriver> EngineDriver::attach(Segment& segment, std::string& message) {
    EngineDriver d{segment};
    if (auto attached = d.attach_rings(message); !attached) {
        return attached.error();
    }
    return d;
}

Status EngineDriver::attach_rings(std::string& message) {
    Segment& s = *segment_;
    auto journal = RingProducer<JournalRecord>::attach(s.ring<JournalRecord>("journal"));
    if (!journal) {
        message = "ring journal: " + std::string{journal.error().what};
        return journal.error();
    }
    journal_ = journal.value();
    journal_room_ = RingRoom<JournalRecord>{s.ring<JournalRecord>("journal")};
    if (auto done = outputs_.attach(s, message); !done) {
        return done;
    }
    admin_.index = s.find_ring("admin");
    reports_.index = s.find_ring("reports");
    if (auto done = attach_one(s, admin_.index, admin_.ring, message); !done) {
        return done;
    }
    if (auto done = attach_one(s, reports_.index, reports_.ring, message); !done) {
        return done;
    }
    for (std::uint32_t i = 0; i < s.ring_count(); ++i) {
        if (s.ring_entry(i).kind != RingKind::Signals) {
            continue;
        }
        Input<SignalSlot> in;
        in.index = i;
        in.results = outputs_.result_ring_of(SourceId{s.ring_entry(i).owner_id});
        if (outputs_.is_cut_off(in.results) || is_cut_off(s, i)) {
            continue;
        }
        if (auto done = attach_one(s, i, in.ring, message); !done) {
            return done;
        }
        signals_.push_back(in);
    }
    return ok_status();
}

bool EngineDriver::is_new_segment() const noexcept {
    const JournalRecord* last = journal_.last();
    return last == nullptr || (journal_.written() == 1 && last->type == InputType::Jump);
}

std::uint64_t EngineDriver::oldest_in_ring() const noexcept {
    const auto view = segment_->ring<JournalRecord>("journal");
    const std::uint64_t written = journal_.written();
    if (written == 0) {
        return 0;
    }
    const std::uint64_t first = written - std::min(written, whole_slots(view)) + 1;
    return view.slot(first).payload.seq.value;
}

Status EngineDriver::resume(Engine& engine, std::uint64_t epoch, bool files_applied) {
    const auto view = segment_->ring<JournalRecord>("journal");
    const std::uint64_t written = journal_.written();
    const std::uint64_t held = std::min(written, whole_slots(view));
    // Acquire: pairs with the dead engine's release in commit_record().
    const Sequence completed{segment_->core().completed.load(std::memory_order_acquire)};
    std::string message;
    const auto skips = SkipList::load(segment_->header().journal_dir, message);
    if (!skips) {
        segment_->report_error("engine", message);
        return {skips.code(), "the skip list cannot be read"};
    }
    outputs_.set_engine(&engine);
    for (std::uint64_t n = written - held + 1; n <= written; ++n) {
        // The producer is dead and we are its heir: these slots are whole, also below the read
        // cursor.
        const JournalRecord& record = view.slot(n).payload;
        if (record.seq <= engine.seq()) {
            continue;
        }
        const bool jumps = record.type == InputType::Jump && files_applied;
        if (record.seq.value != engine.seq().value + 1 && !jumps) {
            return {Errc::NotFound, "journal ring does not hold the next record"};
        }
        if (!is_of_this_logic(record)) {
            segment_->report_error("engine",
                                   other_logic("record " + std::to_string(record.seq.value),
                                               record.as<StartInput>().logic_version));
            return {Errc::BadVersion, "journal ring holds records of another logic version"};
        }
        outputs_.set_mode(record.seq <= completed ? EngineOutputs::Mode::Drop
                                                  : EngineOutputs::Mode::PublishNew);
        skips.value().apply(engine, record, outputs_);
    }
    MILLRACE_CRASH_POINT("engine.recover.replayed");
    outputs_.set_mode(EngineOutputs::Mode::Publish);
    outputs_.wake();
    // Release: pairs with the replica's and the next engine's acquire.
    segment_->core().completed.store(engine.seq().value, std::memory_order_release);
    if (const JournalRecord* last = journal_.last(); last->source_ring != kNoRing) {
        // Only the last input can be journalled and not yet released.
        release_input(last->source_ring, last->source_cursor);
    }
    answer_admin(engine);  // the engine before us may have died before it said what it had done
    MILLRACE_CRASH_POINT("engine.recover.released");
    engine.replay_definitions(outputs_);
    StartInput start;
    start.epoch = epoch;
    start.logic_version = logic_version();
    JournalRecord& record =
        begin_record(engine, segment_->clock().now(), SymbolId{kNoId}, kNoRing, 0);
    record.set_body(InputType::Start, start);
    commit_record(engine, record);
    return ok_status();
}

void EngineDriver::begin(Engine& engine, std::uint64_t epoch) {
    CoreCells& core = segment_->core();
    outputs_.set_engine(&engine);
    outputs_.set_mode(EngineOutputs::Mode::Publish);
    const Nanos now = segment_->clock().now();
    if (journal_.written() == 0) {
        JumpInput jump;
        jump.intent_floor = core.jump_intent.load(std::memory_order_relaxed);
        JournalRecord& record = begin_record(engine, now, SymbolId{kNoId}, kNoRing, 0);
        record.seq = Sequence{
            std::max(core.jump_seq.load(std::memory_order_relaxed), engine.seq().value + 1)};
        record.set_body(InputType::Jump, jump);
        commit_record(engine, record);
    } else if (journal_.last()->seq > engine.seq()) {
        engine.apply(*journal_.last(), outputs_);  // the engine before us died right after it
    }
    MILLRACE_CRASH_POINT("engine.begin.jumped");
    engine.replay_definitions(outputs_);
    StartInput start;
    start.epoch = epoch;
    start.logic_version = logic_version();
    start.new_segment = 1;
    JournalRecord& record = begin_record(engine, now, SymbolId{kNoId}, kNoRing, 0);
    record.set_body(InputType::Start, start);
    commit_record(engine, record);
}

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

void EngineDriver::release_input(std::uint32_t ring, std::uint64_t cursor) noexcept {
    const auto settle = [cursor](auto& consumer) {
        if (consumer.position() <= cursor) {
            consumer.skip_to(cursor + 1);
            consumer.release();
        }
    };
    if (ring == admin_.index) {
        settle(admin_.ring);
    } else if (ring == reports_.index) {
        settle(reports_.ring);
    }
    for (auto& in : signals_) {
        if (ring == in.index) {
            settle(in.ring);
        }
    }
}

bool EngineDriver::can_take(const Engine& engine) const noexcept {
    const CoreCells& core = segment_->core();
    // Acquire: pairs with the journal stage's release of a longer reservation.
    return engine.seq().value + 1 < core.reserved_seq.load(std::memory_order_acquire) &&
           engine.globals().next_intent + kIntentMargin <
               core.reserved_intent.load(std::memory_order_acquire);
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
    const std::uint64_t cursor = admin_.ring.position();
    JournalRecord& record = begin_record(engine, now, SymbolId{kNoId}, admin_.index, cursor);
    record.set_body(InputType::Admin, in->value);
    commit_record(engine, record);
    admin_.ring.advance();
    admin_.ring.release();  // (e)
    answer_admin(engine);
    return true;
}

/// What became of the latest admin record of this segment, for the command line that waits.
void EngineDriver::answer_admin(const Engine& engine) noexcept {
    const Globals& g = engine.globals();
    CoreCells& core = segment_->core();
    core.config_hash.store(g.config_hash, std::memory_order_relaxed);
    if (g.admin_cursor == 0) {
        return;
    }
    core.admin_last_status.store(g.admin_cursor << 8 | static_cast<std::uint64_t>(g.admin_answer),
                                 std::memory_order_relaxed);
    core.admin_last_detail.store(
        std::uint64_t{g.admin_detail.orders} << 32 | g.admin_detail.positions,
        std::memory_order_relaxed);
    // Release: pairs with the command line's acquire; status and detail belong to this number.
    core.admin_applied.store(g.admin_cursor, std::memory_order_release);
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

bool EngineDriver::take_deferred(Engine& engine, Nanos now) noexcept {
    const bool due = engine.next_deadline() <= now || engine.has_work();
    if (!due || !outputs_.orders_free_now(kBudgetMin)) {
        return false;
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
        engine.next_deadline() <= now) {
        return false;
    }
    // Results that are owed and find no room are no work: the next look is a park later.
    return std::all_of(signals_.begin(), signals_.end(),
                       [](const auto& in) { return in.ring.peek() == nullptr; });
}

void EngineDriver::note_hash(const Engine& engine) noexcept {
    const std::uint64_t seq = engine.seq().value;
    if (seq % kHashCheckEvery != 0) {
        return;
    }
    HashCheck& check = segment_->hash_check(static_cast<std::uint32_t>(seq / kHashCheckEvery));
    // A reader takes `hash` only between two equal reads of `seq`.
    check.seq.store(0, std::memory_order_relaxed);
    check.hash.store(engine.output_hash(), std::memory_order_release);
    check.seq.store(seq, std::memory_order_release);
}

void EngineDriver::note_account(const Engine& engine, AccountId id) noexcept {
    if (id.value >= segment_->sessions() || id.value >= engine.account_count()) {
        return;
    }
    const Account& a = engine.account(id);
    SessionEntry& cell = segment_->session(id);
    cell.account_state.store(static_cast<std::uint32_t>(a.state), std::memory_order_relaxed);
    cell.live_orders.store(a.live_orders, std::memory_order_relaxed);
    // The record's number first: a reader that sees the event (acquire) sees a number that is at
    // least its record's, so it never acknowledges too early.
    cell.applied_event_seq.store(engine.seq().value, std::memory_order_relaxed);
    cell.applied_event.store(a.last_event, std::memory_order_release);
}

void EngineDriver::publish_cells(Engine& engine) noexcept {
    const Globals& g = engine.globals();
    CoreCells& core = segment_->core();
    core.live_orders.store(g.live_orders, std::memory_order_relaxed);
    core.in_doubt.store(g.in_doubt, std::memory_order_relaxed);
    core.open_positions.store(g.open_positions, std::memory_order_relaxed);
    core.signals_accepted.store(g.signals_accepted, std::memory_order_relaxed);
    core.entries_refused.store(g.signals_refused, std::memory_order_relaxed);
    core.orders_sent.store(g.orders_sent, std::memory_order_relaxed);
    core.orders_filled.store(g.orders_filled, std::memory_order_relaxed);
    core.orders_rejected.store(g.orders_rejected, std::memory_order_relaxed);
    core.config_hash.store(g.config_hash, std::memory_order_relaxed);
    for (std::uint32_t i = 0; i < engine.account_count(); ++i) {
        if (engine.account(AccountId{i}).defined || engine.account(AccountId{i}).removed) {
            note_account(engine, AccountId{i});
        }
    }
    const Nanos now = segment_->clock().now();
    journal_.publish_stats(now.value);
    outputs_.publish_stats(now);
}

}  // namespace millrace
