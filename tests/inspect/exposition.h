// A strict reader of Prometheus' text format 0.0.4.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace millrace::inspect {

struct Sample {
    std::string name;
    std::map<std::string, std::string> labels;
    double value = 0;
};

struct Family {
    std::string type;
    std::string help;
    std::vector<Sample> samples;
};

struct Exposition {
    std::map<std::string, Family> families;
    std::string fault;  // first line that breaks a rule, and which
};

/// Rules: HELP and TYPE before samples and once each, families not interleaved, names and labels as
/// the grammar has them, no label twice, no sample twice, counters end in _total and are not
/// negative, buckets rise and end in +Inf, which equals _count.
[[nodiscard]] Exposition parse_exposition(const std::string& text);

}  // namespace millrace::inspect
