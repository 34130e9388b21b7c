// A real pipeline in a folder of its own: `millrace up` as a child process, on ports of
// its own.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "shm/segment.h"
#include "tests/ops/quiet_port.h"
#include "tests/ops/temp_dir.h"
#include "tools/millrace/process.h"

namespace millrace::test {

/// A finished command: its exit status and what it printed (both streams).
struct Finished {
    int status = -1;
    std::string output;
};

class Pipeline {
public:
    /// @param stuck_ms as in the configuration. Long, unless a test is about it: a machine that
    /// stalls for half a second is no reason to replace a stage whose restarts the test counts.
    explicit Pipeline(int stuck_ms = 30'000);
    ~Pipeline();

    [[nodiscard]] const TempDir& dir() const { return dir_; }
    [[nodiscard]] const std::string& config() const { return config_; }
    [[nodiscard]] std::string journal_dir() const { return dir_ / "j"; }
    [[nodiscard]] std::string segment_path() const { return "/dev/shm/millrace-" + name_; }
    /// The configuration's text, with `extra` members at its end.
    [[nodiscard]] std::string config_text(const std::string& extra = "") const;
    void write_config(const std::string& extra = "") {
        config_ = dir_.write("c.json", config_text(extra));
    }

    /// The executable from now on, in place of MILLRACE_EXECUTABLE.
    void use(const std::string& executable) { executable_ = executable; }
    /// Starts `millrace up`; its log goes to `<dir>/<log>`.
    void up(const std::string& log = "up.log", const std::vector<std::string>& options = {});
    /// Waits until every stage runs. @return false after 60 s.
    bool wait_running();
    /// Runs `millrace ARGUMENTS -c config` to its end.
    Finished run(std::vector<std::string> arguments, bool with_config = true);
    [[nodiscard]] std::string log(const std::string& name = "up.log") const;

    [[nodiscard]] int supervisor() const { return supervisor_; }
    /// Waits for the supervisor's end. @return its wait status, -1 after two minutes.
    int wait_supervisor();
    /// SIGKILL to the supervisor, then to every stage.
    void kill_all();
    [[nodiscard]] Segment attach() const;

private:
    void kill_leftovers();

    TempDir dir_;
    int stuck_ms_;
    std::string name_;
    std::string config_;
    std::string executable_ = MILLRACE_EXECUTABLE;
    QuietPort ports_[2];
    int supervisor_ = 0;
};

/// Polls `condition` until it holds or 60 s have passed.
bool eventually(const std::function<bool()>& condition);

/// The stage's entry: pid, state.
[[nodiscard]] int pid_of(const Segment& segment, StageId id);
[[nodiscard]] bool runs(const Segment& segment, StageId id);

}  // namespace millrace::test
