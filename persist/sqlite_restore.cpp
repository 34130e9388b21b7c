#include "persist/sqlite_restore.h"

#include <cerrno>
#include <cstdio>

#include "core/crash_point.h"
#include "persist/backup_place.h"
#include "persist/sqlite_files.h"

namespace millrace {
namespace {

/// Says nothing about the backup: another try may do.
bool passes(Errc code) noexcept {
    return code == Errc::NoSpace || code == Errc::IoError || code == Errc::Busy ||
           code == Errc::Timeout;
}

/// Unpacks beside `to` and renames: a file half made must not be taken for a store.
Status restore_whole(const std::string& from, const std::string& to,
                     const SqliteBackupOptions& options, std::string& message) {
    const std::string making = to + ".restoring";
    if (auto removed = sqlite_remove(making); !removed) {
        message = making + ": " + removed.error().what;
        return removed;
    }
    if (auto done = restore_sqlite_backup(from, making, options, message); !done) {
        return done;
    }
    MILLRACE_CRASH_POINT("sqlite-restored");
    if (::rename(making.c_str(), to.c_str()) != 0) {
        message = making + " cannot be renamed";
        return {Errc::IoError, "cannot rename the restored store", errno};
    }
    return ok_status();
}

}  // namespace

Result<RestoredStore> restore_newest_backup(const SqliteBackupOptions& options,
                                            const std::string& to, EffectSource& log,
                                            std::vector<std::string>& passed_over,
                                            const MayStillCome& may_come) {
    std::string elsewhere;
    if (auto there = check_backup_place(options.dir, options.note, elsewhere); !there) {
        passed_over.push_back(elsewhere);  // all of them: another try may do
        return there.error();
    }
    const auto backups = list_sqlite_backups(options.dir);
    for (auto backup = backups.rbegin(); backup != backups.rend(); ++backup) {
        std::string message;
        const auto header = read_sqlite_backup(backup->path, message);
        Status usable = header ? log.seek(header.value().cursor()) : Status{header.error()};
        const bool ahead = header && usable.code() == Errc::TornTail;
        if (ahead && may_come && may_come(Sequence{header.value().seq})) {
            return usable.error();
        }
        if (usable) {
            usable = restore_whole(backup->path, to, options, message);
        } else if (header) {
            message = backup->path + ": the effects log does not go on from record " +
                      std::to_string(header.value().seq) + ": " + usable.error().what;
        }
        if (usable) {
            return RestoredStore{*backup, header.value().cursor()};
        }
        passed_over.push_back(message);
        if (header && passes(usable.code())) {
            return usable.error();
        }
    }
    return {Errc::NotFound, "no backup will do"};
}

}  // namespace millrace
