// CredentialKeeper: the daily backup of broker credentials while a pipeline runs (requirement
// R218).
//
// A child process makes it, `millrace credential backup`: PostgreSQL may hang for as long as it
// likes and holds up nothing here, and no key comes into the supervisor's memory.
#pragma once

#include "core/types.h"
#include "tools/millrace/config.h"

#include <sys/types.h>
#include <sys/wait.h>

#include <cstdint>
#include <string>
#include <vector>

namespace millrace {

struct CredentialKeeperOptions {
    std::vector<std::string> command;  // program and arguments; empty = nothing is to be done
    std::string store;  // if not empty: without this file there is nothing to back up
    std::string backup_dir;
    Nanos every = seconds(24 * 3600);  // by the newest backup's own time
    Nanos look_every = seconds(600);
    Nanos retry = seconds(3600);  // after one that failed
    Nanos limit = seconds(600);   // then the child and all that it started are killed
    pid_t (*reap)(pid_t, int*, int) = &::waitpid;  // for tests: a child that cannot die
};

/// What `config` asks for; no command without "credentials" in it.
[[nodiscard]] CredentialKeeperOptions credential_keeper_options(const Config& config);

/// Threads: one. Never blocks, but for a look into the folder of the backups: a child that was
/// killed and waits in the kernel for a dead disk stays for later turns to reap.
class CredentialKeeper {
public:
    explicit CredentialKeeper(CredentialKeeperOptions options);
    /// Kills the child, if one runs, and does not wait for its end. A backup that was not finished
    /// is removed by the next one.
    ~CredentialKeeper();
    CredentialKeeper(const CredentialKeeper&) = delete;
    CredentialKeeper& operator=(const CredentialKeeper&) = delete;

    struct Told {
        std::string info;
        std::string alert;   // why there is no backup: always the same words for the same reason
        std::string detail;  // what the child said
    };
    /// Starts a child if a backup is due, looks after the one that runs.
    /// @param now_ns monotonic. @param wall_ns wall clock, which backups are dated by.
    [[nodiscard]] Told turn(std::int64_t now_ns, std::int64_t wall_ns);
    [[nodiscard]] bool busy() const noexcept { return child_ > 0; }

private:
    [[nodiscard]] bool due(std::int64_t wall_ns) const;
    [[nodiscard]] Told start(std::int64_t now_ns);
    [[nodiscard]] Told ended(std::int64_t now_ns, int status);
    [[nodiscard]] Told failed(std::int64_t now_ns, const std::string& how);
    /// Reaps the child if it has ended. @return what to tell.
    [[nodiscard]] Told look_after(std::int64_t now_ns);
    void kill_child() const;

    CredentialKeeperOptions options_;
    pid_t child_ = -1;
    bool killed_ = false;  // told already; it is to be reaped, and no other is started before
    int output_ = -1;      // what it says: a file in memory
    std::int64_t started_ns_ = 0;
    std::int64_t next_ns_ = 0;
};

}  // namespace millrace
