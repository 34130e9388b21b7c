#include "persist/sqlite_keeper.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "persist/backup_stream.h"
#include "persist/sqlite_catch_up.h"
#include "persist/sqlite_cursor.h"
#include "persist/sqlite_db.h"
#include "persist/sqlite_files.h"
#include "persist/sqlite_layout.h"
#include "shm/clock.h"

namespace millrace {
namespace {

constexpr int kBusyMs = 250;
constexpr std::int64_t kRestFactor = 9;  // a backup may take a tenth of the time

/// The store's inode; 0 if there is none.
std::uint64_t inode_of(const std::string& path) noexcept {
    struct stat s{};
    return ::stat(path.c_str(), &s) == 0 ? s.st_ino : 0;
}

/// BadLayout: our own tables are not what the sink had made of them.
bool is_damage(const Status& status) noexcept {
    return status.code() == Errc::BadChecksum || status.code() == Errc::BadLayout;
}

/// Reads the newest rows of each table: the edge of each tree, where the writing goes on.
Status read_newest(SqliteDb& db) noexcept {
    for (const char* sql : {"SELECT * FROM signals ORDER BY id DESC LIMIT 16",
                            "SELECT * FROM orders ORDER BY intent DESC LIMIT 64",
                            "SELECT * FROM executions ORDER BY seq DESC, k DESC LIMIT 64",
                            "SELECT * FROM positions LIMIT 16", "SELECT * FROM accounts LIMIT 16",
                            "SELECT * FROM alerts ORDER BY seq DESC, k DESC LIMIT 16",
                            "SELECT * FROM definitions LIMIT 16"}) {
        auto rows = db.prepare(sql);
        if (!rows) {
            return rows.error();
        }
        auto row = rows.value().row();
        while (row.ok() && row.value()) {
            row = rows.value().row();
        }
        if (!row) {
            return row.error();
        }
    }
    return ok_status();
}

}  // namespace

StoreHealth look_at_store(const std::string& path, std::string& why) {
    if (!sqlite_file_exists(path)) {
        why = path + " is gone";
        return StoreHealth::Gone;
    }
    SqliteDb db;  // opened anew: what it reads is not what it remembers
    Status seen = db.open(path, kBusyMs, SqliteOpen::ReadOnly);
    const auto tables = db.is_open() ? db.number("SELECT count(*) FROM sqlite_master")
                                     : Result<std::int64_t>{seen.error()};
    if (tables && tables.value() == 0) {
        why = path + " is empty: somebody has cut it";
        return StoreHealth::Damaged;
    }
    std::string odd;
    if (seen) {
        const auto cursor = read_sqlite_cursor(db);
        odd = cursor.code() == Errc::BadCursor ? cursor.error().what : "";
        seen = cursor || !odd.empty() ? read_newest(db) : Status{cursor.error()};
    }
    if (seen && odd.empty()) {
        auto rows = sqlite_odd_rows(db);
        seen = rows ? ok_status() : Status{rows.error()};
        odd = rows ? std::move(rows).value() : odd;
    }
    if (is_damage(seen)) {
        why = path + ": " + (db.is_open() ? db.message() : seen.error().what);
        return StoreHealth::Damaged;
    }
    why = path + ": " + odd;
    // A lock or a lack of descriptors is no damage.
    return odd.empty() ? StoreHealth::Good : StoreHealth::Mendable;
}

StoreHealth check_store(const std::string& path, const std::atomic<bool>* stop, std::string& why) {
    SqliteDb db;
    Status seen = db.open(path, kBusyMs, SqliteOpen::ReadOnly);
    if (seen) {
        db.stop_when(stop);
        const auto answer = db.text("PRAGMA integrity_check(1)");
        if (answer && answer.value() == "ok") {
            return StoreHealth::Good;
        }
        seen = answer ? Status{Errc::BadChecksum, "damaged"} : Status{answer.error()};
        why = path + ": " + (answer ? answer.value() : db.message());
    }
    return is_damage(seen) ? StoreHealth::Damaged : StoreHealth::Unknown;
}

SqliteKeeper::SqliteKeeper(const Segment& segment, SqliteKeeperOptions options)
    : segment_{segment}, options_{std::move(options)}, thread_{[this] { run(); }} {
    // Whoever sees the stage running finds one thread of its name, not two.
    named_.wait();
}

SqliteKeeper::~SqliteKeeper() {
    {
        const std::lock_guard lock{mutex_};
        // Relaxed: the lock orders it for the waiting thread, the rest only has to see it soon.
        stop_.store(true, std::memory_order_relaxed);
    }
    wake_.notify_all();
    thread_.join();
}

void SqliteKeeper::forget() noexcept {
    // Release: pairs with the acquire in look(): whoever sees the new life finds the new file.
    // A finding that comes between the two fails its exchange.
    const std::uint64_t state = state_.load(std::memory_order_relaxed);
    state_.store((state & ~kHealthMask) + kNextLife, std::memory_order_release);
    const std::lock_guard lock{mutex_};
    wrong_ = {};  // of the old file
}

SqliteAuditFindings SqliteKeeper::take_wrong() {
    const std::lock_guard lock{mutex_};
    return std::exchange(wrong_, {});
}

void SqliteKeeper::tell(const std::string& text) const {
    segment_.report_error("sqlite", text);
}

/// What was found in a file that the sink has replaced meanwhile says nothing about the new one.
void SqliteKeeper::found(StoreHealth health, const std::string& why) {
    std::uint64_t seen = state_.load(std::memory_order_relaxed);
    if ((seen & ~kHealthMask) != looked_life_) {
        return;
    }
    if (health != StoreHealth::Good) {
        tell(why);
    }
    // Release: pairs with the acquire in health(). Strong: it fails only if forget() was called.
    const auto word = looked_life_ | static_cast<std::uint64_t>(health);
    (void)state_.compare_exchange_strong(seen, word, std::memory_order_release,
                                         std::memory_order_relaxed);
}

void SqliteKeeper::look() {
    // Acquire: pairs with the release in forget().
    const std::uint64_t life = state_.load(std::memory_order_acquire) & ~kHealthMask;
    const bool anew = life != looked_life_ || inode_ == 0;
    looked_life_ = life;
    const StoreHealth before = health();
    if (before != StoreHealth::Unknown && before != StoreHealth::Good) {
        return;  // the sink has it to mend
    }
    const std::uint64_t inode = inode_of(options_.store);
    if (anew) {
        inode_ = inode;
        backed_up_ = {};
    } else if (inode != 0 && inode != inode_) {
        found(StoreHealth::Gone, options_.store + " was replaced by another file");
        return;
    }
    std::string why;
    const StoreHealth health = look_at_store(options_.store, why);
    if (health != StoreHealth::Good) {
        found(health, why);
    } else if (layout_will_do(anew) && anew) {
        (void)full_check();
    }
}

/// Tables and views that are not as they were made: the file is made anew, but not again and again
/// where that brings the same ones back, as a backup of an older build might.
bool SqliteKeeper::layout_will_do(bool anew) {
    SqliteDb db;
    const Status opened = db.open(options_.store, kBusyMs, SqliteOpen::ReadOnly);
    const auto odd = opened ? sqlite_odd_layout(db) : Result<std::string>{opened.error()};
    if (!odd) {
        return true;  // locked, or the next look tells
    }
    if (anew) {
        const bool again = !odd.value().empty() && odd.value() == odd_layout_;
        kept_layout_ = again ? odd.value() : "";
        if (again) {
            tell("ALERT " + options_.store + ": " + odd.value() + ", in the new file too");
        }
    }
    if (odd.value().empty()) {
        kept_layout_.clear();  // mended in place, or the first look at this file saw nothing
    }
    if (odd.value() == kept_layout_) {
        return true;
    }
    odd_layout_ = odd.value();
    if (!odd_layout_.empty()) {
        found(StoreHealth::Damaged, options_.store + ": " + odd_layout_);
    }
    return odd_layout_.empty();
}

/// @return whether it found nothing.
bool SqliteKeeper::full_check() {
    std::string why;
    const StoreHealth health = check_store(options_.store, &stop_, why);
    if (health != StoreHealth::Unknown) {
        found(health, why);
    }
    return health == StoreHealth::Good;
}

void SqliteKeeper::back_up() {
    const auto at = segment_.core().sqlite_seq.load(std::memory_order_relaxed);
    if (options_.dir.empty() || health() != StoreHealth::Good || at == backed_up_.value) {
        return;
    }
    // The cell counts records without an effect, too, which leave the store as it is.
    if (backed_up_.value != 0 && sqlite_cursor_at(options_.store).seq == backed_up_) {
        return;
    }
    SqliteBackupOptions options;
    options.store = options_.store;
    options.dir = options_.dir;
    options.note = options_.note;
    options.odd_layout = kept_layout_;
    options.keep = options_.keep;
    options.stop = &stop_;
    std::string message;
    const auto made = make_sqlite_backup(options, message);
    // A statement that is cut short by our own end fails as any other.
    const bool given_up = made.code() == Errc::Timeout || stop_.load(std::memory_order_relaxed);
    if (made) {
        backed_up_ = made.value().seq;
    } else if (!given_up && made.code() != Errc::Busy) {
        tell("ALERT no backup of the store: " + message);
        if (made.code() == Errc::BadChecksum) {
            (void)full_check();  // the copy's fault, or the store's?
        }
    }
}

/// A slice of a comparison, so that looks and backups go on. What it finds wrong the sink puts
/// back: nobody else writes the file. @return whether more is to be done.
bool SqliteKeeper::audit() {
    if (health() != StoreHealth::Good) {
        audit_.reset();
        return false;
    }
    Status begun = ok_status();
    if (!audit_) {
        audit_ = std::make_unique<SqliteAudit>(options_.store, options_.make_log(), &stop_);
        audit_life_ = looked_life_;
        begun = audit_->begin();
    }
    const auto more = begun ? audit_->step() : Result<bool>{begun.error()};
    if (more && more.value()) {
        return true;
    }
    const auto ended = std::move(audit_);
    if (audit_life_ != looked_life_) {
        return false;  // of a file that was replaced meanwhile
    }
    if (!more) {
        if (is_damage(more.error())) {
            found(StoreHealth::Damaged,
                  options_.store + " does not compare with the effects log: " + more.error().what);
        }
        return false;  // others pass, or are the sink's to see
    }
    if (ended->findings().clean()) {
        // Rows are compared by their keys: one too many in the order of a table, or one too few in
        // an index, shows in no key.
        if (full_check()) {
            // Relaxed: one writer, a count.
            clean_audits_.fetch_add(1, std::memory_order_relaxed);
        }
        return false;
    }
    const std::lock_guard lock{mutex_};
    // Acquire: pairs with the release in forget(), which clears what is here behind it.
    if ((state_.load(std::memory_order_acquire) & ~kHealthMask) == audit_life_) {
        wrong_ = std::move(ended->findings());
    }
    return false;
}

/// The sink cuts it back to 64 MB at its next commit after a checkpoint, and a checkpoint waits for
/// whoever still reads what it would overwrite.
void SqliteKeeper::watch_wal() {
    struct stat s{};
    const std::string wal = options_.store + "-wal";
    const bool large = ::stat(wal.c_str(), &s) == 0 &&
                       static_cast<std::uint64_t>(s.st_size) >= options_.wal_bytes_told;
    if (large && !wal_told_) {
        tell("ALERT " + wal + " is larger than " + std::to_string(options_.wal_bytes_told >> 20U) +
             " MB: a reader keeps a transaction open; `fuser` on the store names it");
    }
    wal_told_ = large;
}

void SqliteKeeper::run() {
    // Or it would bear the stage's name, and who looks for the stage's thread finds this one.
    (void)::pthread_setname_np(::pthread_self(), "sqlite-backup");
    named_.count_down();
    // The thread's own priority; it may stay as it is where that is not allowed.
    (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), options_.nice);
    std::int64_t next_backup_ns = now_ns() + options_.every.value;
    std::int64_t next_audit_ns = now_ns() + options_.audit_every.value;
    while (nap()) {
        look();
        watch_wal();
        if (const std::int64_t began = now_ns(); began >= next_backup_ns) {
            back_up();
            const std::int64_t took = now_ns() - began;
            next_backup_ns = now_ns() + std::max(options_.every.value, kRestFactor * took);
        }
        if (options_.make_log && now_ns() >= next_audit_ns) {
            const bool more = audit();
            next_audit_ns = more ? 0 : now_ns() + options_.audit_every.value;
        }
    }
}

/// Between two looks. @return false if it is to end.
bool SqliteKeeper::nap() {
    const auto stops = [this] { return stop_.load(std::memory_order_relaxed); };
    if (options_.clock != nullptr) {
        options_.clock->nap(options_.look_every);
        return !stops();
    }
    std::unique_lock lock{mutex_};
    return !wake_.wait_for(lock, std::chrono::nanoseconds{options_.look_every.value}, stops);
}

std::int64_t SqliteKeeper::now_ns() const noexcept {
    return options_.clock != nullptr ? options_.clock->now_ns() : monotonic_ns();
}

}  // namespace millrace
