// StoredFold: an engine's state (stored_state.h) out of the rows of a store that cannot be asked
// for it in SQL: everything goes by, and what still matters is picked out at the end.
#pragma once

#include "core/effect.h"
#include "persist/stored_state.h"

#include <cstdint>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace millrace {

class StoredFold {
public:
    /// Takes the newest row of a thing; each thing and each deal once, in any order. Alerts and
    /// refused signals are passed over.
    void add(const Effect& effect);

    /// Fills definitions, accounts, signals, orders and gaps of `state`, whose `latest` is known.
    void finish(const StoredLimits& limits, StoredState& state);

private:
    using Share = std::pair<SignalId, std::uint32_t>;  // an account's part of a signal
    struct Deal {
        std::uint64_t seq;
        std::uint32_t k;
        std::uint64_t ticket;
    };
    void find_needed();
    void take_orders(StoredState& state);
    void take_positions(StoredState& state);
    void take_close_shares(StoredState& state);
    [[nodiscard]] const std::set<std::uint64_t>* targets_of(const OrderRow& order) const;
    [[nodiscard]] const OrderRow* target_of(const OrderRow& order) const;

    std::vector<DefinitionRow> definitions_;
    std::vector<AccountRow> accounts_;
    std::vector<PositionRow> positions_;  // open ones
    std::map<SignalId, SignalRow> signals_;
    std::map<std::uint64_t, OrderRow> orders_;        // by intent
    std::map<Share, std::set<std::uint64_t>> opens_;  // orders that open: intents
    std::unordered_map<std::uint64_t, std::vector<Deal>> deals_;
    std::set<std::uint64_t> needed_;  // intents
};

/// The order of that intent, nullptr if there is none.
[[nodiscard]] RestoredOrder* find_order(StoredState& state, std::uint64_t intent) noexcept;
/// What an open position says of the order that opened it.
void put_position(const PositionRow& row, RestoredOrder& order) noexcept;
/// Adds to `state.gaps` that nobody knows who opened `row`.
void note_lost_order(StoredState& state, const PositionRow& row);

/// Drops the oldest signals beyond `limits`, and those that are older than its window; never those
/// that an order is of. What is left out is stale by its stamp.
void keep_newest_signals(StoredState& state, const StoredLimits& limits);

/// Adds to `state.gaps` each order whose signal is not among `state.signals`.
void note_lost_signals(StoredState& state);

}  // namespace millrace
