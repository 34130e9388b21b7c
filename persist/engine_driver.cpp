#include "persist/engine_driver.h"

#include "core/crash_point.h"
#include "persist/log_version.h"
#include "persist/skip_list.h"
#include "shm/doorbell.h"

#include <algorithm>

namespace millrace {
namespace {

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

/// Newest records that are whole in the ring of a dead producer, of `written`. Not the oldest of a
/// full lap, if it was released: the record that the producer was writing when it died, and never
/// committed, may lie in that slot. One that nobody has released nobody could write over.
std::uint64_t whole_slots(const RingView<JournalRecord>& view, std::uint64_t written) noexcept {
    // Acquire: pairs with the journal stage's release of the slots; it never goes back.
    const std::uint64_t read = view.control->read_cursor.load(std::memory_order_acquire);
    const bool is_full = written - read >= view.capacity();
    return std::min(written, is_full ? view.capacity() : view.capacity() - 1);
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
    // Once: the journal stage may release slots while the heir reads files, and what was whole
    // stays so until the heir writes.
    const auto view = s.ring<JournalRecord>("journal");
    first_whole_ = journal_.written() - whole_slots(view, journal_.written()) + 1;
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
    return journal_.written() == 0 ? 0 : view.slot(first_whole_).payload.seq.value;
}

Status EngineDriver::resume(Engine& engine, std::uint64_t epoch, bool files_applied) {
    const auto view = segment_->ring<JournalRecord>("journal");
    const std::uint64_t written = journal_.written();
    // Acquire: pairs with the dead engine's release in commit_record().
    const Sequence completed{segment_->core().completed.load(std::memory_order_acquire)};
    std::string message;
    const auto skips = SkipList::load(segment_->header().journal_dir, message);
    if (!skips) {
        segment_->report_error("engine", message);
        return {skips.code(), "the skip list cannot be read"};
    }
    outputs_.set_engine(&engine);
    for (std::uint64_t n = first_whole_; n <= written; ++n) {
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
    owe_start(engine, epoch, 0);
    return ok_status();
}

/// From here on who begins is owed to the log, and before anything else is journalled.
void EngineDriver::owe_start(Engine& engine, std::uint64_t epoch, std::uint32_t new_segment) {
    start_.epoch = epoch;
    start_.logic_version = logic_version();
    start_.new_segment = new_segment;
    owes_start_ = true;
    const Nanos now = segment_->clock().now();
    if (can_take(engine) && journal_free(engine, now)) {
        pay_start(engine, now);
    }
}

void EngineDriver::pay_start(Engine& engine, Nanos now) noexcept {
    JournalRecord& record = begin_record(engine, now, SymbolId{kNoId}, kNoRing, 0);
    record.set_body(InputType::Start, start_);
    owes_start_ = false;
    commit_record(engine, record);
}

void EngineDriver::begin(Engine& engine, std::uint64_t epoch) {
    const CoreCells& core = segment_->core();
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
    owe_start(engine, epoch, 1);
}

void EngineDriver::release_input(std::uint32_t ring, std::uint64_t cursor) noexcept {
    const auto settle = [&](auto& consumer) {
        if (consumer.position() > cursor) {
            return;
        }
        if (consumer.skip_to(cursor + 1)) {
            consumer.release();
        } else {
            segment_->report_error("engine",
                                   "ring " + std::string{view(segment_->ring_entry(ring).name)} +
                                       " lacks the record that was journalled from it last: it "
                                       "was damaged; it goes on at its read cursor");
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

}  // namespace millrace
