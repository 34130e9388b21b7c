// Runs command lines of the inspector in this process and checks their JSON.
#pragma once

#include "tests/inspect/schema_check.h"
#include "tools/inspect/inspect.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace millrace::inspect {

struct Ran {
    int status = 0;
    std::string out;
    std::string err;
};

inline Ran run_cli(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "inspect");
    std::vector<const char*> argv;
    for (const std::string& a : arguments) {
        argv.push_back(a.c_str());
    }
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    Ran r;
    r.status = inspect_main(static_cast<int>(argv.size()), argv.data());
    std::fflush(stdout);
    r.out = ::testing::internal::GetCapturedStdout();
    r.err = ::testing::internal::GetCapturedStderr();
    return r;
}

/// `value` checked against its part of the schema.
inline void expect_valid(const std::string& definition, const nlohmann::json& value) {
    std::ifstream file{MILLRACE_INSPECT_SCHEMA};
    const nlohmann::json schema = nlohmann::json::parse(file);
    ASSERT_TRUE(schema["$defs"].contains(definition)) << definition;
    EXPECT_EQ(first_breach(schema["$defs"][definition], value), "") << value.dump(1);
}

/// The JSON of a verb that ends with `status`, checked against its part of the schema.
inline nlohmann::json run_json(const std::string& definition, std::vector<std::string> arguments,
                               int status = 0) {
    arguments.emplace_back("--json");
    const Ran r = run_cli(arguments);
    EXPECT_EQ(r.status, status) << r.err;
    nlohmann::json value = nlohmann::json::parse(r.out, nullptr, false);
    expect_valid(definition, value);
    return value;
}

/// The JSON documents of a verb that prints one a line.
inline std::vector<nlohmann::json> run_lines(const std::string& definition,
                                             std::vector<std::string> arguments, int status = 0) {
    arguments.emplace_back("--json");
    const Ran r = run_cli(arguments);
    EXPECT_EQ(r.status, status) << r.err;
    std::vector<nlohmann::json> out;
    std::istringstream lines{r.out};
    for (std::string line; std::getline(lines, line);) {
        out.push_back(nlohmann::json::parse(line, nullptr, false));
        expect_valid(definition, out.back());
    }
    return out;
}

}  // namespace millrace::inspect
