// Known orders: does our store know of all that the broker did for us, and of nothing else?
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace millrace::demo {

/// What the two were compared by.
struct KnownOrders {
    std::uint64_t executed = 0;   // intents with a deal in the books
    std::uint64_t positions = 0;  // of ours, open at the broker
    std::vector<std::string> problems;
};

/// Compares, after a clean stop, each intent's executed volume and each position's open volume.
/// @param books the broker's own; @param store the SQLite store; @param logins account id -> login.
[[nodiscard]] KnownOrders compare_known_orders(
    const std::string& books, const std::string& store,
    const std::map<std::uint32_t, std::uint64_t>& logins);

}  // namespace millrace::demo
