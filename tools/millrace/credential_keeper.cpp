#include "tools/millrace/credential_keeper.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "persist/credential_backup.h"
#include "tools/millrace/credential_desk.h"
#include "tools/millrace/process.h"

extern char** environ;

namespace millrace {
namespace {

/// In a session of its own, so that what it starts can be killed with it; its output into `output`.
int start_child(const std::vector<std::string>& command, int output, pid_t& pid) {
    std::vector<char*> argv;
    argv.reserve(command.size() + 1);
    for (const std::string& word : command) {
        argv.push_back(const_cast<char*>(word.c_str()));
    }
    argv.push_back(nullptr);
    posix_spawn_file_actions_t files;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&files, output, 1);
    ::posix_spawn_file_actions_adddup2(&files, output, 2);
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes, &none);  // ours holds stop signals back
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setflags(&attributes,
                               POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    const int rc = ::posix_spawnp(&pid, argv[0], &files, &attributes, argv.data(), environ);
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&files);
    return rc;
}

/// The end of what is in it, in one line.
std::string last_words(int output) {
    std::array<char, 1000> text;
    const off_t size = ::lseek(output, 0, SEEK_END);
    const off_t from = size > static_cast<off_t>(text.size()) ? size - off_t{text.size()} : 0;
    const ssize_t n = ::pread(output, text.data(), text.size(), from);
    std::string words{text.data(), n > 0 ? static_cast<std::size_t>(n) : 0};
    while (!words.empty() && words.back() == '\n') {
        words.pop_back();
    }
    for (char& c : words) {
        c = c == '\n' ? ';' : c;
    }
    return words;
}

}  // namespace

CredentialKeeperOptions credential_keeper_options(const Config& config) {
    CredentialKeeperOptions o;
    if (config.credentials.enabled) {
        const CredentialBackupOptions backups = credential_backup_options(config);
        o.command = {"/proc/self/exe", "credential", "backup", "-c", config.file};
        o.store = backups.source.sqlite_path;
        o.backup_dir = backups.dir;
    }
    return o;
}

CredentialKeeper::CredentialKeeper(CredentialKeeperOptions options)
    : options_{std::move(options)} {}

CredentialKeeper::~CredentialKeeper() {
    if (busy()) {
        kill_child();
        int status = 0;
        (void)options_.reap(child_, &status, WNOHANG);  // what is left is for init
    }
    if (output_ >= 0) {
        ::close(output_);
    }
}

CredentialKeeper::Told CredentialKeeper::turn(std::int64_t now_ns, std::int64_t wall_ns) {
    if (busy()) {
        return look_after(now_ns);
    }
    if (options_.command.empty() || now_ns < next_ns_) {
        return {};
    }
    next_ns_ = now_ns + options_.look_every.value;
    return due(wall_ns) ? start(now_ns) : Told{};
}

CredentialKeeper::Told CredentialKeeper::look_after(std::int64_t now_ns) {
    int status = 0;
    if (options_.reap(child_, &status, WNOHANG) == child_) {
        child_ = -1;
        return std::exchange(killed_, false) ? Told{} : ended(now_ns, status);
    }
    // Once more after each hour: it may be the disk that it waits for, which is then still dead.
    const bool tell = killed_ ? now_ns >= next_ns_ : now_ns - started_ns_ >= options_.limit.value;
    if (!tell) {
        return {};
    }
    kill_child();
    killed_ = true;
    return failed(now_ns, "does not come to an end and was killed");
}

bool CredentialKeeper::due(std::int64_t wall_ns) const {
    std::error_code error;
    if (!options_.store.empty() && !std::filesystem::exists(options_.store, error)) {
        // Nobody has put credentials there yet; or they are lost, which the child tells.
        return any_credential_backup(options_.backup_dir);
    }
    const std::int64_t age = wall_ns - newest_credential_backup_ns(options_.backup_dir);
    // One from far in the future was made by a clock that was wrong.
    return age >= options_.every.value || age <= -options_.every.value;
}

CredentialKeeper::Told CredentialKeeper::start(std::int64_t now_ns) {
    output_ = ::memfd_create("credential-backup", MFD_CLOEXEC);
    started_ns_ = now_ns;
    const int rc = output_ < 0 ? errno : start_child(options_.command, output_, child_);
    if (rc != 0) {
        child_ = -1;
        return failed(now_ns, "cannot be started: " + std::string{std::strerror(rc)});
    }
    return {};
}

CredentialKeeper::Told CredentialKeeper::ended(std::int64_t now_ns, int status) {
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return failed(now_ns, "ended with " + describe_wait_status(status));
    }
    // Whatever the newest one's date says then: not again for a day.
    next_ns_ = now_ns + options_.every.value;
    Told told;
    told.info = "daily backup of credentials: " + last_words(output_);
    ::close(output_);
    output_ = -1;
    return told;
}

CredentialKeeper::Told CredentialKeeper::failed(std::int64_t now_ns, const std::string& how) {
    next_ns_ = now_ns + options_.retry.value;
    Told told;
    told.alert = "credentials are not backed up: `millrace credential backup` " + how;
    if (output_ >= 0) {
        const std::string words = last_words(output_);
        told.detail = words.empty() ? "" : ": " + words;
        ::close(output_);
        output_ = -1;
    }
    return told;
}

void CredentialKeeper::kill_child() const {
    // With pg_dump and pg_restore, which are in its session. Ours, and not reaped yet.
    (void)::kill(-child_, SIGKILL);
}

}  // namespace millrace
