// millrace-simbroker: a broker with its own books; the terminals of its accounts, and the venue of
// those that are traded over FIX.
#include "tools/market/generator.h"
#include "tools/market/price_index.h"
#include "tools/market/text.h"
#include "tools/simbroker/control.h"
#include "tools/simbroker/simulator.h"

#include <CLI/CLI.hpp>

#include <arpa/inet.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace {

using namespace millrace;
using namespace millrace::sim;

struct Arguments {
    std::string config;
    std::string connect = "127.0.0.1:7100";
    std::string books = "simbroker.books";
    std::string journal_dir = "simbroker.intents";
    std::string control;
    std::string fix_listen;
    std::string ticks_to;
    std::uint32_t tick_feeds = 1;
    std::vector<std::string> ticks;
    double speed = 1.0;
    std::int64_t origin_ms = 0;
    std::int64_t start_at_ns = 0;
    std::int64_t gap_max_s = 0;
    std::int64_t tick_gap_us = 50'000;
    std::uint64_t seed = 1;
    std::uint32_t absent_after_ms = 2'000;
    bool manual_quotes = false;
    bool no_intent_journal = false;
    bool verbose = false;
};

void describe(CLI::App& app, Arguments& args) {
    app.add_option("-c,--config", args.config, "accounts, symbols, faults (JSON)")->required();
    app.add_option("--connect", args.connect, "broker stage, HOST:PORT")->capture_default_str();
    app.add_option("--books", args.books, "the broker's own books")->capture_default_str();
    app.add_option("--journal-dir", args.journal_dir, "intent journals of the terminals")
        ->capture_default_str();
    app.add_option("--control", args.control,
                   "control line: Unix socket path or local port (0 = any)");
    app.add_option("--fix-listen", args.fix_listen,
                   "clients of accounts with \"fix\", HOST:PORT (port 0 = any)");
    app.add_option("--ticks-to", args.ticks_to, "millrace-ticks, HOST:PORT; absent = none");
    app.add_option("--tick-feeds", args.tick_feeds,
                   "so many accounts' terminals stream their ticks there")
        ->capture_default_str();
    app.add_option("--ticks", args.ticks, "recorded ticks to play (CSV, CSV.gz, MT5 export)")
        ->check(CLI::ExistingFile);
    app.add_option("--speed", args.speed, "recorded seconds played in one second")
        ->check(CLI::Range(0.001, 1e6));
    app.add_option("--origin-ms", args.origin_ms, "recorded time that plays at --start-at-ns");
    app.add_option("--start-at-ns", args.start_at_ns,
                   "wall clock at which playing begins; 0 = now");
    app.add_option("--gap-max-s", args.gap_max_s,
                   "shorten longer gaps in recorded ticks; 0 = keep");
    app.add_option("--tick-gap-us", args.tick_gap_us, "mean time between generated ticks")
        ->check(CLI::Range(1, 60'000'000));
    app.add_option("--seed", args.seed, "of generated ticks and of faults by probability");
    app.add_option("--absent-after-ms", args.absent_after_ms,
                   "when a request without answer or trace counts as not executed");
    app.add_flag("--manual-quotes", args.manual_quotes, "no ticks but those of the control line");
    app.add_flag("--no-intent-journal", args.no_intent_journal,
                 "terminals forget and repeat: doubles become visible in the books");
    app.add_flag("-v,--verbose", args.verbose, "log connections");
}

bool parse_address(const std::string& text, sockaddr_in& address, unsigned long least = 1) {
    const auto colon = text.rfind(':');
    if (colon == std::string::npos) {
        return false;
    }
    const std::string port = text.substr(colon + 1);
    char* end = nullptr;
    const unsigned long number = std::strtoul(port.c_str(), &end, 10);
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(number));
    return *end == '\0' && number >= least && number <= 65'535 &&
           ::inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) == 1;
}

// One socket and one file an account: the usual soft limit of 1,024 is for other programs.
void raise_file_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int watch_signals(EventLoop& loop) {
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

// Symbols of the ticks that the configuration does not describe get their facts from the ticks.
bool use_recorded(const Arguments& args, SimOptions& options) {
    std::string about;
    auto index = market::PriceIndex::read(args.ticks, about);
    if (!index) {
        std::fprintf(stderr, "simbroker: --ticks %s: %s\n", about.c_str(), index.error().what);
        return false;
    }
    for (const auto& [path, defects] : index.value().defects()) {
        std::fprintf(stderr, "simbroker: %s: %s\n", path.c_str(), describe(defects).c_str());
        for (const std::string& example : defects.examples) {
            std::fprintf(stderr, "simbroker:   %s\n", example.c_str());
        }
    }
    for (const Text<16>& symbol : index.value().symbols()) {
        const auto is_it = [&symbol](const market::SymbolInfo& info) {
            return info.name == market::view_of(symbol);
        };
        auto& known = options.config.symbols;
        if (std::none_of(known.begin(), known.end(), is_it)) {
            known.push_back(index.value().info(symbol));
        }
    }
    std::vector<std::unique_ptr<market::TickSource>> sources;
    for (const std::string& path : args.ticks) {
        auto reader = market::TickReader::open(path);
        if (!reader) {
            std::fprintf(stderr, "simbroker: --ticks %s: %s\n", path.c_str(), reader.error().what);
            return false;
        }
        sources.push_back(std::move(reader).value());
    }
    options.ticks = std::make_unique<market::TickMerge>(std::move(sources));
    return true;
}

void use_generator(const Arguments& args, SimOptions& options) {
    if (options.config.symbols.empty()) {
        for (const char* name : {"EURUSD", "GBPUSD", "USDJPY", "XAUUSD"}) {
            options.config.symbols.push_back(market::infer_symbol(name, 0));
        }
    }
    if (args.manual_quotes) {
        return;
    }
    market::GeneratorOptions generator;
    generator.seed = args.seed;
    generator.start = args.origin_ms != 0 ? millis(args.origin_ms) : EventLoop::wall_now();
    generator.mean_gap_ns = args.tick_gap_us * 1'000;
    options.ticks = std::make_unique<market::TickGenerator>(options.config.symbols, generator);
}

bool choose_market(const Arguments& args, SimOptions& options) {
    options.feed.speed = args.speed;
    options.feed.origin = millis(args.origin_ms);
    options.feed.start = Nanos{args.start_at_ns};
    options.feed.gap_max = seconds(args.gap_max_s);
    if (!args.ticks.empty()) {
        return use_recorded(args, options);
    }
    use_generator(args, options);
    return true;
}

int run(const Arguments& args) {
    auto config = load_config(args.config);
    if (const auto* error = std::get_if<ConfigError>(&config)) {
        std::fprintf(stderr, "simbroker: %s\n", error->message.c_str());
        return 2;
    }
    SimOptions options;
    options.config = std::get<SimConfig>(std::move(config));
    options.books_path = args.books;
    options.journal_dir = args.journal_dir;
    options.intent_journal = !args.no_intent_journal;
    options.verbose = args.verbose;
    options.seed = args.seed;
    options.absent_after_ms = args.absent_after_ms;
    if (!parse_address(args.connect, options.connect)) {
        std::fprintf(stderr,
                     "simbroker: --connect %s: must be an IPv4 address and a port, such as "
                     "127.0.0.1:7100\n",
                     args.connect.c_str());
        return 2;
    }
    if (!args.fix_listen.empty() && !parse_address(args.fix_listen, options.fix_listen, 0)) {
        std::fprintf(stderr,
                     "simbroker: --fix-listen %s: must be an IPv4 address and a port, such as "
                     "127.0.0.1:5201\n",
                     args.fix_listen.c_str());
        return 2;
    }
    sockaddr_in ticks_to{};
    if (!args.ticks_to.empty()) {
        if (!parse_address(args.ticks_to, ticks_to)) {
            std::fprintf(stderr,
                         "simbroker: --ticks-to %s: must be an IPv4 address and a port, such as "
                         "127.0.0.1:7403\n",
                         args.ticks_to.c_str());
            return 2;
        }
        options.tick_streams = {args.ticks_to.substr(0, args.ticks_to.rfind(':')),
                                ntohs(ticks_to.sin_port), args.tick_feeds};
    }
    if (!choose_market(args, options)) {
        return 2;
    }
    raise_file_limit();
    EventLoop loop;
    const int signals = watch_signals(loop);
    Simulator simulator{loop, std::move(options)};
    ControlServer control{
        loop, [&simulator](const std::string& line) {
            const auto command = nlohmann::json::parse(line, nullptr, false);
            if (!command.is_object()) {
                return std::string{R"({"error":"a line must be one JSON object","ok":false})"};
            }
            return simulator.control(command).dump();
        }};
    std::uint16_t control_port = 0;
    if (!args.control.empty()) {
        const auto listening = control.listen(args.control);
        if (!listening) {
            std::fprintf(stderr, "simbroker: --control %s: %s: %s\n", args.control.c_str(),
                         listening.error().what, std::strerror(listening.error().sys_errno));
            return 1;
        }
        control_port = listening.value();
    }
    std::string about;
    if (const auto started = simulator.start(about); !started) {
        const Error& error = started.error();
        std::fprintf(stderr, "simbroker: %s: %s%s%s\n", about.c_str(), error.what,
                     error.sys_errno != 0 ? ": " : "",
                     error.sys_errno != 0 ? std::strerror(error.sys_errno) : "");
        return 1;
    }
    std::printf("ready control=%u fix=%u\n", control_port, unsigned{simulator.fix_port()});
    std::fflush(stdout);
    loop.run();
    simulator.finish();
    loop.forget(signals);
    ::close(signals);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{
        "A simulated broker: accounts, books, market, faults; its terminals speak the "
        "bridge protocol"};
    Arguments args;
    describe(app, args);
    CLI11_PARSE(app, argc, argv);
    return run(args);
}
