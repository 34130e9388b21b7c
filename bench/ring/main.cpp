// bench_ring: our ring beside a bare cache-line hand-off and beside the queues one would take
// otherwise. All of a group take turns round by round.
//
//     bench_ring [--rounds N] [--scale X] [--attempts N] [--cpus A,B] [--json FILE]
//                [--designs]
#include "bench/ring/design_rows.h"
#include "bench/ring/latencies.h"
#include "bench/ring/neighbour.h"
#include "bench/ring/throughput.h"

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace millrace::bench {
namespace {

void run_all(Bench& bench) {
    for (const Mode mode : {Mode::Threads, Mode::Processes}) {
        run_latencies(bench, mode);
        for (const Load load :
             {Load::OneByOne64, Load::OneByOne128, Load::Batches64, Load::Batches128}) {
            std::vector<Contender> both;
            add_throughput_o3(both, bench, mode, load);
            add_throughput_o2(both, bench, mode, load);
            bench.turns("M/s", true, both);
        }
    }
    run_neighbour(bench);  // last: it registers this process for what it measures
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
    using namespace millrace::bench;
    TurnOptions options;
    std::string json;
    bool only_designs = false;
    CLI::App app{"our ring beside a bare cache-line hand-off and other queues"};
    app.add_option("--rounds", options.rounds, "rounds of each group")->check(CLI::Range(1, 1000));
    app.add_option("--scale", options.scale, "of the counts of messages")
        ->check(CLI::Range(0.001, 100.0));
    app.add_option("--attempts", options.attempts, "at a round that the scheduler disturbed")
        ->check(CLI::Range(1, 100));
    app.add_option("--cpus", options.cpus, "of the producing and the consuming end")
        ->delimiter(',')
        ->expected(2)
        ->check(CLI::Range(0, 1023));
    app.add_option("--json", json, "where to write the results");
    app.add_flag("--designs", only_designs, "compare variants instead (ring/adr/0001)");
    CLI11_PARSE(app, argc, argv);
    Bench bench{options};
    only_designs ? run_designs(bench) : run_all(bench);
    return json.empty() || bench.results().write(json) ? 0 : 1;
}
