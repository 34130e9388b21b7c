// What an account is worth, asked of a venue that tells it: CollateralInquiry (BB) and
// CollateralReport (BA) of FIX 4.4 volume 3, "Collateral Management".
#pragma once

#include "gateway/fix/message.h"
#include "gateway/fix/outgoing.h"

#include <cstdint>
#include <string_view>

namespace millrace::fix {

/// In the account's currency, 1e-8. Both may be negative.
struct Collateral {
    std::int64_t equity = 0;   // TotalNetValue(900): what is open counts
    std::int64_t balance = 0;  // CashOutstanding(901); where it is absent, the equity
};

/// Asks once. @param account Account(1); empty = not sent.
/// @return 0, or the TRADE_RETCODE that refuses it here.
[[nodiscard]] std::uint32_t collateral_inquiry(std::string_view id, std::string_view account,
                                               Body& body) noexcept;

/// @param account whose report is wanted; empty = whichever comes.
/// @return NotFound: it is no report, or another account's; BadInput and the field that is at
/// fault: without TotalNetValue nothing says what the account is worth.
[[nodiscard]] Result<Collateral> take_collateral(const Message& message,
                                                 std::string_view account) noexcept;

}  // namespace millrace::fix
