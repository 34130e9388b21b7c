// Does `inspect top` at 10 Hz change what a live pipeline does? One-way latency over a ring of the
// segment, with and without `top` of that segment running, pair by pair in random order.
//
//     bench_inspect [--pairs N] [--round-ms N] [--rate N] [--cpus A,B] [--json FILE]
//
// `top` is a process of its own that is stopped (SIGSTOP) in the A rounds and goes on in the B
// rounds, so that nothing else differs. It runs where the kernel puts it: on a machine with as many
// spinning threads as cores it must take its time from one of them.
#include <CLI/CLI.hpp>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "bench/inspect/pairs.h"
#include "bench/lib/pair.h"
#include "bench/lib/results.h"
#include "shm/segment.h"
#include "tools/inspect/inspect.h"

namespace millrace::bench {
namespace {

struct Options {
    int pairs = 30;
    int round_ms = 2000;           // with 30 pairs two minutes and a bit
    std::uint64_t rate = 200'000;  // records a second
    std::vector<unsigned> cpus{0, 1};
    std::string json;
};

struct Round {
    Hdr late;
    bool undisturbed = false;  // neither end was preempted
};

void pin(unsigned cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)::sched_setaffinity(0, sizeof set, &set);  // one core only: both run there, and it shows
}

/// Publishes at a fixed rate for a round; the schedule decides the stamps (no coordinated
/// omission), the other thread takes each record and notes how late it came.
Round run_round(Segment& segment, const Options& o) {
    const std::uint64_t count = o.rate * static_cast<std::uint64_t>(o.round_ms) / 1000;
    Round round;
    std::int64_t taken_from_consumer = 0;
    std::thread consumer{[&] {
        pin(o.cpus[1]);
        const std::int64_t before = preemptions();
        const auto ring = segment.ring<SignalSlot>("signals.bench");
        auto in = RingConsumer<SignalSlot>::attach(ring).value();
        while (round.late.total() < count) {
            in.poll(64, [&](const SignalSlot& s) {
                round.late.add(monotonic_ns() - s.value.edge_time.value);
            });
        }
        taken_from_consumer = preemptions() - before;
    }};
    pin(o.cpus[0]);
    const std::int64_t before = preemptions();
    auto out = RingProducer<SignalSlot>::attach(segment.ring<SignalSlot>("signals.bench")).value();
    const std::int64_t begin = monotonic_ns() + 1'000'000;
    SignalSlot slot{};
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::int64_t due = begin + static_cast<std::int64_t>(i * 1'000'000'000 / o.rate);
        while (monotonic_ns() < due) {
        }
        slot.value.edge_time = Nanos{due};
        while (!out.try_publish(slot)) {
        }
        if (i % 1024 == 0) {
            out.publish_stats(due);
        }
    }
    const std::int64_t taken_from_producer = preemptions() - before;
    consumer.join();
    round.undisturbed = taken_from_producer == 0 && taken_from_consumer == 0;
    return round;
}

/// `top --json` of `path` at 10 Hz, stopped at first; its output comes back through a pipe.
class Top {
public:
    explicit Top(const std::string& path) {
        int ends[2];
        if (::pipe(ends) != 0 || (pid_ = ::fork()) < 0) {
            std::perror("bench_inspect");
            std::exit(1);
        }
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::dup2(ends[1], STDOUT_FILENO);
            const char* argv[] = {"inspect", "top", path.c_str(), "--interval-ms", "100"};
            _exit(inspect_main(5, argv));
        }
        ::close(ends[1]);
        out_ = ends[0];
        reader_ = std::thread{[this] {
            char text[65536];
            for (ssize_t n = 0; (n = ::read(out_, text, sizeof text)) > 0;) {
                bytes_.fetch_add(static_cast<std::uint64_t>(n));
            }
        }};
    }
    ~Top() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        reader_.join();
        ::close(out_);
    }
    Top(const Top&) = delete;
    Top& operator=(const Top&) = delete;
    void run(bool on) const { ::kill(pid_, on ? SIGCONT : SIGSTOP); }
    [[nodiscard]] std::uint64_t bytes() const { return bytes_.load(); }

private:
    pid_t pid_ = -1;
    int out_ = -1;
    std::atomic<std::uint64_t> bytes_{0};
    std::thread reader_;
};

struct Quantile {
    const char* group;
    double q;
};
constexpr Quantile kQuantiles[] = {{"p50 one way beside inspect top", 0.5},
                                   {"p99 one way beside inspect top", 0.99},
                                   {"p99.9 one way beside inspect top", 0.999}};
constexpr const char* kWithout = "without top";
constexpr const char* kWith = "top at 10 Hz";

Series& series_of(Results& results, const Quantile& q, bool on) {
    return results.series(q.group, on ? kWith : kWithout, on ? Part::Ours : Part::Limit, "ns",
                          false);
}

void note(Results& results, const Round& r, bool on) {
    for (const Quantile& q : kQuantiles) {
        Series& s = series_of(results, q, on);
        // Never 0, which has no ratio: two clocks may disagree by that much.
        s.rounds.push_back(static_cast<double>(std::max<std::uint64_t>(r.late.quantile(q.q), 1)));
        s.undisturbed.push_back(r.undisturbed);
        s.histogram.add(r.late);
    }
}

/// Ratio of the geometric means with its 95 % interval; bench/run adds that of the medians.
void report(Results& results, const Options& o) {
    std::printf("%d interleaved pairs, top at 10 Hz\n", o.pairs);
    for (const Quantile& q : kQuantiles) {
        results.print(q.group);
        const Interval i =
            compare(series_of(results, q, false).rounds, series_of(results, q, true).rounds);
        std::printf("%-36s ratio %.3f  95%% interval %.3f to %.3f  %s\n", q.group, i.ratio, i.low,
                    i.high, i.includes_one() ? "nothing shown" : "A DIFFERENCE");
    }
}

int run(const Options& o) {
    SegmentPlan plan;
    plan.path = "/dev/shm/millrace-bench-inspect-" + std::to_string(::getpid());
    plan.strategies = {{"bench", SourceId{0}}};
    std::string message;
    auto made = Segment::create(plan, message);
    if (!made) {
        std::fprintf(stderr, "bench_inspect: %s\n", message.c_str());
        return 1;
    }
    Results results;
    std::uint64_t drawn = 0;
    {
        Top top{plan.path};
        top.run(false);
        run_round(made.value(), o);  // warm
        std::mt19937 random{1};
        for (int pair = 0; pair < o.pairs; ++pair) {
            const bool with_first = random() % 2 == 0;
            for (const bool on : {with_first, !with_first}) {
                const std::uint64_t before = top.bytes();
                top.run(on);
                const Round r = run_round(made.value(), o);
                top.run(false);
                drawn += on && top.bytes() > before ? 1 : 0;
                note(results, r, on);
            }
        }
    }
    ::unlink(plan.path.c_str());
    if (drawn < static_cast<std::uint64_t>(o.pairs)) {
        std::fprintf(stderr, "bench_inspect: top drew in %llu of %d rounds only\n",
                     static_cast<unsigned long long>(drawn), o.pairs);
        return 1;
    }
    report(results, o);
    return o.json.empty() || results.write(o.json) ? 0 : 1;
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
    millrace::bench::Options o;
    CLI::App app{"what `inspect top` at 10 Hz costs a live ring"};
    app.add_option("--pairs", o.pairs, "rounds with and without")
        ->check(CLI::Range(2, 10'000))
        ->capture_default_str();
    app.add_option("--round-ms", o.round_ms)
        ->check(CLI::Range(100, 600'000))
        ->capture_default_str();
    app.add_option("--rate", o.rate, "records a second")
        ->check(CLI::Range(1000, 10'000'000))
        ->capture_default_str();
    app.add_option("--cpus", o.cpus, "of the producing and the consuming end")
        ->delimiter(',')
        ->expected(2)
        ->check(CLI::Range(0, 1023));
    app.add_option("--json", o.json, "where to write the results");
    CLI11_PARSE(app, argc, argv);
    return millrace::bench::run(o);
}
