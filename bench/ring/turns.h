// Contenders that take turns round by round, so that a machine that moves under the run moves all.
#pragma once

#include "bench/lib/results.h"
#include "bench/ring/round.h"

#include <functional>
#include <string>
#include <vector>

namespace millrace::bench {

/// One row of a group; what ran in the same turns is compared.
struct Contender {
    std::string group;
    std::string name;
    Part part;
    std::function<Round(Series&)> run;  // adds to the series' histogram where it has latencies
};

struct TurnOptions {
    int rounds = 12;
    double scale = 1.0;  // of the counts of messages
    std::vector<int> cpus{0, 1};
    /// A round during which an end was preempted is repeated, this often in all at most; then it
    /// counts with a mark. What is chosen by is the scheduler's word, never the result.
    int attempts = 6;
};

class Bench {
public:
    static constexpr int kAsOftenAsAllowed = 1000;  // TurnOptions::attempts decides

    explicit Bench(const TurnOptions& options) : options_{options} {}

    /// @return `n` by the scale, at least 1.
    [[nodiscard]] std::uint64_t count(double n) const;
    [[nodiscard]] Setup setup(Mode mode, int pauses) const;
    /// Rounds of about the same time (5 ms) whatever the queue's rate, or a machine that takes a
    /// core away now and then would spoil the slow ones' rounds alone: the first one finds it out.
    /// @param run a round of so many messages, in M/s.
    [[nodiscard]] std::function<Round(Series&)> of_equal_time(
        std::function<Round(std::uint64_t)> run) const;
    /// Lets all of them take turns and prints their groups. Before and after each turn a bare
    /// hand-off is taken, which says on what pair of cores the machine had us at that moment.
    /// @param attempts at a disturbed round, at most those of the options.
    void turns(const char* unit, bool higher, const std::vector<Contender>& contenders,
               int attempts = kAsOftenAsAllowed);
    [[nodiscard]] const Results& results() const { return results_; }

private:
    void turn(const char* unit, bool higher, const Contender& c, int attempts);

    TurnOptions options_;
    Results results_;
};

}  // namespace millrace::bench
