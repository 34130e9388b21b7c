// What acts on another order: closes, modifies and cancels, and what a close takes of its position.
#include "core/engine.h"

#include <algorithm>

namespace millrace {
namespace {

constexpr std::uint32_t kModifiesPerOrder = kChangesPerOrder / 2;
constexpr Nanos kLastCall = seconds(1);  // time enough to send it

}  // namespace

/// An order that acts on `parent`, which stays in the table as long as this one lives.
std::uint32_t Engine::create_child(std::uint32_t entry, std::uint32_t parent, CommandType type,
                                   Origin origin) noexcept {
    const std::uint32_t i = create_order(entry, orders_[parent].account, type, origin);
    Order& o = orders_[i];
    Order& p = orders_[parent];
    o.parent = parent;
    o.symbol = p.symbol;
    o.side = p.side;
    o.position_id = p.position_id;  // by which a store's row of it names its parent
    ++p.children;
    return i;
}

void Engine::request_close(std::uint32_t entry, std::uint32_t parent) noexcept {
    const std::uint32_t i = create_child(entry, parent, CommandType::Close);
    Order& o = orders_[i];
    Order& p = orders_[parent];
    o.side = opposite(p.side);
    p.close_shares = p.close_shares + ledger_[entry].signal.volume;
    start_child(i);
}

void Engine::request_cancel(std::uint32_t entry, std::uint32_t parent) noexcept {
    start_child(create_child(entry, parent, CommandType::Cancel));
}

void Engine::request_modify(std::uint32_t entry, std::uint32_t parent) noexcept {
    const Signal& s = ledger_[entry].signal;
    const std::uint32_t i = create_child(entry, parent, CommandType::Modify);
    Order& o = orders_[i];
    const Order& p = orders_[parent];
    o.price_kind = p.price_kind;
    o.price = p.price_kind != PriceKind::Market && s.price.value != 0 ? s.price : p.price;
    o.stop_loss = s.stop_loss;
    o.take_profit = s.take_profit;
    start_child(i);
}

/// One source that closes the same position again and again must not take the places that closes of
/// other positions need, and nobody's trailing stop those of a close.
void Engine::start_child(std::uint32_t i) noexcept {
    const bool modifies = orders_[i].type == CommandType::Modify;
    if (orders_[orders_[i].parent].children > (modifies ? kModifiesPerOrder : kChangesPerOrder)) {
        end(i, OrdStatus::Rejected, Reason::TooManyChanges);
    } else {
        start(i);
    }
}

/// Volume to close of `parent`'s position: the signal's share of it in whole steps, or everything
/// if it asks for that, or if its closes so far add up to the whole signal (no rounded rest stays).
Lots Engine::close_volume(const SignalEntry& close, const Order& parent) const noexcept {
    const SignalEntry& opened = ledger_[parent.signal];
    const bool all = close.signal.volume.value == 0 || parent.close_shares >= opened.signal.volume;
    return closable(parent, all ? parent.open_volume : close_share(close, parent));
}

/// What the signal names of the position, in whole steps.
Lots Engine::close_share(const SignalEntry& close, const Order& parent) const noexcept {
    const SymbolSpec& spec = symbols_[parent.symbol.value].spec;
    const __int128 share = static_cast<__int128>(parent.cum.value) * close.signal.volume.value /
                           ledger_[parent.signal].signal.volume.value;
    const std::int64_t step = spec.volume_step.value > 0 ? spec.volume_step.value : 1;
    const Lots v{static_cast<std::int64_t>(share) / step * step};
    return std::max(v, spec.volume_min);
}

/// What close `o` would get if no other had claimed any: for less than that it waits. Of a part its
/// own share, which is no more because the parts add up to the whole by now.
Lots Engine::least_to_close(const Order& o) const noexcept {
    Order alone = orders_[o.parent];
    alone.closing = Lots{};
    if (o.volume.value > 0) {
        return closable(alone, o.volume);
    }
    const SignalEntry& close = ledger_[o.signal];
    const bool part = close.signal.volume.value > 0;
    return closable(alone, part ? close_share(close, alone) : alone.open_volume);
}

/// `wanted`, cut to what no other close has claimed; what would be left must be 0 or at least the
/// minimum (10014 otherwise). 0 or less if there is nothing to close.
Lots Engine::closable(const Order& parent, Lots wanted) const noexcept {
    const Lots available = parent.open_volume - parent.closing;
    const Lots left = available - wanted;
    const bool whole = left < symbols_[parent.symbol.value].spec.volume_min;
    return whole ? available : wanted;
}

/// Of an order with a parent: held until the parent's fate is known, and that of the closes which
/// have claimed some of what it would close; ended if there is nothing left to act on. A close
/// takes its volume from the position as it stands now: since the last attempt it may have shrunk
/// or gone (SL, TP, another close), and on a netting account a close of more than there is would
/// open the other side.
bool Engine::waits_or_is_moot(std::uint32_t i) noexcept {
    Order& o = orders_[i];
    Order& p = orders_[o.parent];
    if (is_unknown(p.status)) {
        p.close_wanted = true;  // wakes this one
        hold(i);
        return true;
    }
    const bool works = p.status == OrdStatus::New || p.status == OrdStatus::PartiallyFilled;
    bool moot = false;
    if (o.type == CommandType::Close) {
        const Lots volume =
            o.volume.value > 0 ? closable(p, o.volume) : close_volume(ledger_[o.signal], p);
        const bool last = volume.value > 0 && g_.time >= last_call_of(o);
        const bool less = volume < least_to_close(o) && !last;
        if (p.open_volume.value > 0 && (less || may_close_all(p, i))) {
            // Other closes have some of it, and may yet be refused: that part would stay open while
            // this one's source believes that it is closed.
            p.close_wanted = true;
            hold(i);
            return true;
        }
        moot = volume.value <= 0;
        o.volume = moot ? o.volume : volume;
    } else {
        moot = !works && (o.type == CommandType::Cancel || p.open_volume.value == 0);
    }
    if (moot) {
        end(i, OrdStatus::Canceled, Reason::NothingToDo);
    }
    return moot;
}

/// True if another close of `p` is in doubt that has a claim on whatever there was: what was filled
/// was not known either when the segment was lost.
bool Engine::may_close_all(const Order& p, std::uint32_t but) const noexcept {
    std::uint32_t c = p.children > 1 && may_have_gone_on(p) ? p.next_in_account : kNoId;
    for (; c != kNoId; c = orders_[c].next_in_account) {
        const Order& o = orders_[c];
        if (c != but && o.claimed && o.volume.value == 0 && &orders_[o.parent] == &p) {
            return true;
        }
    }
    return false;
}

/// From when on a close that waits takes what is free: what others have claimed of the position,
/// one that is IN_DOUBT maybe, must not keep the rest of it open.
Nanos Engine::last_call_of(const Order& o) noexcept {
    const std::int64_t quarter = (o.deadline.value - o.created.value) / 4;
    return o.deadline - Nanos{std::clamp<std::int64_t>(quarter, 0, kLastCall.value)};
}

/// A close that may be at the broker, nobody knows for what volume: no other is given any of it.
void Engine::claim_what_is_left(Order& o) noexcept {
    Order& p = orders_[o.parent];
    // One that had no volume yet may have taken all there was.
    const Lots left = std::max(p.open_volume - p.closing, Lots{});
    o.volume = o.volume.value > 0 ? std::min(o.volume, left) : left;
    o.claimed = true;
    p.closing = p.closing + o.volume;
}

/// A close that is not at the broker (any more) leaves its share of the position to others.
void Engine::unclaim(Order& o) noexcept {
    if (o.claimed) {
        o.claimed = false;
        orders_[o.parent].closing = orders_[o.parent].closing - o.volume;
    }
}

}  // namespace millrace
