// The book's memory: out of it and back into it after a restart.
#include "gateway/fix/order_book.h"

#include <algorithm>
#include <cstring>

namespace millrace::fix {

std::optional<OrderState> OrderBook::state(Magic magic) const noexcept {
    const Entry* entry = find(magic);
    if (entry == nullptr) {
        return std::nullopt;
    }
    OrderState state;
    state.command = entry->command;
    state.current = entry->current.value;
    state.child = entry->child.value;
    state.quantity = entry->quantity;
    state.seen = entry->seen;
    state.booked = entry->booked;
    state.notional_low = static_cast<std::uint64_t>(entry->notional);
    state.notional_high = static_cast<std::int64_t>(entry->notional >> 64);
    state.avg_px = entry->avg_px;
    state.exec_ids = entry->exec_ids;
    std::memcpy(state.order_id, entry->order_id, sizeof(state.order_id));
    state.order_id_bytes = entry->order_id_bytes;
    state.exec_ids_next = entry->exec_ids_next;
    state.answered = entry->answered ? 1 : 0;
    state.asked = entry->asked ? 1 : 0;
    state.over = entry->over ? 1 : 0;
    return state;
}

Status OrderBook::restore(const OrderState& state) noexcept {
    const Instrument* traded = instrument(state.command.symbol);
    if (traded == nullptr) {
        return {Errc::BadInput, "a symbol without a FIX instrument"};
    }
    Entry* entry = find(Magic{state.command.magic});
    if (entry == nullptr) {
        entry = free_entry();
        if (entry == nullptr) {
            return {Errc::NoSpace, "FIX orders alive"};
        }
        index_.insert({0, state.command.magic}, static_cast<std::uint32_t>(entry - entries_.get()));
    }
    entry->command = state.command;
    entry->instrument = traded;
    entry->current = Magic{state.current};
    entry->child = Magic{state.child};
    entry->sequence = 0;  // of a session that is over
    entry->quantity = state.quantity;
    entry->seen = state.seen;
    entry->booked = state.booked;
    entry->notional =
        static_cast<__int128>(state.notional_high) * (__int128{1} << 64) + state.notional_low;
    entry->avg_px = state.avg_px;
    entry->exec_ids = state.exec_ids;
    std::memcpy(entry->order_id, state.order_id, sizeof(entry->order_id));
    entry->order_id_bytes = std::min<std::uint8_t>(state.order_id_bytes, sizeof(entry->order_id));
    entry->exec_ids_next = static_cast<std::uint8_t>(state.exec_ids_next % kExecIdsMax);
    entry->answered = state.answered != 0;
    entry->asked = state.asked != 0;
    entry->over = state.over != 0;
    if (Entry* target = entry->is_order() ? nullptr : find(Magic{state.command.order_ticket})) {
        // Its own record knows better: the order's may be of before or after.
        if (!entry->over) {
            target->child = entry->magic();
        } else if (target->child == entry->magic()) {
            target->child = Magic{};
        }
    }
    return ok_status();
}

void OrderBook::close(Magic magic) noexcept {
    Entry* entry = find(magic);
    if (entry == nullptr) {
        return;
    }
    entry->answered = true;
    entry->over = true;
    Entry* target = entry->is_order() ? nullptr : find(Magic{entry->command.order_ticket});
    if (target != nullptr && target->child == magic) {
        target->child = Magic{};
    }
}

void OrderBook::resolve(Magic magic, bool done, Lots volume, Price price) noexcept {
    Entry* entry = find(magic);
    if (entry == nullptr || entry->over) {
        return;
    }
    Entry* target = entry->is_order() ? nullptr : find(Magic{entry->command.order_ticket});
    close(magic);
    if (!done) {
        return;
    }
    if (entry->is_order()) {
        const auto quantity = quantity_of(volume.value, *entry->instrument);
        // Never less than what the venue itself has told.
        if (quantity && quantity.value() > entry->booked) {
            entry->notional +=
                static_cast<__int128>(price.value) * (quantity.value() - entry->booked);
            entry->booked = quantity.value();
        }
    } else if (target != nullptr && entry->type() == CommandType::Cancel) {
        target->answered = target->over = true;
    } else if (target != nullptr) {
        target->current = magic;
        target->command.price = entry->command.price;
    }
}

std::vector<Magic> OrderBook::alive() const {
    std::vector<Magic> found;
    for (std::uint32_t i = 0; i < used_; ++i) {
        if (entries_[i].is_order() && !entries_[i].over && entries_[i].command.magic != 0) {
            found.push_back(entries_[i].magic());
        }
    }
    return found;
}

}  // namespace millrace::fix
