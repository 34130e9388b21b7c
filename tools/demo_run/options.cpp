#include "tools/demo_run/options.h"

#include <CLI/CLI.hpp>

namespace millrace::demo {
namespace {

constexpr const char* kAbout =
    "Runs the whole pipeline against a simulated broker, kills its stages while it works, and\n"
    "checks the outcome against the broker's own books.\n\n"
    "Exit status 0 only if nothing was lost, doubled or left in doubt, every valid signal that no\n"
    "fault touched was carried out, none expired whose life overlapped no outage, and everything\n"
    "stopped clean. 1: not so. 2: it could not run. 130: interrupted.";

constexpr const char* kFooter =
    "--speed scales recorded time: ticks, the gaps between signals, and a signal's life (TTL 30 s\n"
    "of recorded time, but never below 2 s of real time: this machine's own latency does not\n"
    "scale). With --speed other than 1 or files, nothing is killed unless --chaos asks for it.";

}  // namespace

bool parse_options(int argc, char** argv, Options& o, int& exit_status) {
    CLI::App app{kAbout, "millrace-demo"};
    app.footer(kFooter);
    bool want_chaos = false;
    bool no_chaos = false;
    app.add_option("--ticks", o.ticks,
                   "tick files: CSV or CSV.gz (time_ms,symbol,bid,ask,...) or MT5 tick exports")
        ->check(CLI::ExistingFile);
    app.add_option("--signals", o.signals, "a trade file, replayed as signals")
        ->check(CLI::ExistingFile);
    app.add_option("--speed", o.speed, "recorded seconds a second")
        ->check(CLI::Range(0.001, 1e6))
        ->capture_default_str();
    app.add_flag("--shift-signals", o.shift_signals,
                 "move the trade file onto the ticks' days and prices");
    auto* seconds = app.add_option("--seconds", o.seconds, "how long signals are sent")
                        ->check(CLI::Range(1U, 86'400U))
                        ->capture_default_str();
    app.add_option("--accounts", o.accounts, "accounts, half hedging, half netting")
        ->check(CLI::Range(1U, 64U))
        ->capture_default_str();
    auto* rate = app.add_option("--rate", o.rate, "generated signals a second")
                     ->check(CLI::Range(1U, 10'000U))
                     ->capture_default_str();
    app.add_flag("--threads", o.threads, "stages as threads of one process");
    auto* off = app.add_flag("--no-chaos", no_chaos, "kill nothing");
    app.add_flag("--chaos", want_chaos, "kill each stage once, with files too")->excludes(off);
    app.add_option("--keep", o.keep,
                   "leave configuration, journals, books and logs in this folder");
    app.add_flag("--json", o.json,
                 "print the report as JSON on standard output, nothing else there");
    app.add_option("--seed", o.seed, "of generated ticks and signals")->capture_default_str();
    try {
        app.parse(argc, argv);
        if (o.recorded_signals() && rate->count() > 0) {
            throw CLI::ValidationError("--rate",
                                       "is for generated signals; a file has its own times");
        }
        if (o.shift_signals && !o.recorded_signals()) {
            throw CLI::ValidationError("--shift-signals", "needs --signals FILE");
        }
        if (o.recorded_signals() && !o.recorded_ticks()) {
            throw CLI::ValidationError("--signals", "needs --ticks FILE: trades meet real prices");
        }
    } catch (const CLI::ParseError& e) {
        exit_status = app.exit(e) == 0 ? 0 : 2;  // 0: --help
        return false;
    }
    o.seconds_given = seconds->count() > 0;
    const bool plain = !o.recorded_ticks() && !o.recorded_signals() && o.speed == 1.0;
    o.chaos = want_chaos || (plain && !no_chaos);
    return true;
}

}  // namespace millrace::demo
