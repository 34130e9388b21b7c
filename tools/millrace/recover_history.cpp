#include "tools/millrace/recover_history.h"

#include "persist/sqlite_catch_up.h"
#include "persist/sqlite_files.h"
#include "shm/clock.h"
#include "tools/millrace/recover_backup.h"
#include "tools/millrace/redis_wiring.h"

namespace millrace {
namespace {

/// Redis drops what came to nothing, or was closed, a day after it ended: SQLite must have been at
/// work within that time, or it would show it as live for ever. An hour of it is for us.
constexpr Nanos kMargin = seconds(3600);

}  // namespace

std::string keep_history(const Config& config, const std::string& from, const StoredState& stored,
                         bool dry_run) {
    if (!stored.backup.empty()) {
        return put_store_back(config, stored, dry_run);
    }
    if (!config.sqlite.enabled || from == "sqlite" || !sqlite_file_exists(config.sqlite.path)) {
        return {};
    }
    SqliteCatchUp wish{config.sqlite.path, stored.instance, stored.cursor, stored.newer_than, {}};
    wish.not_before = Nanos{wall_ns()} - redis_store(config).keep.ended + kMargin;
    const bool behind = sqlite_cursor_at(wish.path) != stored.cursor;
    std::string why;
    Status done = ok_status();
    if (behind && from != "redis") {
        done = {Errc::Unsupported, "only Redis"};
        why = from + " is not read for what SQLite lacks";
    } else if (behind && !stored.gaps.empty()) {
        done = {Errc::NotFound, "not whole"};
        why = from + " lacks something itself, and SQLite would lack it, too";
    } else {
        done = dry_run ? can_catch_up(wish, why) : catch_up_sqlite(wish, stored.newer, why);
    }
    if (!done) {
        return "the history in " + wish.path +
               " will be set aside as .stale-<n> beside it, and a new one begins with what stands "
               "now: " +
               why;
    }
    if (!behind) {
        return "the history in " + wish.path + " goes on: it has come as far";
    }
    return "the history in " + wish.path + (dry_run ? " would go on: " : " goes on: ") +
           std::to_string(stored.newer.size()) + " rows that it lacked " +
           (dry_run ? "would come" : "came") + " from Redis, up to record " +
           std::to_string(stored.cursor.seq.value);
}

}  // namespace millrace
