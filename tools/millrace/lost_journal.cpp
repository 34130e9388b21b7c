#include "tools/millrace/lost_journal.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <future>
#include <thread>
#include <utility>
#include <vector>

#include "persist/redis_primary.h"
#include "persist/reservation.h"
#include "persist/sqlite_backup.h"
#include "persist/sqlite_db.h"
#include "persist/sqlite_files.h"
#include "shm/clock.h"
#include "tools/inspect/found_segment.h"
#include "tools/millrace/clickhouse_wiring.h"
#include "tools/millrace/log.h"
#include "tools/millrace/recover_files.h"
#include "tools/millrace/redis_wiring.h"

namespace millrace {
namespace {

constexpr Nanos kConnectMax = millis(500);
constexpr Nanos kAnswerMax = seconds(2);
constexpr int kSqliteBusyMs = 2'000;

/// What one store says of the log that it has followed.
struct Followed {
    std::string where;
    std::uint64_t seq = 0;       // the last record; 0: none
    std::string unknown{};       // why it could not be asked
    std::uint32_t instance = 0;  // of its directory; 0: not known
};

void read_cursor(SqliteDb& db, Followed& found) {
    const auto tables = db.number("SELECT count(*) FROM sqlite_master");
    if (tables && tables.value() == 0) {
        return;  // its maker came no further
    }
    const auto seq = db.number("SELECT seq FROM cursor");
    found.unknown = seq ? "" : db.message();
    found.seq = seq ? static_cast<std::uint64_t>(seq.value()) : 0;
    const auto instance = db.number("SELECT instance FROM cursor");
    // An older build's store has no such column.
    found.instance = instance ? static_cast<std::uint32_t>(instance.value()) : 0;
}

Followed ask_sqlite(const Config& config) {
    Followed found{config.sqlite.path, 0, {}, 0};
    if (sqlite_file_exists(config.sqlite.path)) {
        SqliteDb db;
        if (db.open(config.sqlite.path, kSqliteBusyMs, SqliteOpen::ReadOnly)) {
            read_cursor(db, found);
        } else {
            found.unknown = "it cannot be opened";
        }
    }
    if (found.seq != 0) {
        return found;
    }
    for (const SqliteBackup& backup : list_sqlite_backups(config.sqlite.backup_dir)) {
        if (backup.seq.value > found.seq) {
            found = {backup.path, backup.seq.value, {}, 0};
        }
    }
    return found;
}

Followed ask_redis(const Config& config) {
    RedisStore store{redis_store(config)};
    Followed found{"Redis, keys " + store.options().prefix + "*,", 0, {}, 0};
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
        found.instance = store.facts().instance;
    }
    return found;
}

Followed ask_clickhouse(const Config& config) {
    ClickHouseStoreOptions options = clickhouse_store(config);
    options.make = false;
    options.server.connect = kConnectMax;
    options.server.answer = kAnswerMax;
    ClickHouseStore store{options};
    Followed found{"ClickHouse, database " + options.database + ",", 0, {}, 0};
    const Status opened = store.open();
    if (opened) {
        found.seq = store.cursor().seq.value;
        found.instance = store.facts().instance;
    } else if (opened.code() != Errc::NotFound) {
        found.unknown = store.message();
    }
    return found;
}

/// In a thread of its own, which keeps what it needs: a name that no server resolves may keep it
/// for longer than anybody waits.
class Question {
public:
    Question(Followed (*ask)(const Config&), const Config& config) {
        std::packaged_task<Followed(const Config&)> task{ask};
        answer_ = task.get_future();
        thread_ = std::thread{[task = std::move(task), own = config]() mutable { task(own); }};
    }
    Question(Question&&) = default;
    Question& operator=(Question&&) = delete;
    Question(const Question&) = delete;
    Question& operator=(const Question&) = delete;
    ~Question() {
        if (thread_.joinable()) {  // nobody waits for what was not there in time
            thread_.detach();
        }
    }
    Followed answer(std::int64_t deadline) {
        const std::chrono::nanoseconds left{std::max<std::int64_t>(deadline - monotonic_ns(), 0)};
        if (answer_.wait_for(left) != std::future_status::ready) {
            return {"", 0, "no answer in time"};
        }
        thread_.join();
        return answer_.get();
    }

private:
    std::future<Followed> answer_;
    std::thread thread_;
};

/// What the servers say, both asked at once. One that says nothing is named in the log.
std::vector<Followed> ask_servers(const Config& config, Nanos patience, const std::string& why) {
    const std::int64_t deadline = monotonic_ns() + patience.value;
    std::vector<std::pair<const char*, Question>> questions;
    if (config.redis.enabled) {
        questions.emplace_back("Redis", Question{ask_redis, config});
    }
    if (config.clickhouse.enabled) {
        questions.emplace_back("ClickHouse", Question{ask_clickhouse, config});
    }
    std::vector<Followed> all;
    for (auto& [store, question] : questions) {
        all.push_back(question.answer(deadline));
        if (!all.back().unknown.empty()) {
            log_warn(std::string{store} + " could not be asked " + why + ": " + all.back().unknown);
        }
    }
    return all;
}

/// A segment that a start goes on in, or is refused over: it knows of a log, whatever files say.
bool segment_counts(const Config& config) {
    const inspect::FoundSegment found =
        inspect::find_segment(config.segment_path(), config.journal.dir);
    switch (found.code) {
        case Errc::Ok:
        case Errc::BadAuth:
        case Errc::IoError:
        case Errc::BadVersion: return true;
        case Errc::BadInput: return found.segment.has_value();
        default: return false;
    }
}

/// That some store has followed a journal, or may have; empty if none says so.
std::string followed_by(const Config& config, Nanos patience) {
    const auto told = [](const Followed& found) {
        return found.where + " has followed one up to record " + std::to_string(found.seq);
    };
    if (config.sqlite.enabled) {
        const Followed sqlite = ask_sqlite(config);
        if (sqlite.seq != 0) {
            return told(sqlite);
        }
        if (!sqlite.unknown.empty()) {  // a file of ours, not a server that may be away
            return sqlite.where + " is there, cannot be read (" + sqlite.unknown +
                   "), and may have followed one";
        }
    }
    for (const Followed& found :
         ask_servers(config, patience, "whether there was a journal, where there is none")) {
        if (found.seq != 0) {
            return told(found);
        }
    }
    return {};
}

}  // namespace

std::string journal_may_be_lost(const Config& config, Nanos patience) {
    if (!journal_file_in(config.journal.dir).empty() || segment_counts(config)) {
        return {};
    }
    const std::string told = followed_by(config, patience);
    if (told.empty()) {
        return {};
    }
    return config.journal.dir + " has no journal, but " + told +
           ": bring the journal back (is it mounted?), or make one of a store: `millrace recover "
           "--dry-run` says of which. To begin with nothing all the same: `millrace up "
           "--begin-anew`; terminals that served the lost one refuse that until an operator acts "
           "(gateway/BRIDGE.md), FIX venues do not, and a signal that comes again counts as new";
}

std::string journal_is_older_copy(const Config& config, Sequence end, Nanos patience) {
    std::string ignored;
    const auto reserved = Reservation::read(config.journal.dir, ignored);
    if (!reserved || reserved.value().instance == 0) {
        return {};
    }
    std::vector<Followed> all =
        ask_servers(config, patience, "whether the journal is an older copy");
    if (config.sqlite.enabled) {
        all.insert(all.begin(), ask_sqlite(config));
    }
    for (const Followed& found : all) {
        if (found.instance != reserved.value().instance || found.seq <= end.value) {
            continue;
        }
        return config.journal.dir + " ends at record " + std::to_string(end.value) + ", but " +
               found.where + " has followed this very log up to record " +
               std::to_string(found.seq) +
               ": the directory is an older copy, or files of it are missing; numbers and order "
               "ids would be used twice. Bring the newer one back. If that is lost: move this "
               "one's files aside and `millrace recover --from best`";
    }
    return {};
}

}  // namespace millrace
