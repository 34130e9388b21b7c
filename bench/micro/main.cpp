// bench_micro: what single operations cost on one core, with everything in its caches.
//
//     bench_micro [--rounds N] [--cpus A,B] [--json FILE]
//
// Google Benchmark repeats and times each; all of them in random order, round by round. It has no
// place where two ends are measured: there its loop could take no turns with limit and rivals.
#include "bench/lib/pair.h"
#include "bench/lib/results.h"
#include "bench/micro/operations.h"

#include <benchmark/benchmark.h>
#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace millrace::bench {
namespace {

constexpr const char* kGroup = "one operation, one core";

/// Google Benchmark's repetitions as rounds of ours.
class Collect : public benchmark::BenchmarkReporter {
public:
    explicit Collect(Results& results) : results_{results} {}

    bool ReportContext(const Context& /*machine*/) override { return true; }  // bench/run says it
    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& run : runs) {
            if (run.error_occurred) {
                failed_ = true;
                std::fprintf(stderr, "bench_micro: %s: %s\n", run.benchmark_name().c_str(),
                             run.error_message.c_str());
            } else if (run.run_type == Run::RT_Iteration) {
                Series& s =
                    results_.series(kGroup, run.run_name.function_name, Part::Ours, "ns", false);
                s.rounds.push_back(run.GetAdjustedCPUTime());
                s.undisturbed.push_back(true);  // CPU time: what others took is not in it
            }
        }
    }
    [[nodiscard]] bool failed() const noexcept { return failed_; }

private:
    Results& results_;
    bool failed_ = false;
};

int run(int rounds, double seconds, const std::string& json) {
    std::vector<std::string> words{"bench_micro", "--benchmark_enable_random_interleaving=true",
                                   "--benchmark_repetitions=" + std::to_string(rounds),
                                   "--benchmark_min_time=" + std::to_string(seconds)};
    std::vector<char*> argv;
    for (std::string& w : words) {
        argv.push_back(w.data());
    }
    int argc = static_cast<int>(argv.size());
    benchmark::Initialize(&argc, argv.data());
    register_operations();
    Results results;
    Collect collect{results};
    benchmark::RunSpecifiedBenchmarks(&collect);
    results.print(kGroup);
    return !collect.failed() && (json.empty() || results.write(json)) ? 0 : 1;
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
    int rounds = 30;
    double seconds = 0.02;  // a round of one operation
    std::vector<int> cpus{0, 1};
    std::string json;
    CLI::App app{"what single operations cost on one core"};
    app.add_option("--rounds", rounds)->check(CLI::Range(1, 1000))->capture_default_str();
    app.add_option("--seconds", seconds, "of a round of one operation")
        ->check(CLI::Range(0.0001, 10.0))
        ->capture_default_str();
    app.add_option("--cpus", cpus, "runs on the first")->delimiter(',')->expected(2);
    app.add_option("--json", json, "where to write the results");
    CLI11_PARSE(app, argc, argv);
    millrace::bench::pin_or_die(cpus[0]);
    return millrace::bench::run(rounds, seconds, json);
}
