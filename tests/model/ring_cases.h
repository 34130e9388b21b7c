// The ring's programs for the explorer: producers, consumers and their heirs over one small ring.
#pragma once

#include "tests/model/explorer.h"

#include <cstdint>
#include <vector>

namespace millrace::model {

/// One program. Owners are mortal if `deaths` > 0, and each has `heirs` heirs one after the other.
struct RingCase {
    const char* name;
    std::uint64_t items;
    std::uint32_t capacity;
    unsigned publish_batch = 1;  // records claimed and committed at a time
    unsigned poll_batch = 1;     // records handled before one release
    int producer_heirs = 0;
    int consumer_heirs = 0;
    unsigned deaths = 0;
    bool journalled = false;  // the consumer journals before it releases; heirs skip (rule 2)
    bool take = false;        // the consumer steps with take()
    bool onlooker = false;    // a third thread looks at the slots meanwhile
};

[[nodiscard]] Scenario scenario_of(const RingCase& c);

/// The cases of the default run, each complete within seconds, in the order mutants are tried.
[[nodiscard]] std::vector<RingCase> ring_cases();
/// More of the same for MILLRACE_LONG.
[[nodiscard]] std::vector<RingCase> long_ring_cases();

}  // namespace millrace::model
