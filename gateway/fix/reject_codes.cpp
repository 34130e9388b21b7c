#include "gateway/fix/reject_codes.h"

#include "core/retcode.h"

namespace millrace::fix {
namespace {

constexpr std::uint32_t kInvalid = 10013;
constexpr std::uint32_t kInvalidVolume = 10014;
constexpr std::uint32_t kTradeDisabled = 10017;
constexpr std::uint32_t kOrderLocked = 10028;
constexpr std::uint32_t kLimitVolume = 10034;
constexpr std::uint32_t kInvalidOrder = 10035;

std::uint32_t by_text(std::string_view text, std::span<const TextCode> venue) noexcept {
    for (const TextCode& known : venue) {
        if (text.find(known.words) != std::string_view::npos) {
            return known.retcode;
        }
    }
    return retcode::kReject;
}

}  // namespace

std::uint32_t order_reject(int ord_rej_reason, std::string_view text,
                           std::span<const TextCode> venue) noexcept {
    if (ord_rej_reason <= 0 || ord_rej_reason == 99) {
        return by_text(text, venue);
    }
    switch (ord_rej_reason) {
        case 1: return kInvalid;                // unknown symbol: our mapping is wrong
        case 2: return retcode::kMarketClosed;  // exchange closed
        case 3: return kLimitVolume;            // order exceeds limit
        case 6:                                 // duplicate order: one with this id is there,
        case 7: return retcode::kError;         // and may have executed
        case 11: return kInvalidOrder;          // unsupported order characteristic
        case 13:                                // incorrect quantity
        case 14: return kInvalidVolume;         // incorrect allocated quantity
        case 15: return kTradeDisabled;         // unknown account
        default: return retcode::kReject;       // 4 too late, 8 stale, 9, 10, 12, venue's own
    }
}

std::uint32_t cancel_reject(int cxl_rej_reason) noexcept {
    switch (cxl_rej_reason) {
        case 0:                                   // too late to cancel
        case 1: return retcode::kPositionClosed;  // unknown order
        case 3: return kOrderLocked;              // a cancel or replace is pending already
        case 6: return retcode::kError;           // duplicate ClOrdID: ours is there
        default: return retcode::kReject;
    }
}

std::uint32_t business_reject(int reason, std::string_view text,
                              std::span<const TextCode> venue) noexcept {
    switch (reason) {
        case 2:                           // unknown security
        case 5: return kInvalid;          // conditionally required field missing
        case 3: return kInvalidOrder;     // unsupported message type
        case 6: return kTradeDisabled;    // not authorised
        case 1:                           // unknown id
        case 4:                           // application not available now
        case 7: return retcode::kReject;  // DeliverTo firm not available
        default: return by_text(text, venue);
    }
}

}  // namespace millrace::fix
