#include "persist/sqlite_catch_up.h"

#include "persist/sqlite_cursor.h"
#include "persist/sqlite_files.h"
#include "persist/sqlite_store.h"
#include "shm/clock.h"

namespace millrace {
namespace {

constexpr int kBusyMs = 5'000;

Result<SqliteCursorRow> place_of(const std::string& path) noexcept {
    SqliteDb db;
    if (auto opened = db.open(path, kBusyMs, SqliteOpen::ReadOnly); !opened) {
        return opened.error();
    }
    return read_sqlite_cursor(db);
}

Status refused(Errc code, std::string& message, std::string text) {
    message = std::move(text);
    return {code, "catching up"};
}

}  // namespace

EffectCursor sqlite_cursor_at(const std::string& path) noexcept {
    const auto place =
        sqlite_file_exists(path) ? place_of(path) : Result<SqliteCursorRow>{SqliteCursorRow{}};
    return place ? place.value().cursor : EffectCursor{};
}

Status can_catch_up(const SqliteCatchUp& wish, std::string& message) {
    if (!sqlite_file_exists(wish.path)) {
        return refused(Errc::NotFound, message, "there is no " + wish.path);
    }
    const auto found = place_of(wish.path);
    if (!found) {
        return refused(found.code(), message, wish.path + " cannot be read: " + found.error().what);
    }
    const auto& [cursor, effects, written, instance, whole] = found.value();
    if (wish.instance == 0 || instance != wish.instance) {
        return refused(Errc::NotOwner, message, wish.path + " is of another journal directory");
    }
    const bool further = cursor.epoch > wish.to.epoch || cursor.seq > wish.to.seq;
    if (further || (cursor.seq == wish.to.seq && cursor.chain != wish.to.chain)) {
        return refused(Errc::BadCursor, message,
                       wish.path + " has come to record " + std::to_string(cursor.seq.value) +
                           " of epoch " + std::to_string(cursor.epoch));
    }
    if (cursor == wish.to) {
        return ok_status();
    }
    if (cursor.seq != wish.from) {
        return refused(Errc::BadCursor, message,
                       wish.path + " could not be read when it was asked what it lacks");
    }
    if (written < wish.not_before) {
        return refused(Errc::Timeout, message,
                       wish.path +
                           " was written last so long ago that some of what it lacks is "
                           "in no other store any more");
    }
    return ok_status();
}

Status catch_up_sqlite(const SqliteCatchUp& wish, std::span<const Effect> rows,
                       std::string& message) {
    if (auto can = can_catch_up(wish, message); !can) {
        return can;
    }
    SqliteStoreOptions options;
    options.path = wish.path;
    options.instance = wish.instance;
    options.busy_ms = kBusyMs;
    SqliteStore store;
    Status done = store.open(options);
    const std::uint64_t from = store.cursor().seq.value;
    if (done && store.cursor() != wish.to) {
        const Nanos now{wall_ns()};
        done = store.store(rows, wish.to, now);
        done = done ? store.note(now, "caught up",
                                 "by another store from record " + std::to_string(from) + " to " +
                                     std::to_string(wish.to.seq.value) +
                                     "; alerts and refused signals between are lacking")
                    : done;
    }
    message = done ? "" : store.message();
    return done;
}

}  // namespace millrace
