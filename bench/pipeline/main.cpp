// bench_pipeline: signal in shared memory -> order record visible to the broker stage; one signal
// to 1,000 accounts; replay. Limit and ours take turns round by round, so that a machine that
// moves under the run moves both.
#include "bench/pipeline/report.h"
#include "bench/pipeline/rig.h"
#include "persist/engine_recovery.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <thread>

namespace millrace::bench {
namespace {

constexpr int kRounds = 30;
constexpr int kHandOffs = 20'000;
constexpr int kSignals = 2'000;

struct Line {
    alignas(kCacheLineBytes) std::atomic<std::uint64_t> ping{0};
    alignas(kCacheLineBytes) std::atomic<std::uint64_t> pong{0};
};

/// The least that two cores can do: one word over and one back. @return one way, p50, ns.
double hand_off_round() {
    Line line;
    std::thread peer{[&line] {
        pin(1);
        for (std::uint64_t n = 1; n <= kHandOffs; ++n) {
            while (line.ping.load(std::memory_order_acquire) != n) {
            }
            line.pong.store(n, std::memory_order_release);
        }
    }};
    std::vector<std::int64_t> rtt;
    rtt.reserve(kHandOffs);
    for (std::uint64_t n = 1; n <= kHandOffs; ++n) {
        const std::int64_t t = monotonic_ns();
        line.ping.store(n, std::memory_order_release);
        while (line.pong.load(std::memory_order_acquire) != n) {
        }
        rtt.push_back(monotonic_ns() - t);
    }
    peer.join();
    // The clock's own cost is in every sample of both figures alike.
    return static_cast<double>(permille(rtt, 500)) / 2;
}

/// Publish a signal on core 0, see its order on core 0; engine and journal run on core 1.
double signal_round(Rig& rig, std::atomic<bool>& run, std::vector<std::int64_t>& tail) {
    std::vector<std::int64_t> samples;
    samples.reserve(kSignals);
    run.store(true);
    std::thread engine{[&] {
        pin(1);
        while (run.load(std::memory_order_relaxed)) {
            rig.step();
        }
    }};
    for (int n = 0; n < kSignals; ++n) {
        const Nanos sent = rig.publish_signal();
        samples.push_back((rig.await_first_order() - sent).value);
        rig.answer_orders();
        rig.drop_results();
    }
    run.store(false);
    engine.join();
    tail.insert(tail.end(), samples.begin(), samples.end());
    return static_cast<double>(permille(samples, 500));
}

/// One core, one signal to every account. @return orders a second out of the engine.
double fan_out_round(Rig& rig, std::uint32_t accounts) {
    constexpr int kTimes = 20;
    std::int64_t in_engine = 0;
    for (int n = 0; n < kTimes; ++n) {
        rig.publish_signal();
        std::uint32_t seen = 0;
        while (seen < accounts) {
            const std::int64_t t = monotonic_ns();
            rig.step_engine();
            in_engine += seen == 0 ? monotonic_ns() - t : 0;
            rig.step();
            for (int got = rig.answer_orders(); got > 0; got = rig.answer_orders()) {
                seen += static_cast<std::uint32_t>(got);
                rig.step();
            }
            rig.drop_results();
        }
        for (int i = 0; i < 64; ++i) {
            rig.step();
            rig.drop_results();
        }
    }
    return static_cast<double>(accounts) * kTimes * 1e9 / static_cast<double>(in_engine);
}

/// The journal files of a run, read, checked and applied to a fresh engine. @return millions of
/// records a second.
double replay(const std::string& directory, const Capacity& capacity, Sequence end) {
    Engine engine{capacity};
    std::string message;
    const std::int64_t t = monotonic_ns();
    const auto done = replay_files(directory, end, engine, message);
    const std::int64_t took = monotonic_ns() - t;
    if (!done) {
        std::fprintf(stderr, "bench: replay: %s\n", message.c_str());
        std::exit(1);
    }
    return static_cast<double>(engine.seq().value) * 1e3 / static_cast<double>(took);
}

Figure make_figure(std::string name, std::string unit, std::vector<double> value,
                   std::string limit_name, std::vector<double> limit, std::string goal) {
    Figure f;
    f.name = std::move(name);
    f.unit = std::move(unit);
    f.limit_name = std::move(limit_name);
    f.goal = std::move(goal);
    std::vector<double> ratios;
    for (std::size_t i = 0; i < value.size(); ++i) {
        ratios.push_back(value[i] / limit[i]);
    }
    const auto median = [](std::vector<double>& v) {
        std::sort(v.begin(), v.end());
        return v[v.size() / 2];
    };
    f.ratio = median(ratios);
    f.spread_low = ratios[ratios.size() * 25 / 1000];
    f.spread_high = ratios[ratios.size() - 1 - ratios.size() * 25 / 1000];
    f.value = median(value);
    f.limit = median(limit);
    return f;
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
    using namespace millrace::bench;
    const char* json = nullptr;
    std::filesystem::path dir = std::filesystem::temp_directory_path() / "millrace-bench";
    for (int i = 1; i + 1 < argc; i += 2) {
        if (std::strcmp(argv[i], "--json") == 0) {
            json = argv[i + 1];
        } else if (std::strcmp(argv[i], "--dir") == 0) {
            dir = std::filesystem::path{argv[i + 1]} / "millrace-bench";
        }
    }
    std::filesystem::remove_all(dir);
    std::filesystem::create_directories(dir / "one");
    std::filesystem::create_directories(dir / "thousand");
    print_machine();
    pin(0);
    std::vector<double> hand_off;
    std::vector<double> signal;
    std::vector<double> orders;
    std::vector<double> replayed;
    std::vector<std::int64_t> tail;
    {
        Rig one{(dir / "one").string(), 1};
        std::atomic<bool> run{false};
        signal_round(one, run, tail);  // warm-up
        tail.clear();
        for (int round = 0; round < kRounds; ++round) {
            hand_off.push_back(hand_off_round());
            signal.push_back(signal_round(one, run, tail));
        }
    }
    {
        Rig thousand{(dir / "thousand").string(), 1000};
        fan_out_round(thousand, 1000);
        for (int round = 0; round < 5; ++round) {
            orders.push_back(fan_out_round(thousand, 1000) / 1e6);
        }
        const millrace::Sequence end{thousand.segment().core().durable.load()};
        for (int round = 0; round < 5; ++round) {
            replayed.push_back(replay((dir / "thousand").string(), thousand.capacity(), end));
        }
    }
    std::vector<Figure> figures;
    figures.push_back(make_figure("signal in shm -> order visible, p50", "ns", signal,
                                  "bare cache-line hand-off, one way", hand_off, "12x"));
    figures.push_back(make_figure("one signal to 1,000 accounts, Morders/s", "", orders,
                                  "5 million orders a second",
                                  std::vector<double>(orders.size(), 5.0), ">= 1x"));
    figures.push_back(make_figure("replay from files, Mrecords/s", "", replayed,
                                  "5 million records a second",
                                  std::vector<double>(replayed.size(), 5.0), ">= 1x"));
    print_table(figures);
    std::printf("signal -> order tail: p99 %lld ns, p99.9 %lld ns, max %lld ns\n",
                static_cast<long long>(permille(tail, 990)),
                static_cast<long long>(permille(tail, 999)),
                static_cast<long long>(permille(tail, 1000)));
    std::filesystem::remove_all(dir);
    if (json != nullptr && !write_json(json, figures)) {
        std::fprintf(stderr, "cannot write %s\n", json);
        return 1;
    }
    return 0;
}
