// Goal: only the planned start of the planned stage is armed, and no crash point is compiled in at
// which no test dies. Method: the pure part on plans; the texts of the sources and the tests.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "tests/chaos/crash_matrix.h"
#include "tools/millrace/crash_plan.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
    std::ifstream in{path};
    return {std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{}};
}

/// Path below the project -> text, of every source in `folders`.
std::map<std::string, std::string> sources(const std::vector<std::string>& folders) {
    std::map<std::string, std::string> all;
    const fs::path root = MILLRACE_SOURCE_DIR;
    for (const std::string& folder : folders) {
        for (const auto& entry : fs::recursive_directory_iterator{root / folder}) {
            if (entry.path().extension() == ".cpp" || entry.path().extension() == ".h") {
                all[fs::relative(entry.path(), root)] = text_of(entry.path());
            }
        }
    }
    return all;
}

/// Crash points in the product -> where.
std::map<std::string, std::string> compiled_in() {
    static const std::regex kUse{"MILLRACE_CRASH_POINT\\(([^)]*)\\)"};
    std::map<std::string, std::string> points;
    for (const auto& [path, text] :
         sources({"core", "ring", "shm", "persist", "gateway", "tools"})) {
        for (std::sregex_iterator at{text.begin(), text.end(), kUse}, end; at != end; ++at) {
            const std::string name = (*at)[1];
            const bool literal = name.size() > 2 && name.front() == '"' && name.back() == '"';
            EXPECT_TRUE(literal || path == "core/crash_point.h") << path << ": " << name;
            if (literal) {
                points[name.substr(1, name.size() - 2)] = path;
            }
        }
    }
    return points;
}

/// Texts of the tests that arm crash points by themselves, or by a header that they include.
std::map<std::string, std::string> arming_tests() {
    auto tests = sources({"tests"});
    tests.erase("tests/chaos/plan_test.cpp");
    tests.erase("tests/chaos/crash_matrix.h");
    const auto arms = [](const std::string& text) {
        return text.find("arm_crash_point(") != std::string::npos ||
               text.find("MILLRACE_CRASH_POINT") != std::string::npos;
    };
    std::vector<std::string> headers;
    for (const auto& [path, text] : tests) {
        if (path.ends_with(".h") && arms(text)) {
            headers.push_back(fs::path{path}.filename().string() + '"');
        }
    }
    std::erase_if(tests, [&](const auto& test) {
        return !arms(test.second) &&
               std::none_of(headers.begin(), headers.end(), [&](const std::string& header) {
                   return test.second.find(header) != std::string::npos;
               });
    });
    return tests;
}

TEST(CrashPoints, AreEachKilledAtInTheMatrixOrIfOutsideOfItByATestOfTheirOwn) {
    std::set<std::string> armed;
    for (const chaos::CrashGroup& group : chaos::kCrashMatrix) {
        for (const std::string& entry : group.points()) {
            armed.insert(entry.substr(0, entry.find(':')));
        }
    }
    const auto points = compiled_in();
    const auto tests = arming_tests();
    EXPECT_GT(points.size(), 50U) << "the sources were not found";
    EXPECT_GT(tests.size(), 4U) << "the tests were not found";
    for (const std::string& name : armed) {
        EXPECT_TRUE(points.contains(name)) << name << " is in the matrix and nowhere else";
    }
    for (const auto& [name, where] : points) {
        if (std::none_of(std::begin(chaos::kOutsideTheMatrix), std::end(chaos::kOutsideTheMatrix),
                         [&](const char* head) { return name.starts_with(head); })) {
            EXPECT_TRUE(armed.contains(name))
                << where << ": " << name << " is not in tests/chaos/crash_matrix.h";
            continue;
        }
        const bool by_itself = std::any_of(tests.begin(), tests.end(), [&](const auto& test) {
            return test.second.find('"' + name + '"') != std::string::npos ||
                   test.second.find('"' + name + ':') != std::string::npos;
        });
        EXPECT_TRUE(by_itself) << where << ": no test dies at " << name;
    }
}

constexpr const char* kPlan =
    "journal=journal.before_submit:20,-,journal.before_durable;core-0=a.b";

TEST(CrashPlan, ArmsEachStartWithItsOwnEntry) {
    EXPECT_EQ(planned_crash(kPlan, "journal", 0), "journal.before_submit:20");
    EXPECT_EQ(planned_crash(kPlan, "journal", 1), "");
    EXPECT_EQ(planned_crash(kPlan, "journal", 2), "journal.before_durable");
    EXPECT_EQ(planned_crash(kPlan, "core-0", 0), "a.b");
}

TEST(CrashPlan, ArmsNothingBeyondTheListAndNoOtherStage) {
    EXPECT_EQ(planned_crash(kPlan, "journal", 3), "");
    EXPECT_EQ(planned_crash(kPlan, "core-0", 1), "");
    EXPECT_EQ(planned_crash(kPlan, "core-1", 0), "");
    EXPECT_EQ(planned_crash(kPlan, "core", 0), "");
    EXPECT_EQ(planned_crash("", "journal", 0), "");
}

TEST(CrashPlan, ArmsNothingByAListWithoutAName) {
    EXPECT_EQ(planned_crash(";;journal;=x;", "journal", 0), "");
}

}  // namespace
}  // namespace millrace
