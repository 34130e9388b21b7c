// Executors: what trades for accounts outside the stages, kept running by `millrace up`: a
// millrace-fix for each account of kind "fix", one millrace-terminals for all terminals that are
// started and watched here, one millrace-ticks if there is "ticks". Like stages they outlive it,
// and the next one adopts them.
#pragma once

#include "tools/millrace/config.h"
#include "tools/millrace/process.h"
#include "tools/millrace/restart_policy.h"

#include <string>
#include <vector>

namespace millrace {

/// Folder of one executor's files; it leaves its pid file there (pid_file.h).
[[nodiscard]] inline std::string executor_folder(const Config& config, const std::string& account) {
    return config.journal.dir + "/fix/" + account;
}

/// Threads: the supervisor's.
class Executors {
public:
    /// Those that a `millrace up` before this one left, and that `config` does not name any more,
    /// are asked to end at the first turn, and killed if they do not.
    /// @param segment for its error log; it and `config` outlive this.
    /// @param checked_text as SupervisorOptions::checked_text.
    Executors(const Segment& segment, const Config& config, std::string checked_text);

    /// Starts those that do not run, and again those that ended: at once, then after the pauses
    /// of "restart", with an alert after kAlertAfter ends in a row. Every 100 ms or so.
    void turn();
    /// Asks all to log out (millrace-terminals: to end its terminals), waits for them, 5 s or as
    /// long as terminals may take to end, then kills and waits 5 s again. After the broker stage:
    /// what it sent has then been answered, or stays in doubt until the next start.
    void stop();
    struct Left {
        std::string who;  // for people
        bool ended;
    };
    /// The same for those of this journal whose `millrace up` has died: whoever a pid file names.
    /// Terminals get as long as a configuration may give them. @return who there was.
    [[nodiscard]] static std::vector<Left> end_left(const std::string& journal_dir);

    static constexpr std::uint32_t kAlertAfter = 3;

private:
    struct Executor {
        std::string name;    // for the log
        std::string folder;  // it writes `pid` there
        std::vector<std::string> command;
        std::string alert;    // what it means that it does not stay up
        Nanos stop_patience;  // between asking it to end and killing it
        RestartPolicy policy{RestartConfig{}};
        ProcessWatch watch;
        bool ours = false;  // our child: it leaves a wait status
        std::int64_t started_ns = 0;
        std::int64_t start_at_ns = 0;
    };
    void add(const std::string& name, const std::string& folder, const std::string& program,
             const std::vector<std::string>& options);
    void start(Executor& e);
    void on_end(Executor& e);
    [[nodiscard]] static bool adopt(Executor& e);
    [[nodiscard]] static std::vector<Executor> find_left(const std::string& journal_dir);
    void end_strangers();
    static void end(std::vector<Executor>& executors);

    const Segment& segment_;
    const Config& config_;
    std::string checked_text_;
    std::vector<Executor> executors_;
    std::vector<Executor> strangers_;  // not configured; started_ns: asked to end then
};

}  // namespace millrace
