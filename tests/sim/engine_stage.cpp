// The engine stage of the simulation: rule 2's five steps, with a death between any two of them.
#include "tests/sim/ports.h"
#include "tests/sim/trace.h"

#include <algorithm>
#include <string>

namespace millrace::sim {
namespace {

constexpr std::uint32_t kBudgetMost = 64;
constexpr std::size_t kSnapshotsKept = 3;
constexpr std::uint64_t kIntentBlock = 256;
constexpr std::uint64_t kSeqBlock = 4096;

}  // namespace

JournalRecord World::begin_record(SymbolId symbol) const {
    JournalRecord r;
    r.seq = Sequence{engine_->seq().value + 1};
    r.time = std::max(now_, engine_->time());
    r.budget = static_cast<std::uint32_t>(std::min<std::uint64_t>(orders_free(), kBudgetMost));
    if (symbol.value != kNoId) {
        r.bid = price_;
        r.ask = Price{price_.value + 1000};
        r.tick_time = now_;
    }
    return r;
}

/// (a) to (d) of rule 2, dying at a random place if a crash is due.
/// @return true if the record is in the journal: the input's cursor follows.
bool World::commit_record(const JournalRecord& record) {
    const bool dies = crash_pending_;
    crash_pending_ = false;
    const std::uint64_t place = dies ? rng_.below(4) : 4;
    if (place == 0) {
        crash_engine();
        return false;  // before (a)
    }
    append(record);
    if (place == 1) {
        crash_engine();  // before (b)
        return true;
    }
    if (place == 2) {
        port_->outputs_left = rng_.below(3);  // in the middle of (c)
    }
    engine_->apply(record, *port_);
    port_->outputs_left = UINT64_MAX;
    if (place >= 3) {
        completed_ = record.seq.value;  // (d)
    }
    if (dies) {
        crash_engine();
    }
    require(orders_ring_.size() <= orders_slots_, "I16 bounded", "the orders ring overflowed");
    require(results_ring_.size() <= results_slots_, "I16 bounded", "the results ring overflowed");
    return true;
}

void World::append(const JournalRecord& record) {
    require(log_.empty() || record.seq > log_.back().seq, "I11 journal", "numbers must rise");
    log_.push_back(record);
    if (options_.trace) {
        trace(record);
    }
    seq_reserved_ = std::max(seq_reserved_, record.seq.value + kSeqBlock);
    intent_reserved_ = std::max(intent_reserved_, engine_->globals().next_intent + kIntentBlock);
}

/// Same segment: state from a snapshot at or below `completed`, then the rest of the log.
void World::crash_engine() {
    ++summary_.engine_crashes;
    rebuild(completed_, true);
    completed_ = engine_->seq().value;
}

void World::rebuild(std::uint64_t snapshot_max, bool publish) {
    engine_ = std::make_unique<Engine>(kCapacity);
    port_ = std::make_unique<LivePort>(*this);
    for (auto it = snapshots_.rbegin(); it != snapshots_.rend(); ++it) {
        if (it->seq <= snapshot_max && rng_.chance(800)) {
            const Status loaded = engine_->load(it->image.data(), it->image.size());
            require(loaded.ok(), "I10 snapshot", "a snapshot was refused");
            break;
        }
    }
    port_->resuming = true;
    const std::uint64_t skipped = log_.empty() ? 0 : log_.back().seq.value;
    for (const JournalRecord& r : log_) {
        if (r.seq <= engine_->seq() ||
            (options_.canary == Canary::SkipsRecordInReplay && r.seq.value == skipped)) {
            continue;
        }
        // Up to `completed` everything was put out, perhaps into a segment that is gone.
        port_->publishing =
            publish && (r.seq.value > completed_ || options_.canary == Canary::RepublishesOutputs);
        JournalRecord record = r;
        if (options_.canary == Canary::ReplaysAtAnotherTime) {
            record.time = record.time + Nanos{1};
        }
        engine_->apply(record, *port_);
    }
    port_->publishing = true;
    port_->resuming = false;
}

/// The host dies: what was not durable is gone, and the segment with everything in its rings.
void World::crash_host() {
    ++summary_.host_crashes;
    crash_pending_ = false;
    std::erase_if(log_, [this](const JournalRecord& r) { return r.seq.value > durable_; });
    std::erase_if(snapshots_, [this](const Snapshot& s) { return s.seq > durable_; });
    orders_ring_.clear();
    results_ring_.clear();
    reports_ring_.clear();
    admin_ring_.clear();
    signals_ring_.clear();
    last_order_ = last_result_ = {};
    for (std::uint32_t a = 0; a < accounts_; ++a) {
        sessions_[a].lose_segment();
        terminals_[a].new_command_epoch();
    }
    segment_ends_.push_back(durable_);
    segments_.emplace_back();
    rebuild(durable_, false);
    begin_segment();
}

void World::begin_segment() {
    JournalRecord jump = begin_record(SymbolId{kNoId});
    jump.seq = Sequence{seq_reserved_ + 1};
    jump.set_body(InputType::Jump, JumpInput{intent_reserved_});
    append(jump);
    engine_->apply(jump, *port_);
    StartInput input;
    input.epoch = ++epoch_;
    input.new_segment = 1;
    JournalRecord start = begin_record(SymbolId{kNoId});
    start.set_body(InputType::Start, input);
    append(start);
    engine_->apply(start, *port_);
    completed_ = engine_->seq().value;
    durable_index_ = std::min(durable_index_, log_.size());
    for (const Signal& s : unacked_) {
        signals_ring_.push_back(s);  // sources send again what was not acknowledged
    }
}

void World::take_snapshot() {
    Snapshot s;
    s.seq = engine_->seq().value;
    engine_->save(s.image);
    snapshots_.push_back(std::move(s));
    if (snapshots_.size() > kSnapshotsKept) {
        snapshots_.erase(snapshots_.begin());
    }
}

void World::advance_durable(std::uint64_t to) {
    durable_ = std::max(durable_, to);
    for (; durable_index_ < log_.size() && log_[durable_index_].seq.value <= durable_;
         ++durable_index_) {
        const JournalRecord& r = log_[durable_index_];
        if (r.type == InputType::Report) {
            const Report report = r.as<Report>();
            std::uint64_t& event = durable_event_[report.account.value];
            event = std::max(event, report.event_seq);
        }
    }
    for (std::uint32_t a = 0; a < accounts_; ++a) {
        if (sessions_[a].up()) {
            terminals_[a].acknowledge(durable_event_[a]);
        }
    }
}

bool World::engine_step() {
    return take_admin() || take_report() || take_deferred() || take_signal();
}

bool World::take_admin() {
    if (admin_ring_.empty()) {
        return false;
    }
    JournalRecord r = begin_record(SymbolId{kNoId});
    r.set_body(InputType::Admin, admin_ring_.front());
    if (commit_record(r)) {
        admin_ring_.pop_front();
    }
    return true;
}

bool World::take_report() {
    if (reports_ring_.empty()) {
        return false;
    }
    JournalRecord r = begin_record(SymbolId{kNoId});
    r.set_body(InputType::Report, reports_ring_.front());
    if (commit_record(r)) {
        reports_ring_.pop_front();
    }
    return true;
}

bool World::take_deferred() {
    const std::uint64_t promised = results_ring_.size() + engine_->results_reserved_total();
    const std::uint64_t room = promised < results_slots_ ? results_slots_ - promised : 0;
    if (engine_->owes_results() && room >= engine_->results_owed(SourceId{0})) {
        JournalRecord r = begin_record(SymbolId{kNoId});
        r.set_body(InputType::Deliver, DeliverInput{SourceId{0}, static_cast<std::uint32_t>(room)});
        static_cast<void>(commit_record(r));
        return true;
    }
    if (orders_free() < kBudgetMin) {
        return false;
    }
    const bool due = engine_->next_deadline() <= now_ || engine_->has_work();
    if (due && take_rate()) {
        return true;
    }
    if (engine_->next_deadline() <= now_) {
        JournalRecord r = begin_record(engine_->timer_symbol());
        r.set_body(InputType::Timer, TimerInput{});
        static_cast<void>(commit_record(r));
        return true;
    }
    if (!engine_->has_work()) {
        return false;
    }
    JournalRecord r = begin_record(engine_->work_symbol());
    r.type = InputType::Continue;
    static_cast<void>(commit_record(r));
    return true;
}

bool World::take_rate() {
    const SymbolId symbol = engine_->rate_symbol(std::max(now_, engine_->time()));
    if (symbol.value == kNoId) {
        return false;
    }
    JournalRecord r = begin_record(symbol);
    r.set_body(InputType::Rate, RateInput{symbol, 0});
    static_cast<void>(commit_record(r));
    return true;
}

bool World::take_signal() {
    if (engine_->has_work() || orders_free() < kBudgetMin || signals_ring_.empty()) {
        return false;
    }
    const Signal& s = signals_ring_.front();
    const std::uint64_t free = results_slots_ - results_ring_.size();
    if (free < engine_->results_reserved_total() + engine_->results_needed(s)) {
        return false;  // a source that does not read stops itself
    }
    if (take_rate()) {
        return true;
    }
    JournalRecord r = begin_record(s.symbol);
    r.set_body(InputType::Signal, s);
    if (commit_record(r)) {
        signals_ring_.pop_front();
    }
    return true;
}

}  // namespace millrace::sim
