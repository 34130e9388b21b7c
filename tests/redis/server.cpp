#include "tests/redis/server.h"
#include "tests/ops/quiet_port.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

namespace millrace::redis_test {
namespace {

constexpr RedisTimeouts kSlowMachine{seconds(5), seconds(5)};

}  // namespace

TempDir::TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "millrace-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
}

TempDir::~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::uint16_t free_port() {
    static std::deque<test::QuietPort> held;
    return held.emplace_back().number();
}

// ---- one process -------------------------------------------------------------------------------

RedisProcess::RedisProcess(Options options) : options_{std::move(options)} {
    std::filesystem::create_directories(options_.directory);
    std::ofstream file{options_.directory + "/redis.conf"};
    file << "port " << options_.port << "\nbind 127.0.0.1\ndaemonize no\nlogfile \"\"\ndir "
         << options_.directory << "\n"
         << options_.config << "\n";
}

RedisProcess::~RedisProcess() {
    kill();
}

void RedisProcess::start() {
    ASSERT_FALSE(running());
    const std::string config = options_.directory + "/redis.conf";
    const std::string log = options_.directory + "/log";
    const char* program = options_.sentinel ? "redis-sentinel" : "redis-server";
    pid_ = ::fork();
    if (pid_ == 0) {
        ::setsid();
        ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        ::dup2(out, 1);
        ::dup2(out, 2);
        ::execlp(program, program, config.c_str(), nullptr);
        ::_exit(127);  // no such program: tools/setup installs it
    }
    const auto answers = [this] {
        RedisLink probe;
        if (!probe.connect(at(), {}, {})) {
            return false;
        }
        const auto pong = probe.call({"PING"});
        return pong.ok() || pong.code() == Errc::Busy;
    };
    ASSERT_TRUE(eventually(answers)) << program << " does not answer:\n" << this->log();
}

void RedisProcess::kill() {
    if (running()) {
        ::kill(pid_, SIGKILL);
        int status = 0;
        ::waitpid(pid_, &status, 0);
        pid_ = -1;
    }
}

void RedisProcess::signal(int number) const {
    ASSERT_TRUE(running());
    ::kill(pid_, number);
}

std::string RedisProcess::log() const {
    std::ifstream in{options_.directory + "/log"};
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

RedisLink RedisProcess::link() const {
    RedisLink l;
    EXPECT_TRUE(l.connect(at(), {}, {seconds(60), seconds(60)}).ok()) << l.message() << log();
    return l;
}

std::string RedisProcess::ask(std::initializer_list<std::string_view> words) const {
    RespCommands c;
    c.add(words);
    RedisLink l;
    Result<RedisReply> got = Errc::IoError;
    EXPECT_TRUE(eventually(
        [&] {
            l = link();
            if (!l.is_open()) {
                return true;  // link() has said so
            }
            got = l.send(c.bytes()).ok() ? l.reply() : Result<RedisReply>{Errc::IoError};
            return got.ok() || l.is_open();
        },
        60))
        << l.message();
    EXPECT_TRUE(got.ok()) << l.message();
    if (!got.ok()) {
        return {};
    }
    const RedisView& v = got.value();
    std::string text{v.text()};
    for (std::size_t i = 0; i < v.size(); ++i) {
        text += (i == 0 ? "" : " ") + std::string{v[i].text()};
    }
    return text.empty() && !v.is_nil() && !v.is_array() ? std::to_string(v.integer()) : text;
}

// ---- a cluster ---------------------------------------------------------------------------------

RedisCluster::RedisCluster(const std::string& directory, RedisClusterOptions options)
    : options_{std::move(options)} {
    start_servers(directory);
    start_sentinels(directory);
    // Before a Sentinel knows all others it may not be able to fail over.
    EXPECT_TRUE(eventually([this] {
        for (const auto& s : sentinels_) {
            auto l = s->link();
            const auto about = l.call({"SENTINEL", "MASTER", options_.primary});
            if (!about || about.value().field("num-slaves").integer() != 2 ||
                about.value().field("num-other-sentinels").integer() != 2 ||
                !l.call({"SENTINEL", "CKQUORUM", options_.primary})) {
                return false;
            }
        }
        return true;
    })) << sentinels_[0]->log();
}

void RedisCluster::start_servers(const std::string& directory) {
    const std::uint16_t first = free_port();
    for (std::size_t i = 0; i < 3; ++i) {
        const std::uint16_t port = i == 0 ? first : free_port();
        std::string config = options_.servers.empty()
                                 ? "appendonly yes\nappendfsync everysec\nsave \"\"\n"
                                   "maxmemory-policy noeviction\nrepl-diskless-sync yes\n"
                                   "repl-diskless-sync-delay 0\nrepl-timeout 5\n"
                                   "repl-ping-replica-period 1\nmin-replicas-max-lag 2\n"
                                 : options_.servers;
        config += "\nreplica-announce-ip 127.0.0.1\nreplica-announce-port " + std::to_string(port) +
                  "\n" + options_.extra;
        config += i == 0 ? "" : "\nreplicaof 127.0.0.1 " + std::to_string(first);
        nodes_.push_back(std::make_unique<RedisProcess>(
            RedisProcess::Options{directory + "/node" + std::to_string(i), port, false, config}));
        nodes_.back()->start();
    }
    await_replicas(2);
}

void RedisCluster::start_sentinels(const std::string& directory) {
    const std::string& name = options_.primary;
    const bool ours = options_.sentinels.empty();
    std::string config = "protected-mode no\nsentinel announce-ip 127.0.0.1\nsentinel monitor " +
                         name + " 127.0.0.1 " + std::to_string(nodes_[0]->at().port) + " 2\n";
    config += ours ? "sentinel down-after-milliseconds " + name + " " + kPatient +
                         "\nsentinel failover-timeout " + name + " 3000\nsentinel parallel-syncs " +
                         name + " 2\n"
                   : options_.sentinels;
    for (std::size_t i = 0; i < 3; ++i) {
        sentinels_.push_back(std::make_unique<RedisProcess>(
            RedisProcess::Options{directory + "/sentinel" + std::to_string(i), free_port(), true,
                                  config + options_.sentinel_extra}));
        sentinels_.back()->start();
        if (ours) {
            hurry(i);
        }
    }
}

void RedisCluster::hurry(std::size_t i) {
    (void)sentinel(i).ask({"SENTINEL", "DEBUG", "info-period", "500", "publish-period", "500",
                           "ping-period", "200", "ask-period", "200", "tilt-trigger", "60000",
                           "tilt-period", "1000"});
}

void RedisCluster::set_patience(const char* down_after_ms) {
    for (const auto& s : sentinels_) {
        if (options_.sentinels.empty() && s->running()) {
            EXPECT_EQ(s->ask({"SENTINEL", "SET", options_.primary, "down-after-milliseconds",
                              down_after_ms}),
                      "OK");
        }
    }
}

void RedisCluster::cut_off(std::size_t replica) {
    RedisProcess& r = node(replica);
    (void)r.ask({"CONFIG", "SET", "masteruser", "nobody"});
    (void)r.ask({"CONFIG", "SET", "masterauth", "nothing"});
    (void)r.ask({"CLIENT", "KILL", "TYPE", "master"});
}

void RedisCluster::let_back(std::size_t replica) {
    (void)node(replica).ask({"CONFIG", "SET", "masteruser", ""});
    (void)node(replica).ask({"CONFIG", "SET", "masterauth", ""});
}

RedisPlace RedisCluster::place(RedisTimeouts timeouts) const {
    RedisPlace p;
    for (const auto& s : sentinels_) {
        p.sentinels.push_back(s->at());
    }
    p.primary_name = options_.primary;
    p.timeouts = timeouts;
    return p;
}

std::size_t RedisCluster::named() {
    std::map<std::int64_t, int> votes;
    for (const auto& s : sentinels_) {
        RedisLink l;
        if (s->running() && l.connect(s->at(), {}, kSlowMachine)) {
            const auto named = l.call({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", options_.primary});
            ++votes[named ? named.value()[1].integer() : 0];
        }
    }
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        if (votes[nodes_[i]->at().port] >= 2) {
            return i;
        }
    }
    return SIZE_MAX;
}

bool RedisCluster::replaced(std::size_t old) {
    for (const auto& s : sentinels_) {
        RedisLink l;
        if (!s->running() || !l.connect(s->at(), {}, kSlowMachine)) {
            continue;
        }
        const auto at = l.call({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", options_.primary});
        // It refuses where one is under way, and where no replica is fit yet: told again, then.
        if (at && at.value()[1].text() == std::to_string(node(old).at().port)) {
            (void)l.call({"SENTINEL", "FAILOVER", options_.primary});
        }
        break;  // another one would begin a failover of its own
    }
    const std::size_t now = named();
    return now != SIZE_MAX && now != old;
}

std::size_t RedisCluster::primary(std::size_t not_this) {
    std::size_t found = SIZE_MAX;
    EXPECT_TRUE(eventually([&] {
        if (not_this != SIZE_MAX && !replaced(not_this)) {
            return false;
        }
        found = named();
        if (found == SIZE_MAX || !node(found).running()) {
            return false;
        }
        RedisLink l;
        if (!l.connect(node(found).at(), {}, kSlowMachine)) {
            return false;
        }
        const auto role = l.call({"ROLE"});
        return role.ok() && role.value()[0].text() == "master";
    })) << "no primary: "
        << sentinels_[0]->log();
    return found;
}

void RedisCluster::await_replicas(std::size_t n) {
    EXPECT_TRUE(eventually([&] {
        for (const auto& node : nodes_) {
            RedisLink l;
            if (!node->running() || !l.connect(node->at(), {}, kSlowMachine)) {
                continue;
            }
            const auto info = l.call({"INFO", "replication"});
            std::size_t online = 0;
            for (std::size_t at = 0; info.ok() && (at = info.value().text().find(
                                                       "state=online", at)) != std::string::npos;
                 ++at) {
                ++online;
            }
            if (online >= n) {
                return true;
            }
        }
        return false;
    })) << nodes_[0]->log();
}

}  // namespace millrace::redis_test
