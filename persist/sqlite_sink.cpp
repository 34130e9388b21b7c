#include "persist/sqlite_sink.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "persist/backup_place.h"
#include "persist/log_progress.h"
#include "persist/sqlite_files.h"
#include "persist/sqlite_restore.h"

namespace millrace {
namespace {

constexpr int kRecordsPerStep = 4096;    // so that a step ends even if no record has an effect
constexpr Nanos kPollTime = millis(20);  // the log has no doorbell of its own
constexpr Nanos kLate = seconds(5);      // requirement C7: alerts at 5 and at 30 s
constexpr Nanos kVeryLate = seconds(30);
constexpr Nanos kLateLook = seconds(1);  // at a log that has been behind for long

/// The log cannot be followed from where the store is; other failures pass.
bool is_other_history(Errc code) noexcept {
    return code == Errc::BadChain || code == Errc::NotFound || code == Errc::TornTail;
}

/// One writer, read by inspectors: load and store, relaxed.
void count(AtomicU64& cell) noexcept {
    cell.store(cell.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

SqliteSink::SqliteSink(const Segment& segment, std::unique_ptr<EffectSource> source,
                       SqliteSinkOptions options)
    : segment_{segment},
      source_{std::move(source)},
      options_{std::move(options)},
      rebuild_path_{options_.store.path + kRebuildSuffix} {
    ASSERT(source_ != nullptr);
    ASSERT(options_.batch_rows > 0);
    batch_.reserve(options_.batch_rows);
    if (!options_.shipper.backups.empty()) {
        shipper_ = std::make_unique<LogShipper>(segment_, options_.shipper);
    }
}

int SqliteSink::step(Nanos now) noexcept {
    now_ = now;
    if (failing() && now >= retry_at_) {
        count(segment_.core().sqlite_retries);
    }
    const int done = now < retry_at_ ? 0 : work();
    resting_ = done == 0;
    starting_ = false;
    return done;
}

int SqliteSink::work() noexcept {
    heed_keeper();
    if (phase_ == Phase::Closed && !open()) {
        return 0;
    }
    stored_up_to_.begin_reading(segment_);
    const int pulled = pull();
    if (pulled < 0 || (due() && !flush())) {
        return 0;
    }
    quiet_ = pulled == 0 && pending_ == store_.cursor();
    if (quiet_) {
        stored_up_to_.at_end();
        publish_cursor();
        succeeded();
    }
    const bool caught_up = quiet_ || store_.cursor().seq.value >= rebuild_to_;
    if (phase_ == Phase::Rebuild && caught_up && pending_ == store_.cursor()) {
        return finish_rebuild() ? 1 : 0;
    }
    return pulled;
}

Nanos SqliteSink::park_limit(Nanos now) const noexcept {
    if (failing() && now < retry_at_) {
        return std::min(retry_at_ - now, options_.retry_max);
    }
    return std::min(kPollTime, options_.batch_time);
}

// ---- opening -----------------------------------------------------------------------------------

bool SqliteSink::open() noexcept {
    // The file's existence is the durable decision to rebuild: go on with it.
    if (sqlite_file_exists(rebuild_path_)) {
        return open_rebuild(why_.empty() ? "a rebuild was interrupted" : why_.c_str());
    }
    if (damaged_) {
        return open_rebuild("it was damaged");
    }
    return open_main();
}

bool SqliteSink::open_main() noexcept {
    // Nobody starts a store anew while there are backups of it, be it on a disk that is not there.
    std::error_code none;
    std::string elsewhere;
    const bool emptied = std::filesystem::file_size(options_.store.path, none) == 0;
    if (!options_.keeper.dir.empty() &&
        (!sqlite_file_exists(options_.store.path) || (emptied && !none)) &&
        (!list_sqlite_backups(options_.keeper.dir).empty() ||
         !check_backup_place(options_.keeper.dir, options_.keeper.note, elsewhere))) {
        return open_rebuild(none ? "it is gone" : "it was emptied");
    }
    SqliteStoreOptions store = store_options();
    store.quick_check = store.quick_check && !checked_;
    const Status opened = store_.open(store);
    if (opened.code() == Errc::BadChecksum || opened.code() == Errc::BadLayout) {
        (void)fail(opened.code(), store_.message());
        return open_rebuild("it was damaged");
    }
    if (!opened) {
        return fail(opened.code(), store_.message());
    }
    checked_ = true;
    cursor_sought_ = store_.cursor();
    const Status found = source_->seek(cursor_sought_);
    if (found) {
        follow(Phase::Follow);
        return true;
    }
    store_.close();
    switch (found.code()) {
        case Errc::TornTail:
            return !may_still_come(cursor_sought_.seq) &&
                   open_rebuild("its cursor is beyond the effects log");
        case Errc::BadChain: return open_rebuild("its cursor is from another log");
        case Errc::NotFound: return open_rebuild("the effects log begins after its cursor");
        default: return fail_log(found.error());
    }
}

/// To read and check a large file takes longer than a stage may stand still.
bool SqliteSink::show_life() noexcept {
    StageEntry& self = segment_.stage(StageId::Sqlite);
    // Its runner's cells, and this is the runner's thread: one writer, relaxed.
    count(self.duty_cycles);
    self.heartbeat_ns.store(segment_.clock().now().value, std::memory_order_relaxed);
    return true;
}

SqliteStoreOptions SqliteSink::store_options() noexcept {
    SqliteStoreOptions store = options_.store;
    store.go_on = [this] { return show_life(); };
    return store;
}

/// What the keeper found is damage like any other; a file that is gone is opened, or made, anew.
void SqliteSink::heed_keeper() noexcept {
    if (keeper_ == nullptr || phase_ != Phase::Follow) {
        return;
    }
    const StoreHealth health = keeper_->health();
    if (health == StoreHealth::Mendable) {
        renew();
        return;
    }
    if (health != StoreHealth::Damaged && health != StoreHealth::Gone) {
        put_back();
        return;
    }
    count(segment_.core().sqlite_errors);
    damaged_ = health == StoreHealth::Damaged;
    checked_ = false;
    store_.close();
    phase_ = Phase::Closed;
}

/// Rows that are not what the log says are written again. One that cannot be is found again.
void SqliteSink::put_back() noexcept {
    const SqliteAuditFindings found = keeper_->take_wrong();
    if (found.clean()) {
        return;
    }
    const Status done = store_.put_back(found.wrong, found.extra, found.upto);
    segment_.report_error("sqlite", "ALERT " + options_.store.path + ": " +
                                        std::to_string(found.wrong.size() + found.extra.size()) +
                                        " rows differed from the effects log" +
                                        (done ? " and were put back" : "") + "; " + found.first);
    mended(done);
}

/// The cursor's row, the words that views show: no effect tells of them, this does.
void SqliteSink::renew() noexcept {
    const Status done = store_.renew();
    if (done) {
        segment_.report_error("sqlite", "ALERT " + options_.store.path +
                                            ": what was not as it was written is so again, or is "
                                            "marked");
        keeper_->forget();
    }
    mended(done);
}

/// Heeds how that went: a file that cannot be mended is made anew.
void SqliteSink::mended(const Status& done) noexcept {
    if (done) {
        return;
    }
    damaged_ = done.code() == Errc::BadChecksum;
    const std::string message = store_.message();
    if (damaged_) {
        store_.close();
        phase_ = Phase::Closed;
    }
    (void)fail(done.code(), message);
}

/// A store, or a backup, that stands at `seq` is ahead of the log: the replica may be on its way
/// there. Sets the time of the next look if so.
bool SqliteSink::may_still_come(Sequence seq) noexcept {
    behind_since_ = behind_since_.value == 0 ? now_ : behind_since_;
    const bool patient = now_ - behind_since_ < options_.behind_grace;
    if (!patient && replica_has_come_to(segment_, seq)) {
        return false;
    }
    if (!patient && !told_ahead_) {
        told_ahead_ = true;
        segment_.report_error("sqlite", "ALERT " + options_.store.path +
                                            " is ahead of the effects log: it waits for the "
                                            "replica, which has to write that again");
    }
    retry_at_ = now_ + (patient ? options_.retry_min : kLateLook);
    quiet_ = true;
    return true;
}

bool SqliteSink::open_rebuild(const char* why) noexcept {
    if (why_ != why) {
        why_ = why;
        segment_.report_error("sqlite",
                              "ALERT " + options_.store.path + " is being rebuilt: " + why_);
        const auto end = segment_.core().replica_applied.load(std::memory_order_relaxed);
        rebuild_to_ = end != 0 ? end : UINT64_MAX;
    }
    if (!sqlite_file_exists(rebuild_path_)) {
        if (!start_rebuild_afresh()) {
            return false;
        }
        follow(Phase::Rebuild);
        return true;
    }
    SqliteStoreOptions store = store_options();
    store.path = rebuild_path_;
    const Status opened = store_.open(store);
    const bool unusable = opened.code() == Errc::BadChecksum || opened.code() == Errc::BadMagic;
    if (!opened && !unusable) {
        return fail(opened.code(), store_.message());
    }
    const Status found = opened ? source_->seek(store_.cursor()) : opened;
    if (found.code() == Errc::TornTail && may_still_come(store_.cursor().seq)) {
        store_.close();
        return false;
    }
    if (!found && !is_other_history(found.code()) && !unusable) {
        store_.close();
        return fail_log(found.error());
    }
    if (!found && !start_rebuild_afresh()) {
        return false;
    }
    follow(Phase::Rebuild);
    return true;
}

bool SqliteSink::start_rebuild_afresh() noexcept {
    store_.close();
    if (auto removed = sqlite_remove(rebuild_path_); !removed) {
        return fail(removed.code(), rebuild_path_ + ": " + removed.error().what);
    }
    if (!restore_backup()) {
        return false;
    }
    SqliteStoreOptions store = store_options();
    store.path = rebuild_path_;
    store.quick_check = false;  // new, or checked in full when it was restored
    if (auto opened = store_.open(store); !opened) {
        return fail(opened.code(), store_.message());
    }
    if (auto found = source_->seek(store_.cursor()); !found) {
        store_.close();
        return fail_log(found.error());
    }
    return true;
}

/// Puts the newest backup that will do in the place of the file to be rebuilt, if there is one.
/// @return false if that has to be tried again.
bool SqliteSink::restore_backup() noexcept {
    if (options_.keeper.dir.empty()) {
        return true;
    }
    SqliteBackupOptions o;
    o.dir = options_.keeper.dir;
    o.note = options_.keeper.note;
    std::vector<std::string> passed_over;
    o.progress = [this](const char*, std::uint64_t, std::uint64_t) { return show_life(); };
    const auto restored =
        restore_newest_backup(o, rebuild_path_, *source_, passed_over,
                              [this](Sequence seq) { return may_still_come(seq); });
    if (restored.code() == Errc::TornTail) {
        return false;
    }
    for (const std::string& why : passed_over) {
        segment_.report_error("sqlite", "ALERT backup passed over: " + why);
    }
    if (restored) {
        const RestoredStore& r = restored.value();
        segment_.report_error("sqlite", "ALERT restored from " + r.from.path + ", up to record " +
                                            std::to_string(r.cursor.seq.value) +
                                            "; the rest comes from the effects log");
        why_ += ", restored from " + r.from.path;
        return true;
    }
    return restored.code() == Errc::NotFound ||
           fail(restored.code(), "cannot restore a backup: " + passed_over.back());
}

void SqliteSink::follow(Phase phase) noexcept {
    phase_ = phase;
    if (phase == Phase::Follow && !options_.keeper.dir.empty()) {
        if (keeper_ != nullptr) {
            keeper_->forget();
        } else {
            SqliteKeeperOptions keeper = options_.keeper;
            keeper.store = options_.store.path;
            keeper_ = std::make_unique<SqliteKeeper>(segment_, std::move(keeper));
        }
    }
    behind_since_ = {};
    told_ahead_ = false;
    drop_batch();
    retry_at_ = {};
    stored_up_to_.forget();
    publish_cursor();
}

// ---- following ---------------------------------------------------------------------------------

void SqliteSink::drop_batch() noexcept {
    batch_.clear();
    pending_ = store_.cursor();
}

/// Reads ahead until the batch is full. @return records read; -1 after a failure.
int SqliteSink::pull() noexcept {
    int records = 0;
    while (records < kRecordsPerStep && batch_.size() < options_.batch_rows) {
        if (pending_ == store_.cursor()) {
            batch_since_ = now_;
        }
        auto next = source_->next(batch_);
        if (!next) {
            return stop_at_log_failure(next.error());
        }
        const std::optional<EffectCursor>& after = next.value();
        if (!after) {
            break;
        }
        pending_ = *after;
        ++records;
    }
    return records;
}

/// Stores what was read before the failure, then reads again from there. @return -1.
int SqliteSink::stop_at_log_failure(const Error& error) noexcept {
    const bool stored = pending_ == store_.cursor() || flush();
    if (stored) {
        store_.close();
        phase_ = Phase::Closed;
        (void)fail_log(error);
    }
    return -1;
}

bool SqliteSink::due() const noexcept {
    if (pending_ == store_.cursor()) {
        return false;
    }
    return batch_.size() >= options_.batch_rows || now_ - batch_since_ >= options_.batch_time;
}

bool SqliteSink::flush() noexcept {
    if (store_.cursor() == EffectCursor{}) {  // the first batch of a store; a backup's is not
        store_.set_whole(source_->begins_whole());
    }
    const Status stored = store_.store(batch_, pending_, Nanos{wall_ns()});
    if (stored) {
        // Relaxed: one writer, read by inspectors.
        CoreCells& core = segment_.core();
        count(core.sqlite_batches);
        core.sqlite_batch_rows.store(batch_.size(), std::memory_order_relaxed);
        drop_batch();
        succeeded();
        publish_cursor();
        return true;
    }
    const std::string message = store_.message();
    // A lock or a full disk passes: the batch waits. Anything else: open anew, believe the file.
    if (stored.code() != Errc::Busy && stored.code() != Errc::NoSpace) {
        damaged_ = stored.code() == Errc::BadChecksum;
        store_.close();
        if (damaged_ && phase_ == Phase::Rebuild) {
            (void)sqlite_remove(rebuild_path_);  // if it stays, its check refuses it
        }
        phase_ = Phase::Closed;
    }
    return fail(stored.code(), message);
}

bool SqliteSink::finish_rebuild() noexcept {
    Status done = store_.note(Nanos{wall_ns()}, "rebuilt", why_);
    if (done) {
        done = store_.checkpoint();
    }
    if (!done) {
        return fail(done.code(), store_.message());
    }
    store_.close();
    phase_ = Phase::Closed;
    std::string kept;
    done = sqlite_replace(options_.store.path, rebuild_path_, kept);
    if (!done) {
        return fail(done.code(), options_.store.path + ": " + done.error().what);
    }
    segment_.report_error("sqlite", options_.store.path + " was rebuilt because " + why_ +
                                        (kept.empty() ? "" : "; the old one is kept as " + kept));
    why_.clear();
    damaged_ = false;
    checked_ = true;  // written by this process a moment ago
    return true;
}

// ---- failure and success -----------------------------------------------------------------------

bool SqliteSink::fail(Errc code, const std::string& message) noexcept {
    count(segment_.core().sqlite_errors);
    segment_.report_error("sqlite", message + " [" + std::string{to_string(code)} + "]");
    failing_since_ = failing() ? failing_since_ : now_;
    segment_.core().sqlite_failing_ns.store(failing_since_.value, std::memory_order_relaxed);
    retry_wait_ = std::clamp(retry_wait_ + retry_wait_, options_.retry_min, options_.retry_max);
    retry_at_ = now_ + retry_wait_;
    quiet_ = false;
    alert_when_late();
    return false;
}

bool SqliteSink::fail_log(const Error& error) noexcept {
    const std::string more = source_->message();
    return fail(error.code, "effects log: " + (more.empty() ? std::string{error.what} : more));
}

void SqliteSink::alert_when_late() noexcept {
    const Nanos late = now_ - failing_since_;
    if (late >= kVeryLate) {
        segment_.report_error("sqlite", options_.store.path + " has failed for over 30 s");
    } else if (late >= kLate) {
        segment_.report_error("sqlite", options_.store.path + " has failed for over 5 s");
    }
}

void SqliteSink::succeeded() noexcept {
    failing_since_ = {};
    segment_.core().sqlite_failing_ns.store(0, std::memory_order_relaxed);
    retry_wait_ = {};
    retry_at_ = {};
}

void SqliteSink::publish_cursor() noexcept {
    // Relaxed: for inspectors. Retention must not trust it to the last record: without full_sync a
    // power cut takes the store back to its last checkpoint.
    segment_.core().sqlite_seq.store(stored_up_to_.of(store_.cursor().seq),
                                     std::memory_order_relaxed);
}

}  // namespace millrace
