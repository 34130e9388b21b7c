// millrace-fix: the executor of one account of kind "fix". `millrace up` starts it.
#include "gateway/fix/profile.h"
#include "tools/fix/executor.h"
#include "tools/millrace/config.h"
#include "tools/millrace/executors.h"
#include "tools/millrace/fix_config.h"
#include "tools/millrace/pid_file.h"
#include "tools/millrace/stages.h"

#include <CLI/CLI.hpp>

#include <arpa/inet.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

namespace {

using namespace millrace;

void add_instruments(const Config& config, const AccountConfig& account, const FixConfig& f,
                     fix::ExecutorOptions& options) {
    for (const SymbolConfig& s : config.symbols) {
        const auto mapped =
            std::find_if(f.symbols.begin(), f.symbols.end(),
                         [&](const FixSymbolConfig& known) { return known.name == s.name; });
        const bool named = mapped != f.symbols.end() && !mapped->venue.empty();
        options.symbols.emplace_back(account.symbol_prefix + s.name + account.symbol_suffix,
                                     named ? mapped->venue : s.name);
        fix::Instrument instrument;
        instrument.units_per_lot = s.contract_size;
        if (mapped != f.symbols.end() && mapped->units_per_lot > 0) {
            instrument.units_per_lot = mapped->units_per_lot;
        }
        instrument.digits = static_cast<std::uint8_t>(s.digits);
        options.instruments.push_back(instrument);
    }
    for (std::size_t i = 0; i < options.symbols.size(); ++i) {
        options.instruments[i].symbol = options.symbols[i].first;
        options.instruments[i].venue_symbol = options.symbols[i].second;
    }
}

fix::SessionSettings session_of(const FixConfig& f, const fix::Profile& profile) {
    fix::SessionSettings s;
    s.host = f.host;
    s.port = f.port;
    s.backup_host = f.backup_host;
    s.backup_port = f.backup_port;
    s.sender_comp_id = f.sender_comp_id;
    s.target_comp_id = f.target_comp_id;
    s.sender_sub_id = f.sender_sub_id;
    s.target_sub_id = f.target_sub_id;
    s.username = f.username;
    s.password = f.password;
    s.heartbeat_s = f.heartbeat_s;
    s.reconnect_ms = f.reconnect_s * 1000;
    s.pause_ms = f.pause_s * 1000;
    s.refusals_max = f.refusals_max;
    s.reset_on_logon = profile.reset_on_logon;
    s.tls = !f.tls_ca_file.empty();
    s.tls_ca_file = f.tls_ca_file;
    s.tls_name = f.tls_name;
    return s;
}

fix::ExecutorOptions options_of(const Config& config, const AccountConfig& account,
                                const FixConfig& f) {
    fix::ExecutorOptions options;
    options.profile = *fix::find_profile(f.profile);
    options.link.name = account.name;
    options.link.login = account.login;
    options.link.key = account.key;
    options.link.margin_mode = account.margin_mode;
    options.link.server.sin_family = AF_INET;
    options.link.server.sin_port = htons(config.bridge.port);
    ::inet_pton(AF_INET, config.bridge.address.c_str(), &options.link.server.sin_addr);
    if (options.link.server.sin_addr.s_addr == htonl(INADDR_ANY)) {
        options.link.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    options.session = session_of(f, options.profile);
    options.account = f.account;
    options.folder = executor_folder(config, account.name);
    options.quotes = f.quotes;
    options.collateral_s = f.collateral_s;
    options.absent_after_ms = f.absent_after_ms;
    options.denial_is_proof = f.denial_is_proof;
    return options;
}

int watch_signals(sim::EventLoop& loop) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    const int fd = ::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    loop.watch(fd, EPOLLIN, [&loop](std::uint32_t) { loop.stop(); });
    return fd;
}

struct Arguments {
    std::string config;
    std::string account;
    std::string checked;
    std::uint32_t silence_s = 3;
};

int run(const Arguments& arguments) {
    const std::string& file = arguments.config;
    const std::string& name = arguments.account;
    std::vector<Mistake> mistakes;
    const Config config = read_config(file, mistakes, nullptr, arguments.checked);
    for (const Mistake& m : mistakes) {
        std::fprintf(stderr, "fix: %s\n", to_string(m).c_str());
    }
    if (!mistakes.empty()) {
        return kExitBadConfig;
    }
    const auto account = std::find_if(config.accounts.begin(), config.accounts.end(),
                                      [&](const AccountConfig& a) { return a.name == name; });
    const std::vector<FixConfig> of_fix = fix_accounts(config);
    const auto venue = std::find_if(of_fix.begin(), of_fix.end(),
                                    [&](const FixConfig& f) { return f.account_name == name; });
    if (account == config.accounts.end() || venue == of_fix.end()) {
        std::fprintf(stderr, "fix: %s has no account \"%s\" of kind \"fix\"\n", file.c_str(),
                     name.c_str());
        return kExitBadConfig;
    }
    std::error_code none;  // a folder that cannot be made is noticed by its first file
    std::filesystem::create_directories(executor_folder(config, name), none);
    sim::EventLoop loop;
    const int signals = watch_signals(loop);
    fix::ExecutorOptions options = options_of(config, *account, *venue);
    options.link.silence_max = seconds(arguments.silence_s);
    add_instruments(config, *account, *venue, options);
    bool held = false;
    fix::Executor executor{loop, std::move(options)};
    if (const std::string wrong = executor.start(held); !wrong.empty()) {
        std::fprintf(stderr, "fix: account %s: %s\n", name.c_str(), wrong.c_str());
        return held ? kExitRoleHeld : kExitError;
    }
    // So that the next `millrace up` finds the process that runs.
    if (!write_pid_file(executor_folder(config, name))) {
        std::fprintf(stderr, "fix: account %s: cannot write its pid file\n", name.c_str());
    }
    std::printf("fix: account %s: ready\n", name.c_str());
    std::fflush(stdout);
    loop.run();
    executor.stop();
    loop.forget(signals);
    ::close(signals);
    return kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"The executor of one FIX account: bridge protocol here, FIX 4.4 to the venue"};
    Arguments a;
    app.add_option("-c,--config", a.config, "the pipeline's configuration")->required();
    app.add_option("-a,--account", a.account, "an account of kind \"fix\"")->required();
    app.add_option("--checked", a.checked, "a copy of the configuration as it was when checked");
    app.add_option("--silence-s", a.silence_s, "of the broker stage, until the link is down")
        ->capture_default_str();
    CLI11_PARSE(app, argc, argv);
    return run(a);
}
