#include "persist/replica.h"

#include "core/assert.h"
#include "core/crash_point.h"
#include "persist/log_version.h"
#include "persist/replica_start.h"
#include "persist/snapshot_file.h"
#include "shm/clock.h"
#include "shm/doorbell.h"

#include <algorithm>
#include <chrono>
#include <vector>

namespace millrace {
namespace {

constexpr int kRecordsPerStep = 512;
/// The first snapshot after a start is taken no earlier than this share of the interval.
constexpr std::int64_t kFirstSnapshotShare = 16;

}  // namespace

Replica::Replica(Segment& segment, const CoreOptions& options)
    : segment_{&segment}, options_{options}, port_{*this} {}

Replica::~Replica() {
    if (snapshot_.valid()) {
        snapshot_.wait();
    }
}

void Replica::Port::effect(const Effect& effect) noexcept {
    ASSERT(replica_->effects_.has_value());
    if (auto done = replica_->effects_->append(effect); !done) {
        replica_->fail(std::string{"effects log: "} + done.error().what);
    }
}

Sequence Replica::limit() const noexcept {
    const CoreCells& core = segment_->core();
    // Acquire: pairs with the engine's release; outputs of what we may apply are published.
    const std::uint64_t completed = core.completed.load(std::memory_order_acquire);
    // Acquire: pairs with the journal stage's release; the files hold what we read.
    return Sequence{std::min(completed, core.durable.load(std::memory_order_acquire))};
}

/// Takes the role and rebuilds: effects log's end, newest snapshot whose effects it has, then the
/// log.
bool Replica::begin() noexcept {
    if (!lock_.held()) {
        std::string holder;
        auto lock = RoleLock::try_acquire(options_.journal_dir, "replica", holder);
        if (!lock) {
            if (lock.code() != Errc::NotOwner) {
                fail(std::string{"role replica: "} + lock.error().what);
            }
            return false;
        }
        lock_ = std::move(lock).value();
    }
    if (limit().value == 0) {
        return false;  // a new segment: the engine has not begun yet
    }
    std::string message;
    auto skips = SkipList::load(options_.journal_dir, message);
    if (!skips) {
        fail(message);
        return false;
    }
    skips_ = std::move(skips).value();
    // Release: pairs with the sinks' acquire, as in step(). What a replica before us had applied
    // says nothing of a log that has lost some of it since: until we have, it is not known.
    segment_->core().replica_applied.store(0, std::memory_order_release);
    auto effects = EffectsWriter::open(options_.journal_dir, {}, message);
    if (!effects) {
        fail(message);
        return false;
    }
    effects_.emplace(std::move(effects).value());
    if (!effects_->cut().empty()) {  // how much differs each time, and errors are kept by text
        segment_->report_error("replica", "effects log: cut off a torn tail; it is written again");
    }
    source_ = std::make_unique<DirectorySource>(options_.journal_dir, DirectorySource::Places::Both,
                                                &segment_->core());
    auto start = find_replica_start(options_, limit(), *effects_, *source_, message);
    if (!start) {
        fail(message);
        return false;
    }
    if (!message.empty()) {
        segment_->report_error("replica", message);
    }
    if (start.value().anew && !begin_effects_anew(*start.value().anew)) {
        return false;
    }
    books_.emplace(*segment_, options_.journal_dir);
    engine_ = std::move(start.value().engine);
    reader_.emplace(std::move(start.value().reader));
    snapshot_seq_ = engine_->seq();
    // A newer one that was passed over is no snapshot to begin from: who looks would see it stand
    // beyond the replica.
    segment_->core().snapshot_seq.store(snapshot_seq_.value, std::memory_order_relaxed);
    // Release: as above; the log has all effects up to here.
    segment_->core().replica_applied.store(engine_->seq().value, std::memory_order_release);
    return true;
}

/// What the log lacks up to `mark` can be made by nobody: told, and gone on behind it. To stop here
/// would leave the pipeline without spare, snapshots and stores for ever.
bool Replica::begin_effects_anew(const LogCursor& mark) noexcept {
    const std::uint64_t first = effects_->last_mark().seq.value + 1;
    if (auto begun = effects_->begin_anew(mark); !begun) {
        fail(std::string{"effects log: "} + begun.error().what);
        return false;
    }
    segment_->report_error("replica", "ALERT effects of records " + std::to_string(first) + " to " +
                                          std::to_string(mark.seq.value) +
                                          " are lost, and the journal they were made of: stores "
                                          "that had not come so far lack them");
    return true;
}

int Replica::step(Nanos now) noexcept {
    if (!failure_.empty() || (!reader_ && !begin())) {
        return 0;
    }
    ASSERT(reader_.has_value());
    ASSERT(effects_.has_value());  // begin() makes these before the reader
    ASSERT(books_.has_value());
    books_->collect(*engine_);
    books_->mark_old(now);
    const Sequence end = limit();
    const std::uint64_t epoch = segment_->core().epoch.load(std::memory_order_acquire);
    int work = 0;
    while (work < kRecordsPerStep && engine_->seq() < end) {
        const ReadStatus status = reader_->next(end, epoch);
        if (status == ReadStatus::Corrupt) {
            fail(reader_->fault().what);
            break;
        }
        if (status == ReadStatus::End) {
            break;
        }
        if (!is_of_this_logic(reader_->record())) {
            fail(other_logic("record " + std::to_string(reader_->record().seq.value),
                             reader_->record().as<StartInput>().logic_version));
            break;
        }
        apply(reader_->record());
        ++work;
    }
    if (work > 0) {
        if (auto done = effects_->flush(); !done) {
            fail(std::string{"effects log: "} + done.error().what);
        }
        CoreCells& core = segment_->core();
        core.effects_written.store(effects_->written(), std::memory_order_relaxed);
        // Release: pairs with the sinks' acquire; the effects are in the file.
        core.replica_applied.store(engine_->seq().value, std::memory_order_release);
        ring(segment_->doorbell(StageId::Sqlite));
    }
    maybe_snapshot(now);
    // What is on no disk is no progress: each death would be followed by a start at once.
    return failure_.empty() ? work : 0;
}

void Replica::apply(const JournalRecord& record) noexcept {
    ASSERT(reader_.has_value());
    ASSERT(effects_.has_value());
    ASSERT(books_.has_value());
    skips_.apply(*engine_, record, port_);
    books_->on_record(*engine_);
    if (auto done = effects_->end_of_record(reader_->cursor()); !done) {
        fail(std::string{"effects log: "} + done.error().what);
    }
    if (record.seq.value % kHashCheckEvery == 0) {
        compare_hash();
    }
}

/// The determinism check that runs all day: same records, same state, or somebody computes wrong.
void Replica::compare_hash() noexcept {
    const std::uint64_t seq = engine_->seq().value;
    const HashCheck& check =
        segment_->hash_check(static_cast<std::uint32_t>(seq / kHashCheckEvery));
    // Acquire: pairs with the engine's release of `seq`; the hash between two equal reads is its.
    const std::uint64_t before = check.seq.load(std::memory_order_acquire);
    const std::uint64_t hash = check.hash.load(std::memory_order_acquire);
    if (before != seq || check.seq.load(std::memory_order_relaxed) != seq) {
        return;  // overwritten, or applied by an engine of another segment
    }
    CoreCells& core = segment_->core();
    core.replica_hash_checked.store(seq, std::memory_order_relaxed);
    if (hash != engine_->check_hash(seq / kHashCheckEvery) &&
        core.replica_hash_mismatch.load() == 0) {
        core.replica_hash_mismatch.store(seq, std::memory_order_relaxed);
        segment_->report_error("replica",
                               "ALERT the live engine and its replay differ at record " +
                                   std::to_string(seq) +
                                   ": no more snapshots. Stop entries, stop clean, start again; "
                                   "keep the journal");
    }
}

/// From the snapshot on disk, whoever wrote it: counted from our own start, a replica that dies
/// once a minute would never take one, and each start would replay more. (Without any, from when
/// the segment was made.) But not at once: should the snapshot be what it dies of, the effects log
/// must get on all the same.
Nanos Replica::first_snapshot_wait() const {
    const Nanos every = options_.snapshot_every;
    const Nanos at_least{every.value / kFirstSnapshotShare};
    const std::int64_t newest = newest_snapshot_ns(options_.journal_dir);
    const std::int64_t from = newest != 0 ? newest : segment_->header().created_ns;
    const Nanos age{wall_ns() - from};
    // Of the future: the wall clock was set back. What it says of the age is worth nothing.
    return age.value < 0 || age >= every ? at_least : std::max(at_least, every - age);
}

void Replica::maybe_snapshot(Nanos now) noexcept {
    if (snapshot_.valid() &&
        snapshot_.wait_for(std::chrono::seconds{0}) == std::future_status::ready) {
        if (auto done = snapshot_.get(); done) {
            // Release: pairs with the acquire in inspectors' check_core(): replica_applied stands
            // at least there.
            segment_->core().snapshot_seq.store(snapshot_seq_.value, std::memory_order_release);
            snapshot_failed_ = false;
        } else {
            segment_->report_error("replica", done.error().what);
            // One that was under way when the stop was asked for may have failed of what is over
            // by now: the one at the end is owed all the same.
            snapshot_failed_ = snapshot_at_stop_;
            snapshot_seq_ = {};  // to be tried again, though no record may follow
        }
    }
    // One of two that differ computes wrong. A snapshot would make this one's state the truth that
    // the next engine begins from.
    if (!reader_ || !failure_.empty() || differs()) {
        return;
    }
    if (next_snapshot_.value == 0) {
        next_snapshot_ = now + first_snapshot_wait();
    }
    const bool at_end = stops_ && engine_->seq() >= limit() && !snapshot_failed_;
    const bool is_due = (now >= next_snapshot_ || at_end) && engine_->seq() > snapshot_seq_;
    if (!is_due || snapshot_.valid()) {
        return;
    }
    next_snapshot_ = now + options_.snapshot_every;
    // Effects are made again only from a snapshot at or below what their log still has.
    ASSERT(effects_.has_value());
    if (auto done = effects_->sync(); !done) {
        fail(std::string{"effects log: "} + done.error().what);
        return;
    }
    snapshot_seq_ = engine_->seq();
    snapshot_at_stop_ = stops_;
    auto image = std::make_shared<std::vector<std::byte>>();
    engine_->save(*image);
    snapshot_ =
        std::async(std::launch::async,
                   [dir = options_.journal_dir, image, at = reader_->cursor(),
                    effects = EffectsMark{effects_->last_mark().seq, effects_->last_mark().chain}] {
                       std::string message;
                       return write_snapshot(dir, at, *image, message, effects);
                   });
}

bool Replica::idle() const noexcept {
    return !failure_.empty() || !reader_ || engine_->seq() >= limit();
}

bool Replica::drained() const noexcept {
    if (!stops_) {
        stops_ = true;
        snapshot_failed_ = false;  // whatever was before: once more at the end
    }
    if (!reader_ || !failure_.empty()) {
        return true;
    }
    const bool at_end = engine_->seq() >= limit();
    const bool taken = snapshot_failed_ || engine_->seq() == snapshot_seq_;
    return at_end && !snapshot_.valid() && (taken || differs());
}

/// True from the first record at which the live engine's outputs were others, for as long as the
/// segment lives.
bool Replica::differs() const noexcept {
    // Relaxed: set by the replica's own thread, or by one of an earlier process.
    return segment_->core().replica_hash_mismatch.load(std::memory_order_relaxed) != 0;
}

std::unique_ptr<Engine> Replica::hand_over() noexcept {
    if (!reader_ || !failure_.empty()) {
        return nullptr;
    }
    if (differs()) {
        return nullptr;  // a state that is known to differ must not go live
    }
    reader_.reset();
    return std::move(engine_);
}

void Replica::fail(std::string why) noexcept {
    if (failure_.empty()) {
        segment_->report_error("replica", "ALERT no replica: " + why);
        failure_ = std::move(why);
    }
}

}  // namespace millrace
