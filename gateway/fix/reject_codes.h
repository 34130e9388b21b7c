// Why a venue refused, as a TRADE_RETCODE: the engine knows one table of what a refusal permits
// (core/retcode.h), whatever the venue speaks.
//
// Only a code whose class is definite may be given where the venue's answer is; what may be alive
// at the venue all the same (a duplicate ClOrdID) is 10011, whose class is Recon.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace millrace::fix {

/// A venue's own words in Text(58), looked for anywhere in it, case as written.
struct TextCode {
    std::string_view words;
    std::uint32_t retcode;
};

/// ExecutionReport 39=8: OrdRejReason(103), refined by the venue's texts where 103 says little
/// (absent, 0 broker option, 99 other).
[[nodiscard]] std::uint32_t order_reject(int ord_rej_reason, std::string_view text,
                                         std::span<const TextCode> venue) noexcept;
/// OrderCancelReject: CxlRejReason(102) of our cancel or replace. Too late and unknown order are
/// 10036: there is nothing left to act on.
[[nodiscard]] std::uint32_t cancel_reject(int cxl_rej_reason) noexcept;
/// BusinessMessageReject: BusinessRejectReason(380), refined by the venue's texts where it says 0
/// other (cTrader refuses orders that way). The venue did not process the message.
[[nodiscard]] std::uint32_t business_reject(int reason, std::string_view text,
                                            std::span<const TextCode> venue) noexcept;
/// Reject: a message that the venue's session layer did not understand is our mistake.
inline constexpr std::uint32_t kSessionReject = 10013;

/// OrdRejReason and BusinessRejectReason of "I know no such order".
inline constexpr int kUnknownOrder = 5;
inline constexpr int kUnknownId = 1;

}  // namespace millrace::fix
