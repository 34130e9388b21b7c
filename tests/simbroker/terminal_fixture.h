// What the tests of one terminal share.
#pragma once

#include "tests/simbroker/harness.h"
#include "tools/simbroker/audit.h"

#include <gtest/gtest.h>

namespace millrace::sim::test {

/// How many orders of this intent the broker dealt, by its own books.
inline std::uint64_t executions(const TempDir& dir, std::uint64_t intent) {
    const auto audit = audit_books(dir.path("books"), kTag);
    EXPECT_TRUE(audit.ok());
    std::uint64_t count = 0;
    for (const BookedIntent& booked : audit.value().intents) {
        for (const BookedOrder& order : booked.orders) {
            count += booked.intent == intent && order.deals > 0 ? 1U : 0U;
        }
    }
    return count;
}

/// How many commands came to a terminal that had them already, by the broker's own books.
inline std::uint64_t repeats(const TempDir& dir) {
    const auto audit = audit_books(dir.path("books"), kTag);
    EXPECT_TRUE(audit.ok());
    return audit.value().repeated();
}

inline ReportType type_of(const bridge::Event& event) {
    return static_cast<ReportType>(event.type);
}

/// One account served by the real process, and a broker stage by hand.
class Terminal : public testing::Test {
protected:
    TempDir dir;
    Stage stage;
};

}  // namespace millrace::sim::test
