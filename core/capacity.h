// How large the engine's tables are, and how many places of them stay free for what.
#pragma once

#include <cstdint>

namespace millrace {

/// Sizes of the fixed tables. A full table refuses new signals with a reason; nothing is lost.
struct Capacity {
    std::uint32_t accounts = 64;
    std::uint32_t members = 1024;
    std::uint32_t orders = 1U << 15;   // live orders and open positions
    std::uint32_t signals = 1U << 17;  // the ledger: 7 days of signals
    friend bool operator==(const Capacity&, const Capacity&) = default;
};
inline constexpr std::uint32_t kGroupsMax = 256;
inline constexpr std::uint32_t kSourcesMax = 256;

/// Most orders one input may put out besides fan-outs; the driver offers at least this budget.
inline constexpr std::uint32_t kBudgetMin = 4;

/// Most orders that one Close, Modify or Cancel makes for one order of its target: a pending that
/// is filled in part takes a close and a cancel.
inline constexpr std::uint32_t kChildrenPerTarget = 2;

/// Most closes, modifies and cancels that act on one order at a time: what waits takes places.
inline constexpr std::uint32_t kChangesPerOrder = 16;

/// Places in a table of `orders` that entries leave free at least, for what closes, modifies and
/// cancels. More if a close for the largest group may take more.
[[nodiscard]] constexpr std::uint32_t places_kept(std::uint32_t orders) noexcept {
    return orders / 8;
}

/// Format of what save() makes: raised with every change of an entity in state.h.
/// 3: AccountRisk and GroupRisk at the end; 4: SymbolRisk and SegmentLoss behind; 5: currencies,
/// guards of accounts, groups and symbols, values of orders, and AccountOutcome behind them; 6:
/// AccountSides, AccountStandby and EndedCloses.
inline constexpr std::uint32_t kImageFormat = 6;

}  // namespace millrace
