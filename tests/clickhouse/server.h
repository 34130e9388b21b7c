// A real clickhouse-server on loopback ports of its own, dead with the test.
#pragma once

#include "persist/clickhouse_http.h"
#include "tests/ops/quiet_port.h"
#include "tests/shm/temp_dir.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/types.h>

#include <cstdint>
#include <string>

namespace millrace::clickhouse_test {

/// Threads: all calls from the thread that made it (the child dies with that thread).
class ClickHouseProcess {
public:
    /// @param directory keeps its data between kill() and start().
    explicit ClickHouseProcess(std::string directory);
    ~ClickHouseProcess();
    ClickHouseProcess(const ClickHouseProcess&) = delete;
    ClickHouseProcess& operator=(const ClickHouseProcess&) = delete;

    /// Starts it and waits until it answers a query.
    void start();
    /// SIGKILL, and reaps it.
    void kill();
    void stop() const { signal(SIGSTOP); }
    void resume() const { signal(SIGCONT); }
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] ClickHouseServer at() const;
    /// `"clickhouse": {...}` of a configuration that uses it; the password lies in a file here.
    [[nodiscard]] std::string configured(const std::string& database) const;
    [[nodiscard]] std::string log() const;

    /// The server that the environment names, or one of ours.
    [[nodiscard]] bool is_foreign() const noexcept { return !foreign_.url.empty(); }
    /// One query of the test's own; fails the test if the server refuses it.
    std::string ask(const std::string& sql) const;

private:
    void write_files() const;
    void signal(int number) const;
    std::string directory_;
    ClickHouseServer foreign_;
    test::QuietPort quiet_;  // of a server that is killed and comes back: nobody takes it meanwhile
    std::uint16_t port_ = 0;
    pid_t pid_ = -1;
};

/// Calls `done` every few milliseconds until it is true. @return false after `limit_s`.
template <class F>
[[nodiscard]] bool eventually(F done, int limit_s = 60) {
    for (int i = 0; i < limit_s * 200; ++i) {
        if (done()) {
            return true;
        }
        ::usleep(5'000);
    }
    return done();
}

}  // namespace millrace::clickhouse_test
