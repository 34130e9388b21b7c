#include "tests/inspect/exposition.h"

#include <cmath>
#include <regex>
#include <set>
#include <sstream>

namespace millrace::inspect {
namespace {

const std::regex kName{"[a-zA-Z_:][a-zA-Z0-9_:]*"};
const std::regex kLabel{"[a-zA-Z_][a-zA-Z0-9_]*"};

/// `name{a="b",c="d"} value`; false if it is not of that form.
bool parse_sample(const std::string& line, Sample& s) {
    std::size_t at = line.find_first_of("{ ");
    if (at == std::string::npos || !std::regex_match(line.substr(0, at), kName)) {
        return false;
    }
    s.name = line.substr(0, at);
    while (line[at] == '{' || line[at] == ',') {
        const std::size_t equals = line.find('=', ++at);
        if (equals == std::string::npos || line[equals + 1] != '"') {
            return false;
        }
        const std::string name = line.substr(at, equals - at);
        std::string value;
        for (at = equals + 2; at < line.size() && line[at] != '"'; ++at) {
            if (line[at] == '\\') {
                const char next = line[++at];
                if (next != '\\' && next != '"' && next != 'n') {
                    return false;
                }
                value += next == 'n' ? '\n' : next;
            } else {
                value += line[at];
            }
        }
        ++at;
        if (at >= line.size() || !std::regex_match(name, kLabel) ||
            !s.labels.emplace(name, value).second) {
            return false;
        }
        if (line[at] == '}') {
            ++at;
            break;
        }
    }
    if (at >= line.size() || line[at] != ' ') {
        return false;
    }
    std::size_t used = 0;
    const std::string number = line.substr(at + 1);
    try {
        s.value = std::stod(number, &used);
    } catch (const std::exception&) {
        return false;
    }
    return used == number.size();
}

std::string family_of(const std::string& name, const Exposition& e) {
    for (const char* suffix : {"_bucket", "_sum", "_count"}) {
        if (name.ends_with(suffix)) {
            const std::string base = name.substr(0, name.size() - std::string{suffix}.size());
            const auto f = e.families.find(base);
            if (f != e.families.end() && f->second.type == "histogram") {
                return base;
            }
        }
    }
    return name;
}

std::string histogram_fault(const std::string& name, const Family& f) {
    std::map<std::string, std::pair<double, double>> last;  // series -> bound, count
    std::map<std::string, double> counts;
    for (const Sample& s : f.samples) {
        std::string series;
        for (const auto& [label, value] : s.labels) {
            series += label == "le" ? "" : label + "=" + value + ",";
        }
        if (s.name == name + "_count") {
            counts[series] = s.value;
        }
        if (s.name != name + "_bucket") {
            continue;
        }
        const double bound = std::stod(s.labels.at("le"));
        const auto before = last.find(series);
        if (before != last.end() &&
            (bound <= before->second.first || s.value < before->second.second)) {
            return name + ": buckets of " + series + " do not rise";
        }
        last[series] = {bound, s.value};
    }
    for (const auto& [series, end] : last) {
        if (!std::isinf(end.first) || counts.count(series) == 0 || counts[series] != end.second) {
            return name + ": " + series + " does not end in +Inf equal to its count";
        }
    }
    return last.size() == counts.size() ? "" : name + ": a series has no buckets";
}

std::string family_fault(const std::string& name, const Family& f) {
    static const std::set<std::string> kTypes{"counter", "gauge", "histogram"};
    if (kTypes.count(f.type) == 0 || f.help.empty()) {
        return name + ": no TYPE or no HELP";
    }
    if ((f.type == "counter") != name.ends_with("_total")) {
        return name + ": counters, and only they, end in _total";
    }
    std::set<std::map<std::string, std::string>> seen;
    for (const Sample& s : f.samples) {
        auto key = s.labels;
        key["__name__"] = s.name;
        if (!seen.insert(key).second) {
            return s.name + ": the same sample twice";
        }
        if (std::isnan(s.value) || (f.type != "gauge" && s.value < 0)) {
            return s.name + ": impossible value";
        }
    }
    return f.type == "histogram" ? histogram_fault(name, f) : "";
}

}  // namespace

Exposition parse_exposition(const std::string& text) {
    Exposition e;
    std::string current;
    if (!text.ends_with('\n')) {
        e.fault = "the last line has no end";
        return e;
    }
    std::istringstream in{text};
    for (std::string line; std::getline(in, line) && e.fault.empty();) {
        std::smatch m;
        static const std::regex kHead{"# (HELP|TYPE) ([^ ]+) (.+)"};
        if (std::regex_match(line, m, kHead)) {
            Family& f = e.families[m[2]];
            std::string& field = m[1] == "HELP" ? f.help : f.type;
            const bool fine =
                field.empty() && f.samples.empty() && std::regex_match(m[2].str(), kName);
            field = m[3];
            current = m[2];
            e.fault = fine ? "" : line + ": again, late, or no name";
            continue;
        }
        Sample s;
        if (!parse_sample(line, s)) {
            e.fault = line + ": is no sample";
        } else if (family_of(s.name, e) != current) {
            e.fault = line + ": outside of its family";
        } else {
            e.families[current].samples.push_back(s);
        }
    }
    for (const auto& [name, family] : e.families) {
        e.fault = e.fault.empty() ? family_fault(name, family) : e.fault;
    }
    return e;
}

}  // namespace millrace::inspect
