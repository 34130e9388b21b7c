#include "bench/lib/results.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

namespace millrace::bench {
namespace {

const char* to_string(Part part) {
    switch (part) {
        case Part::Limit: return "limit";
        case Part::Rival: return "rival";
        case Part::Ours: return "ours";
        case Part::Variant: return "variant";
    }
    return "";
}

nlohmann::json histogram_json(const Hdr& h) {
    nlohmann::json out{
        {"count", h.total()},      {"p50", h.quantile(0.5)},     {"p90", h.quantile(0.9)},
        {"p99", h.quantile(0.99)}, {"p99.9", h.quantile(0.999)}, {"p99.99", h.quantile(0.9999)},
        {"max", h.max()}};
    auto& buckets = out["buckets"] = nlohmann::json::array();
    for (std::size_t i = 0; i < Hdr::kBuckets; ++i) {
        if (h.count(i) != 0) {
            buckets.push_back({Hdr::upper_of(i), h.count(i)});
        }
    }
    return out;
}

}  // namespace

Series& Results::series(const std::string& group, const std::string& name, Part part,
                        const std::string& unit, bool higher_is_better) {
    for (Series& s : all_) {
        if (s.group == group && s.name == name) {
            return s;
        }
    }
    Series& s = all_.emplace_back();
    s.group = group;
    s.name = name;
    s.part = part;
    s.unit = unit;
    s.higher_is_better = higher_is_better;
    return s;
}

nlohmann::json Results::to_json() const {
    nlohmann::json out = nlohmann::json::array();
    for (const Series& s : all_) {
        nlohmann::json one{{"group", s.group},
                           {"name", s.name},
                           {"part", to_string(s.part)},
                           {"unit", s.unit},
                           {"better", s.higher_is_better ? "higher" : "lower"},
                           {"rounds", s.rounds},
                           {"undisturbed", s.undisturbed}};
        if (!s.hand_off_ns.empty()) {
            one["hand_off_ns"] = s.hand_off_ns;
            one["hand_off_after_ns"] = s.hand_off_after_ns;
        }
        if (s.histogram.total() != 0) {
            one["histogram_ns"] = histogram_json(s.histogram);
        }
        out.push_back(std::move(one));
    }
    return out;
}

bool Results::write(const std::string& path) const {
    std::ofstream file{path};
    file << to_json().dump(1) << '\n';
    file.flush();
    if (!file) {
        std::fprintf(stderr, "bench: cannot write %s: %s\n", path.c_str(), std::strerror(errno));
    }
    return file.good();
}

void Results::print(const std::string& group) const {
    for (const Series& s : all_) {
        if (s.group != group) {
            continue;
        }
        std::vector<double> sorted = s.rounds;
        std::sort(sorted.begin(), sorted.end());
        const auto at = [&](std::size_t q) {
            return sorted.empty() ? 0.0
                                  : sorted[std::min(sorted.size() * q / 4, sorted.size() - 1)];
        };
        std::printf("%-36s %-30s %9.2f %-5s quartiles %9.2f %9.2f, %zd of %zu undisturbed\n",
                    s.group.c_str(), s.name.c_str(), at(2), s.unit.c_str(), at(1), at(3),
                    std::count(s.undisturbed.begin(), s.undisturbed.end(), true), s.rounds.size());
    }
    std::fflush(stdout);
}

}  // namespace millrace::bench
