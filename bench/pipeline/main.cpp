// bench_pipeline: signal in shared memory -> order record visible to the broker stage, and -> bytes
// handed to the socket; one signal to 1,000 accounts; replay. Limits and ours take turns round by
// round, so that a machine that moves under the run moves both.
#include "bench/pipeline/report.h"
#include "bench/pipeline/rounds.h"
#include "bench/pipeline/socket_path.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace millrace::bench {
namespace {

constexpr int kSocketSignals = 300;

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
    f.rounds = ratios;
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

using Samples = std::vector<double>;

Samples sum(const Samples& a, const Samples& b) {
    Samples out;
    for (std::size_t i = 0; i < a.size(); ++i) {
        out.push_back(a[i] + b[i]);
    }
    return out;
}

void print_tail(const char* what, std::vector<std::int64_t>& tail) {
    std::printf("%s tail: p99 %lld ns, p99.9 %lld ns, max %lld ns\n", what,
                static_cast<long long>(permille(tail, 990)),
                static_cast<long long>(permille(tail, 999)),
                static_cast<long long>(permille(tail, 1000)));
}

/// Signal to order record and to the socket.
void measure_latency(const std::filesystem::path& dir, int rounds, std::vector<Figure>& figures) {
    Rig one{(dir / "one").string(), 1};
    SocketPath process{(dir / "process").string(), GateLevel::Process};
    SocketPath disk{(dir / "disk").string(), GateLevel::Disk};
    Samples hand_off;
    Samples write;
    Samples busy;
    Samples order;
    Samples socket;
    Samples durable;
    std::vector<std::int64_t> tails[4];
    for (int round = -1; round < rounds; ++round) {
        if (round == 0) {  // the one before was to warm up
            for (Samples* s : {&hand_off, &write, &busy, &order, &socket, &durable}) {
                s->clear();
            }
            std::fill(std::begin(tails), std::end(tails), std::vector<std::int64_t>{});
        }
        hand_off.push_back(hand_off_round());
        busy.push_back(signal_round(one, Pace::BackToBack, tails[0]));
        order.push_back(signal_round(one, Pace::OneByOne, tails[1]));
        write.push_back(write_round());
        socket.push_back(process.round(kSocketSignals, tails[2]));
        durable.push_back(disk.round(kSocketSignals, tails[3]));
    }
    const char* bare = "bare cache-line hand-off, one way";
    figures.push_back(make_figure("signal -> order visible, back to back, p50", "ns", busy, bare,
                                  hand_off, "12x"));
    figures.push_back(make_figure("signal -> order visible, one by one, p50", "ns", order, bare,
                                  hand_off, "12x"));
    figures.push_back(make_figure("signal -> socket, gate process, p50", "ns", socket,
                                  "signal -> order + one write()", sum(order, write), "1.2x"));
    figures.push_back(make_figure("the same", "ns", socket, "bare hand-off + one write()",
                                  sum(hand_off, write), "-"));
    figures.push_back(make_figure("signal -> socket, gate disk, p50", "ns", durable,
                                  "the same, gate process", socket, "-"));
    print_tail("signal -> order, back to back:", tails[0]);
    print_tail("signal -> order, one by one:", tails[1]);
    print_tail("signal -> socket, gate process:", tails[2]);
    print_tail("signal -> socket, gate disk:", tails[3]);
}

/// What the engine does in a second of one core.
void measure_throughput(const std::filesystem::path& dir, std::vector<Figure>& figures) {
    constexpr int kTimes = 5;
    Rig thousand{(dir / "thousand").string(), 1000};
    fan_out_round(thousand, 1000);
    Samples orders;
    for (int n = 0; n < kTimes; ++n) {
        orders.push_back(fan_out_round(thousand, 1000) / 1e6);
    }
    const Sequence end{thousand.segment().core().durable.load()};
    Samples replayed;
    for (int n = 0; n < kTimes; ++n) {
        replayed.push_back(replay((dir / "thousand").string(), thousand.capacity(), end));
    }
    figures.push_back(make_figure("one signal to 1,000 accounts, Morders/CPU s", "", orders,
                                  "5 million orders a second", Samples(orders.size(), 5.0),
                                  ">= 1x"));
    figures.push_back(make_figure("replay from files, Mrecords/CPU s", "", replayed,
                                  "5 million records a second", Samples(replayed.size(), 5.0),
                                  ">= 1x"));
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
    using namespace millrace::bench;
    const char* json = nullptr;
    int rounds = 30;
    std::filesystem::path dir = std::filesystem::temp_directory_path() / "millrace-bench";
    for (int i = 1; i + 1 < argc; i += 2) {
        if (std::strcmp(argv[i], "--json") == 0) {
            json = argv[i + 1];
        } else if (std::strcmp(argv[i], "--rounds") == 0) {
            rounds = std::max(1, std::atoi(argv[i + 1]));
        } else if (std::strcmp(argv[i], "--cpus") == 0) {
            int cpus[2] = {};
            if (std::sscanf(argv[i + 1], "%d,%d", &cpus[0], &cpus[1]) != 2) {
                std::fprintf(stderr, "bench_pipeline: --cpus takes two, as 0,1\n");
                return 2;
            }
            use_cpus(cpus[0], cpus[1]);
        } else if (std::strcmp(argv[i], "--dir") == 0) {
            dir = std::filesystem::path{argv[i + 1]} / "millrace-bench";
        }
    }
    std::filesystem::remove_all(dir);
    for (const char* part : {"one", "process", "disk", "thousand"}) {
        std::filesystem::create_directories(dir / part);
    }
    print_machine();
    pin(0);
    std::vector<Figure> figures;
    measure_latency(dir, rounds, figures);
    measure_throughput(dir, figures);
    print_table(figures);
    std::filesystem::remove_all(dir);
    if (json != nullptr && !write_json(json, figures)) {
        std::fprintf(stderr, "cannot write %s\n", json);
        return 1;
    }
    return 0;
}
