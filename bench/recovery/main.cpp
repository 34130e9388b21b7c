// bench_recovery: SIGKILL for one stage after the other of a whole pipeline under load, and how
// long until its death is detected, its role is attached again, its first new message is through
// and the backlog that was waiting then is drained. Times from the kill, in ms. Beside it, before
// each kill, the limit: fork, exec and end of a process that does nothing.
//
//     bench_recovery [--kills N] [--accounts N] [--rate N] [--seed N] [--json FILE]
#include <CLI/CLI.hpp>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <cstdio>
#include <string>
#include <thread>

#include "bench/lib/results.h"
#include "bench/recovery/watch.h"
#include "shm/clock.h"
#include "tests/chaos/world.h"
#include "tools/market/generator.h"

namespace millrace::bench {
namespace {

constexpr StageId kVictims[] = {StageId::Engine,  StageId::Broker,  StageId::Journal,
                                StageId::Ingress, StageId::Replica, StageId::Sqlite};
constexpr Nanos kWatchMax = seconds(40);
constexpr std::uint64_t kSpreadNs = 30'000'000;  // of the kills: over many duty cycles
constexpr int kFailuresMax = 5;
constexpr int kSayEvery = 50;
constexpr const char* kEvery = "recovery of every stage";
constexpr const char* kTrivial = "fork and exec of /bin/true";

struct Options {
    chaos::WorldOptions world;
    int kills = 1002;  // as many of each stage
    std::string json;
};

std::string group_of(StageId victim) {
    return std::string{"recovery of "} + stage_name(victim);
}

/// Time from fork to the end of a process that does nothing; -1 if it could not be started.
std::int64_t trivial_process_ns() {
    char name[] = "/bin/true";
    char* argv[] = {name, nullptr};
    char* environment[] = {nullptr};
    pid_t pid = -1;
    int status = -1;
    const std::int64_t begin = monotonic_ns();
    if (::posix_spawn(&pid, name, nullptr, nullptr, argv, environment) != 0 ||
        ::waitpid(pid, &status, 0) != pid || status != 0) {
        return -1;
    }
    return monotonic_ns() - begin;
}

class Bench {
public:
    Bench(chaos::World& world, std::uint64_t seed) : world_{world}, random_{seed} {}

    /// One kill; a stage that does not come back in time is counted and said.
    void kill(StageId victim) {
        const Segment& segment = world_.segment();
        // The spare too: a second death before it is ready is another measurement.
        const auto all_work = [&] {
            return works(segment, victim) && works(segment, StageId::Replica) &&
                   world_.pipeline().accounts_ready();
        };
        if (!world_.turn_until(all_work, kPatience)) {
            return failed(victim, "it did not work before the kill");
        }
        // Somewhere inside its duty cycle and its commits, not always at the same place.
        world_.turn_for(Nanos{static_cast<std::int64_t>(random_.below(kSpreadNs))});
        const std::int64_t trivial = trivial_process_ns();
        if (trivial < 0) {
            return failed(victim, "/bin/true could not be run beside it");
        }
        const std::uint64_t generation = generation_of(segment, victim);
        const Nanos killed = segment.clock().now();
        if (!world_.kill_stage(victim)) {
            return failed(victim, "nobody had its role");
        }
        Recovery r;
        std::atomic<bool> done{false};
        std::thread watcher{[&] {
            r = watch(segment, victim, generation, killed);
            done.store(true, std::memory_order_release);  // pairs with the acquire below
        }};
        (void)world_.turn_until([&] { return done.load(std::memory_order_acquire); }, kWatchMax);
        watcher.join();
        if (!r.complete()) {
            return failed(victim, r.attached < 0 ? "it did not come back" : "it did no work");
        }
        note(group_of(victim), r, trivial);
        note(kEvery, r, trivial);
    }
    [[nodiscard]] Results& results() noexcept { return results_; }
    [[nodiscard]] int failures() const noexcept { return failures_; }

    /// p50, p99 and the worst, in ms.
    void print(const std::string& group) {
        std::printf("%s, ms after SIGKILL\n", group.c_str());
        for (const char* name :
             {"detected", "attached", "first message", "backlog drained", kTrivial}) {
            const Hdr& h = results_.series(group, name, Part::Ours, "ms", false).histogram;
            std::printf("  %-28s p50 %8.2f  p99 %8.2f  max %8.2f  of %lu\n", name, ms(0.5, h),
                        ms(0.99, h), static_cast<double>(h.max()) / 1e6,
                        static_cast<unsigned long>(h.total()));
        }
    }

private:
    static double ms(double q, const Hdr& h) { return static_cast<double>(h.quantile(q)) / 1e6; }

    void failed(StageId victim, const char* why) {
        ++failures_;
        std::fprintf(stderr, "bench_recovery: %s: %s\n", stage_name(victim), why);
    }
    void note(const std::string& group, const Recovery& r, std::int64_t trivial) {
        add(group, "detected", Part::Ours, r.detected);
        add(group, "attached", Part::Ours, r.attached);
        add(group, "first message", Part::Ours, r.first);
        add(group, "backlog drained", Part::Ours, r.drained);
        add(group, kTrivial, Part::Limit, trivial);
    }
    void add(const std::string& group, const char* name, Part part, std::int64_t ns) {
        Series& s = results_.series(group, name, part, "ms", false);
        s.rounds.push_back(static_cast<double>(ns) / 1e6);
        s.undisturbed.push_back(true);  // nothing here is pinned; a preemption is part of it
        s.histogram.add(ns);
    }

    chaos::World& world_;
    market::Random random_;
    Results results_;
    int failures_ = 0;
};

/// The ledger keeps every signal of a week, and a full one refuses: room for two seconds a kill.
/// A snapshot is due when the replica has lived for so long: here none lives for the usual minute,
/// so that without this every heir would replay the whole run.
void make_room(Options& o) {
    const std::uint64_t signals = std::uint64_t{o.world.rate} * static_cast<std::uint64_t>(o.kills);
    const std::uint64_t ledger = std::bit_ceil(std::max<std::uint64_t>(2 * signals, 1U << 17));
    o.world.edits = {{"\"accounts_max\"", "\"capacity\": {\"ledger\": " + std::to_string(ledger) +
                                              "}, \"accounts_max\""},
                     {"\"file_mib\"", "\"snapshot_s\": 2, \"file_mib\""}};
}

int run(Options o) {
    make_room(o);
    chaos::World world{o.world};
    if (const std::string problem = world.start(); !problem.empty()) {
        std::fprintf(stderr, "bench_recovery: %s\n%s\n", problem.c_str(), world.log().c_str());
        return 1;
    }
    Bench bench{world, o.world.seed};
    for (int i = 0; i < o.kills && bench.failures() < kFailuresMax; ++i) {
        bench.kill(kVictims[static_cast<std::size_t>(i) % std::size(kVictims)]);
        if ((i + 1) % kSayEvery == 0) {
            std::fprintf(stderr, "bench_recovery: %d of %d kills\n", i + 1, o.kills);
        }
    }
    const chaos::Judgement judgement = world.finish();
    for (const StageId victim : kVictims) {
        bench.print(group_of(victim));
    }
    bench.print(kEvery);
    for (const std::string& problem : judgement.problems) {
        std::fprintf(stderr, "bench_recovery: %s\n", problem.c_str());
    }
    std::printf("signals %lu, executed %lu; lost, doubled or not stored: %s\n",
                static_cast<unsigned long>(world.source().counts().sent),
                static_cast<unsigned long>(judgement.book_executions),
                judgement.good() ? "none" : "see above");
    const bool written = o.json.empty() || bench.results().write(o.json);
    return written && judgement.good() && bench.failures() == 0 ? 0 : 1;
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
    millrace::bench::Options o;
    o.world.rate = 100;
    // On a machine that takes seconds to start a process what leaves meanwhile fills its queue.
    o.world.exits_excused = {millrace::Reason::QueueFull};
    CLI::App app{"kill -> detected -> attached -> first message -> backlog drained"};
    app.add_option("--kills", o.kills, "in all, over all stages in turn")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    app.add_option("--accounts", o.world.accounts)->check(CLI::Range(1, 64))->capture_default_str();
    app.add_option("--rate", o.world.rate, "signals a second")
        ->check(CLI::Range(1, 10'000))
        ->capture_default_str();
    app.add_option("--seed", o.world.seed)->capture_default_str();
    app.add_option("--json", o.json, "where to write the results");
    CLI11_PARSE(app, argc, argv);
    return millrace::bench::run(std::move(o));
}
