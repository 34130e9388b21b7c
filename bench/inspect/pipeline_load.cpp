#include "bench/inspect/load.h"
#include "bench/lib/hop_window.h"
#include "tests/chaos/world.h"

#include <bit>
#include <cstdio>
#include <cstdlib>

namespace millrace::bench {
namespace {

class PipelineLoad : public Load {
public:
    PipelineLoad(unsigned rate, unsigned accounts, int seconds_max)
        : world_{options(rate, accounts, seconds_max)} {
        if (const std::string problem = world_.start(); !problem.empty()) {
            std::fprintf(stderr, "bench_inspect: %s\n%s\n", problem.c_str(), world_.log().c_str());
            std::exit(1);
        }
        segment_path_ = world_.pipeline().segment_path();
    }

    [[nodiscard]] std::string segment_path() const override { return segment_path_; }
    [[nodiscard]] std::vector<std::string> groups() const override {
        return {"p50 signal to socket beside inspect top, pipeline",
                "p99 signal to socket beside inspect top, pipeline"};
    }
    [[nodiscard]] Measured round(int round_ms) override {
        const Histogram& h = world_.segment().hop(Hop::SignalToSocket);
        const HopCounts before = counts_of(h);
        world_.turn_for(millis(round_ms));
        const HopCounts after = counts_of(h);
        // Six processes on as many cores as there are: somebody always waits for one.
        return {{quantile_between(before, after, 0.5), quantile_between(before, after, 0.99)},
                false};
    }
    [[nodiscard]] bool finish() override {
        const chaos::Judgement judgement = world_.finish();
        for (const std::string& problem : judgement.problems) {
            std::fprintf(stderr, "bench_inspect: %s\n", problem.c_str());
        }
        return judgement.good();
    }

private:
    static chaos::WorldOptions options(unsigned rate, unsigned accounts, int seconds_max) {
        chaos::WorldOptions o;
        o.rate = rate;
        o.accounts = accounts;
        // The ledger keeps every signal of a week, and a full one refuses.
        const std::uint64_t signals = std::uint64_t{rate} * static_cast<unsigned>(seconds_max);
        o.edits = {{"\"accounts_max\"", "\"capacity\": {\"ledger\": " +
                                            std::to_string(std::bit_ceil(
                                                std::max<std::uint64_t>(2 * signals, 1U << 17))) +
                                            "}, \"accounts_max\""}};
        return o;
    }

    chaos::World world_;
    std::string segment_path_;
};

}  // namespace

std::unique_ptr<Load> pipeline_load(unsigned rate, unsigned accounts, int seconds_max) {
    return std::make_unique<PipelineLoad>(rate, accounts, seconds_max);
}

}  // namespace millrace::bench
