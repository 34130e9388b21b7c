#include "persist/clickhouse_sink.h"

#include <algorithm>

#include "persist/log_progress.h"
#include "persist/sign_of_life.h"

namespace millrace {
namespace {

constexpr int kRecordsPerStep = 4096;    // so that a step ends even if no record has an effect
constexpr Nanos kPollTime = millis(50);  // the log has no doorbell of its own
constexpr Nanos kNoteEvery = seconds(1);
constexpr Nanos kLogReadMax = seconds(600);  // whoever watches takes longer for standing still
constexpr const char* kSink = "clickhouse";

/// One writer, read by inspectors: load and store, relaxed.
void count(AtomicU64& cell) noexcept {
    cell.store(cell.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

ClickHouseSink::ClickHouseSink(const Segment& segment, std::unique_ptr<EffectSource> source,
                               ClickHouseSinkOptions options)
    : segment_{segment},
      source_{std::move(source)},
      options_{std::move(options)},
      store_{options_.store},
      failed_syncs_{options_.sqlite_path} {
    ASSERT(source_ != nullptr);
    ASSERT(options_.batch_rows > 0);
    ASSERT(options_.batch_rows_max >= options_.batch_rows);
    batch_.reserve(options_.batch_rows_max);
}

int ClickHouseSink::step(Nanos now) noexcept {
    if (now_.value == 0) {
        verify_at_ = now + options_.verify_every;
    }
    now_ = now;
    if (failing() && now >= retry_at_) {
        count(segment_.core().clickhouse_retries);
    }
    const int done = now < retry_at_ ? 0 : work();
    resting_ = done == 0;
    publish();
    return done;
}

int ClickHouseSink::work() noexcept {
    if ((!store_.is_open() || !following_) && !open()) {
        return 0;
    }
    // What failed goes out again as it was, alone: under its own token, and as the breaker's probe.
    const bool again = failing() && !batch_.empty();
    stored_up_to_.begin_reading(segment_);
    const int pulled = again ? 0 : pull();
    if (pulled < 0 || (due() && !flush())) {
        return 0;
    }
    if (batch_.empty() && pending_ != store_.cursor()) {
        store_.resume({store_.place().history, pending_});  // records without an effect
    }
    quiet_ = pulled == 0 && batch_.empty() && !again;
    if (quiet_) {
        stored_up_to_.at_end();
    }
    if (quiet_ && failing()) {
        succeeded();
    }
    return pulled + (again ? 1 : 0) + verify();
}

Nanos ClickHouseSink::park_limit(Nanos now) const noexcept {
    if (now < retry_at_) {
        return std::min(retry_at_ - now, options_.retry_later);
    }
    return std::min(kPollTime, options_.batch_time);
}

// ---- opening -----------------------------------------------------------------------------------

bool ClickHouseSink::open() noexcept {
    const ClickHousePlace local = store_.place();
    const bool resuming = following_;
    verify_.reset();
    if (auto opened = store_.open(); !opened) {
        return fail(opened.code(), store_.message());
    }
    const ClickHousePlace found = store_.place();
    if (!resuming) {
        server_ = found;
        return seek();
    }
    if (found == server_) {  // what was sent last was not stored: again, as it was
        store_.resume(local);
        return true;
    }
    const ClickHousePlace sent{local.history, pending_};
    if (!batch_.empty() && found == sent) {  // it was stored, and the answer was lost
        server_ = found;
        batch_.clear();
        return true;
    }
    if (found.history > local.history) {
        store_.close();
        return fail(Errc::NotOwner, "another pipeline writes to the database " +
                                        options_.store.database + "; give each one its own");
    }
    report("what ClickHouse holds has changed: it is at record " +
           std::to_string(found.cursor.seq.value) + ", and the log is read on from there");
    following_ = false;
    server_ = found;
    return seek();
}

bool ClickHouseSink::seek() noexcept {
    const Status found = source_->seek(store_.cursor());
    switch (found.code()) {
        case Errc::Ok: break;
        case Errc::TornTail: return wait_for_log();
        case Errc::BadChain: return begin_history("its cursor is from another log");
        case Errc::NotFound:
            if (source_->begins_whole()) {
                return begin_history("its log is lost, and this one was made of another store");
            }
            report("the effects log begins after record " +
                   std::to_string(store_.cursor().seq.value) +
                   ", up to which ClickHouse had come: what lies between is taken from SQLite");
            if (auto start = source_->seek({}); !start) {
                return fail(start.code(), "effects log: " + source_->message());
            }
            verify_now();
            follow();
            whole_ = false;
            return true;
        default: return fail(found.code(), "effects log: " + source_->message());
    }
    if (store_.cursor() == EffectCursor{}) {
        verify_now();  // what retention has taken from the log may still be in SQLite
    }
    follow();
    return true;
}

/// The server is ahead of the log: after a power cut the replica writes again what the log had
/// lost.
bool ClickHouseSink::wait_for_log() noexcept {
    behind_since_ = behind_since_.value == 0 ? now_ : behind_since_;
    const bool replayed = replica_has_come_to(segment_, store_.cursor().seq);
    if (replayed && now_ - behind_since_ >= options_.behind_grace) {
        return begin_history("its cursor is beyond the effects log");
    }
    retry_at_ = now_ + seconds(1);
    quiet_ = true;
    return false;
}

/// Rows of the log before stay as they are: they were true, and nothing else may still hold them.
bool ClickHouseSink::begin_history(const char* why) noexcept {
    store_.resume({store_.place().history + 1, {}});
    report("rows are of history " + std::to_string(store_.place().history) +
           " from now on: " + why);
    if (auto start = source_->seek({}); !start) {
        return fail(start.code(), "effects log: " + source_->message());
    }
    verify_now();
    follow();
    return true;
}

void ClickHouseSink::follow() noexcept {
    following_ = true;
    fresh_ = store_.cursor() == EffectCursor{};
    whole_ = !fresh_ && store_.facts().whole;
    behind_since_ = retry_at_ = {};
    batch_.clear();
    pending_ = store_.cursor();
    stored_up_to_.forget();
}

// ---- following ---------------------------------------------------------------------------------

/// Reads ahead until the batch is full. @return records read; -1 after a failure.
int ClickHouseSink::pull() noexcept {
    int records = 0;
    while (records < kRecordsPerStep && batch_.size() < options_.batch_rows_max) {
        if (batch_.empty()) {
            batch_since_ = now_;
        }
        auto next = source_->next(batch_);
        if (!next) {
            const Error error = next.error();
            if (batch_.empty() || flush()) {  // store what was read before it
                following_ = false;
                const std::string said = source_->message();
                (void)fail(error.code, "effects log: " + (said.empty() ? error.what : said));
            }
            return -1;
        }
        if (!next.value()) {
            break;
        }
        pending_ = *next.value();
        ++records;
    }
    return records;
}

bool ClickHouseSink::due() const noexcept {
    return !batch_.empty() && (batch_.size() >= options_.batch_rows ||
                               now_ - batch_since_ >= options_.batch_time || failing());
}

bool ClickHouseSink::flush() noexcept {
    whole_ = fresh_ ? source_->begins_whole() : whole_;
    fresh_ = false;
    store_.set_whole(whole_);
    if (auto stored = store_.store(batch_, pending_); !stored) {
        return fail(stored.code(), store_.message());
    }
    count(segment_.core().clickhouse_batches);
    server_ = store_.place();
    batch_.clear();
    succeeded();
    return true;
}

// ---- comparing with SQLite ---------------------------------------------------------------------

/// It is read for as long as it is large, by a stage that must show life.
AskLog ClickHouseSink::ask_log() {
    if (!options_.ask_log) {
        return {};
    }
    return [this](const std::set<EffectAt>& ids) {
        const SignOfLife alive{[this] {
                                   StageEntry& self = segment_.stage(StageId::ClickHouse);
                                   // Its runner's cells, and this is in its place: one writer.
                                   count(self.duty_cycles);
                                   self.heartbeat_ns.store(segment_.clock().now().value,
                                                           std::memory_order_relaxed);
                                   return true;
                               },
                               kLogReadMax};
        return options_.ask_log(ids);
    };
}

/// @return kinds of rows compared in this step.
int ClickHouseSink::verify() noexcept {
    if (options_.sqlite_path.empty() || failing() || (!verify_ && now_ < verify_at_)) {
        return 0;
    }
    if (!verify_) {
        verify_.emplace(store_, options_.sqlite_path, true, ask_log());
        if (auto begun = verify_->begin(); !begun) {
            const bool later = begun.code() == Errc::Busy || begun.code() == Errc::NotFound;
            if (!later) {
                report("not compared with SQLite: " + verify_->message());
            }
            verify_.reset();
            verify_at_ = now_ + (later ? seconds(1) : options_.verify_again);
            return 0;
        }
    }
    const auto more = verify_->step();
    if (!more) {
        report("not compared with SQLite: " + verify_->message());
        verify_.reset();
        verify_at_ = now_ + options_.verify_again;
        return 0;
    }
    if (!more.value()) {
        end_verify();
    }
    return 1;
}

void ClickHouseSink::end_verify() noexcept {
    findings_ = verify_->findings();
    verify_.reset();
    ++verifications_;
    // What nobody can mend here is there the next time, too, and to look takes long.
    verify_at_ = now_ + (findings_.mended == 0 ? options_.verify_every : options_.verify_again);
    CoreCells& core = segment_.core();
    core.clickhouse_differences.store(findings_.missing + findings_.changed,
                                      std::memory_order_relaxed);
    if (findings_.clean()) {
        // It has all that SQLite has, and what came since is the log's: told with the next batch.
        whole_ = whole_ || (findings_.sqlite_whole && !fresh_);
        core.clickhouse_verified.store(findings_.upto, std::memory_order_relaxed);
        return;
    }
    report(std::to_string(findings_.missing) + " rows were missing, " +
           std::to_string(findings_.changed) +
           " changed (by the log SQLite's are wrong: " + std::to_string(findings_.sqlite_wrong) +
           ", not known: " + std::to_string(findings_.undecided) + "), " +
           std::to_string(findings_.mended) + " stored again; first: " + findings_.first);
}

// ---- failure and success -----------------------------------------------------------------------

bool ClickHouseSink::fail(Errc code, const std::string& message) noexcept {
    count(segment_.core().clickhouse_errors);
    report(message + " [" + std::string{to_string(code)} + "]");
    if (!failing()) {
        failing_since_ = now_;
        first_failed_wall_ = Nanos{wall_ns()};
    }
    ++failures_;
    quiet_ = false;
    verify_.reset();
    const bool soon = failures_ <= options_.retries_first;
    retry_at_ = now_ + (soon ? options_.retry_first : options_.retry_later);
    if (!soon) {
        note_failure(message);
    }
    if (failures_ == options_.notify_at) {
        report("ALERT " + std::to_string(failures_) +
               " failures in a row: suspended, with one "
               "batch tried every " +
               std::to_string(options_.retry_later.value / 1'000'000'000) + " s");
    }
    if (now_ - failing_since_ >= options_.late) {
        report("ALERT it has failed for over " +
               std::to_string(options_.late.value / 1'000'000'000) + " s");
    }
    return false;
}

void ClickHouseSink::note_failure(const std::string& message) noexcept {
    const FailedSync failure{kSink,     server_.cursor, pending_,           batch_.size(),
                             failures_, message,        first_failed_wall_, Nanos{wall_ns()}};
    const Status noted = failed_syncs_.note(failure);
    noted_ = true;
    if (!noted && noted.code() != Errc::NotFound) {
        report(std::string{"failed_syncs was not written: "} + noted.error().what);
    }
}

void ClickHouseSink::succeeded() noexcept {
    if (failures_ >= options_.notify_at) {
        report("it works again after " + std::to_string(failures_) + " failures");
    }
    failures_ = 0;
    retry_at_ = {};
    if (noted_ && now_ >= noted_at_) {
        const Status done = failed_syncs_.synced(kSink, Nanos{wall_ns()});
        noted_ = !done && done.code() != Errc::NotFound;
        noted_at_ = now_ + kNoteEvery;  // a store that is locked is tried again later
    }
}

void ClickHouseSink::publish() noexcept {
    ClickHouseState state = ClickHouseState::Down;
    if (failures_ >= options_.notify_at) {
        state = ClickHouseState::Suspended;
    } else if (failures_ > options_.retries_first) {
        state = ClickHouseState::FailedSync;
    } else if (failing()) {
        state = ClickHouseState::Retrying;
    } else if (following_) {
        state = ClickHouseState::Following;
    }
    // Relaxed: for inspectors and for retention, which may be behind but never ahead.
    CoreCells& core = segment_.core();
    core.clickhouse_state.store(static_cast<std::uint64_t>(state), std::memory_order_relaxed);
    core.clickhouse_failing_ns.store(failing() ? failing_since_.value : 0,
                                     std::memory_order_relaxed);
    if (following_) {
        core.clickhouse_seq.store(stored_up_to_.of(store_.cursor().seq), std::memory_order_relaxed);
    }
}

}  // namespace millrace
