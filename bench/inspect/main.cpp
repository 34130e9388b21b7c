// Does `inspect top` at 10 Hz change what a live pipeline does? One-way latency over a ring of the
// segment, with and without `top` of that segment running, pair by pair in random order.
//
//     bench_inspect [--pairs N] [--round-ms N] [--rate N] [--json]
//
// `top` is a process of its own that is stopped (SIGSTOP) in the A rounds and goes on in the B
// rounds, so that nothing else differs. It runs where the kernel puts it: on a machine with as many
// spinning threads as cores it must take its time from one of them.
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "bench/inspect/pairs.h"
#include "shm/segment.h"
#include "tools/inspect/inspect.h"

namespace millrace::bench {
namespace {

struct Options {
    int pairs = 30;
    int round_ms = 500;
    std::uint64_t rate = 200'000;  // records a second
    bool json = false;
};

struct Round {
    double p50 = 0;
    double p99 = 0;
    double p999 = 0;
};

void pin(unsigned cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)::sched_setaffinity(0, sizeof set, &set);  // one core only: both run there, and it shows
}

double quantile(std::vector<std::int64_t>& sorted, double q) {
    const auto i = static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1));
    return static_cast<double>(sorted[i]);
}

/// Publishes at a fixed rate for a round; the schedule decides the stamps (no coordinated
/// omission), the other thread takes each record and notes how late it came.
Round run_round(Segment& segment, const Options& o) {
    const std::uint64_t count = o.rate * static_cast<std::uint64_t>(o.round_ms) / 1000;
    std::vector<std::int64_t> late;
    late.reserve(count);
    std::thread consumer{[&] {
        pin(1);
        const auto ring = segment.ring<SignalSlot>("signals.bench");
        auto in = RingConsumer<SignalSlot>::attach(ring).value();
        while (late.size() < count) {
            in.poll(64, [&](const SignalSlot& s) {
                late.push_back(monotonic_ns() - s.value.edge_time.value);
            });
        }
    }};
    pin(0);
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
    consumer.join();
    std::sort(late.begin(), late.end());
    return {quantile(late, 0.5), quantile(late, 0.99), quantile(late, 0.999)};
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

struct Series {
    std::vector<double> p50, p99, p999;
    void add(const Round& r) {
        p50.push_back(r.p50);
        p99.push_back(r.p99);
        p999.push_back(r.p999);
    }
};

double median(std::vector<double> v) {
    std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2), v.end());
    return v[v.size() / 2];
}

void report(const Options& o, const char* what, const std::vector<double>& a,
            const std::vector<double>& b, bool last) {
    const Interval i = compare(a, b);
    if (o.json) {
        std::printf(
            "  {\"what\": \"%s\", \"without_ns\": %.0f, \"with_ns\": %.0f, "
            "\"ratio\": %.4f, \"low\": %.4f, \"high\": %.4f, \"includes_one\": %s}%s\n",
            what, median(a), median(b), i.ratio, i.low, i.high, i.includes_one() ? "true" : "false",
            last ? "" : ",");
        return;
    }
    std::printf(
        "%-6s without %8.0f ns  with %8.0f ns  ratio %.3f  95%% interval %.3f to %.3f"
        "  %s\n",
        what, median(a), median(b), i.ratio, i.low, i.high,
        i.includes_one() ? "nothing shown" : "A DIFFERENCE");
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
    Series without;
    Series with;
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
                (on ? with : without).add(r);
            }
        }
    }
    ::unlink(plan.path.c_str());
    if (drawn < static_cast<std::uint64_t>(o.pairs)) {
        std::fprintf(stderr, "bench_inspect: top drew in %llu of %d rounds only\n",
                     static_cast<unsigned long long>(drawn), o.pairs);
        return 1;
    }
    std::printf(
        o.json ? "{\"pairs\": %d, \"results\": [\n" : "%d interleaved pairs, top at 10 Hz\n",
        o.pairs);
    report(o, "p50", without.p50, with.p50, false);
    report(o, "p99", without.p99, with.p99, false);
    report(o, "p99.9", without.p999, with.p999, true);
    std::printf(o.json ? "]}\n" : "");
    return 0;
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
    millrace::bench::Options o;
    for (int i = 1; i < argc; ++i) {
        const std::string name = argv[i];
        if (name == "--json") {
            o.json = true;
        } else if (name == "--pairs" && i + 1 < argc) {
            o.pairs = std::max(2, std::atoi(argv[++i]));
        } else if (name == "--round-ms" && i + 1 < argc) {
            o.round_ms = std::max(100, std::atoi(argv[++i]));
        } else if (name == "--rate" && i + 1 < argc) {
            o.rate = static_cast<std::uint64_t>(std::max(1000, std::atoi(argv[++i])));
        } else {
            std::fprintf(stderr,
                         "usage: bench_inspect [--pairs N] [--round-ms N] [--rate N] "
                         "[--json]\n");
            return 2;
        }
    }
    return millrace::bench::run(o);
}
