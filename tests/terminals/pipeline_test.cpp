// Goal: a pipeline whose terminal, whose keeper of terminals and whose supervisor are killed while
// it trades loses and doubles nothing, and has its terminal back each time. Method: `millrace up`,
// a source over TCP, a terminal that runs the Expert Advisor's own source (tests/mt5) behind a
// shell, as a real one stands behind a wrapper; SIGKILL; then every result against the broker's
// books.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "gateway/signal_client.h"
#include "shm/role.h"
#include "tests/covers.h"
#include "tests/mt5/desk.h"
#include "tests/ops/quiet_port.h"
#include "tests/terminals/keeper_world.h"
#include "tools/terminals/terminal_process.h"

namespace millrace::terminals::test {
namespace {

constexpr const char* kHexKey = "00112233445566778899aabbccddeeff";

class TerminalPipeline : public testing::Test {
protected:
    struct Life {
        bool done = false;
        std::map<std::uint64_t, std::int64_t> orders;  // executed volume by magic
    };

    ~TerminalPipeline() override {
        if (runs && supervisor == 0) {
            up();  // stages and terminals live: somebody has to end them
        }
        stop();
        if (HasFailure()) {
            std::fprintf(stderr, "--- log of `millrace up`:\n%s---\n", text("log").c_str());
        }
    }

    /// @param inputs more of the Expert Advisor's: " --input NAME=VALUE".
    void start(const std::string& inputs = "") {
        std::ofstream{dir.path("config.json")}
            << R"({"accounts":[{"login":1001,"key":")" << kHexKey
            << R"(","margin_mode":"hedging","balance":"100000"}],"symbols":["EURUSD"]})";
        const std::string host = std::string{MT5_HOST} + " -c " + dir.path("config.json") +
                                 " --connect 127.0.0.1:" + std::to_string(bridge.number()) +
                                 " --books " + dir.path("books") + " --journal-dir " +
                                 dir.path("files") + " --control " + dir.path("control") +
                                 " --quote EURUSD=1.10000/1.10010 --absent-after-ms 100" +
                                 " --input InpTickSymbols=EURUSD" + inputs;
        // Not `exec`: the shell stays, as xvfb-run does, and dies when the terminal does.
        std::ofstream{dir.path("c.json")}
            << R"({"name": "termpipe-)" << ::getpid()
            << R"(", "journal": {"dir": "j"}, "listen": {)"
            << R"("signals": "127.0.0.1:)" << signals.number() << R"(", "bridge": "127.0.0.1:)"
            << bridge.number() << R"("}, "symbols": [{"name": "EURUSD"}], "accounts": [{"name":)"
            << R"( "a1", "login": 1001, "key": ")" << kHexKey << R"(", "rate_per_second": 1000,)"
            << R"( "rate_burst": 1000, "terminal": {"command": ["/bin/sh", "-c", ")" << host
            << R"(; exit $?"], "retry_s": 1}}], "groups": [{"name": "g", "members": [{"account":)"
            << R"( "a1"}]}], "risk": {"answer_timeout_ms": 500, "tick_age_max_ms": 0},)"
            << R"( "sources": [{"name": "src", "key": ")" << kHexKey << R"("}]})";
        up();
        SignalClientOptions options;
        options.port = signals.number();
        options.source = "src";
        for (int i = 0; i < 16; ++i) {
            options.key.push_back(static_cast<std::byte>(i * 0x11));
        }
        SignalCallbacks callbacks;
        callbacks.on_ack = [](const SignalAnswer&) {};
        callbacks.on_refused = [this](const SignalAnswer& a) { lives[a.id].done = true; };
        callbacks.on_result = [this](const SignalResult& r) {
            if (r.kind == ResultKind::OrderDone) {
                lives[r.signal].orders[r.magic] = r.cum_volume.value;
            } else if (r.kind == ResultKind::SignalDone) {
                lives[r.signal].done = true;
            }
        };
        std::string message;
        auto made = SignalClient::create(options, callbacks, message);
        ASSERT_TRUE(made.ok()) << message;
        client = std::move(made).value();
    }
    void up() {
        runs = true;
        supervisor = ::fork();
        if (supervisor == 0) {
            ::setsid();
            const int fd =
                ::open(dir.path("log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
            ::dup2(fd, STDOUT_FILENO);
            ::dup2(fd, STDERR_FILENO);
            ::execl(MILLRACE_EXECUTABLE, "millrace", "up", "-c", dir.path("c.json").c_str(),
                    nullptr);
            ::_exit(127);
        }
    }
    /// In order. @return its wait status.
    int stop() {
        int status = -1;
        if (supervisor > 0) {
            ::kill(supervisor, SIGTERM);
            ::waitpid(supervisor, &status, 0);
            supervisor = 0;
            runs = false;
        }
        return status;
    }
    void kill_supervisor() {
        ::kill(supervisor, SIGKILL);
        ::waitpid(supervisor, nullptr, 0);
        supervisor = 0;
    }
    /// Every process of `millrace`, as if their memory had failed; the terminal lives.
    void kill_pipeline() {
        kill_supervisor();
        EXPECT_TRUE(eventually([this] {
            bool any = false;
            for (const auto& entry : std::filesystem::directory_iterator{"/proc"}) {
                std::stringstream line;
                line << std::ifstream{entry.path() / "cmdline"}.rdbuf();
                if (line.str().find(dir.path("c.json")) != std::string::npos) {
                    any = true;
                    ::kill(std::stoi(entry.path().filename().string()), SIGKILL);
                }
            }
            return !any;
        })) << "some of it cannot be killed";
    }
    [[nodiscard]] std::string text(const std::string& name) const {
        std::stringstream all;
        all << std::ifstream{dir.path(name)}.rdbuf();
        return all.str();
    }
    /// Who a pid file of j/terminals names, if he lives.
    [[nodiscard]] std::optional<ProcessId> process(const std::string& name) const {
        ProcessId id;
        std::ifstream file{dir.path("j/terminals/" + name)};
        return file >> id.pid >> id.start_time && id.alive() ? std::optional{id} : std::nullopt;
    }
    ProcessId wait_process(const std::string& name, ProcessId than = {}) {
        std::optional<ProcessId> found;
        EXPECT_TRUE(eventually([&] {
            client->poll(1);
            found = process(name);
            return found && *found != than;
        })) << name;
        return found.value_or(ProcessId{});
    }
    /// Kills it and waits until another one has its place.
    ProcessId replaced(const std::string& name) {
        const ProcessId old = wait_process(name);
        if (auto watch = ProcessWatch::open(old); watch.ok()) {
            watch.value().send(SIGKILL);
        }
        return wait_process(name, old);
    }
    SignalId submit() {
        SignalRequest request;
        request.id = {7, lives.size() + 1};
        request.group = "g";
        request.symbol = "EURUSD";
        request.action = SignalAction::Open;
        request.volume = Lots{kScale / 10};
        EXPECT_TRUE(client->submit(request).ok());
        lives[request.id];
        return request.id;
    }
    bool wait_all_done() {
        return eventually(
            [&] {
                client->poll(5);
                return std::all_of(lives.begin(), lives.end(),
                                   [](const auto& life) { return life.second.done; });
            },
            kDoubtEnds);
    }
    /// Tries until one is executed: the terminal may be on its way.
    void trade() {
        ASSERT_TRUE(eventually(
            [&] {
                const SignalId id = submit();
                EXPECT_TRUE(wait_all_done());
                const auto& orders = lives[id].orders;
                return std::any_of(orders.begin(), orders.end(),
                                   [](const auto& order) { return order.second > 0; });
            },
            2 * kDoubtEnds));
    }

    /// A terminal that dies between its journal and its broker leaves an order in doubt. Absence
    /// takes three readings, one a look-up, which come at once (too early), after 10, 40 and 70 s.
    static constexpr std::chrono::seconds kDoubtEnds{240};

    mt5::test::TempDir dir;
    millrace::test::QuietPort signals;
    millrace::test::QuietPort bridge;
    pid_t supervisor = 0;
    bool runs = false;  // the pipeline, with or without its supervisor
    std::unique_ptr<SignalClient> client;
    std::map<SignalId, Life> lives;
};

TEST_F(TerminalPipeline, LosesAndDoublesNothingWhateverOfItsTerminalsIsKilled) {
    ASSERT_NO_FATAL_FAILURE(start());
    ASSERT_NO_FATAL_FAILURE(trade());
    for (int round = 0; round < 4; ++round) {
        for (int i = 0; i < 5; ++i) {
            submit();
            client->poll(round);
        }
        replaced("accounts/a1/pid");
        ASSERT_NO_FATAL_FAILURE(trade());
    }
    const ProcessId before = wait_process("accounts/a1/pid");
    replaced("pid");  // millrace-terminals
    ASSERT_NO_FATAL_FAILURE(trade());
    kill_supervisor();
    ASSERT_NO_FATAL_FAILURE(trade());
    up();
    ASSERT_TRUE(eventually(
        [&] { return text("log").find("terminals: adopted pid") != std::string::npos; }));
    EXPECT_EQ(process("accounts/a1/pid"), before) << "not the one that ran";
    submit();
    replaced("accounts/a1/pid");
    ASSERT_NO_FATAL_FAILURE(trade());
    ASSERT_TRUE(wait_all_done());
    std::int64_t executed = 0;
    for (const auto& [id, life] : lives) {
        for (const auto& [magic, volume] : life.orders) {
            const auto booked = mt5::test::booked(dir, Magic{magic}.intent());
            EXPECT_FALSE(booked.doubled) << magic;
            EXPECT_LE(booked.executions, 1U) << magic;
            EXPECT_EQ(booked.volume, volume) << magic;
            executed += volume > 0 ? 1 : 0;
        }
    }
    EXPECT_GE(executed, 8) << "hardly anything was traded: this proves little";
    millrace::test::covered("signals", lives.size());
    millrace::test::covered("orders executed", static_cast<std::uint64_t>(executed));
    const ProcessId last = wait_process("accounts/a1/pid");
    EXPECT_EQ(stop(), 0);
    EXPECT_FALSE(last.alive()) << "`down` leaves the terminal";
}

TEST_F(TerminalPipeline, ThatIsKilledWholeIsFlattenedByItsTerminalAndGoesOnAfterwards) {
    mt5::test::HostProcess terminal{dir,
                                    bridge.number()};  // the pipeline's own, for its control line
    ASSERT_NO_FATAL_FAILURE(start(" --input InpDeadManSeconds=2 --input InpDeadManAction=6"));
    // A machine that stands still for two seconds is a dead engine, too.
    ASSERT_TRUE(eventually([&] { return trade(), terminal.stat("positions") > 0; }));
    const ProcessId now = wait_process("accounts/a1/pid");
    kill_pipeline();
    EXPECT_TRUE(eventually([&] { return terminal.stat("positions") == 0; }));
    EXPECT_TRUE(now.alive()) << "its broker closed nothing, another terminal did";
    up();
    ASSERT_NO_FATAL_FAILURE(trade());
    EXPECT_TRUE(wait_all_done());
    EXPECT_EQ(stop(), 0);
}

TEST_F(TerminalPipeline, DownEndsTerminalsAndExecutorsWhoseSupervisorHasDied) {
    ASSERT_NO_FATAL_FAILURE(start());
    const ProcessId keeper = wait_process("pid");
    const ProcessId terminal = wait_process("accounts/a1/pid");
    // A stand-in for a FIX executor, which is found and ended in the same way.
    const int executor = ::fork();
    if (executor == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::pause();
        ::_exit(0);
    }
    std::filesystem::create_directories(dir.path("j/fix/venue"));
    std::ofstream{dir.path("j/fix/venue/pid")} << executor << ' ' << process_start_time(executor);
    ASSERT_NO_FATAL_FAILURE(trade());
    const auto command = [this](const std::string& words) {
        return std::system((std::string{MILLRACE_EXECUTABLE} + " " + words + " -c " +
                            dir.path("c.json") + " >" + dir.path("down") + " 2>&1")
                               .c_str());
    };
    EXPECT_EQ(command("terminal stop a1 --dry-run"), 0) << text("down");
    EXPECT_NE(text("down").find("a1: would be told to stop (now "), std::string::npos);
    EXPECT_NE(command("terminal stop a2 --dry-run"), 0) << text("down");
    kill_supervisor();
    EXPECT_EQ(command("down --dry-run"), 0) << text("down");
    EXPECT_NE(text("down").find("there is no supervisor: would drain and stop: "),
              std::string::npos);
    EXPECT_TRUE(terminal.alive()) << "nothing was to be stopped";
    EXPECT_EQ(command("down"), 0) << text("down");
    runs = false;
    EXPECT_FALSE(keeper.alive()) << text("down");
    EXPECT_FALSE(terminal.alive()) << text("down");
    int status = 0;
    if (::waitpid(executor, &status, WNOHANG) == 0) {
        ADD_FAILURE() << text("down");
        ::kill(executor, SIGKILL);
        ::waitpid(executor, &status, 0);
    }
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

}  // namespace
}  // namespace millrace::terminals::test
