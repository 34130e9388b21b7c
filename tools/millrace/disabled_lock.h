// DisabledLock: whoever disables an account, its credentials become LOCKED (requirement C22): its
// broker, once that has lasted (a flag may be misread, or come back by itself); an operator also
// where that was no command with a configuration, or one that died in between.
//
// A child process does it, `millrace account lock-disabled`: a credential store may hang for as
// long as it likes and holds up nothing here, and no key comes into the supervisor's memory.
#pragma once

#include "shm/segment.h"
#include "tools/millrace/config.h"

#include <sys/wait.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace millrace {

struct DisabledLockOptions {
    std::vector<std::string> command;  // names are added; empty = nothing is to be done
    Nanos grace = seconds(5);          // for the command that disables: it locks by itself
    Nanos broker_grace;                // of a broker's word; 0 = that locks nothing
    Nanos retry = seconds(600);        // after a failure
    Nanos limit = seconds(300);        // then the child and all that it started are killed
    pid_t (*reap)(pid_t, int*, int) = &::waitpid;  // for tests: a child that cannot die
};

/// What `config` asks for; no command without "credentials" in it.
[[nodiscard]] DisabledLockOptions disabled_lock_options(const Config& config);

struct DisabledAccount {
    std::string name;
    bool by_broker = false;  // its executor says so (bridge::kInfoBrokerForbids); else an operator
    friend bool operator==(const DisabledAccount&, const DisabledAccount&) = default;
};
/// Those that are disabled now, in the order of their sessions: accounts of `config`, and those
/// that were added to its journal directory since.
[[nodiscard]] std::vector<DisabledAccount> disabled_accounts(const Segment& segment,
                                                             const Config& config);

/// Threads: one. Never blocks: a child that was killed and waits in the kernel for a dead disk
/// stays for later turns to reap.
class DisabledLock {
public:
    /// Both outlive it.
    DisabledLock(const Segment& segment, const Config& config, DisabledLockOptions options);
    /// Kills the child, if one runs, and does not wait for its end.
    ~DisabledLock();
    DisabledLock(const DisabledLock&) = delete;
    DisabledLock& operator=(const DisabledLock&) = delete;

    struct Told {
        std::string info;
        std::string alert;
    };
    /// Looks at each account's state, and after the child that runs.
    /// @param now_ns monotonic.
    [[nodiscard]] Told turn(std::int64_t now_ns);
    [[nodiscard]] bool busy() const noexcept { return child_ > 0; }

private:
    struct Seen {
        std::int64_t since_ns = 0;  // it is disabled
        bool by_broker = false;
        bool locked = false;  // and its credentials are locked, by us
    };

    /// @return an alert: who may trade again and has locked credentials; empty if nobody.
    [[nodiscard]] std::string look(std::int64_t now_ns);
    [[nodiscard]] Told look_after_child(std::int64_t now_ns);
    [[nodiscard]] bool is_due(const Seen& seen, std::int64_t now_ns) const noexcept;
    [[nodiscard]] Told start(std::int64_t now_ns);
    [[nodiscard]] Told ended(std::int64_t now_ns, const std::string& failure);
    void kill_child() const;

    const Segment& segment_;
    const Config& config_;
    DisabledLockOptions options_;
    std::map<std::string, Seen> disabled_;
    std::vector<std::string> asked_;  // of the child
    int child_ = -1;
    bool killed_ = false;  // told already; it is to be reaped, and no other is started before
    std::int64_t started_ns_ = 0;
    std::int64_t next_ns_ = 0;
};

}  // namespace millrace
