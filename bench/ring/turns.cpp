#include "bench/ring/turns.h"

#include "bench/ring/measure.h"

#include <algorithm>
#include <set>

namespace millrace::bench {
namespace {

constexpr std::uint64_t kHandOffTrips = 500;  // a fraction of a millisecond

/// A round trip / 2 of one cache line, p50, between threads: the cores are the same for processes.
double hand_off_now(Setup s) {
    s.mode = Mode::Threads;
    s.pauses = 0;
    Hdr unused;
    return round_trip<HandOff>(s, kHandOffTrips, unused).value;
}

}  // namespace

std::uint64_t Bench::count(double n) const {
    return static_cast<std::uint64_t>(std::max(1.0, n * options_.scale));
}

Setup Bench::setup(Mode mode, int pauses) const {
    return {mode, options_.cpus[0], options_.cpus[1], pauses};
}

std::function<Round(Series&)> Bench::of_equal_time(std::function<Round(std::uint64_t)> run) const {
    constexpr double kMicroseconds = 5'000;
    const double micros = kMicroseconds * static_cast<double>(count(1'000)) / 1'000;
    return [=, guess = count(60'000), n = std::uint64_t{0}](Series&) mutable {
        if (n == 0) {
            n = std::max(guess, static_cast<std::uint64_t>(run(guess).value * micros));
        }
        return run(n);
    };
}

void Bench::turn(const char* unit, bool higher, const Contender& c, int attempts) {
    Series& series = results_.series(c.group, c.name, c.part, unit, higher);
    const Hdr before = series.histogram;
    double hand_off = hand_off_now(setup(Mode::Threads, 0));
    Round got = c.run(series);
    double after = hand_off_now(setup(Mode::Threads, 0));
    for (int i = 1; i < std::min(attempts, options_.attempts) && !got.undisturbed; ++i) {
        series.histogram = before;
        hand_off = after;
        got = c.run(series);
        after = hand_off_now(setup(Mode::Threads, 0));
    }
    const auto note = [&](Series& to, double value) {
        to.rounds.push_back(value);
        to.undisturbed.push_back(got.undisturbed);
        to.hand_off_ns.push_back(hand_off);
        to.hand_off_after_ns.push_back(after);
    };
    note(series, got.value);
    if (got.p999 > 0) {
        note(results_.series(c.group + ", p99.9", c.name, c.part, unit, higher), got.p999);
    }
}

void Bench::turns(const char* unit, bool higher, const std::vector<Contender>& contenders,
                  int attempts) {
    std::set<std::string> groups;
    for (int round = 0; round < options_.rounds; ++round) {
        // Another one begins each round, so that nobody always comes after the same neighbour.
        for (std::size_t i = 0; i < contenders.size(); ++i) {
            const auto first = static_cast<std::size_t>(round);
            const Contender& c = contenders[(first + i) % contenders.size()];
            turn(unit, higher, c, attempts);
            groups.insert(c.group);
        }
    }
    for (const std::string& group : groups) {
        results_.print(group);
        results_.print(group + ", p99.9");
    }
}

}  // namespace millrace::bench
