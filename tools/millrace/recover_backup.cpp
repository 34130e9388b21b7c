#include "tools/millrace/recover_backup.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <system_error>
#include <vector>

#include "persist/backup_place.h"
#include "persist/log_shipper.h"
#include "persist/shipped_records.h"
#include "persist/sqlite_backup.h"
#include "persist/sqlite_files.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

/// What a process that was killed has left under such a name.
void remove_leftovers(const std::string& stem) {
    const fs::path folder = fs::path{stem}.parent_path();
    std::vector<std::string> left;
    std::error_code error;
    for (fs::directory_iterator it{folder, error}, end; !error && it != end; it.increment(error)) {
        const std::string path = it->path().string();
        const char* const last = path.data() + path.size();
        pid_t pid = 0;
        if (path.starts_with(stem) &&
            std::from_chars(path.data() + stem.size(), last, pid).ptr == last && pid > 0 &&
            ::kill(pid, 0) != 0 && errno == ESRCH) {
            left.push_back(path);
        }
    }
    for (const std::string& path : left) {
        (void)sqlite_remove(path);
    }
}

/// Where backups of several hosts lie, a process id says nothing without it.
std::string host_name() {
    char name[256] = {};
    (void)::gethostname(name, sizeof name - 1);
    return name;
}

/// Copies that others have unpacked where `scratch` is to be, each as large as the store: of a host
/// or container that is no more, by an older build's name, or one that is at work.
std::string copies_beside(const std::string& scratch, const Config& config) {
    std::string text;
    std::error_code error;
    const fs::path folder = fs::path{scratch}.parent_path();
    for (fs::directory_iterator it{folder, error}, end; !error && it != end; it.increment(error)) {
        const std::string path = it->path().string();
        const bool copy = path.starts_with(config.sqlite.path + ".recover") ||
                          path.starts_with(config.sqlite.backup_dir + "/recover.db");
        if (copy && !path.starts_with(scratch)) {
            std::error_code gone;
            const std::uintmax_t bytes = fs::file_size(path, gone);
            text += (text.empty() ? "" : "; ") + path;
            text += gone ? "" : ", " + std::to_string(bytes >> 20U) + " MiB";
        }
    }
    return text.empty()
               ? text
               : " (copies of other recoveries, each to be removed if that one is over: " + text +
                     ")";
}

/// For the unpacked copy: a name that nothing goes by, this process's own. A dry run takes no lock,
/// and must not change what a recovery is about to put in the store's place.
std::string scratch_of(const Config& config) {
    const fs::path folder = fs::path{config.sqlite.path}.parent_path();
    std::error_code none;
    const std::string stem = fs::is_directory(folder, none)
                                 ? config.sqlite.path + ".recover-"
                                 : config.sqlite.backup_dir + "/recover.db-" + host_name() + "-";
    remove_leftovers(stem);
    return stem + std::to_string(::getpid());
}

/// On the disk of a journal that may be alive: it is not filled for a look at a backup.
Status room(const std::string& backup, const std::string& to, std::string& why) {
    const auto header = read_sqlite_backup(backup, why);
    if (!header) {
        return header.error();
    }
    const std::string folder = fs::path{to}.parent_path().string();
    const std::uint64_t needed = header.value().raw_bytes / 2 * 3;  // and what was shipped
    std::error_code error;
    const fs::space_info space = fs::space(folder, error);
    if (!error && space.available < needed) {
        why = folder + ": " + std::to_string(space.available >> 20U) + " MiB free, " +
              std::to_string(needed >> 20U) + " MiB wanted to unpack " + backup;
        return {Errc::NoSpace, "too little room to unpack a backup"};
    }
    return ok_status();
}

/// @param to a new file, or one that this process has left.
Result<ShippedRecords> unpack(const Config& config, const std::string& backup,
                              const std::string& to, std::string& why) {
    Status done = sqlite_remove(to);
    done = done ? room(backup, to, why) : done;
    done = done ? restore_sqlite_backup(backup, to, {}, why) : done;
    if (!done) {
        why = why.empty() ? backup + ": " + done.error().what : why;
        return done.error();
    }
    return add_shipped_records(shipped_folder(config.sqlite.backup_dir), to, why);
}

std::string text_of(const std::string& backup, const ShippedRecords& shipped) {
    return backup + (shipped.records == 0 ? ""
                                          : " with the " + std::to_string(shipped.records) +
                                                " records that were shipped behind it");
}

}  // namespace

Result<StoredState> read_newest_backup(const Config& config, const StoredLimits& limits,
                                       std::string& message) {
    const std::string& folder = config.sqlite.backup_dir;
    std::string elsewhere;
    const Status there =
        check_backup_place(folder, backup_note(config.sqlite.path, folder), elsewhere);
    if (!there) {  // what lies here instead, if anything, is older than what is there
        message += "; " + elsewhere;
        return there.error();
    }
    const std::string scratch = scratch_of(config);
    const auto backups = list_sqlite_backups(folder);
    for (auto backup = backups.rbegin(); backup != backups.rend(); ++backup) {
        std::string why;
        const auto shipped = unpack(config, backup->path, scratch, why);
        auto found = shipped ? read_sqlite_state(scratch, limits, why)
                             : Result<StoredState>{shipped.error()};
        (void)sqlite_remove(scratch);
        if (!found) {
            message += "; " + why;
            if (found.code() == Errc::NoSpace) {  // hours may lie between it and the one before
                message += ". No older one is taken in its place: make room there" +
                           copies_beside(scratch, config);
                return found;
            }
            continue;
        }
        found.value().backup = backup->path;
        found.value().where = text_of(backup->path, shipped.value());
        message += "; in its place " + found.value().where;
        const std::string& end = shipped.value().end;
        message += end.empty() ? "" : "; what was shipped: " + end;
        return found;
    }
    return {Errc::NotFound, "no backup will do"};
}

std::string put_store_back(const Config& config, const StoredState& stored, bool dry_run) {
    const std::string& path = config.sqlite.path;
    if (dry_run) {
        return path + " would be made again of " + stored.where;
    }
    std::error_code none;
    fs::create_directories(fs::path{path}.parent_path(), none);
    const std::string fresh = scratch_of(config);
    std::string why;
    std::string kept;
    const auto shipped = unpack(config, stored.backup, fresh, why);
    Status done = shipped ? ok_status() : Status{shipped.error()};
    if (done && shipped.value().upto != stored.cursor) {
        done = {Errc::BadCursor, "it has changed since it was read"};
    }
    done = done ? remove_sqlite_rebuild(path) : done;
    done = done ? sqlite_replace(path, fresh, kept) : done;
    if (!done) {
        (void)sqlite_remove(fresh);
        return path + " could not be made again of " + stored.where + ": " +
               (why.empty() ? done.error().what : why) +
               ". A new history begins with what stands now";
    }
    return path + " is made again of " + stored.where +
           (kept.empty() ? "" : "; the old one is kept as " + kept);
}

}  // namespace millrace
