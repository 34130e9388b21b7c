// Results: what a benchmark binary hands to bench/run: one value a round for each series, and
// histograms. Statistics over rounds are bench/run's business. Schema: bench/README.md.
#pragma once

#include "bench/lib/hdr.h"

#include <nlohmann/json.hpp>

#include <deque>
#include <string>
#include <vector>

namespace millrace::bench {

/// What a series is compared as: ratios are ours to the limit, or ours to the best rival.
enum class Part { Limit, Rival, Ours, Variant };

struct Series {
    std::string group;  // "throughput 64 B, threads": those of a group took turns round by round
    std::string name;
    Part part = Part::Ours;
    std::string unit;
    bool higher_is_better = true;
    std::vector<double> rounds;
    std::vector<bool> undisturbed;  // of each round: no end was preempted
    /// Of each round: what a bare cache-line hand-off took just before it and just after it; empty
    /// = not taken.
    std::vector<double> hand_off_ns;
    std::vector<double> hand_off_after_ns;
    Hdr histogram;  // over all rounds; empty if it has none (then not written)
};

class Results {
public:
    /// Finds or adds the series; references stay valid.
    Series& series(const std::string& group, const std::string& name, Part part,
                   const std::string& unit, bool higher_is_better);
    [[nodiscard]] nlohmann::json to_json() const;
    /// @return false with the reason on standard error if `path` cannot be written.
    [[nodiscard]] bool write(const std::string& path) const;
    /// The group on standard output, one line a series.
    void print(const std::string& group) const;

private:
    std::deque<Series> all_;
};

}  // namespace millrace::bench
