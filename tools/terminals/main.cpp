// millrace-terminals: starts the terminals of a pipeline and keeps them running. `millrace up`
// starts it, as it starts executors; its death stops no terminal and no stage.
#include "shm/clock.h"
#include "shm/role.h"
#include "tools/millrace/config.h"
#include "tools/millrace/log.h"
#include "tools/millrace/pid_file.h"
#include "tools/millrace/stages.h"
#include "tools/millrace/terminal_config.h"
#include "tools/simbroker/control.h"
#include "tools/simbroker/event_loop.h"
#include "tools/terminals/keeper.h"
#include "tools/terminals/launch.h"

#include <CLI/CLI.hpp>

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

namespace {

using namespace millrace;

namespace fs = std::filesystem;

constexpr Nanos kTurn = millis(100);

struct Arguments {
    std::string config;
    std::string checked;
    std::string account;
    terminals::LaunchFds fds;
};

void block_signals() {
    sigset_t signals;
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGTERM);
    ::sigaddset(&signals, SIGINT);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
}

int open_signal_fd() {
    sigset_t signals;
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGTERM);
    ::sigaddset(&signals, SIGINT);
    return ::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
}

int launch_one(const Config& config, const Arguments& arguments) {
    for (const TerminalConfig& t : terminals_of(config).terminals) {
        if (t.account_name == arguments.account) {
            return terminals::launch(t, terminal_folder(config.journal.dir, t.account_name),
                                     arguments.fds);
        }
    }
    std::fprintf(stderr, "terminals: no terminal of account \"%s\"\n", arguments.account.c_str());
    return kExitBadConfig;
}

/// @return an ExitCode.
int serve(const Config& config, const Arguments& arguments) {
    std::vector<std::string> launcher{fs::read_symlink("/proc/self/exe"), "-c",
                                      fs::absolute(arguments.config)};
    if (!arguments.checked.empty()) {
        launcher.insert(launcher.end(), {"--checked", fs::absolute(arguments.checked)});
    }
    const std::string folder = terminals_folder(config.journal.dir);
    if (::chdir(folder.c_str()) != 0) {  // kTerminalsControl says why
        log_error("terminals: cannot enter " + folder);
        return kExitError;
    }
    // So that the next `millrace up` finds the process that runs.
    if (!write_pid_file(folder)) {
        log_warn("terminals: cannot write " + folder + "/pid: unfound by the next `millrace up`");
    }
    terminals::Keeper keeper{config, terminals_of(config), std::move(launcher)};
    keeper.begin(Nanos{monotonic_ns()});
    sim::EventLoop loop;
    bool stopping = false;
    const int signals = open_signal_fd();
    loop.watch(signals, EPOLLIN, [&](std::uint32_t) {
        signalfd_siginfo info{};
        while (::read(signals, &info, sizeof info) == ssize_t{sizeof info}) {
            stopping = true;
        }
    });
    sim::ControlServer* asked = nullptr;
    sim::ControlServer control{loop, [&](const std::string& line) {
                                   const ucred peer = asked->peer();
                                   return keeper.answer(line, {peer.uid, peer.pid},
                                                        Nanos{monotonic_ns()});
                               }};
    asked = &control;
    if (const auto listening = control.listen(kTerminalsControl); !listening) {
        log_error(std::string{"terminals: `millrace terminal` will not reach us: "} +
                  listening.error().what);
    }
    for (bool told = false; !told || !keeper.ended();) {
        keeper.turn(Nanos{monotonic_ns()});
        loop.step(kTurn);
        if (stopping && !told) {
            keeper.end(Nanos{monotonic_ns()});
            told = true;
        }
    }
    loop.forget(signals);
    ::close(signals);
    return kExitOk;
}

int run(const Config& config, const Arguments& arguments) {
    std::string message;
    if (!log_start(config.log, "terminals", message)) {
        log_warn(message);
    }
    std::error_code none;  // a folder that cannot be made is noticed when it is entered
    fs::create_directories(terminals_folder(config.journal.dir), none);
    std::string holder;
    const auto role = RoleLock::try_acquire(config.journal.dir, "terminals", holder);
    int code = role.code() == Errc::NotOwner ? kExitRoleHeld : kExitError;
    if (role) {
        code = serve(config, arguments);
    } else {
        log_error("terminals: " + (role.code() == Errc::NotOwner ? "kept by " + holder + " already"
                                                                 : "cannot lock the role"));
    }
    return log_stop(code);
}

}  // namespace

int main(int argc, char** argv) {
    block_signals();  // before any thread is made
    CLI::App app{"Starts and watches the terminals of a pipeline"};
    Arguments a;
    app.add_option("-c,--config", a.config, "the pipeline's configuration")->required();
    app.add_option("--checked", a.checked, "a copy of the configuration as it was when checked");
    app.add_option("-a,--account", a.account, "become the terminal of this account");
    app.add_option("--lock-fd", a.fds.lock, "held until then")->needs("--account");
    app.add_option("--tell-fd", a.fds.tell, "told why not")->needs("--lock-fd");
    CLI11_PARSE(app, argc, argv);
    std::vector<Mistake> mistakes;
    const Config config = read_config(a.config, mistakes, nullptr, a.checked);
    for (const Mistake& m : mistakes) {
        std::fprintf(stderr, "terminals: %s\n", to_string(m).c_str());
    }
    if (!mistakes.empty()) {
        return kExitBadConfig;
    }
    return a.fds.tell >= 0 ? launch_one(config, a) : run(config, a);
}
