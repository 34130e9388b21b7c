#include "persist/stored_fold.h"

#include <algorithm>
#include <string>
#include <tuple>

#include "core/order_command.h"

namespace millrace {
namespace {

constexpr auto kOpen = static_cast<std::uint8_t>(CommandType::Open);
constexpr auto kClose = static_cast<std::uint8_t>(CommandType::Close);

bool is_live(const OrderRow& order) noexcept {
    return !is_final(order.status);
}

std::vector<SignalId> signals_of_orders(const StoredState& state) {
    std::vector<SignalId> needed;
    for (const RestoredOrder& order : state.orders) {
        needed.push_back(order.row.signal);
    }
    std::sort(needed.begin(), needed.end());
    return needed;
}

}  // namespace

void StoredFold::add(const Effect& effect) {
    switch (effect.kind) {
        case EffectKind::Definition: definitions_.push_back(effect.as<DefinitionRow>()); break;
        case EffectKind::Account: accounts_.push_back(effect.as<AccountRow>()); break;
        case EffectKind::Signal:
            if (const auto row = effect.as<SignalRow>(); row.reason == 0) {
                signals_.emplace(row.id, row);
            }
            break;
        case EffectKind::Order: {
            const auto row = effect.as<OrderRow>();
            orders_.emplace(row.magic.intent(), row);
            if (row.type == kOpen) {
                opens_[Share{row.signal, row.account.value}].insert(row.magic.intent());
            }
            break;
        }
        case EffectKind::Position:
            if (const auto row = effect.as<PositionRow>(); row.volume.value > 0) {
                positions_.push_back(row);
            }
            break;
        case EffectKind::Execution: {
            const auto row = effect.as<ExecutionRow>();
            deals_[row.magic.intent()].push_back({effect.seq.value, effect.k, row.deal_ticket});
            break;
        }
        case EffectKind::Alert: break;
    }
}

void StoredFold::finish(const StoredLimits& limits, StoredState& state) {
    state.definitions = std::move(definitions_);
    state.accounts = std::move(accounts_);
    state.signals_known = signals_.size();
    find_needed();
    take_orders(state);
    take_positions(state);
    take_close_shares(state);
    for (const auto& [id, row] : signals_) {
        state.signals.push_back(row);
    }
    std::sort(state.signals.begin(), state.signals.end(), [](const auto& a, const auto& b) {
        return std::tie(a.accepted_time, a.id) < std::tie(b.accepted_time, b.id);
    });
    keep_newest_signals(state, limits);
    note_lost_signals(state);
}

/// What the signal that `order` is of acts on at its account: the order that opened, its rest, a
/// second execution. nullptr if none is there.
const std::set<std::uint64_t>* StoredFold::targets_of(const OrderRow& order) const {
    const auto signal = signals_.find(order.signal);
    if (signal == signals_.end()) {
        return nullptr;
    }
    const auto open = opens_.find({signal->second.target, order.account.value});
    return open == opens_.end() ? nullptr : &open->second;
}

/// The order that a close, modify or cancel acts on; nullptr if it is not there.
const OrderRow* StoredFold::target_of(const OrderRow& order) const {
    const std::set<std::uint64_t>* const all = targets_of(order);
    if (all == nullptr) {
        return nullptr;
    }
    const auto same = std::find_if(all->begin(), all->end(), [&](std::uint64_t intent) {
        return order.position_id != 0 && orders_.at(intent).position_id == order.position_id;
    });
    return &orders_.at(same != all->end() ? *same : *all->begin());
}

void StoredFold::find_needed() {
    for (const auto& [intent, row] : orders_) {
        if (!is_live(row)) {
            continue;
        }
        needed_.insert(intent);
        const OrderRow* const target = row.type == kOpen ? nullptr : target_of(row);
        if (target != nullptr) {
            needed_.insert(target->magic.intent());
        }
    }
    for (const PositionRow& row : positions_) {
        needed_.insert(row.magic.intent());
    }
}

void StoredFold::take_orders(StoredState& state) {
    for (const std::uint64_t intent : needed_) {
        const auto found = orders_.find(intent);
        if (found == orders_.end()) {
            continue;  // a position's: take_positions() names it
        }
        RestoredOrder order;
        order.row = found->second;
        std::vector<Deal>& deals = deals_[intent];
        std::sort(deals.begin(), deals.end(), [](const Deal& a, const Deal& b) {
            return std::tie(a.seq, a.k) > std::tie(b.seq, b.k);
        });
        for (std::size_t n = 0; n < std::min(deals.size(), std::size(order.deals)); ++n) {
            order.deals[n] = deals[n].ticket;
        }
        state.orders.push_back(order);
    }
}

void StoredFold::take_positions(StoredState& state) {
    for (const PositionRow& row : positions_) {
        RestoredOrder* const order = find_order(state, row.magic.intent());
        if (order == nullptr) {
            note_lost_order(state, row);
            continue;
        }
        put_position(row, *order);
    }
}

/// What closes that live or executed have claimed of their targets: each signal its share of all.
void StoredFold::take_close_shares(StoredState& state) {
    std::set<Share> counted;
    for (const auto& [intent, row] : orders_) {
        const bool counts = row.type == kClose && (row.cum_volume.value > 0 || is_live(row));
        const auto* const targets = counts ? targets_of(row) : nullptr;
        if (targets == nullptr || !counted.insert({row.signal, row.account.value}).second) {
            continue;
        }
        for (const std::uint64_t target : *targets) {
            if (RestoredOrder* const of = find_order(state, target); of != nullptr) {
                of->close_shares = of->close_shares + signals_.at(row.signal).volume;
            }
        }
    }
}

std::optional<AccountState> standing_state(const AccountRow& row) noexcept {
    // Bits 1 to 3 of `permissions` (Engine::account_row); 0 there: a build that did not tell.
    const auto told = static_cast<AccountState>((row.permissions >> 1U) & 7U);
    if (told != AccountState::Reconciling) {
        return told;
    }
    // The state shown is Reconciling from the loss of the session on, whatever it was before.
    const bool shown = row.state != AccountState::Reconciling;
    return shown ? std::optional{row.state} : std::nullopt;
}

// ---- shared with the reader of SQLite ----------------------------------------------------------

RestoredOrder* find_order(StoredState& state, std::uint64_t intent) noexcept {
    const auto at = std::lower_bound(
        state.orders.begin(), state.orders.end(), intent,
        [](const RestoredOrder& o, std::uint64_t i) { return o.row.magic.intent() < i; });
    return at != state.orders.end() && at->row.magic.intent() == intent ? &*at : nullptr;
}

void put_position(const PositionRow& row, RestoredOrder& order) noexcept {
    order.open_volume = row.volume;
    order.row.position_id = row.position_id;
    order.row.stop_loss = row.stop_loss;
    order.row.take_profit = row.take_profit;
}

void keep_newest_signals(StoredState& state, const StoredLimits& limits) {
    std::vector<SignalRow>& all = state.signals;
    const std::vector<SignalId> needed = signals_of_orders(state);
    const auto is_needed = [&](const SignalRow& row) {
        return std::binary_search(needed.begin(), needed.end(), row.id);
    };
    const Nanos since{state.latest.value - limits.window_ns};
    std::erase_if(
        all, [&](const SignalRow& row) { return row.accepted_time <= since && !is_needed(row); });
    std::size_t too_many = all.size() - std::min(all.size(), limits.signals_max);
    std::erase_if(all, [&](const SignalRow& row) {
        const bool drop = too_many > 0 && !is_needed(row);
        too_many -= drop ? 1U : 0U;
        return drop;
    });
}

void note_lost_order(StoredState& state, const PositionRow& row) {
    state.gaps.push_back("the order of position " + std::to_string(row.position_id) +
                         " of account number " + std::to_string(row.account.value));
}

void note_lost_signals(StoredState& state) {
    std::vector<SignalId> known;
    for (const SignalRow& row : state.signals) {
        known.push_back(row.id);
    }
    std::sort(known.begin(), known.end());
    for (const RestoredOrder& order : state.orders) {
        if (!std::binary_search(known.begin(), known.end(), order.row.signal)) {
            state.gaps.push_back("the signal of order " + std::to_string(order.row.magic.intent()));
        }
    }
}

}  // namespace millrace
