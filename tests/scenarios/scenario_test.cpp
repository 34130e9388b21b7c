// Goal: tests/scenarios/*.scn hold, line by line (the language: README.md).
// Method: a Scenario for each file; what it covered is printed with the requirements it shows.
#include "tests/scenarios/scenario.h"
#include "tests/scenarios/index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

namespace millrace::test {
namespace {

const std::filesystem::path kScenarios{MILLRACE_SCENARIOS};

/// Requirements that name the scenario as their evidence.
std::string shown_by(const std::string& scenario) {
    std::string ids;
    for (const Row& row : read_indexes(kScenarios)) {
        if (std::find(row.evidence.begin(), row.evidence.end(), scenario) != row.evidence.end()) {
            ids += " " + row.id;
        }
    }
    return ids.empty() ? " none of the rows" : ids;
}

/// The comment that a scenario begins with: what it shows.
std::string story_of(const std::string& file) {
    std::ifstream in{kScenarios / file};
    std::string line;
    std::getline(in, line);
    return line.starts_with("# ") ? line.substr(2) : line;
}

class ScenarioTest : public ::testing::TestWithParam<std::string> {};

TEST_P(ScenarioTest, ComesOutAsWritten) {
    const std::string file = GetParam() + ".scn";
    Scenario scenario{kScenarios / file};
    try {
        scenario.run();
    } catch (const sim::Violation& v) {
        FAIL() << file << ": the simulated world violates " << v.what();
    } catch (const std::exception& e) {
        FAIL() << file << ": not understood: " << e.what();
    }
    const Covered& c = scenario.covered();
    std::printf(
        "covers:%s: %zu signals, %zu reports in; %zu orders, %zu results expected; "
        "%zu restarts, %zu simulated worlds: %s\n",
        shown_by(file).c_str(), c.signals, c.reports, c.orders, c.results, c.restarts, c.seeds,
        story_of(file).c_str());
}

std::vector<std::string> all() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator{kScenarios}) {
        if (entry.path().extension() == ".scn") {
            names.push_back(entry.path().stem().string());
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}
INSTANTIATE_TEST_SUITE_P(Files, ScenarioTest, ::testing::ValuesIn(all()),
                         [](const auto& file) { return file.param; });

TEST(Scenarios, AreAtLeastSeventy) {
    EXPECT_GE(all().size(), 70U);
}

}  // namespace
}  // namespace millrace::test
