// Goal: no interleaving, no stale value that C++ allows and no death makes the ring lose, double,
// tear or reorder a record, or write a slot that is still being read; and every memory order in
// the header is needed.
// Method: the production header on the explorer's atomics (tests/model/README.md), in full; then
// again with each order weakened to relaxed, which must be found out.
#include "tests/model/report.h"
#include "tests/model/ring_cases.h"

#include <gtest/gtest.h>

namespace millrace::model {
namespace {

constexpr const char* kHeader = "ring/spsc_ring.h";

std::vector<Scenario> scenarios_of(const std::vector<RingCase>& cases) {
    std::vector<Scenario> all;
    for (const RingCase& c : cases) {
        all.push_back(scenario_of(c));
    }
    return all;
}

TEST(RingModel, HoldsInEveryInterleavingWithAKillBeforeEveryAccess) {
    auto cases = ring_cases();
    if (long_run()) {
        const auto more = long_ring_cases();
        cases.insert(cases.end(), more.begin(), more.end());
    }
    for (const Scenario& s : scenarios_of(cases)) {
        EXPECT_TRUE(holds(s)) << s.name;
    }
}

TEST(RingModel, EveryOrderInTheHeaderIsNeeded) {
    const auto scenarios = scenarios_of(ring_cases());
    for (const Scenario& s : scenarios) {
        ASSERT_FALSE(explore(s).violated) << s.name;  // learns the sites
    }
    EXPECT_EQ(unexplored_lines(kHeader), std::vector<std::string>{});
    EXPECT_EQ(survivors(kHeader, scenarios), std::vector<std::string>{});
}

}  // namespace
}  // namespace millrace::model
