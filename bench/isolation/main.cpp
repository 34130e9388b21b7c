// bench_isolation: signal to bytes at the socket of a whole pipeline while Redis, ClickHouse and
// PostgreSQL are killed, stopped or slow, beside the same pipeline with all well: pairs of rounds,
// one after the other, in random order.
//
//     bench_isolation [--pairs N] [--round-ms N] [--outages "redis killed,..."] [--rate N]
//                     [--cpus A,B] [--json FILE]
//
// The stages between a signal and its order run on A; the sinks, the servers, the simulated broker
// and the source on B, which is how the sinks' share of the CPU is capped here.
#include <gtest/gtest.h>
#include <sched.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <exception>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/lib/hop_window.h"
#include "bench/lib/pair.h"
#include "bench/lib/results.h"
#include "tests/isolation/outside.h"

namespace millrace::bench {
namespace {

constexpr const char* kWell = "all well";
constexpr Nanos kPatience = seconds(120);

struct Options {
    int pairs = 20;
    int round_ms = 1000;
    // Signals a second, to six accounts. Redis keeps what traded for a day: 300 a second were more
    // than its 500 MB after six minutes.
    std::uint32_t rate = 100;
    std::vector<std::string> outages;
    std::vector<int> cpus{0, 1};
    std::string json;
};

/// Thrown, not exit(): pipeline and servers are to end with us.
[[noreturn]] void die(const std::string& what) {
    throw std::runtime_error{what};
}

chaos::WorldOptions world_options(const Options& o, std::size_t outages,
                                  std::vector<chaos::Edit> edits) {
    chaos::WorldOptions w;
    w.rate = o.rate;
    w.edits = std::move(edits);
    // The ledger keeps every signal of a week, and a full one refuses. Some outages take 6 s to
    // end.
    const auto rounds = static_cast<std::uint64_t>(o.pairs) * outages;
    const std::uint64_t seconds_max =
        rounds * (2 * static_cast<std::uint64_t>(o.round_ms) / 1000 + 8) + 120;
    const std::uint64_t ledger = std::bit_ceil(
        std::max<std::uint64_t>(std::uint64_t{2} * o.rate * seconds_max, std::uint64_t{1} << 17U));
    w.edits.push_back({"\"accounts_max\"", "\"capacity\": {\"ledger\": " + std::to_string(ledger) +
                                               "}, \"accounts_max\""});
    std::string stages;
    for (const char* stage : {"ingress", "engine", "broker", "journal"}) {
        stages += (stages.empty() ? "\"" : ", \"") + std::string{stage} +
                  "\": {\"cpu\": " + std::to_string(o.cpus[0]) + "}";
    }
    w.edits.push_back(
        {"\"mode\": \"processes\"", "\"mode\": \"processes\", \"stages\": {" + stages + "}"});
    return w;
}

class Bench {
public:
    Bench(chaos::World& world, isolation::Outside& outside, const Options& o)
        : world_{world}, outside_{outside}, o_{o} {}

    void pair(const isolation::Outage& outage, bool outage_first) {
        for (const bool hurt : {outage_first, !outage_first}) {
            if (hurt) {
                outside_.begin(outage);
            }
            round(isolation::name_of(outage), hurt);
            if (hurt) {
                outside_.end(outage);
                catch_up();
            }
        }
    }
    /// Until every store has all that is durable now.
    void catch_up() {
        const CoreCells& core = world_.segment().core();
        const std::uint64_t durable = core.durable.load();
        const auto there = [&] {
            return std::min({core.redis_seq.load(), core.clickhouse_seq.load(),
                             core.sqlite_seq.load()}) >= durable;
        };
        if (!world_.turn_until(there, kPatience)) {
            die("the stores did not catch up\n" + world_.log());
        }
    }
    Results& results() noexcept { return results_; }

private:
    void round(const std::string& outage, bool hurt) {
        const Histogram& h = world_.segment().hop(Hop::SignalToSocket);
        const HopCounts before = counts_of(h);
        world_.turn_for(millis(o_.round_ms));
        const HopCounts after = counts_of(h);
        note("p50", outage, hurt, quantile_between(before, after, 0.5));
        note("p99", outage, hurt, quantile_between(before, after, 0.99));
    }
    void note(const std::string& what, const std::string& outage, bool hurt, double ns) {
        Series& s =
            results_.series(what + " signal to socket beside " + outage, hurt ? outage : kWell,
                            hurt ? Part::Ours : Part::Limit, "ns", false);
        s.rounds.push_back(ns);
        s.undisturbed.push_back(false);  // more processes than cores: somebody always waits
    }

    chaos::World& world_;
    isolation::Outside& outside_;
    const Options& o_;
    Results results_;
};

std::vector<isolation::Outage> chosen(const Options& o) {
    std::vector<isolation::Outage> some;
    for (isolation::Outage& outage : isolation::all_outages()) {
        const std::string name = isolation::name_of(outage);
        if (o.outages.empty() ||
            std::find(o.outages.begin(), o.outages.end(), name) != o.outages.end()) {
            some.push_back(std::move(outage));
        }
    }
    if (some.empty() || (!o.outages.empty() && some.size() != o.outages.size())) {
        die("--outages are {redis,clickhouse,postgres,all} {stopped,slow,killed}");
    }
    return some;
}

int run(const Options& o) {
    pin_or_die(o.cpus[1]);  // and so whatever this process starts, but what `placement` pins
    const auto outages = chosen(o);
    std::unique_ptr<chaos::World> pipeline;  // behind `outside` at the end: it ends all children
    auto outside = std::make_unique<isolation::Outside>();
    pipeline = std::make_unique<chaos::World>(world_options(o, outages.size(), outside->edits()));
    chaos::World& world = *pipeline;
    if (const std::string problem = world.start(); !problem.empty()) {
        die(problem + "\n" + world.log());
    }
    Bench bench{world, *outside, o};
    bench.catch_up();
    world.turn_for(seconds(2));  // warm
    std::mt19937 random{1};
    for (int pair = 0; pair < o.pairs; ++pair) {
        for (const isolation::Outage& outage : outages) {
            bench.pair(outage, random() % 2 == 0);
        }
    }
    const chaos::Judgement judgement = world.finish();
    for (const std::string& problem : judgement.problems) {
        std::fprintf(stderr, "bench_isolation: %s\n", problem.c_str());
    }
    outside.reset();
    for (const char* what : {"p50", "p99"}) {
        for (const isolation::Outage& outage : outages) {
            bench.results().print(std::string{what} + " signal to socket beside " +
                                  isolation::name_of(outage));
        }
    }
    const bool written = o.json.empty() || bench.results().write(o.json);
    return judgement.good() && written ? 0 : 1;
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
    // What starts the servers says what went wrong as a test does: here that is the end.
    testing::InitGoogleTest(&argc, argv);
    GTEST_FLAG_SET(throw_on_failure, true);
    millrace::bench::Options o;
    CLI::App app{"signal to socket while the stores are killed, stopped or slow"};
    app.add_option("--pairs", o.pairs, "rounds with and without, of each outage")
        ->check(CLI::Range(2, 10'000))
        ->capture_default_str();
    app.add_option("--round-ms", o.round_ms)->check(CLI::Range(100, 60'000))->capture_default_str();
    app.add_option("--rate", o.rate, "signals a second")
        ->check(CLI::Range(1, 10'000))
        ->capture_default_str();
    app.add_option("--outages", o.outages, "such as: redis killed,all slow; default: all")
        ->delimiter(',');
    app.add_option("--cpus", o.cpus, "of the stages up to the socket, and of all others")
        ->delimiter(',')
        ->expected(2)
        ->check(CLI::Range(0, 1023));
    app.add_option("--json", o.json, "where to write the results");
    CLI11_PARSE(app, argc, argv);
    try {
        return millrace::bench::run(o);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "bench_isolation: %s\n", e.what());
        return 1;
    }
}
