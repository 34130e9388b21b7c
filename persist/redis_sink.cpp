#include "persist/redis_sink.h"

#include <algorithm>

#include "core/assert.h"
#include "persist/log_progress.h"
#include "persist/redis_settings.h"

namespace millrace {
namespace {

constexpr int kRecordsPerStep = 4096;    // so that a step ends even if no record has an effect
constexpr Nanos kPollTime = millis(20);  // the log has no doorbell of its own
constexpr Nanos kLate = seconds(10);     // requirement C32: alert at 10 s
constexpr Nanos kVeryLate = seconds(60);
constexpr Nanos kHoldSlice = millis(50);  // of each upkeep_every, while it sweeps

/// One writer, read by inspectors: load and store, relaxed.
void count(AtomicU64& cell) noexcept {
    cell.store(cell.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

RedisSink::RedisSink(const Segment& segment, MakeSource make_source, RedisSinkOptions options)
    : segment_{segment},
      make_source_{std::move(make_source)},
      options_{std::move(options)},
      source_{make_source_()},
      primary_{options_.place},
      store_{options_.store},
      owner_{{options_.store.prefix, options_.store.instance, options_.owner_life,
              options_.find_instance}},
      upkeep_{options_.upkeep},
      hold_{options_.hold_every},
      audit_{options_.store.keep} {
    ASSERT(source_ != nullptr);
    ASSERT(options_.batch_rows > 0);
    batch_.reserve(options_.batch_rows);
}

int RedisSink::step(Nanos now) noexcept {
    now_ = now;
    if (failing() && now >= retry_at_) {
        count(segment_.core().redis_retries);
    }
    const int done = now < retry_at_ ? 0 : work();
    resting_ = done == 0;
    publish_cells();
    return done;
}

int RedisSink::work() noexcept {
    if (phase_ == Phase::Closed && !open()) {
        return 0;
    }
    if (feed_ != nullptr) {
        return feed();
    }
    stored_up_to_.begin_reading(segment_);
    const int pulled = pull();
    const bool nothing = pulled == 0 && phase_ == Phase::Rebuild && pending_ == EffectCursor{};
    if (nothing && fed_to_ != EffectCursor{} && source_->seek(fed_to_)) {
        pending_ = fed_to_;  // the log begins there, and has come no further
    }
    if (pulled < 0 || (due() && !flush())) {
        return 0;
    }
    tell_filled();
    quiet_ = pulled == 0 && pending_ == store_.cursor();
    if (quiet_) {
        stored_up_to_.at_end();
    }
    if (phase_ == Phase::Rebuild && quiet_) {
        audit_.scan_now(store_);  // all that it holds was noted on the way
        phase_ = Phase::Verify;
    }
    const int audited = audit();
    if (audited < 0 || !keep_up()) {
        return 0;
    }
    if (quiet_ && phase_ == Phase::Follow) {
        succeeded();
    }
    return pulled + audited;
}

Nanos RedisSink::park_limit(Nanos now) const noexcept {
    if (failing() && now < retry_at_) {
        return std::min(retry_at_ - now, options_.retry_max);
    }
    return std::min(kPollTime, options_.batch_time);
}

// ---- opening -----------------------------------------------------------------------------------

bool RedisSink::open() noexcept {
    if (auto connected = primary_.connect(link_); !connected) {
        return fail(connected.code(), primary_.message());
    }
    if (link_.endpoint() != last_primary_) {
        report("the primary is " + link_.endpoint().text());
        last_primary_ = link_.endpoint();
    }
    if (link_.endpoint() != checked_) {
        report_settings();
        checked_ = link_.endpoint();
    }
    if (auto ours = owner_.keep(link_); !ours) {
        return fail(ours.code(), owner_.message());
    }
    const Status opened = store_.open(link_);
    if (!link_.is_open() || (!opened && opened.code() != Errc::BadChecksum)) {
        return fail(opened.code(), store_.message());
    }
    if (building_ != 0 && store_.generations().building == building_) {
        return resume_rebuild();  // what was noted of it is still in memory
    }
    building_ = 0;
    if (!why_.empty()) {
        return rebuild(why_.c_str(), other_history_);
    }
    if (store_.generations().current == 0) {
        return rebuild("there is none yet", false);
    }
    if (!opened) {
        (void)fail(Errc::BadChecksum, store_.message());
        return rebuild("its cursor was damaged", false);
    }
    if (store_.cursor() != EffectCursor{} && store_.facts().schema < kRedisSchema) {
        return rebuild("it was written by an older build", false);
    }
    return open_generation();
}

bool RedisSink::open_generation() noexcept {
    const Status found = source_->seek(store_.cursor());
    if (found) {
        follow(Phase::Follow);
        return true;
    }
    switch (found.code()) {
        case Errc::TornTail: return wait_for_log();
        case Errc::BadChain: return rebuild("its cursor is from another log", true);
        case Errc::NotFound: return rebuild("the effects log begins after its cursor", false);
        default: return fail_log(found.error());
    }
}

/// Redis is ahead of the log: after a power cut the replica writes again what the log had lost.
bool RedisSink::wait_for_log() noexcept {
    link_.close();
    behind_since_ = behind_since_.value == 0 ? now_ : behind_since_;
    if (now_ - behind_since_ >= options_.behind_grace &&
        replica_has_come_to(segment_, store_.cursor().seq)) {
        why_ = "its cursor is beyond the effects log";
        other_history_ = true;
    }
    retry_at_ = now_ + options_.retry_min;
    quiet_ = true;
    return false;
}

void RedisSink::follow(Phase phase) noexcept {
    phase_ = phase;
    behind_since_ = {};
    batch_.clear();
    pending_ = store_.cursor();
    stored_up_to_.forget();
    retry_at_ = {};
    upkeep_at_ = primary_at_ = {};
    if (phase == Phase::Follow) {
        audit_.stop();
        audit_at_ = now_ + options_.audit_every;
    }
}

void RedisSink::report_settings() noexcept {
    for (const RedisSetting& s : check_redis_settings(link_, !options_.place.sentinels.empty())) {
        if (s.verdict != RedisSetting::Verdict::Good) {
            report(link_.endpoint().text() + ": " + s.text());
        }
    }
}

// ---- following ---------------------------------------------------------------------------------

/// Reads ahead until the batch is full. @return records read; -1 after a failure.
int RedisSink::pull() noexcept {
    int records = 0;
    while (records < kRecordsPerStep && batch_.size() < options_.batch_rows) {
        if (pending_ == store_.cursor()) {
            batch_since_ = now_;
        }
        auto next = source_->next(batch_);
        if (!next) {
            const Error error = next.error();
            if (pending_ == store_.cursor() || flush()) {  // store what was read before it
                (void)fail_log(error);
            }
            return -1;
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

bool RedisSink::due() const noexcept {
    if (pending_ == store_.cursor()) {
        return false;
    }
    // While a generation is filled nobody reads it: only full batches and the end count.
    return batch_.size() >= options_.batch_rows || now_ - batch_since_ >= options_.batch_time;
}

bool RedisSink::flush() noexcept {
    if (stored() == EffectCursor{}) {
        store_.set_whole(fed_whole_ || source_->begins_whole());
    }
    if (auto stored = store_.store(batch_, pending_); !stored) {
        if (stored.code() == Errc::NoSpace) {
            (void)upkeep();  // may free what fills the server; the batch comes again
        }
        return fail(stored.code(), store_.message());
    }
    if (const std::string warning = store_.take_warning(); !warning.empty()) {
        report(warning);
    }
    // Relaxed: read by inspectors.
    count(segment_.core().redis_batches);
    segment_.core().redis_batch_rows.store(batch_.size(), std::memory_order_relaxed);
    audit_.note(batch_);
    upkeep_.mark(Nanos{wall_ns()}, pending_.seq);
    batch_.clear();
    if (phase_ == Phase::Follow) {
        succeeded();
    }
    return true;
}

/// What is due each second or so. @return false after a failure.
bool RedisSink::keep_up() noexcept {
    if (now_ >= primary_at_) {
        primary_at_ = now_ + options_.primary_every;
        if (primary_.moved_from(link_.endpoint())) {
            return fail(Errc::NotOwner, primary_.message());
        }
    }
    if (now_ < upkeep_at_) {
        return true;
    }
    upkeep_at_ = now_ + options_.upkeep_every;
    if (auto done = upkeep(); !done) {
        return fail(done.code(), "upkeep: " + link_.message());
    }
    if (auto watched = watch_memory(); !watched) {
        return fail(watched.code(), "INFO memory: " + link_.message());
    }
    if (auto ours = owner_.keep(link_); !ours) {
        return fail(ours.code(), owner_.message());
    }
    if (phase_ != Phase::Follow) {
        return true;
    }
    if (auto held = hold(); !held) {
        return fail(held.code(), "keeping what open positions need: " + link_.message());
    }
    return true;
}

/// Nothing is evicted to make room (requirement C24), so somebody has to be told in time.
Status RedisSink::watch_memory() noexcept {
    if (now_ < memory_at_) {
        return ok_status();
    }
    memory_at_ = now_ + options_.memory_every;
    const auto percent = RedisUpkeep::memory_percent(link_);
    if (!percent && link_.is_open()) {  // its rules may refuse INFO: no reason to store nothing
        tell_memory_hidden();
        return ok_status();
    }
    if (!percent) {
        return percent.error();
    }
    if (const unsigned level = memory_.look(percent.value()); level != 0) {
        report("ALERT " + std::to_string(percent.value()) +
               " % of the server's maxmemory is in use (" + std::to_string(level) +
               " % reached). Once it is full it refuses signals and state: raise maxmemory");
    }
    return ok_status();
}

/// Once for each server.
void RedisSink::tell_memory_hidden() noexcept {
    if (link_.endpoint() != memory_hidden_) {
        memory_hidden_ = link_.endpoint();
        report("nobody is told when its memory fills up; mend: ACL SETUSER ... +info: " +
               link_.message());
    }
}

/// Keys without an end must not come faster than they get one.
Status RedisSink::hold() noexcept {
    const std::int64_t end = monotonic_ns() + kHoldSlice.value;
    Status held = ok_status();
    do {
        held = hold_.step(link_, store_, Nanos{wall_ns()});
    } while (held && hold_.sweeping() && monotonic_ns() < end);
    return held;
}

Status RedisSink::upkeep() noexcept {
    // Relaxed: a number that only grows; what it says was stored is stored.
    const auto sqlite = segment_.core().sqlite_seq.load(std::memory_order_relaxed);
    const Sequence confirmed = options_.confirm_by_sqlite ? Sequence{sqlite} : stored().seq;
    return upkeep_.run(link_, store_, Nanos{wall_ns()}, confirmed);
}

// ---- comparing with the log --------------------------------------------------------------------

/// @return slices of work done; -1 after a failure.
int RedisSink::audit() noexcept {
    const bool off = audit_.phase() == RedisAudit::Phase::Off;
    if (phase_ == Phase::Follow && off && now_ >= audit_at_ && stored() != EffectCursor{}) {
        audit_.begin(make_source_());
    }
    const auto stepped = audit_.step(link_, store_, Nanos{wall_ns()});
    if (!stepped) {
        const std::string& why = link_.is_open() ? store_.message() : link_.message();
        (void)fail(stepped.code(), "comparing with the log: " + why);
        return -1;
    }
    if (audit_.phase() == RedisAudit::Phase::Done) {
        if (phase_ == Phase::Verify) {
            return verify() ? 1 : -1;
        }
        end_audit();
    }
    return stepped.value() ? 1 : 0;
}

void RedisSink::end_audit() noexcept {
    findings_ = audit_.findings();
    ++audits_;
    const RedisAudit::Findings& f = findings_;
    if (!f.clean()) {
        report(std::to_string(f.changed) + " hashes were changed, " + std::to_string(f.missing) +
               " missing, " + std::to_string(f.unknown) + " beyond the log; " +
               std::to_string(f.mended) + " mended; the first: " + f.first);
    }
    const bool worse = audit_.wants_rebuild();
    audit_.stop();
    audit_at_ = now_ + options_.audit_every;
    if (worse) {
        why_ = "too many of its hashes were damaged";
        (void)fail(Errc::BadChecksum, why_);
    } else {
        make_whole();
    }
}

/// A long log takes its time. Three texts at most: errors are kept by them.
void RedisSink::tell_filled() noexcept {
    const std::uint64_t at = store_.cursor().seq.value;
    // Relaxed: a number for people.
    const std::uint64_t end = segment_.core().replica_applied.load(std::memory_order_relaxed);
    if (phase_ != Phase::Rebuild || at == 0 || at >= end) {
        return;
    }
    filled_from_ = filled_from_ == 0 ? at : filled_from_;
    const std::uint64_t quarters = (at - filled_from_) * 4 / (end - filled_from_);
    if (quarters > filled_quarters_) {
        filled_quarters_ = quarters;
        report("the new generation has " + std::to_string(quarters * 25) + " % of the log");
    }
}

/// The generation that was filled has been compared: switch to it, or begin again.
bool RedisSink::verify() noexcept {
    if (pending_ != store_.cursor()) {
        return true;  // more has come; the switch waits for a moment without a batch under way
    }
    findings_ = audit_.findings();
    if (!findings_.clean()) {
        building_ = 0;
        return fail(Errc::BadChecksum,
                    "the new generation is not what the log says: " + findings_.first);
    }
    if (auto done = store_.finish_rebuild(Nanos{wall_ns()}); !done) {
        return fail(done.code(), store_.message());
    }
    report("generation " + std::to_string(store_.generation()) + " is in use, " +
           std::to_string(findings_.rows) + " hashes compared with the log: " + why_);
    why_.clear();
    other_history_ = refilling_ = false;
    building_ = 0;
    follow(Phase::Follow);
    return true;
}

// ---- failure and success -----------------------------------------------------------------------

bool RedisSink::fail(Errc code, const std::string& message) noexcept {
    count(segment_.core().redis_errors);
    report(message + " [" + std::string{to_string(code)} + "]");
    link_.close();
    phase_ = Phase::Closed;
    if (feed_ != nullptr) {  // half of it is no beginning
        feed_.reset();
        building_ = 0;
    }
    checked_ = {};  // whoever restarts a server may change its settings
    failing_since_ = failing() ? failing_since_ : now_;
    retry_wait_ = std::clamp(retry_wait_ + retry_wait_, options_.retry_min, options_.retry_max);
    retry_at_ = now_ + retry_wait_;
    quiet_ = false;
    const Nanos late = now_ - failing_since_;
    if (late >= kVeryLate) {
        report("has failed for over 60 s; trading goes on, the effects log keeps what it lacks");
    } else if (late >= kLate) {
        report("has failed for over 10 s; trading goes on, the effects log keeps what it lacks");
    }
    return false;
}

bool RedisSink::fail_log(const Error& error) noexcept {
    const std::string more = source_->message();
    return fail(error.code, "effects log: " + (more.empty() ? std::string{error.what} : more));
}

void RedisSink::succeeded() noexcept {
    failing_since_ = {};
    retry_wait_ = {};
    retry_at_ = {};
}

void RedisSink::publish_cells() noexcept {
    CoreCells& core = segment_.core();
    // Relaxed: for inspectors and retention; one writer. While a generation is being filled, what
    // readers see is older than its cursor.
    if (phase_ == Phase::Follow) {
        core.redis_seq.store(stored_up_to_.of(stored().seq), std::memory_order_relaxed);
    }
    core.redis_failing_ns.store(failing_since_.value, std::memory_order_relaxed);
    core.redis_generation.store(generation(), std::memory_order_relaxed);
    static_assert(static_cast<std::uint64_t>(Phase::Rebuild) ==
                  static_cast<std::uint64_t>(RedisState::Rebuilding));
    core.redis_state.store(static_cast<std::uint64_t>(phase_), std::memory_order_relaxed);
}

}  // namespace millrace
