// Real redis-server and redis-sentinel processes on loopback ports of their own, dead with the
// test.
#pragma once

#include "persist/redis_primary.h"

#include <gtest/gtest.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

namespace millrace::redis_test {

/// A directory under /tmp (or TMPDIR), removed at the end.
class TempDir {
public:
    TempDir();
    ~TempDir();
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
};

/// A loopback port for a server that may die and come back: nobody else gets it while this process
/// lives (tests/ops/quiet_port.h).
std::uint16_t free_port();

/// One process of Redis: a server, or a Sentinel if `sentinel`. Its files stay between kill() and
/// start(). Threads: all calls from the thread that made it (the child dies with that thread).
class RedisProcess {
public:
    struct Options {
        std::string directory;
        std::uint16_t port = 0;
        bool sentinel = false;
        std::string config{};  // lines of the configuration file
    };
    explicit RedisProcess(Options options);
    ~RedisProcess();
    RedisProcess(const RedisProcess&) = delete;
    RedisProcess& operator=(const RedisProcess&) = delete;

    /// Starts it and waits until it answers PING (LOADING counts as an answer).
    void start();
    /// SIGKILL, and reaps it.
    void kill();
    void stop() { signal(SIGSTOP); }
    void resume() { signal(SIGCONT); }
    [[nodiscard]] bool running() const noexcept { return pid_ > 0; }
    [[nodiscard]] RedisEndpoint at() const { return {"127.0.0.1", options_.port}; }
    /// What it printed, for messages.
    [[nodiscard]] std::string log() const;
    /// A connection for the test itself.
    [[nodiscard]] RedisLink link() const;
    /// One command. Fails the test if there is no answer; an error that it answered is text. Asked
    /// again where the connection was cut: a Sentinel cuts those of each server whose role it
    /// changes.
    std::string ask(std::initializer_list<std::string_view> words) const;

private:
    void signal(int number) const;
    Options options_;
    pid_t pid_ = -1;
};

struct RedisClusterOptions {
    std::string primary = "desk";  // its name for the Sentinels
    std::string extra{};           // more lines of each server's configuration
    std::string sentinel_extra{};  // and of each Sentinel's
    /// Configuration as an operator has it, in place of the tests' own: all but addresses, ports,
    /// directories and the Sentinels' `monitor` line. Sentinel's own timers stay as they are.
    std::string servers{};
    std::string sentinels{};
};

/// One primary, two replicas, three Sentinels with a quorum of two.
class RedisCluster {
public:
    explicit RedisCluster(const std::string& directory, RedisClusterOptions options = {});

    [[nodiscard]] RedisProcess& node(std::size_t i) { return *nodes_[i]; }
    [[nodiscard]] RedisProcess& sentinel(std::size_t i) { return *sentinels_[i]; }
    /// @param timeouts short ones, for who is to notice; a test's own connections have time.
    [[nodiscard]] RedisPlace place(RedisTimeouts timeouts = {millis(300), millis(700)}) const;
    /// Sentinels of the tests' own settings replace nobody by themselves: on a busy machine a
    /// server that is well is silent for seconds. From here on until forbid_failover() they do.
    void allow_failover() { set_patience("500"); }
    void forbid_failover() { set_patience(kPatient); }
    /// Index of the node that the Sentinels (a majority) name and that says `master` itself; waits.
    /// @param not_this another one than this node, which is replaced() if they name it.
    [[nodiscard]] std::size_t primary(std::size_t not_this = SIZE_MAX);
    /// Index of the node that a majority of Sentinels names now; SIZE_MAX if there is none.
    [[nodiscard]] std::size_t named();
    /// To be called until true: a Sentinel is told to put another node in the place of `old`, alive
    /// or dead, whatever the others think. (By themselves they never choose a replica that was cut
    /// off for ten times their patience before.) @return whether a majority names another one.
    [[nodiscard]] bool replaced(std::size_t old);
    /// Waits until the primary has `n` replicas in step with it.
    void await_replicas(std::size_t n);
    /// This replica hears its primary no more and lives on, behind it, until let_back(). (One that
    /// is stopped reads later what lies in its sockets by then.)
    void cut_off(std::size_t replica);
    void let_back(std::size_t replica);
    /// Sentinel's own timers made short, and its fear of leaps of time taken: where a machine
    /// stands still it would do nothing for half a minute each time. Lost when it restarts.
    void hurry(std::size_t sentinel);

private:
    static constexpr const char* kPatient = "600000";
    void set_patience(const char* down_after_ms);
    void start_servers(const std::string& directory);
    void start_sentinels(const std::string& directory);

    RedisClusterOptions options_;
    std::vector<std::unique_ptr<RedisProcess>> nodes_;
    std::vector<std::unique_ptr<RedisProcess>> sentinels_;
};

/// Calls `done` every few milliseconds until it is true. @return false after `limit_s`.
template <class F>
[[nodiscard]] bool eventually(F done, int limit_s = 180) {
    for (int i = 0; i < limit_s * 200; ++i) {
        if (done()) {
            return true;
        }
        ::usleep(5'000);
    }
    return done();
}

}  // namespace millrace::redis_test
