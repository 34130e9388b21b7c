#include "tools/millrace/lost_journal.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <future>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "persist/backup_place.h"
#include "persist/log_shipper.h"
#include "persist/redis_primary.h"
#include "persist/reservation.h"
#include "persist/shipped_records.h"
#include "persist/sqlite_backup.h"
#include "persist/sqlite_cursor.h"
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

namespace fs = std::filesystem;

constexpr Nanos kConnectMax = millis(500);
constexpr Nanos kAnswerMax = seconds(2);
constexpr int kSqliteBusyMs = 2'000;
constexpr std::chrono::milliseconds kAskAgain{250};

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
    const auto row = read_sqlite_cursor(db);
    if (!row) {
        found.unknown = row.code() == Errc::BadCursor ? row.error().what : db.message();
        return;
    }
    found.seq = row.value().cursor.seq.value;
    found.instance = row.value().instance;
}

/// Why nobody knows what is in a folder; empty if it can be listed, or is not there.
std::string unlisted(const std::string& folder) {
    std::error_code error;
    for (fs::directory_iterator it{folder, error}, end; !error && it != end; it.increment(error)) {
    }
    if (!error || error == std::errc::no_such_file_or_directory) {
        return {};
    }
    std::error_code ignored;  // its parent may be a file: then it is not there either
    const bool none = error == std::errc::not_a_directory && !fs::exists(folder, ignored);
    return none ? std::string{} : error.message();
}

/// Whether there is more in what was shipped than a file that was just begun.
bool holds_records(const std::string& shipped) {
    std::error_code error;
    for (fs::directory_iterator it{shipped, error}, end; !error && it != end; it.increment(error)) {
        std::error_code none;
        const auto bytes = it->file_size(none);
        if (!none && bytes > sizeof(EffectsHeader)) {
            return true;
        }
    }
    return false;
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
    std::string elsewhere;
    const std::string note = backup_note(config.sqlite.path, config.sqlite.backup_dir);
    if (!check_backup_place(config.sqlite.backup_dir, note, elsewhere) && found.seq == 0) {
        found = {config.sqlite.backup_dir, 0, elsewhere, 0};
    }
    const std::string shipped = shipped_folder(config.sqlite.backup_dir);
    for (const std::string& folder : {config.sqlite.backup_dir, shipped}) {
        if (const std::string why = unlisted(folder); !why.empty() && found.seq == 0) {
            found = {folder, 0, why, 0};
        }
    }
    if (const Sequence upto = shipped_upto(shipped); upto.value > found.seq) {
        found = {shipped, upto.value, {}, 0};
    } else if (found.seq == 0 && found.unknown.empty() && holds_records(shipped)) {
        found = {shipped, 0, "no file in it is one of this build's", 0};
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

struct Server {
    const char* name;
    Followed (*ask)(const Config&);
};

std::vector<Server> servers_of(const Config& config) {
    std::vector<Server> servers;
    if (config.redis.enabled) {
        servers.push_back({"Redis", ask_redis});
    }
    if (config.clickhouse.enabled) {
        servers.push_back({"ClickHouse", ask_clickhouse});
    }
    return servers;
}

/// What the servers say, all asked at once, in their order.
std::vector<Followed> ask_servers(const Config& config, const std::vector<Server>& servers,
                                  Nanos patience) {
    const std::int64_t deadline = monotonic_ns() + patience.value;
    std::vector<Question> questions;
    questions.reserve(servers.size());
    for (const Server& server : servers) {
        questions.emplace_back(server.ask, config);
    }
    std::vector<Followed> all;
    for (Question& question : questions) {
        all.push_back(question.answer(deadline));
    }
    return all;
}

void tell_silent(const Server& server, const std::string& why, const Followed& said) {
    log_warn(std::string{server.name} + " could not be asked " + why + ": " + said.unknown);
}

/// Those that could not be asked, and why, in a sentence. What the others said goes to `told`, if
/// one of them has followed a journal.
std::string ask_once(const Config& config, std::vector<Server>& servers, Nanos patience,
                     Followed& told) {
    const std::vector<Followed> all = ask_servers(config, servers, patience);
    std::vector<Server> silent;
    std::string why;
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (all[i].seq != 0) {
            told = all[i];
        } else if (!all[i].unknown.empty()) {
            silent.push_back(servers[i]);
            why += std::string{why.empty() ? "" : "; "} + servers[i].name +
                   " cannot be asked whether it has followed a journal: " + all[i].unknown;
        }
    }
    servers = silent;
    return why;
}

/// `up` blocks them and reads them only when it is under way.
bool stop_waits() noexcept {
    sigset_t pending;
    ::sigemptyset(&pending);
    return ::sigpending(&pending) == 0 &&
           (::sigismember(&pending, SIGTERM) == 1 || ::sigismember(&pending, SIGINT) == 1);
}

/// Asks again those that cannot be asked yet: a server that starts with the host loads for a while.
/// @return why they could not be asked at last; empty if they could, or one has told.
std::string ask_until_told(const Config& config, const StoresPatience& patience, Followed& told) {
    std::vector<Server> servers = servers_of(config);
    const std::int64_t deadline = monotonic_ns() + patience.wait.value;
    for (bool first = true;; first = false) {
        std::string why = ask_once(config, servers, patience.answer, told);
        if (why.empty() || told.seq != 0) {
            return {};
        }
        if (monotonic_ns() >= deadline || stop_waits()) {
            return why;
        }
        if (first) {
            log_warn(config.journal.dir + " is empty, and " + why + ". Waiting for it, up to " +
                     std::to_string(patience.wait.value / seconds(1).value) + " s");
        }
        std::this_thread::sleep_for(kAskAgain);
    }
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

std::string to_string(const Followed& found) {
    return found.where + " has followed one up to record " + std::to_string(found.seq);
}

/// That the SQLite store, or what is left of it, has followed a journal, or may have.
std::string followed_by_sqlite(const Config& config) {
    const Followed sqlite = config.sqlite.enabled ? ask_sqlite(config) : Followed{};
    if (sqlite.seq == 0 && !sqlite.unknown.empty()) {  // a file of ours, no server that may be away
        return sqlite.where + " is there, cannot be read (" + sqlite.unknown +
               "), and may have followed one";
    }
    return sqlite.seq == 0 ? "" : to_string(sqlite);
}

/// Of a directory of which nobody knows whether there ever was a log in it.
std::string nobody_knows(const Config& config, const std::string& why) {
    return config.journal.dir + " is empty, and " + why +
           ". If there was a journal, what that store holds may be all that is left of it: bring "
           "the store up, or the journal back (is it mounted?), and start again. If this is the "
           "first start of all, or nothing of it is wanted: `millrace up --begin-anew`, this once";
}

}  // namespace

std::string journal_may_be_lost(const Config& config, const StoresPatience& patience) {
    if (!journal_file_in(config.journal.dir).empty() || segment_counts(config)) {
        return {};
    }
    std::string told = followed_by_sqlite(config);
    if (told.empty()) {
        Followed server;
        // With ids in it a start was let through that came no further: nothing was lost there.
        const bool begun = ::access((config.journal.dir + "/ids.json").c_str(), F_OK) == 0;
        const std::string why =
            ask_until_told(config, begun ? StoresPatience{patience.answer, {}} : patience, server);
        if (!why.empty() && !begun) {
            return nobody_knows(config, why);
        }
        if (!why.empty()) {
            log_warn("beginning a journal all the same: " + why);
        }
        told = server.seq == 0 ? "" : to_string(server);
    }
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
    const std::vector<Server> servers = servers_of(config);
    std::vector<Followed> all = ask_servers(config, servers, patience);
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (!all[i].unknown.empty()) {
            tell_silent(servers[i], "whether the journal is an older copy", all[i]);
        }
    }
    if (config.sqlite.enabled) {
        all.insert(all.begin(), ask_sqlite(config));
        if (!all.front().unknown.empty()) {
            tell_silent({"SQLite", ask_sqlite}, "whether the journal is an older copy",
                        all.front());
        }
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
