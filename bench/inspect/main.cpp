// Does `inspect top` at 10 Hz change what it looks at? Two loads, each with and without `top` of
// its segment running, pair by pair in random order: one ring between two spinning threads, and a
// whole pipeline.
//
//     bench_inspect [--load ring,pipeline] [--pairs N] [--round-ms N] [--cpus A,B] [--json FILE]
//
// `top` takes its time from one of the spinning threads where there are as many of them as cores.
#include "bench/inspect/load.h"
#include "bench/inspect/pairs.h"
#include "bench/inspect/top.h"
#include "bench/lib/results.h"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <random>
#include <string>
#include <vector>

namespace millrace::bench {
namespace {

struct Options {
    std::vector<std::string> loads{"ring", "pipeline"};
    int pairs = 30;
    int round_ms = 2000;           // with 30 pairs two minutes and a bit a load
    std::uint64_t rate = 200'000;  // records a second through the ring
    unsigned signals = 400;  // signals a second through the pipeline: a p99 is of 4,800 orders
    unsigned accounts = 6;
    std::vector<unsigned> cpus{0, 1};
    std::string json;
};

constexpr const char* kWithout = "without top";
constexpr const char* kWith = "top at 10 Hz";

Series& series_of(Results& results, const std::string& group, bool on) {
    return results.series(group, on ? kWith : kWithout, on ? Part::Ours : Part::Limit, "ns", false);
}

void note(Results& results, const Load& load, const Measured& m, bool on) {
    const std::vector<std::string> groups = load.groups();
    for (std::size_t i = 0; i < groups.size(); ++i) {
        Series& s = series_of(results, groups[i], on);
        s.rounds.push_back(m.ns[i]);
        s.undisturbed.push_back(m.undisturbed);
    }
}

/// Ratio of the geometric means with its 95 % interval; bench/run adds that of the medians.
void report(Results& results, const Load& load, const Options& o) {
    std::printf("%d interleaved pairs, top at 10 Hz\n", o.pairs);
    for (const std::string& group : load.groups()) {
        results.print(group);
        const Interval i = compare(series_of(results, group, false).rounds,
                                   series_of(results, group, true).rounds);
        std::printf(
            "%-36s ratio %.3f  95%% interval %.3f to %.3f  %s; less than %.1f %% could not "
            "have been\n",
            group.c_str(), i.ratio, i.low, i.high,
            i.includes_one() ? "nothing shown" : "A DIFFERENCE", 50 * (i.high - i.low) / i.ratio);
    }
}

/// @return false if `top` did not draw in each of its rounds.
bool measure(Load& load, const Options& o, Results& results) {
    const Top top{load.segment_path()};
    (void)load.round(o.round_ms);  // warm
    std::mt19937 random{1};
    int drawn = 0;
    for (int pair = 0; pair < o.pairs; ++pair) {
        const bool with_first = random() % 2 == 0;
        for (const bool on : {with_first, !with_first}) {
            const std::uint64_t before = top.bytes();
            top.run(on);
            const Measured m = load.round(o.round_ms);
            top.run(false);
            drawn += on && top.bytes() > before ? 1 : 0;
            note(results, load, m, on);
        }
    }
    if (drawn < o.pairs) {
        std::fprintf(stderr, "bench_inspect: top drew in %d of %d rounds only\n", drawn, o.pairs);
    }
    return drawn == o.pairs;
}

int run(const Options& o) {
    Results results;
    bool good = true;
    for (const std::string& name : o.loads) {
        const int seconds_max = (2 * o.pairs + 1) * o.round_ms / 1000 + 60;
        const auto load = name == "ring" ? ring_load(o.rate, o.cpus)
                                         : pipeline_load(o.signals, o.accounts, seconds_max);
        good = measure(*load, o, results) && good;
        good = load->finish() && good;
        report(results, *load, o);
    }
    const bool written = o.json.empty() || results.write(o.json);
    return good && written ? 0 : 1;
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
    millrace::bench::Options o;
    CLI::App app{"what `inspect top` at 10 Hz costs a live ring and a live pipeline"};
    app.add_option("--load", o.loads, "of: ring, pipeline")
        ->delimiter(',')
        ->check(CLI::IsMember({"ring", "pipeline"}));
    app.add_option("--pairs", o.pairs, "rounds with and without")
        ->check(CLI::Range(2, 10'000))
        ->capture_default_str();
    app.add_option("--round-ms", o.round_ms)
        ->check(CLI::Range(100, 600'000))
        ->capture_default_str();
    app.add_option("--rate", o.rate, "records a second through the ring")
        ->check(CLI::Range(1000, 10'000'000))
        ->capture_default_str();
    app.add_option("--signals", o.signals, "a second through the pipeline")
        ->check(CLI::Range(1, 10'000))
        ->capture_default_str();
    app.add_option("--accounts", o.accounts, "of the pipeline")
        ->check(CLI::Range(1, 64))
        ->capture_default_str();
    app.add_option("--cpus", o.cpus, "of the ring's producing and consuming end")
        ->delimiter(',')
        ->expected(2)
        ->check(CLI::Range(0, 1023));
    app.add_option("--json", o.json, "where to write the results");
    CLI11_PARSE(app, argc, argv);
    return millrace::bench::run(o);
}
