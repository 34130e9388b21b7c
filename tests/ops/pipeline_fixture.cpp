#include "tests/ops/pipeline_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <sstream>
#include <thread>

#include "shm/role.h"

namespace millrace::test {
namespace {

/// fork + exec with both streams in `log`.
int start(const std::vector<std::string>& arguments, const std::string& log) {
    std::vector<char*> argv;
    for (const std::string& a : arguments) {
        argv.push_back(const_cast<char*>(a.c_str()));
    }
    argv.push_back(nullptr);
    const int pid = ::fork();
    if (pid == 0) {
        const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        ::dup2(fd, 1);
        ::dup2(fd, 2);
        ::execv(argv[0], argv.data());
        ::_exit(127);
    }
    return pid;
}

std::string read_file(const std::string& path) {
    std::stringstream text;
    text << std::ifstream{path, std::ios::binary}.rdbuf();
    return text.str();
}

constexpr StageId kStageIds[] = {StageId::Engine,  StageId::Broker, StageId::Journal,
                                 StageId::Replica, StageId::Sqlite, StageId::Ingress};

}  // namespace

bool eventually(const std::function<bool()>& condition) {
    const std::int64_t deadline = monotonic_ns() + 180'000'000'000;
    while (!condition()) {
        if (monotonic_ns() > deadline) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{2});
    }
    return true;
}

int pid_of(const Segment& segment, StageId id) {
    return static_cast<int>(segment.stage(id).pid.load(std::memory_order_relaxed));
}

bool runs(const Segment& segment, StageId id) {
    const StageEntry& e = segment.stage(id);
    const auto state = static_cast<StageState>(e.state.load(std::memory_order_relaxed));
    return (state == StageState::Running || state == StageState::Standby) &&
           ProcessId{pid_of(segment, id), e.start_time.load(std::memory_order_relaxed)}.alive();
}

Pipeline::Pipeline(int stuck_ms) : stuck_ms_{stuck_ms} {
    static int count = 0;
    name_ = "t" + std::to_string(::getpid()) + "-" + std::to_string(++count);
    write_config();
}

Pipeline::~Pipeline() {
    if (supervisor_ > 0) {
        ::kill(supervisor_, SIGKILL);
        ::waitpid(supervisor_, nullptr, 0);
    }
    kill_leftovers();
    ::unlink(segment_path().c_str());
    if (::testing::Test::HasFailure()) {
        std::fprintf(stderr, "--- log of `millrace up`:\n%s---\n", log().c_str());
    }
}

void Pipeline::kill_all() {
    ::kill(supervisor_, SIGKILL);
    wait_supervisor();
    kill_leftovers();
}

/// Only what holds a role in this test's own journal directory. Twice: a spare takes over.
void Pipeline::kill_leftovers() {
    for (int round = 0; round < 3; ++round) {
        for (const StageId id : kStageIds) {
            const int pid = RoleLock::holder_pid(journal_dir(), stage_name(id));
            auto watch = ProcessWatch::open({pid, process_start_time(pid)});
            if (pid > 0 && watch) {
                watch.value().send(SIGKILL);
                (void)watch.value().wait_dead(seconds(180));
            }
        }
    }
}

std::string Pipeline::config_text(const std::string& extra) const {
    const std::string key = "\"key\": \"00112233445566778899aabbccddeeff\"";
    return R"({"name": ")" + name_ + R"(", "journal": {"dir": "j", "file_mib": 1},
 "listen": {"signals": "127.0.0.1:)" +
           std::to_string(ports_[0].number()) + R"(", "bridge": "127.0.0.1:)" +
           std::to_string(ports_[1].number()) +
           R"("},
 "rings": {"journal": 1024, "orders": 256, "reports": 256, "signals": 256, "results": 256,
           "admin": 64},
 "accounts_max": 8, "capacity": {"orders": 1024, "ledger": 4096}, "restart": {"stuck_ms": )" +
           std::to_string(stuck_ms_) + R"(},
 "symbols": [{"name": "EURUSD"}], "groups": [{"name": "g", "members": [{"account": "a1"}]}],
 "accounts": [{"name": "a1", "login": 1001, )" +
           key + R"(}],
 "sources": [{"name": "src", )" +
           key + "}]" + extra + "}\n";
}

void Pipeline::up(const std::string& log, const std::vector<std::string>& options) {
    std::vector<std::string> arguments = {executable_, "up", "-c", config_};
    arguments.insert(arguments.end(), options.begin(), options.end());
    supervisor_ = start(arguments, dir_ / log);
}

bool Pipeline::wait_running() {
    return eventually([&] {
        std::string message;
        const auto s = Segment::attach(segment_path(), Segment::Mode::ReadOnly, message);
        if (!s || s.value().core().config_hash.load(std::memory_order_relaxed) == 0) {
            return false;
        }
        for (const StageId id : kStageIds) {
            if (!runs(s.value(), id)) {
                return false;
            }
        }
        return true;
    });
}

Finished Pipeline::run(std::vector<std::string> arguments, bool with_config) {
    static int count = 0;
    const std::string out = dir_ / ("run" + std::to_string(++count));
    arguments.insert(arguments.begin(), executable_);
    if (with_config) {
        arguments.insert(arguments.end(), {"-c", config_});
    }
    const int pid = start(arguments, out);
    int status = 0;
    ::waitpid(pid, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_file(out)};
}

std::string Pipeline::log(const std::string& name) const {
    return read_file(dir_ / name);
}

int Pipeline::wait_supervisor() {
    int status = -1;
    const bool ended =
        eventually([&] { return ::waitpid(supervisor_, &status, WNOHANG) == supervisor_; }) ||
        eventually([&] { return ::waitpid(supervisor_, &status, WNOHANG) == supervisor_; });
    supervisor_ = ended ? 0 : supervisor_;
    return ended ? status : -1;
}

Segment Pipeline::attach() const {
    std::string message;
    auto s = Segment::attach(segment_path(), Segment::Mode::ReadWrite, message);
    EXPECT_TRUE(s.ok()) << message;
    return std::move(s).value();
}

}  // namespace millrace::test
