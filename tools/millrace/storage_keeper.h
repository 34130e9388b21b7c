// StorageKeeper: what the supervisor does about disks while the pipeline runs: retention of log
// files, alerts when a file system fills or a store is left behind, copies of
// the configuration and of users' preferences, a daily backup of credentials, and their lock where
// an account is disabled.
#pragma once

#include "persist/space_watch.h"
#include "shm/segment.h"
#include "tools/millrace/config.h"
#include "tools/millrace/credential_keeper.h"
#include "tools/millrace/disabled_lock.h"
#include "tools/millrace/preference_keeper.h"
#include "tools/millrace/retention.h"

#include <cstdint>
#include <string>
#include <vector>

namespace millrace {

/// What an operator is told of a sink that retention has left behind.
/// @param from_sqlite the SQLite store has what went
[[nodiscard]] std::string detached_text(const std::string& sink, bool from_sqlite);

/// Threads: one (the supervisor's housekeeper). May block for as long as a disk does.
class StorageKeeper {
public:
    /// Both outlive it.
    StorageKeeper(Segment& segment, const Config& config);

    /// Does what is due at `now_ns` (monotonic). Failures are reported and tried again.
    void turn(std::int64_t now_ns);

private:
    void prune_files();
    void watch_space(const std::string& dir, const Space& space, SpaceWatch& watch);
    void watch_second();
    void keep_config();
    void tell_kept(const std::string& made, const std::string& trouble);
    void keep_credentials(std::int64_t now_ns);
    void keep_locked(std::int64_t now_ns);
    void keep_preferences(std::int64_t now_ns);
    void tell_detached(const std::vector<std::string>& now);
    void alert(const std::string& text, const std::string& detail = "");

    Segment& segment_;
    const Config& config_;
    Retention retention_;
    SpaceWatch space_watch_;
    std::string second_;  // journal directory; "" = none
    SpaceWatch second_watch_;
    std::string second_trouble_;  // as told
    CredentialKeeper credentials_;
    DisabledLock disabled_;
    PreferenceKeeper preferences_;
    std::vector<std::string> detached_;  // as told
    std::string trouble_;                // as told
    bool started_kept_ = false;          // the configuration that the pipeline was started with
    std::string broken_config_;          // as told
    std::int64_t next_prune_ns_ = 0;
    std::int64_t next_config_ns_ = 0;
};

}  // namespace millrace
