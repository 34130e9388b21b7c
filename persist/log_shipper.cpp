#include "persist/log_shipper.h"

#include <pthread.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "persist/backup_place.h"
#include "persist/log_progress.h"
#include "shm/clock.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

constexpr int kRecordsPerTurn = 4096;
constexpr int kLastTurns = 16;  // of a stop: a log that grows all the time has no end
constexpr Nanos kPruneEvery = seconds(5);

LogCursor mark_of(const EffectCursor& at) noexcept {
    return {at.epoch, at.seq, at.chain};
}

EffectCursor cursor_of(const LogCursor& mark) noexcept {
    return mark.seq.value == 0 ? EffectCursor{} : EffectCursor{mark.epoch, mark.seq, 0, mark.chain};
}

}  // namespace

std::string shipped_folder(const std::string& backups) {
    return backups + "/shipped";
}

LogShipping::LogShipping(const Segment& segment, LogShipperOptions options)
    : segment_{segment},
      options_{std::move(options)},
      folder_{shipped_folder(options_.backups)},
      source_{options_.log} {}

bool LogShipping::turn(Nanos now) noexcept {
    now_ = now;
    if (now < retry_at_) {
        return false;
    }
    std::string elsewhere;  // each turn: a disk can be taken away below an open file
    if (!claim_backup_place(options_.backups, options_.note, elsewhere)) {
        return fail(elsewhere);
    }
    if (!has_room() && !make_room()) {
        return fail("too little room on the disk of the log itself");
    }
    if (!writer_ && !open()) {
        return false;
    }
    int records = 0;
    for (; records < kRecordsPerTurn; ++records) {
        record_.clear();
        const auto next = source_.next(record_);
        if (!next) {
            return fail_log(next.error());
        }
        if (!next.value()) {
            break;
        }
        if (const Status put = put_record(*next.value()); !put) {
            return fail_disk(put.error());
        }
    }
    if (const Status synced = records == 0 ? ok_status() : writer_->sync(); !synced) {
        return fail_disk(synced.error());
    }
    succeeded();
    if (now >= prune_at_) {
        prune_at_ = now + kPruneEvery;
        prune(*writer_);
    }
    return records == kRecordsPerTurn;
}

Status LogShipping::put_record(const EffectCursor& at) noexcept {
    for (const Effect& effect : record_) {
        if (auto put = writer_->append(effect); !put) {
            return put;
        }
    }
    return writer_->end_of_record(mark_of(at));
}

// ---- where to go on ----------------------------------------------------------------------------

/// A copy that fills the journal's disk stops the journal. On another one it stops itself alone.
bool LogShipping::has_room() const noexcept {
    struct stat log{};
    struct stat copy{};
    const bool shared = options_.free_floor_bytes != 0 && ::stat(options_.log.c_str(), &log) == 0 &&
                        ::stat(options_.backups.c_str(), &copy) == 0 && log.st_dev == copy.st_dev;
    std::error_code ignored;  // none is as much as there can be
    return !shared || fs::space(options_.backups, ignored).available >= options_.free_floor_bytes;
}

/// What no backup goes on from goes first: it may be all that is in the way.
bool LogShipping::make_room() noexcept {
    if (now_ < prune_at_) {
        return false;
    }
    prune_at_ = now_ + kPruneEvery;
    if (writer_) {
        prune(*writer_);
        return has_room();
    }
    std::string ignored;  // there may be none yet; open() names what is wrong
    if (auto opened = EffectsWriter::open(folder_, {options_.file_bytes, upto()}, ignored)) {
        prune(opened.value());
    }
    return has_room();
}

/// What open() may go on behind.
std::uint64_t LogShipping::upto() const noexcept {
    return doubtful_ ? flushed_->value : UINT64_MAX;
}

bool LogShipping::open() noexcept {
    std::error_code error;
    fs::create_directories(folder_, error);
    for (const std::string& folder : {options_.backups, folder_}) {
        fs::permissions(folder, fs::perms::owner_all, error);
    }
    std::string message;
    auto opened = EffectsWriter::open(folder_, {options_.file_bytes, upto()}, message);
    if (!opened) {
        const bool passes = opened.code() == Errc::IoError || opened.code() == Errc::NoSpace;
        return passes ? fail(message) : set_aside(message);
    }
    writer_.emplace(std::move(opened).value());
    doubtful_ = false;
    if (auto synced = writer_->sync(); !synced) {  // a writer that was killed has not
        doubt_last_file();
        return fail_disk(synced.error());
    }
    flushed_ = writer_->last_mark().seq;
    if (!find_place()) {
        writer_.reset();
        return false;
    }
    behind_since_ = {};
    return true;
}

bool LogShipping::find_place() noexcept {
    const LogCursor mark = writer_->last_mark();
    if (mark.seq.value == 0) {
        return begin();
    }
    const Status found = source_.seek(cursor_of(mark));
    switch (found.code()) {
        case Errc::Ok: return true;
        case Errc::NotFound: return begin();  // retention was faster than this disk
        case Errc::BadChain: return set_aside("it is of another log");
        case Errc::TornTail:
            return !may_still_come(mark.seq) && set_aside("it is ahead of the effects log");
        default: return fail_log(found.error());
    }
}

/// With the oldest backup that will do, so that what is shipped goes on from each of them.
bool LogShipping::begin() noexcept {
    const Sequence last = writer_->last_mark().seq;
    for (const SqliteBackup& backup : list_sqlite_backups(options_.backups)) {
        std::string message;
        const auto header = read_sqlite_backup(backup.path, message);
        const bool newer = header && header.value().seq > last.value;
        if (newer && source_.seek(header.value().cursor())) {
            return begin_behind(mark_of(header.value().cursor()), false);
        }
    }
    const auto mark = effects_begin(options_.log);
    if (!mark) {
        return false;  // nobody has written to it yet
    }
    if (auto found = source_.seek(cursor_of(*mark)); !found) {
        return fail_log(found.error());
    }
    return begin_behind(*mark, effects_begin_whole(options_.log));
}

bool LogShipping::begin_behind(const LogCursor& mark, bool whole) noexcept {
    if (auto begun = writer_->begin_anew(mark, whole); !begun) {
        return fail_disk(begun.error());
    }
    // Behind what was shipped before: else it is of a log that this one does not follow.
    return writer_->last_mark().seq == mark.seq || set_aside("it is of another log");
}

/// The replica writes again what a power cut has taken from the effects log, or all of it.
bool LogShipping::may_still_come(Sequence seq) noexcept {
    behind_since_ = behind_since_.value == 0 ? now_ : behind_since_;
    if (now_ - behind_since_ >= options_.behind_grace && replica_has_come_to(segment_, seq)) {
        return false;
    }
    retry_at_ = now_ + options_.retry_min;
    return true;
}

/// Never removed unasked: it may be all that is left of a log that was lost.
bool LogShipping::set_aside(const std::string& why) noexcept {
    writer_.reset();
    flushed_.reset();
    doubtful_ = false;
    goes_on_.clear();
    const std::string stale = folder_ + ".stale";
    std::error_code error;
    fs::remove_all(stale, error);
    fs::rename(folder_, stale, error);
    if (error) {
        return fail(folder_ + " cannot be set aside: " + error.message());
    }
    segment_.report_error("sqlite", "ALERT what was shipped is set aside as " + stale + ": " + why);
    behind_since_ = {};
    retry_at_ = now_ + options_.retry_min;
    return false;
}

/// Nothing if it cannot be told now, and why.
std::optional<bool> LogShipping::goes_on_from(const SqliteBackup& backup, std::string& why) const {
    const auto header = read_sqlite_backup(backup.path, why);
    if (!header) {
        return header.code() == Errc::IoError ? std::nullopt : std::optional{false};
    }
    const auto from = EffectsReader::resume(folder_, mark_of(header.value().cursor()), why);
    switch (from.code()) {
        case Errc::Ok: return true;
        case Errc::NotFound:
        case Errc::BadChain:
        case Errc::BadChecksum: return false;
        default: return std::nullopt;
    }
}

/// Whether a backup of this log is beyond all that was shipped: nobody goes on from that any more.
bool LogShipping::has_newer(Sequence last) const {
    EffectsLogSource log{options_.log};  // ours has its place
    for (const SqliteBackup& backup : list_sqlite_backups(options_.backups)) {
        std::string ignored;  // one that cannot be read is no reason to remove anything
        const auto header = read_sqlite_backup(backup.path, ignored);
        if (backup.seq > last && header && log.seek(header.value().cursor())) {
            return true;
        }
    }
    return false;
}

/// Of the backups that what was shipped goes on from, the oldest one's record. One of another log
/// has other numbers, and may be kept for long as it is the largest.
/// @param last record in the folder. @return that, if all of this log's are beyond it; 0: nothing
/// is known to go.
Sequence LogShipping::oldest_needed(Sequence last) {
    std::map<std::string, bool> known;
    Sequence oldest{0};
    bool told = true;
    for (const SqliteBackup& backup : list_sqlite_backups(options_.backups)) {
        if (backup.seq > last) {
            continue;  // its place is not there yet
        }
        const auto was = goes_on_.find(backup.path);
        std::string why;
        const auto on =
            was != goes_on_.end() ? std::optional{was->second} : goes_on_from(backup, why);
        if (!on && told && std::exchange(unsure_, backup.path) != backup.path) {
            segment_.report_error("sqlite", folder_ + " keeps all that it has: whether " +
                                                backup.path +
                                                " goes on from it is not known: " + why);
        }
        told = told && on.has_value();
        if (on) {
            known.emplace(backup.path, *on);
        }
        if (on.value_or(false) && (oldest.value == 0 || backup.seq < oldest)) {
            oldest = backup.seq;
        }
    }
    goes_on_ = std::move(known);
    unsure_ = told ? std::string{} : unsure_;
    if (told && oldest.value == 0 && has_newer(last)) {
        return last;
    }
    return told ? oldest : Sequence{0};
}

/// Nothing that any backup goes on from.
void LogShipping::prune(EffectsWriter& writer) noexcept {
    const Sequence needed = oldest_needed(writer.last_mark().seq);
    if (auto kept = writer.retain(needed, options_.bytes_max); !kept) {
        segment_.report_error("sqlite", folder_ + ": " + kept.error().what);
    }
}

// ---- failure and success -----------------------------------------------------------------------

/// What is not shipped stays in the effects log, and is shipped when this passes. @return false.
bool LogShipping::fail(const std::string& why) noexcept {
    segment_.report_error("sqlite", "ALERT nothing is shipped to " + folder_ + ": " + why);
    writer_.reset();
    retry_wait_ = std::clamp(retry_wait_ + retry_wait_, options_.retry_min, options_.retry_max);
    retry_at_ = now_ + retry_wait_;
    return false;
}

/// A failed flush leaves pages that the system calls clean: who tries again is told that all is on
/// the disk, and it is not. So what is not known to be there is cut off, and written anew.
bool LogShipping::fail_disk(const Error& error) noexcept {
    doubtful_ = doubtful_ || flushed_.has_value();
    return fail(error.what + (error.sys_errno == 0
                                  ? std::string{}
                                  : std::string{": "} + std::strerror(error.sys_errno)));
}

/// The first flush has failed of what a writer before has left. Where it ended a file it had
/// flushed it; the last one is written anew, if this log has all of it: else it may be all that is
/// left of a log that was lost.
void LogShipping::doubt_last_file() noexcept {
    const LogCursor& begin = writer_->file_begin();
    if (!flushed_ && source_.seek(cursor_of(writer_->last_mark())) &&
        source_.seek(cursor_of(begin))) {
        flushed_ = begin.seq;
    }
}

bool LogShipping::fail_log(const Error& error) noexcept {
    const std::string more = source_.message();
    return fail("effects log: " + (more.empty() ? std::string{error.what} : more));
}

void LogShipping::succeeded() noexcept {
    shipped_ = writer_->last_mark().seq;
    flushed_ = shipped_;
    if (std::exchange(retry_wait_, {}).value != 0) {
        segment_.report_error("sqlite", "what is new is shipped to " + folder_ + " again");
    }
}

// ---- the thread --------------------------------------------------------------------------------

LogShipper::LogShipper(const Segment& segment, const LogShipperOptions& options)
    : shipping_{segment, options}, nap_{options.every.value / 2}, thread_{[this] { run(); }} {
    // Whoever sees the stage running finds one thread of its name, not two.
    named_.wait();
}

LogShipper::~LogShipper() {
    {
        const std::lock_guard lock{mutex_};
        // Relaxed: the lock orders it for the waiting thread, the rest only has to see it soon.
        stop_.store(true, std::memory_order_relaxed);
    }
    wake_.notify_all();
    thread_.join();
}

void LogShipper::run() {
    // Or it would bear the stage's name, and who looks for the stage's thread finds this one.
    (void)::pthread_setname_np(::pthread_self(), "sqlite-ship");
    named_.count_down();
    for (bool last = false; !last;) {
        last = nap();
        for (int turns = 0; shipping_.turn(Nanos{monotonic_ns()}); ++turns) {
            last = last || stop_.load(std::memory_order_relaxed);
            if (last && turns >= kLastTurns) {
                break;
            }
        }
    }
}

/// Between two turns. @return true if it is to end.
bool LogShipper::nap() {
    std::unique_lock lock{mutex_};
    return wake_.wait_for(lock, std::chrono::nanoseconds{nap_.value},
                          [this] { return stop_.load(std::memory_order_relaxed); });
}

}  // namespace millrace
