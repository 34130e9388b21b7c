// What FIX venues differ in, as data. The four here are written from public documents; none has
// been run against the venue itself.
#pragma once

#include "gateway/fix/reject_codes.h"

#include <cstdint>
#include <span>
#include <string_view>

namespace millrace::fix {

enum class SymbolTag : std::uint8_t {
    Symbol,      // 55
    SecurityId,  // 48 with 22=8 (exchange symbol)
};
/// How a market order with a worst price travels; without one it is 40=1 everywhere.
enum class CollarBy : std::uint8_t {
    LimitIoc,   // 40=2, 44=worst, 59=3
    StopLimit,  // 40=4, 99=worst (FXCM's market range)
    None,       // not offered: such an order is refused, never sent without its collar
};
/// How a position of a hedging account is named by the order that closes it.
enum class CloseBy : std::uint8_t {
    Netting,        // not at all: an opposite deal
    PosMaintRptId,  // 721
    FxcmPosId,      // 9041
};

struct Profile {
    std::string_view name;
    SymbolTag symbol = SymbolTag::Symbol;
    CollarBy collar = CollarBy::LimitIoc;
    CloseBy close = CloseBy::Netting;
    char market_tif = '3';   // TimeInForce(59) of market orders; '\0' = not sent
    char pending_tif = '1';  // of limit and stop orders: good till cancel
    bool sends_account = true;
    bool sends_handl_inst = true;  // 21=1
    bool orig_order_id = false;    // 37 in cancel, replace and status requests where known
    bool reset_on_logon = false;   // both sides number from 1 at each logon
    bool mass_status = true;       // OrderMassStatusRequest is offered
    bool equity = false;           // CollateralReport has TotalNetValue
    bool quotes = true;            // market data comes on the session of the orders
    std::span<const TextCode> texts{};
};

/// By name: generic, ctrader, lmax, fxcm. nullptr if there is none.
[[nodiscard]] const Profile* find_profile(std::string_view name) noexcept;
[[nodiscard]] std::span<const Profile> profiles() noexcept;

}  // namespace millrace::fix
