#include "tools/millrace/recover_history.h"

#include "persist/sqlite_catch_up.h"
#include "persist/sqlite_files.h"
#include "shm/clock.h"
#include "tools/millrace/redis_wiring.h"

namespace millrace {
namespace {

/// Redis drops orders that came to nothing a day after they ended; the rest of an hour is for us.
constexpr Nanos kMargin = seconds(3600);

}  // namespace

std::string keep_history(const Config& config, const std::string& from, const StoredState& stored,
                         bool dry_run) {
    if (!config.sqlite.enabled || from == "sqlite" || !sqlite_file_exists(config.sqlite.path)) {
        return {};
    }
    const SqliteCatchUp wish{config.sqlite.path, stored.instance, stored.cursor};
    const Nanos age = Nanos{wall_ns()} - stored.latest;
    std::string why;
    Status done = can_catch_up(wish, why);
    const bool behind = done && sqlite_cursor_at(wish.path) != stored.cursor;
    if (behind && from != "redis") {
        done = {Errc::Unsupported, "only Redis"};
        why = from + " is not read for what SQLite lacks";
    } else if (behind && age > redis_store(config).keep.ended - kMargin) {
        done = {Errc::NotFound, "too old"};
        why =
            "what Redis had taken in last is almost a day old: it may have dropped what SQLite "
            "lacks";
    } else if (done && !dry_run) {
        done = catch_up_sqlite(wish, stored.newer, why);
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
