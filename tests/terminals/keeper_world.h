// millrace-terminals as a process, with a segment whose other end the test has, and stand-ins for
// terminals: shell scripts that leave a line in `starts` when they begin.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "shm/segment.h"
#include "tests/ops/temp_dir.h"
#include "tools/millrace/process.h"

namespace millrace::terminals::test {

/// Polls `condition` until it holds or `limit` has passed.
bool eventually(const std::function<bool()>& condition,
                std::chrono::seconds limit = std::chrono::seconds{180});

struct Script {
    std::string text = "exec sleep 100000";  // of `sh -c`, behind the line in `starts`
    std::string settings = {};               // more members of "terminal"
};

class KeeperWorld : public testing::Test {
protected:
    ~KeeperWorld() override;

    /// Account a0, a1, ...: configuration, journal directory, segment; every session is down.
    void configure(const std::vector<Script>& scripts, const std::string& terminals = "");
    void start_keeper();
    /// SIGKILL, and waits for its end.
    void kill_keeper();
    /// SIGTERM, and waits for its end. @return its wait status.
    int stop_keeper();

    void session(std::uint32_t account, bool up);
    void live_orders(std::uint32_t account, std::uint64_t count);
    /// What the terminals' processes left in `starts`, in their order.
    [[nodiscard]] std::vector<std::string> starts() const;
    /// The process that the account's pid file names, if it lives.
    [[nodiscard]] std::optional<ProcessId> process(const std::string& account) const;
    /// Waits until one other than `than` runs.
    ProcessId wait_process(const std::string& account, ProcessId than = {});
    /// `millrace terminal ARGUMENTS`, which has to end with `status`. @return what it printed.
    std::string command(const std::string& arguments, int status = 0) const;
    /// The account's object of `terminal list --json`; an empty one if nobody answers yet.
    nlohmann::json listed(const std::string& account) const;
    bool wait_state(const std::string& account, const std::string& state) const;
    /// The first error in the segment's log of that source; empty if there is none.
    [[nodiscard]] std::string error_of(const std::string& who) const;
    [[nodiscard]] std::string folder(const std::string& account) const {
        return dir / ("j/terminals/accounts/" + account);
    }
    [[nodiscard]] std::string text(const std::string& name) const;

    /// @return its exit status; what it printed is in `command`.
    int run_command(const std::string& arguments) const;

    millrace::test::TempDir dir;
    std::string config;
    std::optional<Segment> segment;
    int keeper = 0;
    std::size_t accounts = 0;
};

}  // namespace millrace::terminals::test
