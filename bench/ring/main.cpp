// bench_ring: our ring beside a bare cache-line hand-off and beside the queues one would take
// otherwise. All of a group take turns round by round.
//
//     bench_ring [--rounds N] [--scale X] [--attempts N] [--cpus A,B] [--json FILE]
//                [--designs]
#include <CLI/CLI.hpp>

#include <functional>
#include <string>
#include <vector>

#include "bench/lib/results.h"
#include "bench/ring/designs.h"
#include "bench/ring/measure.h"

namespace millrace::bench {
namespace {

struct Options {
    int rounds = 12;
    double scale = 1.0;  // of the counts of messages
    std::vector<int> cpus{0, 1};
    std::string json;
    bool designs = false;  // the table of ring/adr/0001 instead
    /// A round during which an end was preempted is repeated, this often in all at most; then it
    /// counts with a mark. What is chosen by is the scheduler's word, never the result.
    int attempts = 6;
};

struct Contender {
    std::string name;
    Part part;
    std::function<Round(Series&)> run;
};

class Bench {
public:
    explicit Bench(const Options& options) : options_{options} {}

    [[nodiscard]] std::uint64_t count(double n) const {
        return static_cast<std::uint64_t>(std::max(1.0, n * options_.scale));
    }
    [[nodiscard]] Setup setup(Mode mode, int pauses) const {
        return {mode, options_.cpus[0], options_.cpus[1], pauses};
    }
    void turns(const std::string& group, const char* unit, bool higher,
               const std::vector<Contender>& contenders) {
        for (int round = 0; round < options_.rounds; ++round) {
            for (const Contender& c : contenders) {
                Series& series = results_.series(group, c.name, c.part, unit, higher);
                const Hdr before = series.histogram;
                Round got = c.run(series);
                for (int i = 1; i < options_.attempts && !got.undisturbed; ++i) {
                    series.histogram = before;
                    got = c.run(series);
                }
                series.rounds.push_back(got.value);
                series.undisturbed.push_back(got.undisturbed);
            }
        }
        results_.print(group);
    }
    [[nodiscard]] const Results& results() const { return results_; }

private:
    Options options_;
    Results results_;
};

template <template <std::size_t> class Queue, std::size_t W>
void add_throughput(std::vector<Contender>& to, const Bench& bench, Mode mode,
                    const std::string& name, Part part) {
    if (mode == Mode::Processes && !Queue<W>::kProcesses) {
        return;
    }
    for (const int pauses : {1, 0}) {
        const Setup s = bench.setup(mode, pauses);
        const std::uint64_t n = bench.count(60'000);
        to.push_back({name + (pauses > 0 ? "" : ", no pause"),
                      part == Part::Ours && pauses == 0 ? Part::Variant : part,
                      [s, n](Series&) { return throughput<Queue, W>(s, n); }});
    }
}

template <std::size_t W>
void throughputs(Bench& bench, Mode mode, const std::string& label) {
    std::vector<Contender> all;
    add_throughput<BareStream, W>(all, bench, mode, "512-record stream", Part::Limit);
    add_throughput<CachedCursor, W>(all, bench, mode, "cached cursors", Part::Rival);
    add_throughput<Boost, W>(all, bench, mode, "boost::lockfree::spsc_queue", Part::Rival);
    add_throughput<Moodycamel, W>(all, bench, mode, "moodycamel::ReaderWriterQueue", Part::Rival);
    add_throughput<Ours, W>(all, bench, mode, "millrace", Part::Ours);
    bench.turns("throughput " + std::to_string(W * 8) + " B" + label, "M/s", true, all);
}

template <std::size_t W>
void batches(Bench& bench, Mode mode, const std::string& label) {
    constexpr std::size_t kBatch = 32;
    const Setup s = bench.setup(mode, 1);
    const std::uint64_t n = bench.count(100'000);
    bench.turns("throughput " + std::to_string(W * 8) + " B, batches" + label, "M/s", true,
                {{"boost::lockfree::spsc_queue", Part::Rival,
                  [=](Series&) { return batch_throughput<Boost, W>(s, n, kBatch); }},
                 {"millrace", Part::Ours,
                  [=](Series&) { return batch_throughput<Ours, W>(s, n, kBatch); }}});
}

template <class Queue>
void add_latency(std::vector<Contender>& to, const std::string& name, Part part, const Setup& s,
                 const std::function<Round(Series&)>& run) {
    if (s.mode == Mode::Threads || Queue::kProcesses) {
        to.push_back({name, part, run});
    }
}

template <class Measure>
void latencies(Bench& bench, Mode mode, const std::string& group, bool limit, Measure measure) {
    const Setup s = bench.setup(mode, 0);
    std::vector<Contender> all;
    const auto add = [&]<class Queue>(const char* name, Part part, std::type_identity<Queue> type) {
        add_latency<Queue>(all, name, part, s,
                           [=](Series& series) { return measure(type, s, series.histogram); });
    };
    if (limit) {
        add("bare cache-line hand-off", Part::Limit, std::type_identity<HandOff>{});
    }
    add("cached cursors", Part::Rival, std::type_identity<CachedCursor<8>>{});
    add("boost::lockfree::spsc_queue", Part::Rival, std::type_identity<Boost<8>>{});
    add("moodycamel::ReaderWriterQueue", Part::Rival, std::type_identity<Moodycamel<8>>{});
    add("millrace", Part::Ours, std::type_identity<Ours<8>>{});
    bench.turns(group, "ns", false, all);
}

void all_latencies(Bench& bench, Mode mode, const std::string& label) {
    const std::uint64_t trips = bench.count(5'000);
    latencies(bench, mode, "hop 64 B, round trip / 2" + label, true,
              [=]<class Q>(std::type_identity<Q>, const Setup& s, Hdr& h) {
                  return round_trip<Q>(s, trips, h);
              });
    latencies(bench, mode, "one way 64 B, 1 M/s" + label, true,
              [=]<class Q>(std::type_identity<Q>, const Setup& s, Hdr& h) {
                  return one_way<Q>(s, trips, 1000.0, h);
              });
    latencies(bench, mode, "one way 64 B, saturated" + label, false,
              [=]<class Q>(std::type_identity<Q>, const Setup& s, Hdr& h) {
                  return one_way<Q>(s, 4 * trips, 0.0, h);
              });
}

template <std::size_t W>
using ReleaseEach64 = InSlot<W, 64, 1>;
template <std::size_t W>
using ReleaseEach128 = InSlot<W, 128, 1>;
template <std::size_t W>
using Lag32Apart64 = InSlot<W, 64, 32>;
template <std::size_t W>
using Lag32 = InSlot<W, 128, 32>;
template <std::size_t W>
using Lag512 = InSlot<W, 128, kCapacity / 8>;
template <std::size_t W>
using Ahead4 = InSlot<W, 128, 32, 4>;
template <std::size_t W>
using Ahead16 = InSlot<W, 128, 32, 16>;
template <std::size_t W>
using Look4 = InSlot<W, 128, 32, 0, 4>;
template <std::size_t W>
using ProducerDemotes = InSlot<W, 128, 32, 0, 0, Demote::Producer>;
template <std::size_t W>
using ConsumerDemotes = InSlot<W, 128, 32, 0, 0, Demote::Consumer>;
template <std::size_t W>
using Transposed = InSlot<W, 128, 32, 0, 0, Demote::Nobody, true>;
template <std::size_t W>
using Batched32 = CursorBatched<W, 32>;

template <std::size_t W>
void designs(Bench& bench) {
    std::vector<Contender> all;
    const auto add = [&]<template <std::size_t> class Queue>(const char* name, int pauses) {
        const Setup s = bench.setup(Mode::Threads, pauses);
        const std::uint64_t n = bench.count(60'000);
        all.push_back({name, Part::Variant, [=](Series&) { return throughput<Queue, W>(s, n); }});
    };
    all.reserve(20);
    add.template operator()<CachedCursor>("cached cursors", 1);
    add.template operator()<Batched32>("both cursors every 32", 1);
    add.template operator()<ReleaseEach64>("in slot, 64 B apart, release each", 1);
    add.template operator()<ReleaseEach128>("in slot, 128 B apart, release each", 1);
    add.template operator()<Lag32Apart64>("in slot, 64 B apart, every 32", 1);
    add.template operator()<Lag32>("in slot, 128 B apart, every 32", 1);
    add.template operator()<Lag512>("in slot, 128 B apart, every 512", 1);
    add.template operator()<Lag32>("the same, every 32, no pause", 0);
    add.template operator()<Lag32>("the same, every 32, 8 pauses", 8);
    add.template operator()<Ahead4>("the same, producer prefetches 4 ahead", 1);
    add.template operator()<Ahead16>("the same, producer prefetches 16 ahead", 1);
    add.template operator()<Look4>("the same, consumer prefetches 4 ahead", 1);
    add.template operator()<ProducerDemotes>("the same, producer demotes the slot", 1);
    add.template operator()<ConsumerDemotes>("the same, consumer demotes the slot", 1);
    add.template operator()<Transposed>("the same, neighbours 64 slots apart", 1);
    add.template operator()<Ours>("production header", 1);
    bench.turns("designs " + std::to_string(W * 8) + " B", "M/s", true, all);
}

int run(const Options& options) {
    Bench bench{options};
    if (options.designs) {
        designs<8>(bench);
        designs<16>(bench);
    } else {
        for (const Mode mode : {Mode::Threads, Mode::Processes}) {
            const std::string label = mode == Mode::Threads ? ", threads" : ", processes";
            all_latencies(bench, mode, label);
            throughputs<8>(bench, mode, label);
            throughputs<16>(bench, mode, label);
            batches<8>(bench, mode, label);
            batches<16>(bench, mode, label);
        }
    }
    return options.json.empty() || bench.results().write(options.json) ? 0 : 1;
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
    millrace::bench::Options options;
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
    app.add_option("--json", options.json, "where to write the results");
    app.add_flag("--designs", options.designs, "compare layouts instead (ring/adr/0001)");
    CLI11_PARSE(app, argc, argv);
    return millrace::bench::run(options);
}
