// Goal: every reason that a source is told says what to do, and SIGNALS.md says the same.
// Method: the rows of its table against reason_mend() and the names, over all numbers.
#include "gateway/reason_mend.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <string>

namespace millrace {
namespace {

std::set<std::string> documented() {
    std::ifstream in{SIGNALS_MD};
    std::set<std::string> rows;
    bool inside = false;
    for (std::string line; std::getline(in, line);) {
        if (line == "| reason | | what to do |") {
            inside = true;
        } else if (inside && !line.starts_with("|")) {
            break;
        } else if (inside && !line.starts_with("|---")) {
            rows.insert(line);
        }
    }
    return rows;
}

TEST(ReasonMend, OfEveryReasonStandsInTheDocument) {
    const std::set<std::string> documents = documented();
    std::size_t reasons = 0;
    for (std::uint16_t n = 1; n < 1000; ++n) {
        const auto reason = static_cast<Reason>(n);
        if (to_string(reason) == "?") {
            EXPECT_EQ(reason_mend(reason), "") << n << " is no reason";
            continue;
        }
        const std::string row = "| " + std::to_string(n) + " | " + std::string{to_string(reason)} +
                                " | " + std::string{reason_mend(reason)} + " |";
        EXPECT_NE(reason_mend(reason), "") << to_string(reason) << " names no mend";
        EXPECT_TRUE(documents.contains(row)) << "gateway/SIGNALS.md lacks the line: " << row;
        ++reasons;
    }
    EXPECT_EQ(documents.size(), reasons) << "a line of gateway/SIGNALS.md is of no reason";
    EXPECT_EQ(reason_mend(Reason::None), "");
}

}  // namespace
}  // namespace millrace
