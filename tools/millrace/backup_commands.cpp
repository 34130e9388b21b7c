#include "tools/millrace/backup_commands.h"

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>

#include "persist/backup_place.h"
#include "persist/effects_log_source.h"
#include "persist/sqlite_files.h"
#include "persist/sqlite_restore.h"
#include "shm/role.h"
#include "tools/millrace/config.h"
#include "tools/millrace/file_backups.h"
#include "tools/millrace/progress.h"
#include "tools/millrace/stages.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;
constexpr const char* kNewest = "newest";

struct Asked {
    std::string config;
    std::string from = kNewest;
    std::string to;
    bool dry_run = false;
};

int complain(const std::string& what) {
    std::fprintf(stderr, "millrace: %s\n", what.c_str());
    return kExitError;
}

std::string utc(std::int64_t wall) {
    const std::time_t seconds = wall / 1'000'000'000;
    std::tm parts{};
    char text[32] = "";
    if (::gmtime_r(&seconds, &parts) != nullptr) {
        (void)std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
    return text;
}

void show(const SqliteBackup& backup) {
    std::string message;
    const auto header = read_sqlite_backup(backup.path, message);
    if (!header) {
        std::printf("  %s: UNUSABLE: %s\n", backup.path.c_str(), message.c_str());
        return;
    }
    std::printf("  %s  of %s, up to record %llu, %llu KiB packed, %llu KiB restored\n",
                backup.path.c_str(), utc(header.value().created_ns).c_str(),
                static_cast<unsigned long long>(header.value().seq),
                static_cast<unsigned long long>(header.value().packed_bytes >> 10U),
                static_cast<unsigned long long>(header.value().raw_bytes >> 10U));
}

int back_up_store(const Config& config, bool dry_run) {
    SqliteBackupOptions o;
    o.store = config.sqlite.path;
    o.dir = config.sqlite.backup_dir;
    o.note = backup_note(o.store, o.dir);
    o.keep = config.sqlite.backups_kept;
    o.progress = progress_on_terminal();
    if (dry_run) {
        std::string elsewhere;
        if (!check_backup_place(o.dir, o.note, elsewhere)) {
            return complain("would be refused: " + elsewhere);
        }
        std::printf("would copy %s into %s, read it back, compare, and keep the newest %zu of:\n",
                    o.store.c_str(), o.dir.c_str(), o.keep);
        for (const SqliteBackup& backup : list_sqlite_backups(o.dir)) {
            show(backup);
        }
        return kExitOk;
    }
    std::string message;
    const auto made = make_sqlite_backup(o, message);
    if (!made) {
        return complain("no backup of the store: " + message);
    }
    std::printf("backed up, read back and compared:\n");
    show(made.value());
    return kExitOk;
}

/// One that fails keeps no other from its copy.
int back_up(const Asked& asked) {
    Config config;
    if (!load_config(asked.config, config)) {
        return kExitBadConfig;
    }
    const int files = back_up_files(config, asked.dry_run);
    const int store = config.sqlite.enabled ? back_up_store(config, asked.dry_run) : kExitOk;
    return files != kExitOk ? files : store;
}

/// The backups that --from names, as a folder's worth of one.
Result<RestoredStore> choose(const Config& config, const Asked& asked, const std::string& to,
                             EffectSource& log, std::vector<std::string>& passed_over) {
    SqliteBackupOptions o;
    o.dir = config.sqlite.backup_dir;
    o.note = backup_note(config.sqlite.path, o.dir);
    o.progress = progress_on_terminal();
    if (asked.from == kNewest) {
        return restore_newest_backup(o, to, log, passed_over);
    }
    std::string message;
    const auto header = read_sqlite_backup(asked.from, message);
    Status done = header ? log.seek(header.value().cursor()) : Status{header.error()};
    if (!done && header) {
        message = asked.from + ": the effects log does not go on from record " +
                  std::to_string(header.value().seq) + ": " + done.error().what +
                  "; --to FILE restores it beside the store";
    }
    done = done ? restore_sqlite_backup(asked.from, to, o, message) : done;
    if (!done) {
        passed_over.push_back(message);
        return done.error();
    }
    SqliteBackup from;
    from.path = asked.from;
    from.seq = Sequence{header.value().seq};
    return RestoredStore{from, header.value().cursor()};
}

/// Into a file of its own, for a look at it; the store and the pipeline are not touched.
int restore_beside(const Config& config, const Asked& asked) {
    const auto all = list_sqlite_backups(config.sqlite.backup_dir);
    if (asked.from == kNewest && all.empty()) {
        std::string why = "there is no backup in " + config.sqlite.backup_dir;
        (void)check_backup_place(config.sqlite.backup_dir,
                                 backup_note(config.sqlite.path, config.sqlite.backup_dir), why);
        return complain(why);
    }
    const std::string from = asked.from == kNewest ? all.back().path : asked.from;
    SqliteBackupOptions o;
    o.progress = progress_on_terminal();
    std::string message;
    if (!restore_sqlite_backup(from, asked.to, o, message)) {
        return complain(message);
    }
    std::printf("restored %s into %s\n", from.c_str(), asked.to.c_str());
    return kExitOk;
}

/// Unpacks and checks everything also for a dry run, but puts nothing in the store's place.
int restore(const Asked& asked) {
    // Before the configuration is read: it may be what is broken.
    if (is_file_backup(asked.config, asked.from)) {
        return asked.to.empty() ? restore_file(asked.config, asked.from, asked.dry_run)
                                : complain("--to is for backups of the store; " + asked.from +
                                           " is text, as it lies there");
    }
    Config config;
    if (!load_config(asked.config, config)) {
        return kExitBadConfig;
    }
    if (!asked.to.empty()) {
        return restore_beside(config, asked);
    }
    std::string holder;
    const auto lock = RoleLock::try_acquire(config.journal.dir, "sqlite", holder);
    if (!lock && !asked.dry_run) {
        return complain("the sqlite stage runs (" + holder +
                        ") and writes to the store; stop the "
                        "pipeline first. It restores a damaged store by itself");
    }
    const std::string fresh = config.sqlite.path + ".restore";
    if (auto removed = sqlite_remove(fresh); !removed) {
        return complain(fresh + ": " + removed.error().what);
    }
    EffectsLogSource log{config.journal.dir};
    std::vector<std::string> passed_over;
    const auto restored = choose(config, asked, fresh, log, passed_over);
    for (const std::string& why : passed_over) {
        std::fprintf(stderr, "passed over: %s\n", why.c_str());
    }
    if (!restored) {
        return complain(
            "nothing was restored: no backup will do; without one the next start "
            "makes the store again from the effects log");
    }
    std::printf("%s is whole; the effects log goes on from its record %llu\n",
                restored.value().from.path.c_str(),
                static_cast<unsigned long long>(restored.value().cursor.seq.value));
    if (asked.dry_run) {
        (void)sqlite_remove(fresh);
        std::printf("would take the place of %s, which would be kept%s\n",
                    config.sqlite.path.c_str(), lock ? "" : "; now the sqlite stage runs");
        return kExitOk;
    }
    // A rebuild that a stop cut short would go on at the next start, and take the place of what is
    // restored here.
    if (auto removed = remove_sqlite_rebuild(config.sqlite.path); !removed) {
        return complain(config.sqlite.path + ".rebuild: " + removed.error().what);
    }
    std::string kept;
    if (auto replaced = sqlite_replace(config.sqlite.path, fresh, kept); !replaced) {
        return complain(config.sqlite.path + ": " + replaced.error().what);
    }
    std::printf("restored %s%s%s; the next start brings it up to the log's end\n",
                config.sqlite.path.c_str(), kept.empty() ? "" : ", the old one is ", kept.c_str());
    return kExitOk;
}

}  // namespace

void add_backup_commands(CLI::App& app, Command& command) {
    auto asked = std::make_shared<Asked>();
    const auto common = [asked](CLI::App* sub) {
        sub->add_option("-c,--config", asked->config, "configuration of the pipeline")->required();
        sub->add_flag("--dry-run", asked->dry_run, "say what would be done");
    };
    CLI::App* backup = app.add_subcommand(
        "backup",
        "back up configuration, preferences and the SQLite store now; the pipeline may run");
    common(backup);
    backup->callback([asked, &command] { command.run = [asked] { return back_up(*asked); }; });
    CLI::App* restored = app.add_subcommand(
        "restore",
        "put a backup in the place of the SQLite store, the configuration or the preferences");
    common(restored);
    restored->add_option("--from", asked->from,
                         "a backup file; newest (default) = the newest of the store that will do");
    restored->add_option("--to", asked->to, "restore into this new file instead, for a look");
    restored->callback([asked, &command] { command.run = [asked] { return restore(*asked); }; });
}

}  // namespace millrace
