// Samples, medians over interleaved rounds, and the table and JSON that a run prints.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace millrace::bench {

/// p-th permille of `samples` (sorted in place).
std::int64_t permille(std::vector<std::int64_t>& samples, unsigned p);

/// One published figure: what, its limit or rival in the same run, and the goal for the ratio.
struct Figure {
    std::string name;
    std::string unit;
    double value = 0;
    std::string limit_name;
    double limit = 0;
    double ratio = 0;
    std::string goal;
    double spread_low = 0;  // ratio's 2.5 and 97.5 percentile over rounds
    double spread_high = 0;
    std::vector<double> rounds;  // the ratio of each round
};

void print_machine();
void print_table(const std::vector<Figure>& figures);
/// @return false if the file cannot be written.
bool write_json(const std::string& path, const std::vector<Figure>& figures);

}  // namespace millrace::bench
