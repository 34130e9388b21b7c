// Trade server return codes of MT5 and what each permits (reference: MQL5 ENUM_TRADE_RETCODE).
#pragma once

#include "core/order_command.h"

#include <cstdint>
#include <span>
#include <string_view>

namespace millrace {

/// What a return code means for the order. Two rules decide more than the table: the code is the
/// answer, not OrderSend's boolean; and a code that is not listed may have executed.
enum class RetcodeClass : std::uint8_t {
    Ok,       // done, or a no-op that is as good as done
    Part,     // some volume done, the rest is cancelled or still working
    Reprice,  // definitely not done because of the price: new tick, collar, TTL, again (max 3)
    Backoff,  // definitely not done because of load: later, inside the TTL
    Queue,    // market closed: expires unless the signal asked to be held
    Reject,   // definitely not done and never will be
    Suspend,  // definitely not done: the account, symbol or terminal cannot trade
    Recon,    // outcome unknown: IN_DOUBT until there is evidence
};
/// "OK", "REPRICE", ...
[[nodiscard]] std::string_view to_string(RetcodeClass c) noexcept;

namespace retcode {
inline constexpr std::uint32_t kRequote = 10004;
inline constexpr std::uint32_t kReject = 10006;
inline constexpr std::uint32_t kPlaced = 10008;  // a success, not a rate limit
inline constexpr std::uint32_t kDone = 10009;
inline constexpr std::uint32_t kDonePartial = 10010;
inline constexpr std::uint32_t kError = 10011;
inline constexpr std::uint32_t kTimeout = 10012;
inline constexpr std::uint32_t kInvalidPrice = 10015;
inline constexpr std::uint32_t kTradeDisabled = 10017;
inline constexpr std::uint32_t kMarketClosed = 10018;
inline constexpr std::uint32_t kNoMoney = 10019;
inline constexpr std::uint32_t kPriceOff = 10021;
inline constexpr std::uint32_t kTooManyRequests = 10024;
inline constexpr std::uint32_t kNoChanges = 10025;
inline constexpr std::uint32_t kConnection = 10031;
inline constexpr std::uint32_t kLimitOrders = 10033;
inline constexpr std::uint32_t kLimitVolume = 10034;
inline constexpr std::uint32_t kPositionClosed = 10036;
inline constexpr std::uint32_t kLimitPositions = 10040;
inline constexpr std::uint32_t kLongOnly = 10042;
inline constexpr std::uint32_t kShortOnly = 10043;
inline constexpr std::uint32_t kCloseOnly = 10044;
inline constexpr std::uint32_t kFifoClose = 10045;
inline constexpr std::uint32_t kHedgeProhibited = 10046;
}  // namespace retcode

/// One line of the public list, as gateway/README.md shows it.
struct RetcodeRow {
    std::uint32_t code = 0;
    RetcodeClass cls{};
    std::string_view name;    // without TRADE_RETCODE_
    std::string_view action;  // what the engine does; empty = what its class says
};
/// The public list, by rising code.
[[nodiscard]] std::span<const RetcodeRow> retcode_rows() noexcept;
/// What the engine does for a class, in words.
[[nodiscard]] std::string_view action_of(RetcodeClass c) noexcept;

/// Class of `code`; Recon for every number that is not in the public list, 0 included.
[[nodiscard]] RetcodeClass classify(std::uint32_t code) noexcept;

/// Class of `code` as the answer to a command of `type` (`kind` counts for Open only). Differs from
/// the list where the list has two words for a code, and where a success cannot mean this command:
/// what cannot be an answer proves nothing.
[[nodiscard]] RetcodeClass classify(std::uint32_t code, CommandType type, PriceKind kind) noexcept;

}  // namespace millrace
