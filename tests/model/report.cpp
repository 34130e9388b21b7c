#include "tests/model/report.h"

#include <gtest/gtest.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>

namespace millrace::model {
namespace {

bool in_file(const Site& site, const std::string& header) {
    return site.file.ends_with(header);
}

void print_trace(const Outcome& outcome) {
    std::printf("    VIOLATED: %s\n", outcome.what.c_str());
    for (const std::string& step : outcome.trace) {
        std::printf("      %s\n", step.c_str());
    }
}

}  // namespace

bool holds(const Scenario& scenario) {
    const Outcome o = explore(scenario);
    std::printf("  %-52s %9" PRIu64 " states %9" PRIu64 " steps %8" PRIu64
                " kills %11.4g interleavings%s\n",
                scenario.name.c_str(), o.states, o.transitions, o.deaths, o.interleavings,
                o.complete ? ", complete" : ", NOT COMPLETE");
    if (o.violated) {
        print_trace(o);
    }
    return o.complete;
}

bool is_caught(const Outcome& outcome) {
    EXPECT_NE(outcome.what, kTooLarge) << "so nothing is known of it";
    return outcome.violated && outcome.what != kTooLarge;
}

std::vector<std::string> survivors(const std::string& header,
                                   const std::vector<Scenario>& scenarios) {
    std::vector<std::string> alive;
    unsigned caught = 0;
    for (const Site& site : sites()) {
        if (!site.stronger_than_relaxed || !in_file(site, header)) {
            continue;
        }
        const std::string name = header + ":" + std::to_string(site.line) + " " + site.operation;
        weaken(&site);
        bool found = false;
        for (const Scenario& s : scenarios) {
            const Outcome o = explore(s);
            if (is_caught(o)) {
                std::printf("  %-42s caught by \"%s\" after %" PRIu64 " executions: %s\n",
                            name.c_str(), s.name.c_str(), o.executions + 1, o.what.c_str());
                found = true;
                break;
            }
        }
        caught += found ? 1 : 0;
        if (!found) {
            std::printf("  %-42s SURVIVES\n", name.c_str());
            alive.push_back(name);
        }
    }
    weaken(nullptr);
    std::printf("  %s: %u of %zu single weakenings caught\n", header.c_str(), caught,
                caught + alive.size());
    return alive;
}

std::vector<std::string> unexplored_lines(const std::string& header) {
    std::set<unsigned> explored;
    for (const Site& site : sites()) {
        if (in_file(site, header)) {
            explored.insert(site.line);
        }
    }
    std::vector<std::string> missing;
    std::ifstream file{std::string{MILLRACE_SOURCE_DIR} + "/" + header};
    EXPECT_TRUE(file.is_open()) << header;
    std::string line;
    for (unsigned number = 1; std::getline(file, line); ++number) {
        const std::string code = line.substr(0, line.find("//"));
        for (const char* order :
             {"_acquire", "_release", "_acq_rel", "_seq_cst", "light_fence(", "heavy_fence("}) {
            if (code.find(order) != std::string::npos && !explored.contains(number)) {
                missing.push_back(header + ":" + std::to_string(number) + ": " + code);
            }
        }
    }
    return missing;
}

bool long_run() {
    return std::getenv("MILLRACE_LONG") != nullptr;
}

}  // namespace millrace::model
