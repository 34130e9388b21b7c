// PreferenceKeeper: has valid preferences in force while a pipeline runs, and copies of them.
//
// Each second it looks whether the file was changed. A valid text comes into force at once, is
// copied beside its file (as the configuration is: FILE.backup-<n>, the last five) and into Redis.
// A broken one changes nothing, and is told. At a start the file counts; if it is broken, or gone
// where there are copies, the newest backup that is valid; else Redis' copy; else the defaults.
// Whatever stands in for the file is told loudly.
#pragma once

#include "core/result.h"
#include "tools/millrace/config.h"
#include "tools/millrace/preferences.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace millrace {

struct PreferenceKeeperOptions {
    std::string file;      // may not be there: then nobody prefers anything
    std::string in_force;  // where the valid text is kept
    /// Redis, if there is any. May block for a few seconds; failures are tried again.
    std::function<Result<bool>(const std::string& text, std::string& message)> put;
    std::function<Result<std::string>(std::string& message)> get;
    Nanos look_every = seconds(1);
    Nanos copy_every = seconds(300);  // copies that could not be made
};

[[nodiscard]] PreferenceKeeperOptions preference_keeper_options(const Config& config);

/// Threads: one.
class PreferenceKeeper {
public:
    explicit PreferenceKeeper(PreferenceKeeperOptions options) : options_{std::move(options)} {}

    struct Told {
        std::vector<std::string> infos;
        std::vector<std::string> alerts;
        bool changed = false;  // another text is in force
    };
    /// Does what is due at `now_ns` (monotonic).
    [[nodiscard]] Told turn(std::int64_t now_ns);
    /// The defaults until the first turn.
    [[nodiscard]] const Preferences& preferences() const noexcept { return preferences_; }

private:
    [[nodiscard]] bool is_there() const;
    void begin(Told& told);
    [[nodiscard]] bool take_backup(Told& told);
    [[nodiscard]] bool take_redis(Told& told);
    void look(Told& told);
    void put_in_force(Preferences&& found, Told& told);
    void copy(std::int64_t now_ns, Told& told);

    PreferenceKeeperOptions options_;
    Preferences preferences_;
    std::string seen_;  // the file as it was looked at last
    std::string why_;   // what is wrong with it; empty: nothing
    bool from_file_ = false;
    bool begun_ = false;
    bool none_ = false;  // no file and no copy of one: nothing is amiss
    bool backed_up_ = true;
    bool in_redis_ = true;
    std::int64_t next_look_ns_ = 0;
    std::int64_t next_copy_ns_ = 0;
};

}  // namespace millrace
