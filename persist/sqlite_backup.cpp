#include "persist/sqlite_backup.h"

#include "core/crash_point.h"
#include "persist/backup_place.h"
#include "persist/backup_stream.h"
#include "persist/file_preparer.h"
#include "persist/sqlite_cursor.h"
#include "persist/sqlite_db.h"
#include "persist/sqlite_files.h"
#include "persist/sqlite_layout.h"
#include "persist/sqlite_schema.h"
#include "shm/clock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace millrace {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCopy = "/making.db";
constexpr const char* kScratch = "/checking.db";
constexpr const char* kPacked = "/making.mrb";
constexpr int kPagesAtOnce = 256;
constexpr int kBusyMs = 250;
constexpr std::size_t kNameBytes = 6 + 10 + 1 + 20 + 4;

std::uint64_t hash_of(const BackupHeader& header) noexcept {
    return XXH3_64bits(&header, offsetof(BackupHeader, header_hash));
}

bool parse_name(std::string_view name, SqliteBackup& out) {
    const auto number = [&](std::size_t at, std::size_t digits, std::uint64_t& value) {
        const char* const end = name.data() + at + digits;
        const auto parsed = std::from_chars(name.data() + at, end, value);
        return parsed.ec == std::errc{} && parsed.ptr == end;
    };
    return name.size() == kNameBytes && name.starts_with("store-") && name.ends_with(".mrb") &&
           number(6, 10, out.number) && number(17, 20, out.seq.value);
}

std::string name_of(std::uint64_t number, std::uint64_t seq) {
    char text[64];
    std::snprintf(text, sizeof text, "/store-%010llu-%020llu.mrb",
                  static_cast<unsigned long long>(number), static_cast<unsigned long long>(seq));
    return text;
}

/// One run: what it has open, and what it leaves behind if it ends early.
class BackupRun {
public:
    BackupRun(const SqliteBackupOptions& options, std::string& message)
        : o_{options}, message_{message} {}
    ~BackupRun() {
        if (lock_ >= 0) {
            remove_leftovers();
            ::close(lock_);
        }
    }
    BackupRun(const BackupRun&) = delete;
    BackupRun& operator=(const BackupRun&) = delete;

    Result<SqliteBackup> make();

private:
    using Fingerprint = std::vector<std::string>;

    Status begin();
    Status copy();
    Status check();
    Status room();
    static Result<Fingerprint> fingerprint(SqliteDb& db);
    [[nodiscard]] Result<std::string> layout_of(SqliteDb& db, std::int64_t schema) const;
    void remove_leftovers();
    void remove_old();
    Status fail(const Status& status, const std::string& doing) {
        message_ = message_.empty() ? doing + ": " + status.error().what : message_;
        if (status.error().sys_errno != 0) {
            message_ += std::string{": "} + std::strerror(status.error().sys_errno);
        }
        return status;
    }

    const SqliteBackupOptions& o_;
    std::string& message_;
    int lock_ = -1;
    BackupHeader header_;
    Fingerprint of_store_;
};

Status BackupRun::begin() {
    if (auto there = claim_backup_place(o_.dir, o_.note, message_); !there) {
        return there;  // the message has it all
    }
    std::error_code error;
    fs::create_directories(o_.dir, error);
    fs::permissions(o_.dir, fs::perms::owner_all, error);
    lock_ = ::open((o_.dir + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock_ < 0) {
        return fail({Errc::IoError, "cannot be written to", errno}, o_.dir);
    }
    if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
        ::close(std::exchange(lock_, -1));
        return fail({Errc::Busy, "another backup is being made"}, o_.dir);
    }
    remove_leftovers();
    return sqlite_file_exists(o_.store) ? room()
                                        : fail({Errc::NotFound, "there is no store"}, o_.store);
}

/// A disk that a backup fills stops the journal: it asks for more room than it will take.
Status BackupRun::room() {
    const auto bytes_of = [](const std::string& path) {
        std::error_code missing;
        const auto bytes = fs::file_size(path, missing);
        return missing ? 0 : bytes;
    };
    std::error_code error;
    const fs::space_info space = fs::space(o_.dir, error);
    const std::uint64_t needed = 3 * (bytes_of(o_.store) + bytes_of(o_.store + "-wal"));
    if (!error && space.available < needed) {
        return fail({Errc::NoSpace, "too little room for a backup"},
                    o_.dir + ": " + std::to_string(space.available >> 20U) + " MiB free, " +
                        std::to_string(needed >> 20U) + " MiB wanted");
    }
    return ok_status();
}

Result<BackupRun::Fingerprint> BackupRun::fingerprint(SqliteDb& db) {
    // seq and k end each row of the pipeline and change with it. Modulo: a sum must not overflow.
    static constexpr const char* kSums =
        "SELECT count(*) || ' ' || coalesce(sum(seq % 1000003), 0) || ' ' || "
        "coalesce(sum(k), 0) FROM ";
    Fingerprint sums;
    for (const char* table : {"definitions", "signals", "orders", "executions", "positions",
                              "accounts", "alerts", "cursor"}) {
        auto sum = db.text(std::string{kSums} + table);
        if (!sum) {
            return sum.error();
        }
        sums.push_back(std::string{table} + ": " + std::move(sum).value());
    }
    return sums;
}

/// The store at one moment, into the file kCopy.
Status BackupRun::copy() {
    SqliteDb from;
    SqliteDb to;
    if (auto opened = from.open(o_.store, kBusyMs, SqliteOpen::ReadOnly); !opened) {
        return fail(opened, o_.store);
    }
    from.stop_when(o_.stop);
    if (auto opened = to.open(o_.dir + kCopy, kBusyMs); !opened) {
        return fail(opened, o_.dir + kCopy);
    }
    // A reader's transaction: the writer goes on, and what it writes is not seen.
    Status done = from.exec("BEGIN");
    const auto row = done ? read_sqlite_cursor(from) : Result<SqliteCursorRow>{done.error()};
    const auto schema = from.number("PRAGMA user_version");
    if (!row || !schema) {
        return fail(row ? Status{schema.error()} : Status{row.error()}, o_.store);
    }
    if (auto odd = layout_of(from, schema.value()); !odd || odd.value() != o_.odd_layout) {
        return fail(odd ? Status{Errc::BadChecksum, "a table or a view is not as it was made"}
                        : Status{odd.error()},
                    odd ? o_.store + ": " + odd.value() : o_.store);
    }
    const EffectCursor& cursor = row.value().cursor;
    header_.schema = static_cast<std::uint32_t>(schema.value());
    header_.epoch = cursor.epoch;
    header_.seq = cursor.seq.value;
    header_.k = cursor.k;
    header_.chain = cursor.chain;
    auto sums = fingerprint(from);
    if (!sums) {
        return fail(sums.error(), o_.store);
    }
    of_store_ = std::move(sums).value();
    const auto tell = [this](std::uint64_t copied, std::uint64_t total) {
        return (o_.stop == nullptr || !o_.stop->load(std::memory_order_relaxed)) &&
               (!o_.progress || o_.progress("copy", copied, total));
    };
    // Scratch: after a crash it is thrown away.
    done = to.exec("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF");
    done = done ? from.copy_to(to, kPagesAtOnce, tell) : done;
    return done ? done : fail(done, "copying " + o_.store + " to " + o_.dir + kCopy);
}

/// Of an older build's store nothing is known: whoever opens it migrates it.
Result<std::string> BackupRun::layout_of(SqliteDb& db, std::int64_t schema) const {
    return schema == sqlite_schema_version() ? sqlite_odd_layout(db)
                                             : Result<std::string>{o_.odd_layout};
}

/// What lies on the disk, unpacked, holds what the store held.
Status BackupRun::check() {
    if (auto done = restore_sqlite_backup(o_.dir + kPacked, o_.dir + kScratch, o_, message_);
        !done) {
        return done;
    }
    SqliteDb db;
    if (auto opened = db.open(o_.dir + kScratch, kBusyMs, SqliteOpen::Existing); !opened) {
        return fail(opened, o_.dir + kScratch);
    }
    db.stop_when(o_.stop);
    const auto odd = layout_of(db, header_.schema);
    if (!odd || odd.value() != o_.odd_layout) {
        return fail(odd ? Status{Errc::BadChecksum, "a table or a view is not as it was made"}
                        : Status{odd.error()},
                    o_.dir + kScratch);
    }
    const auto sums = fingerprint(db);
    if (!sums) {
        return fail(sums.error(), o_.dir + kScratch);
    }
    for (std::size_t i = 0; i < of_store_.size(); ++i) {
        if (sums.value()[i] != of_store_[i]) {
            return fail({Errc::BadChecksum, "the backup does not hold what the store held"},
                        "table " + sums.value()[i] + ", not " + of_store_[i]);
        }
    }
    return ok_status();
}

Result<SqliteBackup> BackupRun::make() {
    if (auto done = begin(); !done) {
        return done.error();
    }
    if (auto done = copy(); !done) {
        return done.error();
    }
    header_.created_ns = wall_ns();
    if (auto done = pack_file(o_.dir + kCopy, o_.dir + kPacked, header_, o_); !done) {
        return fail(done, o_.dir + kPacked).error();
    }
    MILLRACE_CRASH_POINT("sqlite-backup-packed");
    if (auto done = check(); !done) {
        return done.error();
    }
    const auto before = list_sqlite_backups(o_.dir);
    SqliteBackup made;
    made.number = before.empty() ? 1 : before.back().number + 1;
    made.seq = Sequence{header_.seq};
    made.path = o_.dir + name_of(made.number, header_.seq);
    if (::rename((o_.dir + kPacked).c_str(), made.path.c_str()) != 0) {
        return fail({Errc::IoError, "cannot be renamed", errno}, o_.dir + kPacked).error();
    }
    if (auto done = sync_directory(o_.dir); !done) {
        return fail(done, o_.dir).error();
    }
    MILLRACE_CRASH_POINT("sqlite-backup-counts");
    remove_old();
    return made;
}

void BackupRun::remove_leftovers() {
    // What cannot be removed is in the way of the next step, which says so.
    (void)sqlite_remove(o_.dir + kCopy);
    (void)sqlite_remove(o_.dir + kScratch);
    (void)::unlink((o_.dir + kPacked).c_str());
}

/// A store never shrinks. One that had to begin again with less than it had must not push out the
/// last backup of what it was: the largest stays until a newer one is as large.
void BackupRun::remove_old() {
    const auto all = list_sqlite_backups(o_.dir);
    const std::size_t kept = std::min(std::max<std::size_t>(o_.keep, 1), all.size());
    const auto bytes_of = [this](const SqliteBackup& backup) {
        std::string ignored;  // one that cannot be read holds nothing
        const auto header = read_sqlite_backup(backup.path, ignored);
        return header ? header.value().raw_bytes : 0;
    };
    std::uint64_t largest = 0;
    for (std::size_t i = all.size(); i-- > 0;) {
        const std::uint64_t bytes = bytes_of(all[i]);
        if (i + kept < all.size() && bytes <= largest) {
            (void)::unlink(all[i].path.c_str());  // tried again after the next one
        }
        largest = std::max(largest, bytes);
    }
}

}  // namespace

EffectCursor BackupHeader::cursor() const noexcept {
    return {epoch, Sequence{seq}, static_cast<std::uint32_t>(k), chain};
}

std::vector<SqliteBackup> list_sqlite_backups(const std::string& dir) {
    std::vector<SqliteBackup> found;
    std::error_code error;
    for (fs::directory_iterator it{dir, error}, end; !error && it != end; it.increment(error)) {
        SqliteBackup backup;
        if (parse_name(it->path().filename().string(), backup)) {
            backup.path = it->path().string();
            found.push_back(std::move(backup));
        }
    }
    std::sort(found.begin(), found.end(), [](const SqliteBackup& a, const SqliteBackup& b) {
        return a.number != b.number ? a.number < b.number : a.path < b.path;
    });
    return found;
}

Result<SqliteBackup> make_sqlite_backup(const SqliteBackupOptions& options, std::string& message) {
    return BackupRun{options, message}.make();
}

Result<BackupHeader> read_sqlite_backup(const std::string& path, std::string& message) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        message = path + ": " + std::strerror(errno);
        return {errno == ENOENT ? Errc::NotFound : Errc::IoError, "cannot be opened", errno};
    }
    BackupHeader header;
    const ssize_t got = ::read(fd, &header, sizeof header);
    ::close(fd);
    const auto refuse = [&](Errc code, const char* what) {
        message = path + ": " + what;
        return Result<BackupHeader>{code, what};
    };
    if (got != static_cast<ssize_t>(sizeof header) || header.magic != kBackupMagic) {
        return refuse(Errc::BadMagic, "is no backup of a store");
    }
    if (header.header_hash != hash_of(header)) {
        return refuse(Errc::BadChecksum, "its header is damaged");
    }
    if (header.version != kBackupVersion) {
        return refuse(Errc::BadVersion, "was made by another build");
    }
    return header;
}

Status restore_sqlite_backup(const std::string& path, const std::string& to,
                             const SqliteBackupOptions& options, std::string& message) {
    const auto header = read_sqlite_backup(path, message);
    if (!header) {
        return header.error();
    }
    if (sqlite_file_exists(to)) {
        message = to + " exists already";
        return {Errc::BadInput, "the file to restore into exists"};
    }
    Status done = unpack_file(path, to, header.value(), options);
    if (done) {
        done = check_restored(to, header.value(), options);
    }
    if (!done) {
        message = path + ": " + done.error().what;
        if (done.error().sys_errno != 0) {
            message += " (unpacking to " + to + ": " + std::strerror(done.error().sys_errno) + ")";
        }
        (void)sqlite_remove(to);
    }
    return done;
}

}  // namespace millrace
