#include "tools/millrace/lost_journal.h"

#include <chrono>
#include <cstdint>
#include <future>
#include <thread>
#include <utility>

#include "persist/redis_primary.h"
#include "persist/reservation.h"
#include "persist/sqlite_db.h"
#include "persist/sqlite_files.h"
#include "shm/clock.h"
#include "tools/millrace/clickhouse_wiring.h"
#include "tools/millrace/log.h"
#include "tools/millrace/recover_files.h"
#include "tools/millrace/redis_wiring.h"

namespace millrace {
namespace {

constexpr Nanos kConnectMax = millis(500);
constexpr Nanos kAnswerMax = seconds(2);

/// What one store says of the log that it has followed.
struct Followed {
    std::string where;
    std::uint64_t seq = 0;    // the last record; 0: none
    std::string unknown;      // why it could not be asked
    std::int64_t instance{};  // of its directory; 0: not known
};

Followed ask_sqlite(const Config& config) {
    Followed found{config.sqlite.path, 0, "", 0};
    if (!sqlite_file_exists(config.sqlite.path)) {
        return found;
    }
    SqliteDb db;
    const bool readable = db.open(config.sqlite.path, 0, SqliteOpen::ReadOnly).ok();
    const auto seq = readable ? db.number("SELECT seq FROM cursor")
                              : Result<std::int64_t>{Errc::IoError, "no store"};
    found.seq = seq ? static_cast<std::uint64_t>(seq.value()) : 0;
    found.unknown = seq ? "" : "it cannot be read";
    const auto instance = seq ? db.number("SELECT instance FROM cursor")
                              : Result<std::int64_t>{Errc::IoError, "no store"};
    found.instance = instance ? instance.value() : 0;  // an older build's store has no such column
    return found;
}

Followed ask_redis(const Config& config) {
    RedisStore store{redis_store(config)};
    Followed found{"Redis, keys " + store.options().prefix + "*,", 0, "", 0};
    RedisPlace place = redis_place(config.redis);
    place.timeouts = {kConnectMax, kAnswerMax};
    RedisPrimary primary{std::move(place)};
    RedisLink link;
    if (auto connected = primary.connect(link); !connected) {
        found.unknown = primary.message();
    } else if (auto opened = store.open(link); !opened) {
        found.unknown = store.message();
    } else {
        found.seq = store.cursor().seq.value;
    }
    return found;
}

Followed ask_clickhouse(const Config& config) {
    ClickHouseStoreOptions options = clickhouse_store(config);
    options.make = false;
    options.server.connect = kConnectMax;
    options.server.answer = kAnswerMax;
    ClickHouseStore store{options};
    Followed found{"ClickHouse, database " + options.database + ",", 0, "", 0};
    const Status opened = store.open();
    if (opened) {
        found.seq = store.cursor().seq.value;
    } else if (opened.code() != Errc::NotFound) {
        found.unknown = store.message();
    }
    return found;
}

/// In a thread of its own, which keeps what it needs: a name that no server resolves may keep it
/// for longer than anybody waits.
std::future<Followed> begin_to_ask(Followed (*ask)(const Config&), const Config& config) {
    std::packaged_task<Followed(const Config&)> task{ask};
    std::future<Followed> answer = task.get_future();
    std::thread{[task = std::move(task), own = config]() mutable { task(own); }}.detach();
    return answer;
}

/// @return the store with the record that it has come to; empty if it says of none.
std::string told_by(const char* store, const Followed& found) {
    if (!found.unknown.empty()) {
        log_warn(std::string{"there is no journal, and "} + store +
                 " could not be asked whether there was one: " + found.unknown);
    }
    return found.seq == 0
               ? ""
               : found.where + " has followed one up to record " + std::to_string(found.seq);
}

std::string await_answer(const char* store, std::future<Followed>& answer, std::int64_t deadline) {
    if (!answer.valid()) {
        return "";
    }
    const std::chrono::nanoseconds left{std::max<std::int64_t>(deadline - monotonic_ns(), 0)};
    const bool there = answer.wait_for(left) == std::future_status::ready;
    return told_by(store, there ? answer.get() : Followed{"", 0, "no answer in time", 0});
}

}  // namespace

std::string journal_may_be_lost(const Config& config) {
    if (!journal_file_in(config.journal.dir).empty()) {
        return {};
    }
    const std::int64_t deadline = monotonic_ns() + kStoresAnswerMax.value;
    std::future<Followed> redis;
    std::future<Followed> clickhouse;
    if (config.redis.enabled) {
        redis = begin_to_ask(ask_redis, config);
    }
    if (config.clickhouse.enabled) {
        clickhouse = begin_to_ask(ask_clickhouse, config);
    }
    std::string told = config.sqlite.enabled ? told_by("SQLite", ask_sqlite(config)) : "";
    told = told.empty() ? await_answer("Redis", redis, deadline) : told;
    told = told.empty() ? await_answer("ClickHouse", clickhouse, deadline) : told;
    if (told.empty()) {
        return {};
    }
    return config.journal.dir + " has no journal, but " + told +
           ": bring the journal back (is it mounted?), or make one of a store: `millrace recover "
           "--dry-run` says of which. To begin with nothing all the same: `millrace up "
           "--begin-anew`; terminals that served the lost one refuse that until an operator acts "
           "(gateway/BRIDGE.md), FIX venues do not, and a signal that comes again counts as new";
}

std::string journal_is_older_copy(const Config& config, Sequence end) {
    if (!config.sqlite.enabled) {
        return {};
    }
    const Followed found = ask_sqlite(config);
    std::string ignored;
    const auto reserved = Reservation::read(config.journal.dir, ignored);
    const bool same = reserved && found.instance != 0 &&
                      found.instance == std::int64_t{reserved.value().instance};
    if (!same || found.seq <= end.value) {
        return {};
    }
    return config.journal.dir + " ends at record " + std::to_string(end.value) + ", but " +
           found.where + " has followed this very log up to record " + std::to_string(found.seq) +
           ": the directory is an older copy, or files of it are missing; numbers and order ids "
           "would be used twice. Bring the newer one back. If that is lost: move this one's files "
           "aside and `millrace recover --from sqlite`";
}

}  // namespace millrace
