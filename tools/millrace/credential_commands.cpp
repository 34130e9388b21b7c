#include "tools/millrace/credential_commands.h"

#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>

#include "persist/credential_restore.h"
#include "tools/millrace/credential_desk.h"
#include "tools/millrace/stages.h"

namespace millrace {
namespace {

constexpr int kFailed = 1;

struct Request {
    std::string config;
    std::string account;
    std::string login;
    std::string secret_file;
    std::string why = "by hand";
    std::string backup;
    std::string to;
    bool yes = false;
    bool dry_run = false;
    bool force = false;
};

int complain(const std::string& what) {
    std::fprintf(stderr, "millrace credential: %s\n", what.c_str());
    return kFailed;
}

/// Turns a terminal's echo off while it lives.
class NoEcho {
public:
    NoEcho() {
        on_ = ::isatty(STDIN_FILENO) == 1 && ::tcgetattr(STDIN_FILENO, &before_) == 0;
        if (on_) {
            termios quiet = before_;
            quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
            ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
            std::fputs("secret: ", stderr);
        }
    }
    ~NoEcho() {
        if (on_) {
            ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
            std::fputs("\n", stderr);
        }
    }
    NoEcho(const NoEcho&) = delete;
    NoEcho& operator=(const NoEcho&) = delete;

private:
    termios before_{};
    bool on_ = false;
};

/// The first line of the file, or of standard input. Read past all buffers but our own.
Secret read_secret(const std::string& file) {
    const NoEcho quiet;
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> in{
        file.empty() ? ::fdopen(::dup(STDIN_FILENO), "r") : std::fopen(file.c_str(), "r"),
        &std::fclose};
    if (!in) {
        return {};
    }
    std::setvbuf(in.get(), nullptr, _IONBF, 0);
    std::string text;
    text.reserve(kSecretBytesMax + 1);  // never moved: no copy is left behind
    for (int c = std::getc(in.get()); c != EOF && c != '\n' && text.size() <= kSecretBytesMax;
         c = std::getc(in.get())) {
        text.push_back(static_cast<char>(c));
    }
    return Secret::taken_from(text);
}

/// "a1 (in FILE), a2 (in FILE)"
std::string spelled(const HeldCredentials& held) {
    std::string text;
    for (const auto& [account, path] : held) {
        text += (text.empty() ? "" : ", ") + account + " (in " + path + ")";
    }
    return text;
}

/// What every backup ends with. @return 1 if the store lacks what earlier ones hold.
int made_backup(const CredentialDesk& desk, const std::string& path) {
    std::printf("backup %s, restored and compared\n", path.c_str());
    const HeldCredentials& missing = desk.backups->missing();
    return missing.empty()
               ? 0
               : complain("ALERT the store lacks what backups hold: " + spelled(missing) +
                          "; `millrace credential restore FILE` puts it back");
}

/// What every change ends with. A change that was made stays made if its backup fails.
int backed_up(CredentialDesk& desk, const std::string& done) {
    std::printf("%s\n", done.c_str());
    const auto made = desk.backups->make();
    return made ? made_backup(desk, made.value())
                : complain("ALERT it is done, but not backed up: " + desk.backups->message());
}

int changed(CredentialDesk& desk, const Status& status, const std::string& done) {
    return status ? backed_up(desk, done) : complain(desk.vault->message());
}

int init_key(const Config& config, const Request& r) {
    if (!config.credentials.enabled) {
        return complain("no \"credentials\" in " + config.file);
    }
    if (config.credentials.key_file.empty()) {
        return complain(
            "systemd gives the key: make one with `openssl rand -hex 32`, mode 0600, "
            "and name its file in LoadCredential=" +
            config.credentials.key_credential + ":FILE of the unit");
    }
    std::string message;
    const std::string path = credential_key_path(config.credentials);
    if (r.dry_run) {
        if (std::filesystem::exists(path)) {
            return complain(path + ": is there already");
        }
        std::printf("would make a key in %s, mode 0600\n", path.c_str());
        return 0;
    }
    const auto made = CredentialKey::create(path, message);
    if (!made) {
        return complain(message);
    }
    std::printf("key %s in %s; keep a copy elsewhere: without it nothing opens, backups neither\n",
                made.value().id().c_str(), path.c_str());
    return 0;
}

/// What a dry run of a change says. @return as the change would, as far as can be told.
int would(CredentialDesk& desk, const Request& r, const char* what) {
    const auto rows = desk.vault->list();
    if (!rows) {
        return complain(desk.vault->message());
    }
    for (const CredentialRow& row : rows.value()) {
        if (row.account == r.account && row.state != CredentialState::Erased) {
            std::printf("%s is %s, version %llu; would be %s, and then backed up\n",
                        row.account.c_str(), std::string{to_string(row.state)}.c_str(),
                        static_cast<unsigned long long>(row.version), what);
            return 0;
        }
    }
    return complain(r.account + " has no credentials");
}

/// The rows of the store; none where there is no store.
Result<std::vector<CredentialRow>> stored_rows(CredentialDesk& desk) {
    return desk.no_store ? std::vector<CredentialRow>{} : desk.vault->list();
}

int would_add(CredentialDesk& desk, const Request& r) {
    const auto rows = stored_rows(desk);
    if (!rows) {
        return complain(desk.vault->message());
    }
    for (const CredentialRow& row : rows.value()) {
        if (row.account == r.account && row.state != CredentialState::Erased) {
            return complain(r.account + " has credentials already; rotate or erase them");
        }
    }
    std::printf("%s would be ACTIVE with login %s%s, and then backed up\n", r.account.c_str(),
                r.login.c_str(), desk.no_store ? " in a new store" : "");
    return 0;
}

int add(CredentialDesk& desk, const Request& r) {
    if (r.dry_run) {
        return would_add(desk, r);
    }
    if (desk.no_store && !desk.store->open(CredentialOpen::Create)) {
        return complain(desk.store->message());
    }
    const Secret secret = read_secret(r.secret_file);
    return changed(desk, desk.vault->add(r.account, r.login, secret), r.account + ": ACTIVE");
}

int rotate(CredentialDesk& desk, const Request& r) {
    if (r.dry_run) {
        return would(desk, r, "sealed with another secret");
    }
    const Secret secret = read_secret(r.secret_file);
    return changed(desk, desk.vault->rotate(r.account, secret), r.account + ": rotated");
}

int lock(CredentialDesk& desk, const Request& r) {
    if (r.dry_run) {
        return would(desk, r, "LOCKED");
    }
    return changed(desk, desk.vault->lock(r.account, r.why), r.account + ": LOCKED");
}

int unlock(CredentialDesk& desk, const Request& r) {
    if (r.dry_run) {
        return would(desk, r, "ACTIVE");
    }
    return changed(desk, desk.vault->unlock(r.account), r.account + ": ACTIVE");
}

int erase(CredentialDesk& desk, const Request& r) {
    if (!r.yes && !r.dry_run) {
        return complain("erasing " + r.account + " cannot be undone; say --yes");
    }
    const int code =
        r.dry_run ? would(desk, r, "ERASED")
                  : changed(desk, desk.vault->erase(r.account, r.why), r.account + ": ERASED");
    for (const std::string& path : desk.backups->holding(r.account)) {
        std::printf("still holds a sealed copy: %s\n", path.c_str());
    }
    return code;
}

std::string time_text(std::int64_t ns) {
    const std::time_t s = ns / 1'000'000'000;
    std::tm tm{};
    ::gmtime_r(&s, &tm);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return text;
}

int list(CredentialDesk& desk, const Request&) {
    const auto rows = desk.vault->list();
    if (!rows) {
        return complain(desk.vault->message());
    }
    std::printf("%-16s %-16s %-7s %8s  %-20s %s\n", "ACCOUNT", "LOGIN", "STATE", "VERSION",
                "CHANGED", "REASON");
    for (const CredentialRow& row : rows.value()) {
        std::printf("%-16s %-16s %-7s %8llu  %-20s %s\n", row.account.c_str(), row.login.c_str(),
                    std::string{to_string(row.state)}.c_str(),
                    static_cast<unsigned long long>(row.version), time_text(row.changed_ns).c_str(),
                    row.reason.c_str());
    }
    return 0;
}

int backup(CredentialDesk& desk, const Request& r) {
    const auto rows = stored_rows(desk);
    if (!rows) {
        return complain(desk.vault->message());
    }
    if (rows.value().empty()) {
        if (any_credential_backup(desk.backups->options().dir)) {
            return complain(
                "ALERT the store is not there or holds no account, and there are backups: "
                "`millrace "
                "credential restore` puts them back; nothing was backed up");
        }
        std::printf("no credentials are stored yet: nothing to back up\n");
        return 0;
    }
    if (r.dry_run) {
        std::printf(
            "would back up %zu accounts, restore and compare that, and keep the newest "
            "%zu; there are %zu\n",
            rows.value().size(), desk.backups->options().keep, desk.backups->list().size());
        return 0;
    }
    const auto made = desk.backups->make();
    return made ? made_backup(desk, made.value()) : complain(desk.backups->message());
}

int restore_test(CredentialDesk& desk, const Request& r) {
    const std::vector<std::string> all = desk.backups->list();
    if (r.backup.empty() && all.empty()) {
        return complain("there is no backup");
    }
    const std::string path = r.backup.empty() ? all.back() : r.backup;
    const auto rows = desk.backups->restore_test(path);
    if (!rows) {
        return complain(desk.backups->message());
    }
    std::printf("%s restores: %zu accounts\n", path.c_str(), rows.value().size());
    return rows.value().empty() ? complain(path + ": holds no account") : 0;
}

/// Why `rows`, of the backup at `path`, are not to be restored; empty: they are.
/// @param any it was named: it may lack what others hold, which the end of a restore tells.
std::string unfit(const Result<std::vector<CredentialRow>>& rows, const std::string& path, bool any,
                  const HeldCredentials& wanted, const std::string& message) {
    if (!rows) {
        return message;
    }
    if (rows.value().empty()) {
        return path + ": holds no account";
    }
    const HeldCredentials missing = lacking(wanted, rows.value());
    return any || missing.empty() ? "" : path + ": lacks " + spelled(missing);
}

/// The newest backup that restores and lacks nobody whom others hold and the store does not have,
/// or the one that was named; those passed over are told.
/// @return no rows if none will do.
std::vector<CredentialRow> rows_to_restore(CredentialDesk& desk, std::string& path,
                                           const std::vector<CredentialRow>& stored) {
    const bool named = !path.empty();
    const std::vector<std::string> all =
        named ? std::vector<std::string>{path} : desk.backups->list();
    if (all.empty()) {
        std::fprintf(stderr, "there is no backup in %s\n", desk.backups->options().dir.c_str());
    }
    const HeldCredentials wanted = lacking(desk.backups->held(), stored);
    for (auto candidate = all.rbegin(); candidate != all.rend(); ++candidate) {
        path = *candidate;
        const auto rows = desk.backups->restore_test(path);
        const std::string why = unfit(rows, path, named, wanted, desk.backups->message());
        if (why.empty()) {
            return rows.value();
        }
        std::fprintf(stderr, "passed over: %s\n", why.c_str());
    }
    return {};
}

int extract(CredentialDesk& desk, const Request& r) {
    std::string path = r.backup;
    if (path.empty()) {
        for (const auto& [account, newest] : desk.backups->held()) {
            path = std::max(path, newest);  // names sort by time
        }
    }
    if (path.empty()) {
        return complain("there is no backup that holds credentials; name one");
    }
    if (r.dry_run) {
        std::printf("would write the dump in %s to %s\n", path.c_str(), r.to.c_str());
        return desk.backups->decrypted(path) ? 0 : complain(desk.backups->message());
    }
    if (!desk.backups->extract(path, r.to)) {
        return complain(desk.backups->message());
    }
    std::printf("%s: the dump in %s, for pg_restore or sqlite3; secrets in it are sealed\n",
                r.to.c_str(), path.c_str());
    return 0;
}

int restore(CredentialDesk& desk, const Request& r) {
    if (!r.to.empty()) {
        return extract(desk, r);
    }
    const auto stored = stored_rows(desk);
    if (!stored) {
        return complain(desk.vault->message());
    }
    std::string path = r.backup;
    const std::vector<CredentialRow> rows = rows_to_restore(desk, path, stored.value());
    if (rows.empty()) {
        return complain(
            "nothing was restored: no backup will do; one that is named may lack accounts");
    }
    const std::vector<RestoreRow> plan = plan_restore(stored.value(), rows);
    std::printf("%s restores:\n", path.c_str());
    bool later = false;
    for (const RestoreRow& p : plan) {
        later = later || p.meets == RestoreMeets::Later;
        std::printf("  %-16s %-7s version %llu: %s\n", p.row.account.c_str(),
                    std::string{to_string(p.row.state)}.c_str(),
                    static_cast<unsigned long long>(p.row.version),
                    std::string{to_string(p.meets)}.c_str());
    }
    if (later && !r.force) {
        return complain(
            "nothing was restored: what was locked, rotated or erased since would come undone; "
            "--force does that");
    }
    if (r.dry_run) {
        std::printf("nothing was changed; other accounts would stay as they are\n");
        return 0;
    }
    if (desk.no_store && !desk.store->open(CredentialOpen::Create)) {
        return complain(desk.store->message());
    }
    const std::string event = "restored from " + std::filesystem::path{path}.filename().string();
    if (auto done = restore_rows(*desk.store, plan, event, r.force); !done) {
        return complain("not all was restored; run it again: " + std::string{done.error().what} +
                        " " + desk.store->message());
    }
    return backed_up(desk, "restored, read back and compared");
}

using Verb = int (*)(CredentialDesk&, const Request&);

CLI::App* add_verb(CLI::App* parent, Command& command, const char* word, const char* help,
                   const std::shared_ptr<Request>& r, Verb verb) {
    CLI::App* sub = parent->add_subcommand(word, help);
    sub->add_option("-c,--config", r->config, "configuration file")->required();
    sub->callback([&command, r, verb] {
        command.run = [r, verb] {
            Config config;
            CredentialDesk desk;
            std::string message;
            if (!load_config(r->config, config)) {
                return static_cast<int>(kExitBadConfig);
            }
            // Looking into a backup must not need the store that was lost.
            const bool looks = verb == &restore_test || !r->to.empty();
            const bool opened =
                looks ? open_backups(config, desk, message) : open_desk(config, desk, message);
            const bool can_do_without = verb == &add || verb == &backup || verb == &restore;
            return opened || (desk.no_store && can_do_without) ? verb(desk, *r) : complain(message);
        };
    });
    return sub;
}

}  // namespace

void add_credential_commands(CLI::App& app, Command& command) {
    CLI::App* credential = app.add_subcommand("credential", "sealed credentials of brokers");
    credential->require_subcommand(1);
    const auto r = std::make_shared<Request>();
    CLI::App* init = credential->add_subcommand("init", "make the key, mode 0600");
    init->add_option("-c,--config", r->config, "configuration file")->required();
    init->add_flag("--dry-run", r->dry_run, "say what would be done");
    init->callback([&command, r] {
        command.run = [r] {
            Config config;
            return load_config(r->config, config) ? init_key(config, *r)
                                                  : static_cast<int>(kExitBadConfig);
        };
    });
    CLI::App* adding = add_verb(credential, command, "add", "add those of an account", r, &add);
    adding->add_option("--login", r->login, "login at the broker")->required();
    CLI::App* rotating = add_verb(credential, command, "rotate", "another secret", r, &rotate);
    for (CLI::App* sub : {adding, rotating}) {
        sub->add_option("--secret-file", r->secret_file,
                        "its first line; default: a line of standard input");
    }
    CLI::App* locking = add_verb(credential, command, "lock", "make unusable, keep", r, &lock);
    CLI::App* erasing = add_verb(credential, command, "erase",
                                 "remove, and name the backups that keep a copy", r, &erase);
    erasing->add_flag("--yes", r->yes, "yes, for good");
    for (CLI::App* sub : {locking, erasing}) {
        sub->add_option("--why", r->why, "the reason")->capture_default_str();
    }
    CLI::App* unlocking = add_verb(credential, command, "unlock", "make usable", r, &unlock);
    for (CLI::App* sub : {adding, rotating, locking, erasing, unlocking}) {
        sub->add_option("ACCOUNT", r->account, "the account")->required();
    }
    add_verb(credential, command, "list", "every account; no secrets", r, &list);
    CLI::App* backing_up =
        add_verb(credential, command, "backup", "make one now (`up` does it daily)", r, &backup);
    CLI::App* restoring = add_verb(credential, command, "restore-test",
                                   "restore a backup and throw it away", r, &restore_test);
    CLI::App* back = add_verb(credential, command, "restore",
                              "put a backup's rows back into the store that was lost", r, &restore);
    back->add_option("--to", r->to, "write the dump in it to this new file instead");
    back->add_flag("--force", r->force, "also over what was changed since the backup");
    for (CLI::App* sub : {restoring, back}) {
        sub->add_option("FILE", r->backup, "default: the newest");
    }
    for (CLI::App* sub : {adding, rotating, locking, erasing, unlocking, backing_up, back}) {
        sub->add_flag("--dry-run", r->dry_run, "say what would be done");
    }
}

}  // namespace millrace
