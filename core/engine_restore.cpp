// The state from what a store knows, after the loss of the log (core/restored.h).
//
// A store knows no more than how things stood. So the times, retries and claims that it does not
// have are set to what lets nothing happen twice: no order is sent again, whatever is asked about
// it; a close keeps its share of the position until its fate is known.
#include "core/engine.h"

#include <algorithm>

namespace millrace {

Result<std::uint32_t> Engine::restore(const Restored& from, OutputPort& out) noexcept {
    ASSERT(from.at > g_.seq);
    ASSERT(orders_.live() == 0);
    ASSERT(ledger_.live() == 0);
    if (from.signals.size() > ledger_.capacity() || from.orders.size() > orders_.capacity()) {
        return {Errc::NoSpace, "what the store knows does not fit the engine's tables"};
    }
    out_ = &out;
    next_effect_k_ = 0;
    g_.seq = from.at;
    g_.time = std::max(g_.time, seconds(from.from_s));
    g_.ledger_from_s = from.from_s;
    g_.next_intent = std::max(g_.next_intent, from.next_intent);
    for (const SignalRow& row : from.signals) {
        restore_signal(row);
    }
    std::uint32_t left_out = 0;
    for (const RestoredOrder& order : from.orders) {
        left_out += restore_order(order) ? 0U : 1U;
    }
    for (std::uint32_t i = 0; i < orders_.used(); ++i) {
        release_if_done(i);  // what acted on it was left out
    }
    for (std::uint32_t i = 0; i < ledger_.used(); ++i) {
        settle_restored(i);
    }
    tell_restored();
    out_ = nullptr;
    return left_out;
}

void Engine::restore_signal(const SignalRow& row) noexcept {
    if (by_signal_.find(key_of(row.id)) != kNoId || row.source.value >= kSourcesMax) {
        return;
    }
    const std::uint32_t i = ledger_.allocate();
    ASSERT(i != kNoId);
    SignalEntry& e = ledger_[i];
    e.signal.id = row.id;
    e.signal.target = row.target;
    e.signal.source = row.source;
    e.signal.group = row.group;
    e.signal.symbol = row.symbol;
    e.signal.action = row.action;
    e.signal.side = row.side;
    e.signal.price_kind = row.price_kind;
    e.signal.volume = row.volume;
    e.signal.price = row.price;
    e.signal.stop_loss = row.stop_loss;
    e.signal.take_profit = row.take_profit;
    e.signal.send_time = row.send_time;
    e.accepted = g_.seq;  // durable with the snapshot that this state lies in
    e.accepted_time = row.accepted_time;
    e.born = row.send_time.value > 0 ? row.send_time : row.accepted_time;
    e.orders_made = row.accounts;
    e.filled = row.filled;
    e.rejected = row.rejected;
    e.fanned_out = true;  // what was not handed out by then must not be now
    by_signal_.insert(key_of(row.id), i);
    link_newest(i);
}

/// The order that a close, modify or cancel acts on: its account's share of the target.
std::uint32_t Engine::restored_parent(const OrderRow& row, std::uint32_t entry) const noexcept {
    const bool own = ledger_[entry].signal.action == SignalAction::Open;  // the engine's own close
    const std::uint32_t target =
        own ? entry : by_signal_.find(key_of(ledger_[entry].signal.target));
    std::uint32_t first = kNoId;
    std::uint32_t i = target == kNoId ? kNoId : ledger_[target].first_order;
    for (; i != kNoId; i = orders_[i].next_in_signal) {
        const Order& o = orders_[i];
        if (o.account != row.account || o.type != CommandType::Open) {
            continue;
        }
        // Its rest and a second execution are of the same signal: the position tells them apart.
        if (o.position_id == row.position_id && (own || row.position_id != 0)) {
            return i;
        }
        first = first == kNoId ? i : first;
    }
    return own ? kNoId : first;
}

bool Engine::restore_order(const RestoredOrder& from) noexcept {
    const OrderRow& row = from.row;
    const std::uint32_t entry = by_signal_.find(key_of(row.signal));
    const auto type = static_cast<CommandType>(row.type);
    if (entry == kNoId || account_of(row.account) == nullptr || row.symbol.value >= kSymbolsMax ||
        !symbols_[row.symbol.value].defined || row.created >= seconds(g_.ledger_from_s) ||
        by_intent_.find(key_of(row.account, row.magic.intent())) != kNoId) {
        return false;
    }
    const std::uint32_t parent = type == CommandType::Open ? kNoId : restored_parent(row, entry);
    if (type != CommandType::Open && parent == kNoId) {
        return false;
    }
    const std::uint32_t i = orders_.allocate();
    ASSERT(i != kNoId);
    Order& o = orders_[i];
    o.intent = row.magic.intent();
    o.signal_id = row.signal;
    o.signal = entry;
    o.account = row.account;
    o.symbol = row.symbol;
    o.source = ledger_[entry].signal.source;
    o.type = type;
    const bool opens = ledger_[entry].signal.action == SignalAction::Open;
    o.origin = opens && type == CommandType::Close ? Origin::Engine : Origin::Signal;
    o.side = row.side;
    o.price_kind = row.price_kind;
    // Not final: the broker may have seen it. The Start record of a new segment puts it in doubt.
    o.status = is_final(row.status) ? row.status : OrdStatus::PendingNew;
    o.attempt = static_cast<std::uint8_t>(row.magic.attempt());
    o.reason = static_cast<Reason>(row.reason);
    o.retcode = row.retcode;
    o.volume = row.volume;
    o.cum = row.cum_volume;
    o.price = row.price;
    o.avg = row.avg_price;
    o.stop_loss = row.stop_loss;
    o.take_profit = row.take_profit;
    o.order_ticket = row.order_ticket;
    o.position_id = row.position_id;
    o.created = row.created;
    o.deadline = std::min(row.deadline, g_.time);
    o.signal_time = ledger_[entry].signal.send_time;
    o.parent = parent;
    std::copy(std::begin(from.deals), std::end(from.deals), std::begin(o.deals));
    link(i);
    by_intent_.insert(key_of(o.account, o.intent), i);
    restore_counts(i, from);
    return true;
}

/// What others count of it: results promised, positions open, volume claimed.
void Engine::restore_counts(std::uint32_t i, const RestoredOrder& from) noexcept {
    Order& o = orders_[i];
    Account& a = accounts_[o.account.value];
    const bool told = !is_final(o.status) && is_told(o.origin);
    o.results = told ? ResultsDue::Both : ResultsDue::Nothing;
    if (told) {
        ++ledger_[o.signal].orders_open;
        reserve_results(o.source, 2);
    }
    if (!is_final(o.status)) {
        ++a.live_orders;
        ++g_.live_orders;
    }
    if (o.type == CommandType::Open) {
        o.close_shares = from.close_shares;
        o.open_volume = from.open_volume;
    }
    order_value_[i] = Money{};
    value_order(i);
    recount(o, Lots{});
    if (o.open_volume.value > 0) {
        ++a.open_positions;
        ++g_.open_positions;
        index_position(i);
    }
    if (o.parent == kNoId) {
        return;
    }
    ++orders_[o.parent].children;
    if (o.type == CommandType::Close && !is_final(o.status)) {
        claim_what_is_left(o);
    }
}

/// A signal without an order that may still tell something is over. The row of one that was under
/// way is of before its orders: those that are known are counted, and no more can be.
void Engine::settle_restored(std::uint32_t entry) noexcept {
    SignalEntry& e = ledger_[entry];
    std::uint32_t i = e.orders_made == 0 ? e.first_order : kNoId;
    for (; i != kNoId; i = orders_[i].next_in_signal) {
        const Order& o = orders_[i];
        const bool over = is_final(o.status);
        ++e.orders_made;
        e.filled += over && o.cum.value > 0 ? 1U : 0U;
        e.rejected += over && o.cum.value == 0 ? 1U : 0U;
    }
    e.done = e.orders_open == 0;
    if (!e.done) {
        reserve_results(e.signal.source, 1);  // SignalDone
    }
}

/// The effects log begins with what was taken over, so a store that begins anew has it too.
void Engine::tell_restored() noexcept {
    for (std::uint32_t i = 0; i < ledger_.used(); ++i) {
        signal_row(ledger_[i], Reason::None);
    }
    for (std::uint32_t i = 0; i < orders_.used(); ++i) {
        if (!orders_.is_live(i)) {
            continue;
        }
        order_row(orders_[i]);
        if (orders_[i].open_volume.value > 0) {
            position_row(orders_[i]);
        }
    }
    for (std::uint32_t n = 0; n < capacity_.accounts; ++n) {
        if (accounts_[n].defined) {
            account_row(accounts_[n]);
        }
    }
}

// ---- and afterwards: what is still to be expected of the time that nobody knows -----------------

/// True if it was given out under a log that is lost. Time of the log since begins there.
bool Engine::is_of_lost_log(const Order& o) const noexcept {
    return o.created < seconds(g_.ledger_from_s);
}

/// The attempt that is known came to nothing. The log that was lost, or its end, may have gone on
/// to the next, so that one is looked up too, and so on: none of them is ever sent from here.
void Engine::ask_next_attempt(std::uint32_t i) noexcept {
    Order& o = orders_[i];
    set_status(i, OrdStatus::InDoubt);
    ++o.attempt;
    o.queries = 0;  // of this attempt
    timers_.set(i, g_.time);
    order_row(o);
}

/// The execution of an order that only the lost log knew: done once, and news to us.
bool Engine::is_of_lost_log(const Report& r) const noexcept {
    return r.broker_time < seconds(g_.ledger_from_s);
}

/// A close found it gone. What closed it may have been told to the lost log alone: nobody tells it
/// again.
void Engine::drop_lost_position(std::uint32_t i, const Report& r) noexcept {
    if (r.retcode == retcode::kPositionClosed && is_of_lost_log(orders_[i])) {
        position_reduced(i, orders_[i].open_volume);
    }
}

/// On a hedging account, that a position of ours shrank: true if it changes nothing that we know.
/// @param known the order that has the position, kNoId if none has.
bool Engine::is_news_of_lost_log(std::uint32_t known, const Report& r) noexcept {
    if (known != kNoId) {
        // The store had it, and its terminal has not heard that we have it.
        const auto& deals = orders_[known].deals;
        const bool told =
            std::find(std::begin(deals), std::end(deals), r.deal_ticket) != std::end(deals);
        // Of many deals the newest are known; tickets rise, so one below them all came before.
        const bool before = deals[3] != 0 && is_of_lost_log(r) &&
                            r.deal_ticket < *std::min_element(std::begin(deals), std::end(deals));
        return is_of_lost_log(orders_[known]) && r.deal_ticket != 0 && (told || before);
    }
    if (g_.ledger_from_s == 0 || find_order(r) != kNoId) {
        return false;
    }
    // Opened by an order that only the lost log knew: it closes nothing of ours.
    alert(AlertCode::UnknownReport, r.account, nullptr, r.magic.value);
    return true;
}

}  // namespace millrace
