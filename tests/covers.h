// What a test says at its end, so that a pass can be weighed: "covers: 812 commands, 790 events".
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::test {

/// Prints what covered() was told in a test, in the order of the first word of each kind.
class Covers final : public testing::EmptyTestEventListener {
public:
    void add(std::string_view what, std::uint64_t n) {
        for (auto& [name, count] : counts_) {
            if (name == what) {
                count += n;
                return;
            }
        }
        counts_.emplace_back(what, n);
    }
    void OnTestEnd(const testing::TestInfo&) override {
        std::string line;
        for (const auto& [name, count] : counts_) {
            line += (line.empty() ? "" : ", ") + std::to_string(count) + " " + name;
        }
        if (!line.empty()) {
            std::printf("covers: %s\n", line.c_str());
        }
        counts_.clear();
    }

private:
    std::vector<std::pair<std::string, std::uint64_t>> counts_;
};

/// Counts `n` of `what` (a plural: "commands") for the test that runs: called by rigs.
/// Threads: the test's own.
inline void covered(std::string_view what, std::uint64_t n = 1) {
    static Covers* const covers = [] {
        auto* made = new Covers;  // GoogleTest owns its listeners
        testing::UnitTest::GetInstance()->listeners().Append(made);
        return made;
    }();
    covers->add(what, n);
}

}  // namespace millrace::test
