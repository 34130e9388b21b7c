// Store check: what the SQLite store counted, beside what the source was told and the books hold.
#pragma once

#include "core/result.h"

#include <cstdint>
#include <string>

namespace millrace::demo {

struct StoreCounts {
    std::uint64_t signals_accepted = 0;  // rows of signals with reason None
    std::uint64_t orders = 0;            // rows of orders: one an intent
    std::uint64_t orders_not_final = 0;
    std::uint64_t deals = 0;  // different (account, deal) of executions
};

/// Reads the store after a clean stop. @return IoError; `message` has SQLite's own words.
[[nodiscard]] Result<StoreCounts> read_store(const std::string& path, std::string& message);

}  // namespace millrace::demo
