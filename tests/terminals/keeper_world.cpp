#include "tests/terminals/keeper_world.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "core/order_status.h"
#include "shm/role.h"
#include "tests/covers.h"
#include "tools/millrace/pid_file.h"
#include "tools/millrace/startup.h"
#include "tools/terminals/terminal_process.h"

namespace millrace::terminals::test {
namespace {

constexpr std::uint64_t kFirstLogin = 1001;

/// fork + exec with both streams in `log`, dying with us.
int run(const std::vector<std::string>& arguments, const std::string& log) {
    std::vector<char*> argv;
    for (const std::string& a : arguments) {
        argv.push_back(const_cast<char*>(a.c_str()));
    }
    argv.push_back(nullptr);
    const int pid = ::fork();
    if (pid == 0) {
        ::setsid();
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        ::dup2(fd, STDOUT_FILENO);
        ::dup2(fd, STDERR_FILENO);
        ::execv(argv[0], argv.data());
        ::_exit(127);
    }
    return pid;
}

}  // namespace

bool eventually(const std::function<bool()>& condition, std::chrono::seconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
    return true;
}

KeeperWorld::~KeeperWorld() {
    if (keeper > 0) {
        kill_keeper();
    }
    for (std::size_t i = 0; i < accounts; ++i) {
        const std::string name = "a" + std::to_string(i);
        TerminalProcess process{folder(name)};
        if (process.adopt()) {
            process.kill();  // by its pid too: one that is not the command yet has no mark
        }
        while (process.runs()) {
            std::this_thread::yield();
        }
        int pid = 0;
        std::ifstream{folder(name) + "/" + kPidFile} >> pid;
        while (pid > 0 && kill_session(pid, folder(name)) > 0) {
            std::this_thread::yield();
        }
    }
    if (segment) {
        ::unlink(segment->path().c_str());
    }
    if (HasFailure()) {
        std::fprintf(stderr, "--- log of millrace-terminals:\n%s---\n", text("log").c_str());
    }
}

void KeeperWorld::configure(const std::vector<Script>& scripts, const std::string& terminals) {
    accounts = scripts.size();
    std::string all;
    for (std::size_t i = 0; i < accounts; ++i) {
        const std::string name = "a" + std::to_string(i);
        const nlohmann::json command{
            "/bin/sh", "-c", "echo " + name + " >>" + dir / "starts" + "; " + scripts[i].text};
        all += (i == 0 ? "" : ",\n  ") + std::string{R"({"name": ")"} + name + R"(", "login": )" +
               std::to_string(kFirstLogin + i) +
               R"(, "key": "00112233445566778899aabbccddeeff", "terminal": {"command": )" +
               command.dump() + scripts[i].settings + "}}";
    }
    config = dir.write("c.json", R"({"name": "term-)" + std::to_string(::getpid()) +
                                     R"(", "journal": {"dir": "j", "file_mib": 1},
 "rings": {"journal": 1024, "orders": 256, "reports": 256, "signals": 256, "results": 256,
           "admin": 64, "session": 16},
 "accounts_max": 8, "capacity": {"orders": 1024, "ledger": 4096},
 "accounts": [)" + all + "]" + terminals +
                                     "}\n");
    std::vector<Mistake> mistakes;
    const Config read = read_config(config, mistakes);
    ASSERT_TRUE(mistakes.empty()) << to_string(mistakes[0]);
    std::string message;
    ASSERT_TRUE(prepare_journal_dir(read.journal, false, message)) << message;
    IdBook ids;
    ASSERT_TRUE(prepare_records(read, ids, message)) << message;
    bool created = false;
    auto made = prepare_segment(read, ids, created, message);
    ASSERT_TRUE(made.ok() && created) << message;
    segment = std::move(made).value();
    for (std::uint32_t i = 0; i < accounts; ++i) {
        segment->session(AccountId{i}).login = kFirstLogin + i;
    }
    // A broker stage that works for as long as a test may last.
    StageEntry& broker = segment->stage(StageId::Broker);
    broker.heartbeat_ns = (segment->clock().now() + seconds(3600)).value;
    broker.state = static_cast<std::uint32_t>(StageState::Running);
}

void KeeperWorld::start_keeper() {
    millrace::test::covered("runs of millrace-terminals");
    keeper = run({MILLRACE_TERMINALS, "-c", config}, dir / "log");
}

void KeeperWorld::kill_keeper() {
    ::kill(keeper, SIGKILL);
    ::waitpid(keeper, nullptr, 0);
    keeper = 0;
}

int KeeperWorld::stop_keeper() {
    ::kill(keeper, SIGTERM);
    int status = -1;
    const bool ended = eventually([&] { return ::waitpid(keeper, &status, WNOHANG) == keeper; });
    EXPECT_TRUE(ended) << "it does not end";
    keeper = ended ? 0 : keeper;
    return status;
}

void KeeperWorld::session(std::uint32_t account, bool up) {
    segment->session(AccountId{account}).link =
        static_cast<std::uint32_t>(up ? LinkState::Up : LinkState::Down);
}

void KeeperWorld::live_orders(std::uint32_t account, std::uint64_t count) {
    segment->session(AccountId{account}).live_orders = count;
}

std::string KeeperWorld::text(const std::string& name) const {
    std::stringstream all;
    all << std::ifstream{dir / name}.rdbuf();
    return all.str();
}

std::vector<std::string> KeeperWorld::starts() const {
    std::istringstream all{text("starts")};
    std::vector<std::string> lines;
    for (std::string line; std::getline(all, line);) {
        lines.push_back(line);
    }
    return lines;
}

std::optional<ProcessId> KeeperWorld::process(const std::string& account) const {
    ProcessId id;
    std::ifstream file{folder(account) + "/" + kPidFile};
    return file >> id.pid >> id.start_time && id.alive() ? std::optional{id} : std::nullopt;
}

ProcessId KeeperWorld::wait_process(const std::string& account, ProcessId than) {
    std::optional<ProcessId> found;
    EXPECT_TRUE(eventually([&] {
        found = process(account);
        return found && *found != than;
    })) << account;
    millrace::test::covered("processes of terminals");
    return found.value_or(ProcessId{});
}

int KeeperWorld::run_command(const std::string& arguments) const {
    const std::string line = std::string{MILLRACE_EXECUTABLE} + " terminal " + arguments + " -c " +
                             config + " >" + dir / "command" + " 2>&1";
    const int pid = run({"/bin/sh", "-c", line}, "/dev/null");
    int ended = 0;
    ::waitpid(pid, &ended, 0);
    return WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
}

std::string KeeperWorld::command(const std::string& arguments, int status) const {
    EXPECT_EQ(run_command(arguments), status) << arguments << ": " << text("command");
    return text("command");
}

nlohmann::json KeeperWorld::listed(const std::string& account) const {
    if (run_command("list --json") == 0) {  // or it does not listen yet
        const auto answer = nlohmann::json::parse(text("command"));
        for (const auto& t : answer.at("terminals")) {
            if (t.at("account") == account) {
                return t;
            }
        }
    }
    return nlohmann::json::object();
}

bool KeeperWorld::wait_state(const std::string& account, const std::string& state) const {
    return eventually([&] { return listed(account).value("state", "") == state; });
}

std::string KeeperWorld::error_of(const std::string& who) const {
    for (std::uint32_t i = 0; i < kErrors; ++i) {
        const ErrorEntry& e = segment->error(i);
        if (e.count.load(std::memory_order_acquire) > 0 && who == e.stage) {
            return e.text;
        }
    }
    return "";
}

}  // namespace millrace::terminals::test
