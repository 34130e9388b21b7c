#include "bench/pipeline/report.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

namespace millrace::bench {

std::int64_t permille(std::vector<std::int64_t>& samples, unsigned p) {
    std::sort(samples.begin(), samples.end());
    const std::size_t i = samples.size() * p / 1000;
    return samples[std::min(i, samples.size() - 1)];
}

void print_machine() {
    utsname u{};
    ::uname(&u);
    std::string model = "unknown CPU";
    std::ifstream info{"/proc/cpuinfo"};
    for (std::string line; std::getline(info, line);) {
        if (line.rfind("model name", 0) == 0) {
            model = line.substr(line.find(':') + 2);
            break;
        }
    }
    std::printf(
        "machine: %s, %ld cores, Linux %s; strategy (and broker's eyes, or terminal) on "
        "one core, engine, broker and journal duty cycles on the other\n",
        model.c_str(), ::sysconf(_SC_NPROCESSORS_ONLN), u.release);
}

void print_table(const std::vector<Figure>& figures) {
    std::printf("%-44s %12s  %-34s %12s %8s %15s  %s\n", "what", "value", "limit in the same run",
                "limit", "ratio", "95 % of rounds", "goal");
    for (const Figure& f : figures) {
        std::printf("%-44s %9.1f %-2s  %-34s %9.1f %-2s %7.2fx %6.2f - %6.2f  %s\n", f.name.c_str(),
                    f.value, f.unit.c_str(), f.limit_name.c_str(), f.limit, f.unit.c_str(), f.ratio,
                    f.spread_low, f.spread_high, f.goal.c_str());
    }
}

bool write_json(const std::string& path, const std::vector<Figure>& figures) {
    std::ofstream out{path};
    out << "[\n";
    for (std::size_t i = 0; i < figures.size(); ++i) {
        const Figure& f = figures[i];
        out << "  {\"name\": \"" << f.name << "\", \"unit\": \"" << f.unit
            << "\", \"value\": " << f.value << ", \"limit_name\": \"" << f.limit_name
            << "\", \"limit\": " << f.limit << ", \"ratio\": " << f.ratio
            << ", \"low\": " << f.spread_low << ", \"high\": " << f.spread_high
            << ", \"rounds\": [";
        for (std::size_t r = 0; r < f.rounds.size(); ++r) {
            out << (r == 0 ? "" : ", ") << f.rounds[r];
        }
        out << "], \"goal\": \"" << f.goal << "\"}" << (i + 1 < figures.size() ? ",\n" : "\n");
    }
    out << "]\n";
    return out.good();
}

}  // namespace millrace::bench
