// Quotes of a FIX venue: what is asked for, and what is taken from the answers.
#pragma once

#include "gateway/fix/outgoing.h"

#include <cstdint>
#include <functional>
#include <string_view>

namespace millrace::fix {

/// 1e-8; 0 = not known.
struct Quote {
    std::int64_t bid = 0;
    std::int64_t ask = 0;
    [[nodiscard]] bool is_whole() const noexcept { return bid > 0 && ask > 0; }
};

/// MarketDataRequest: subscribes to best bid and ask. `id` comes back in 262.
[[nodiscard]] std::uint32_t market_data_request(std::string_view id, const Venue& venue,
                                                Body& body) noexcept;

/// Takes the prices out of a snapshot (35=W) or incremental refresh (35=X) and puts them where
/// `quote_of` says. A side that is deleted, or whose price is no positive number, is not known.
/// @param quote_of by MDReqID(262), and the venue's symbol, either of which may be empty; nullptr =
/// none of ours. Called once an entry, so that the caller sees what changed.
/// @return false if it is no market data.
bool take_quotes(
    const Message& message,
    const std::function<Quote*(std::string_view id, std::string_view symbol)>& quote_of);

}  // namespace millrace::fix
