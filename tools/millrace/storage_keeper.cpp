#include "tools/millrace/storage_keeper.h"

#include <sys/stat.h>

#include <algorithm>

#include "persist/second_directory.h"
#include "persist/sqlite_backup.h"
#include "shm/clock.h"
#include "tools/millrace/config_backup.h"
#include "tools/millrace/log.h"
#include "tools/millrace/second_config.h"

namespace millrace {
namespace {

// Often enough that a journal at its byte cap finds the files behind it among its spares.
constexpr std::int64_t kPruneEveryNs = 1'000'000'000;
constexpr std::int64_t kConfigEveryNs = 300'000'000'000;

/// Relaxed: cursors that only rise; an older value keeps more.
Sequence at(const AtomicU64& cell) noexcept {
    return Sequence{cell.load(std::memory_order_relaxed)};
}

/// The sinks of this configuration. Without any, the replica alone says what is needed.
std::vector<SinkAt> sinks_of(const Config& config, const CoreCells& core) {
    std::vector<SinkAt> sinks;
    if (config.sqlite.enabled) {
        sinks.push_back({"sqlite", at(core.sqlite_seq)});
    }
    if (config.redis.enabled) {
        sinks.push_back({"redis", at(core.redis_seq)});
    }
    if (config.clickhouse.enabled) {
        sinks.push_back({"clickhouse", at(core.clickhouse_seq)});
    }
    if (sinks.empty()) {
        sinks.push_back({"replica", at(core.replica_applied)});
    }
    return sinks;
}

/// On one file system, or nobody knows: what is free on one is free on the other.
bool lie_together(const std::string& first, const std::string& second) {
    struct stat a{};
    struct stat b{};
    return ::stat(first.c_str(), &a) != 0 || ::stat(second.c_str(), &b) != 0 ||
           a.st_dev == b.st_dev;
}

RetentionLimits limits_of(const Config& config, const CoreCells& core, const Space& space) {
    const JournalConfig& journal = config.journal;
    RetentionLimits limits;
    limits.bytes_max = std::uint64_t{journal.retention_gib} << 30U;
    limits.sinks = sinks_of(config, core);
    // Those that an operator has switched off are left to him, and keep nothing back.
    if (config.sqlite.enabled && config.sqlite.backup_s != 0) {
        for (const SqliteBackup& backup : list_sqlite_backups(config.sqlite.backup_dir)) {
            limits.backups.push_back(backup.seq);
        }
        std::sort(limits.backups.begin(), limits.backups.end());
    }
    limits.age_max = seconds(std::int64_t{journal.retention_h} * 3600);
    limits.wall_now = Nanos{wall_ns()};
    limits.free_floor = std::uint64_t{journal.free_floor_mib} << 20U;
    limits.free_bytes = space.bytes == 0 ? limits.free_floor : space.free_bytes;
    limits.spares = {journal.spare_files, std::uint64_t{journal.file_mib} << 20U};
    return limits;
}

}  // namespace

std::string detached_text(const std::string& sink, bool from_sqlite) {
    const std::string text =
        "retention: " + sink + " is detached, effects that it lacks are gone: ";
    if (sink == "sqlite") {
        return text +
               "it is made again from its newest backup that the log follows on, else from "
               "what is left";
    }
    return text + (from_sqlite
                       ? "it is filled again from the SQLite store and the log"
                       : "it is filled again from what the log has left, and lacks the rest");
}

StorageKeeper::StorageKeeper(Segment& segment, const Config& config)
    : segment_{segment},
      config_{config},
      retention_{config.journal.dir},
      second_{configured_second(config).path},
      credentials_{credential_keeper_options(config)},
      disabled_{segment, config, disabled_lock_options(config)},
      preferences_{preference_keeper_options(config)} {}

void StorageKeeper::turn(std::int64_t now_ns) {
    keep_preferences(now_ns);
    if (now_ns >= next_prune_ns_) {
        next_prune_ns_ = now_ns + kPruneEveryNs;
        prune_files();
    }
    if (now_ns >= next_config_ns_) {
        next_config_ns_ = now_ns + kConfigEveryNs;
        keep_config();
    }
    keep_credentials(now_ns);
    keep_locked(now_ns);
}

void StorageKeeper::keep_preferences(std::int64_t now_ns) {
    const PreferenceKeeper::Told told = preferences_.turn(now_ns);
    for (const std::string& info : told.infos) {
        log_info(info);
    }
    for (const std::string& text : told.alerts) {
        alert(text);
    }
    if (told.changed) {
        const Preferences& p = preferences_.preferences();
        space_watch_.watch_for(p.disk_warning_percent, p.disk_alarm_percent);
        second_watch_.watch_for(p.disk_warning_percent, p.disk_alarm_percent);
    }
}

void StorageKeeper::keep_credentials(std::int64_t now_ns) {
    const CredentialKeeper::Told told = credentials_.turn(now_ns, wall_ns());
    if (!told.info.empty()) {
        log_info(told.info);
    }
    if (!told.alert.empty()) {
        alert(told.alert, told.detail);
    }
}

void StorageKeeper::keep_locked(std::int64_t now_ns) {
    const DisabledLock::Told told = disabled_.turn(now_ns);
    if (!told.info.empty()) {
        log_info(told.info);
    }
    if (!told.alert.empty()) {
        alert(told.alert);
    }
}

void StorageKeeper::keep_config() {
    std::string message;
    std::string broken;
    if (!started_kept_) {
        tell_kept(back_up_config(config_, message), message);
        started_kept_ = message.empty();
    }
    if (started_kept_) {
        tell_kept(back_up_edited_config(config_, message, broken), message);
    }
    if (!broken.empty() && broken != broken_config_) {
        alert(broken);
    }
    if (broken.empty() && !broken_config_.empty()) {
        log_info(config_.file + " is valid again");
    }
    broken_config_ = broken;
}

void StorageKeeper::tell_kept(const std::string& made, const std::string& trouble) {
    if (!made.empty()) {
        log_info("configuration kept as " + made);
    }
    if (!trouble.empty()) {
        alert(trouble);
    }
}

/// @param detail what differs each time: for the log only, as errors are kept by their text.
void StorageKeeper::alert(const std::string& text, const std::string& detail) {
    segment_.report_error("supervisor", "ALERT " + text);
    log_error("ALERT " + text + detail);
}

void StorageKeeper::prune_files() {
    const Space space = file_system_space(config_.journal.dir);
    RetentionLimits limits = limits_of(config_, segment_.core(), space);
    const Space second = second_.empty() ? Space{} : file_system_space(second_);
    if (second.bytes != 0 && !lie_together(config_.journal.dir, second_)) {
        limits.second_free_bytes = second.free_bytes;
    }
    const Retained done = retention_.prune(limits);
    if (done.journal_files + done.effects_files > 0) {
        log_info("retention: " + std::to_string(done.journal_files) + " journal files (" +
                 std::to_string(done.reusable) + " to be used again) and " +
                 std::to_string(done.effects_files) + " effects files are gone");
    }
    tell_detached(done.detached);
    if (!done.trouble.empty() && done.trouble != trouble_) {
        segment_.report_error("supervisor", done.trouble);
        log_error("retention: " + done.trouble);
    }
    trouble_ = done.trouble;
    watch_space(config_.journal.dir, space, space_watch_);
    if (!second_.empty()) {
        watch_second();
        watch_space(second_, second, second_watch_);
    }
}

/// By whoever looks anyway: while nobody writes or reads there, nobody else would notice a loss
/// before the journal wants to move, and then it is too late to mend it.
void StorageKeeper::watch_second() {
    const auto named = second_directory_of(config_.journal.dir);
    std::string why;
    // Not named yet: nothing of the log can lie there.
    if (!named || named.value().empty() ||
        check_second_directory(config_.journal.dir, named.value(), why)) {
        why.clear();
    }
    if (!why.empty() && why != second_trouble_) {
        alert("journal: " + why);
    }
    if (why.empty() && !second_trouble_.empty()) {
        log_info("journal: the second directory " + second_ + " is there again");
    }
    second_trouble_ = why;
}

void StorageKeeper::watch_space(const std::string& dir, const Space& space, SpaceWatch& watch) {
    if (const unsigned level = watch.look(space.used_percent()); level != 0) {
        alert("disk: the file system of " + dir + " is past " + std::to_string(level) +
                  " % full: make room, or lower journal.retention_gib",
              " (" + std::to_string(space.used_percent()) + " %, " +
                  std::to_string(space.free_bytes >> 20U) + " MiB free)");
    }
}

/// Each sink once when it is left behind, and once when it has come back.
void StorageKeeper::tell_detached(const std::vector<std::string>& now) {
    const auto has = [](const std::vector<std::string>& list, const std::string& name) {
        return std::find(list.begin(), list.end(), name) != list.end();
    };
    for (const std::string& sink : now) {
        if (!has(detached_, sink)) {
            alert(detached_text(sink, config_.sqlite.enabled && !has(now, "sqlite")));
        }
    }
    for (const std::string& sink : detached_) {
        if (!has(now, sink)) {
            log_info("retention: " + sink + " follows the effects log again");
        }
    }
    detached_ = now;
}

}  // namespace millrace
