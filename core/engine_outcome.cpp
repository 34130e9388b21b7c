// What the engine does by itself about an outcome that nobody asked for: a second execution of one
// order, an entry done in part, a symbol that the broker has switched off, an executor that has
// lost its broker.
//
// Its own closes are orders like any other, with an intent, look-ups and retries; they belong to
// the signal that opened the position, take no slot of a results ring, and are told in the stores
// and, if nothing came of them, in an alert.
#include "core/engine.h"

#include <algorithm>

namespace millrace {
namespace {

constexpr Nanos kOwnCloseTtl = seconds(86'400);  // somebody is told when it is over
constexpr Nanos kRefillTtl = seconds(10);        // C15
constexpr Nanos kBlocksTogether = seconds(60);
constexpr std::uint32_t kDoublesMax = 3;  // then SUSPENDED (C17)
constexpr Nanos kLimitTold = seconds(3'600);

/// Closes of our own that came to nothing are made again after 1, 2, 4 minutes, then each 5: slow
/// enough for any broker's limits, and a market that opens is met soon. Every twelfth is told.
constexpr std::uint8_t kRoundsTold = 12;
constexpr std::uint8_t kRoundsMax = 20 * kRoundsTold;
Nanos wait_before(std::uint8_t round) noexcept {
    return seconds(round < 4 ? std::int64_t{30} << round : 300);
}
/// How many were made before `o`: 0 of the first.
std::uint8_t rounds_of(const Order& o) noexcept {
    return o.backoffs > kBackoffsMax ? static_cast<std::uint8_t>(o.backoffs - kBackoffsMax)
                                     : std::uint8_t{0};
}
std::uint8_t next_round(const Order& o) noexcept {
    const std::uint8_t round = rounds_of(o);
    return static_cast<std::uint8_t>(round < kRoundsMax ? round + 1 : round + 1 - kRoundsTold);
}

/// True if a close or cancel of order `i` lives.
bool has_exit(const Pool<Order>& orders, std::uint32_t i) noexcept {
    std::uint32_t c = orders[i].children > 0 ? orders[i].next_in_account : kNoId;
    for (; c != kNoId; c = orders[c].next_in_account) {
        if (orders[c].parent == i && orders[c].type != CommandType::Modify) {
            return true;
        }
    }
    return false;
}

/// Closes of sources that have claimed some of order `i`'s position, which the engine closes, and
/// may yet be refused.
void follow_claims(Pool<Order>& orders, std::uint32_t i) noexcept {
    std::uint32_t c = orders[i].closing.value > 0 ? orders[i].next_in_account : kNoId;
    for (; c != kNoId; c = orders[c].next_in_account) {
        Order& o = orders[c];
        if (o.parent == i && o.claimed && is_told(o.origin)) {
            o.marks |= kFollowed;
        }
    }
}

template <class From>
void copy_stops(const From& from, Order& to) noexcept {
    to.stop_loss = from.stop_loss;
    to.take_profit = from.take_profit;
}

/// Those of order `i`, or of the newest modify that waits for its fate.
void take_stops(const Pool<Order>& orders, std::uint32_t i, Order& to) noexcept {
    copy_stops(orders[i], to);
    std::uint32_t c = orders[i].children > 0 ? orders[i].next_in_account : kNoId;
    for (; c != kNoId; c = orders[c].next_in_account) {
        if (orders[c].parent == i && orders[c].type == CommandType::Modify) {
            copy_stops(orders[c], to);
        }
    }
}

/// True if `job`, a fan-out to the orders of a signal, will yet come to order `i`. One that has
/// been there has left a change that lives, has changed it, or was refused for it.
bool is_ahead(const Pool<Order>& orders, const Job& job, std::uint32_t i) noexcept {
    std::uint32_t at = job.cursor;
    for (std::uint32_t left = job.detail; at != kNoId && left > 0; --left) {
        if (at == i) {
            return true;
        }
        at = orders[at].next_in_signal;
    }
    return false;
}

}  // namespace

// ---- who may send what --------------------------------------------------------------------------

void Engine::take_permissions(Account& a, const Report& r) noexcept {
    a.away = (r.permissions & (kAccountAway | kAccountSettling)) != 0;
    if (!a.away) {  // else what its executor has read is as old as its connection
        a.permitted = (r.permissions & kAccountPermitted) != 0;
    }
}

/// What a close, modify or cancel goes by. Whoever stops an account stops its entries (C23), and a
/// position that the engine has to close is a hazard also where nothing else may leave.
AccountState Engine::state_for_exit(const Order& o, const Account& a) const noexcept {
    const bool own = o.origin == Origin::Engine;
    if (own && a.state == AccountState::Disabled) {
        return AccountState::Reconciling;  // it waits until the account may trade
    }
    if (a.state != AccountState::Inactive && !(own && a.state == AccountState::Suspended)) {
        return a.state;
    }
    if (a.exits_go) {
        return AccountState::ReduceOnly;
    }
    return a.permitted || own ? AccountState::Reconciling : AccountState::Suspended;
}

/// Notes whether exits could leave; what waited for that goes on. (Whoever is TRADING or
/// REDUCE_ONLY releases all that waits by becoming so.)
void Engine::watch_exits(Account& a, bool changes) noexcept {
    const bool went = a.exits_go && !changes;
    a.exits_go = a.permitted && a.ready && !a.away;
    if (went || !a.exits_go) {
        return;
    }
    if (a.state == AccountState::Inactive) {
        queue_release(a);
    } else if (a.state == AccountState::Suspended) {
        for (std::uint32_t i = a.first_order; i != kNoId; i = orders_[i].next_in_account) {
            const Order& o = orders_[i];
            if (o.origin == Origin::Engine && o.status == OrdStatus::Held && !o.retrying) {
                timers_.set(i, g_.time);
            }
        }
    }
}

/// An operator lets the account trade again.
void Engine::forget_outcomes(Account& a) noexcept {
    outcome_of(a) = AccountOutcome{};
    account_sides_[a.spec.id.value] = AccountSides{};
    a.has_blocks = false;
}

// ---- closes of our own --------------------------------------------------------------------------

/// True if the table has a place that no fan-out under way has been promised: one that was accepted
/// finds room for all its orders, whatever reports come between its records.
bool Engine::has_place() const noexcept {
    std::uint64_t promised = 0;
    for (std::uint32_t n = 0; n < jobs_size_; ++n) {
        const Job& job = jobs_[(jobs_head_ + n) % jobs_capacity_];
        if (job.kind == JobKind::FanOut && job.cursor != kNoId) {
            const bool opens = ledger_[job.subject].signal.action == SignalAction::Open;
            promised += std::uint64_t{job.detail} * (opens ? 1 : kChildrenPerTarget);
        }
    }
    return orders_.capacity() - orders_.live() > promised;
}

/// Closes what is open of `parent` now, under a record of its own. The report that calls for it may
/// still be at work on the parent: the close waits until its fate is known.
///
/// @param rounds made before that came to nothing; above 0 it has one attempt, after a while.
void Engine::close_by_itself(std::uint32_t parent, std::uint8_t rounds) noexcept {
    const Order& p = orders_[parent];
    if (p.open_volume.value == 0) {
        return;  // closed at the broker before its fill was told
    }
    // The place of a close that has come to nothing was never promised to others.
    if (rounds > 0 ? orders_.full() : !has_place()) {
        alert(AlertCode::OwnCloseFailed, p.account, &p,
              static_cast<std::uint64_t>(Reason::TableFull));
        return;
    }
    const std::uint32_t i = create_child(p.signal, parent, CommandType::Close, Origin::Engine);
    Order& o = orders_[i];
    o.side = opposite(p.side);
    const Lots unclaimed = p.open_volume - p.closing;
    o.volume = unclaimed.value > 0 ? unclaimed : p.open_volume;  // who has a claim may be refused
    follow_claims(orders_, parent);
    o.deadline = g_.time + kOwnCloseTtl;
    o.signal_time = o.edge_time = Nanos{};
    if (rounds > 0) {
        o.reprices = kRepricesMax;
        o.backoffs = static_cast<std::uint8_t>(kBackoffsMax + rounds);
    }
    order_row(o);
    timers_.set(i, rounds > 0 ? g_.time + wait_before(rounds) : g_.time);
}

/// A close of the engine's own has ended.
void Engine::tell_own_end(const Order& o) noexcept {
    const bool taken_away = o.status == OrdStatus::Canceled && o.reason == Reason::BrokerReject;
    const bool failed = o.status == OrdStatus::Rejected || o.status == OrdStatus::Expired ||
                        (taken_away && o.cum.value == 0);
    if (failed && rounds_of(o) % kRoundsTold == 0) {
        alert(AlertCode::OwnCloseFailed, o.account, &o, static_cast<std::uint64_t>(o.reason));
    }
}

/// The round of the close that follows on `o`, which has ended; 0 if none does: it is done, nothing
/// was left, or an operator has ended it, who may be wrong: then another would open the other side.
std::uint8_t Engine::round_after(const Order& o) noexcept {
    const bool own =
        o.type == CommandType::Close && (o.origin == Origin::Engine || (o.marks & kFollowed) != 0);
    const bool over = o.reason == Reason::NothingToDo || o.reason == Reason::CanceledByUser;
    if (!own || over || o.cum >= o.volume) {
        return 0;
    }
    return is_told(o.origin) ? std::uint8_t{1} : next_round(o);
}

// ---- second executions --------------------------------------------------------------------------

/// True if `r` proves that the broker has executed `o` twice: a deal that is none of its own made
/// more than can still be expected of it (nothing, once its rest was sent again), and on a hedging
/// account a position that no other order made. Whatever is only like it (an order that is
/// forgotten by now, a deal of before a log was lost, one of an order whose own deals are not all
/// known by number) may be the same execution told again: somebody is told, and nothing closed.
bool Engine::is_second(const Order& o, const Report& r) const noexcept {
    const bool hedging = accounts_[o.account.value].spec.margin_mode == MarginMode::Hedging;
    const std::uint32_t has = by_position_.find(key_of(o.account, r.position_id));
    const bool strange = has == kNoId || orders_[has].origin == Origin::Double;  // in two deals
    const bool another = r.position_id != 0 && o.position_id != 0 && r.position_id != o.position_id;
    const bool apart = !hedging || (another && strange);
    const bool deals_known = o.deals[std::size(o.deals) - 1] == 0 && (o.marks & kUnnamedFill) == 0;
    const Lots most = (o.marks & kRestSent) != 0 ? o.cum : o.volume;
    return o.type == CommandType::Open && o.origin != Origin::Double && r.deal_ticket != 0 &&
           apart && deals_known && o.cum + r.volume > most && !is_of_lost_log(o);
}

/// Of order `i`, which is over. What is proven stands in the books from here on, so that limits, a
/// close by signal and the kill switch see it; the younger one is closed by its ticket (C17).
void Engine::on_second(std::uint32_t i, const Report& r) noexcept {
    ++g_.duplicate_executions;
    alert(AlertCode::DuplicateExecution, r.account, i == kNoId ? nullptr : &orders_[i],
          r.deal_ticket);
    if (i == kNoId || !is_second(orders_[i], r)) {
        if (i != kNoId) {
            name_fill(i, r);
        }
        return;
    }
    Order& first = orders_[i];  // a deal counts once
    std::rotate(std::begin(first.deals), std::end(first.deals) - 1, std::end(first.deals));
    first.deals[0] = r.deal_ticket;
    Account& a = accounts_[r.account.value];
    if (a.spec.on_double == DoubleAction::Close) {
        close_second(i, r);
    }
    if (++outcome_of(a).doubles >= kDoublesMax && a.wanted != AccountState::Suspended) {
        stop_account(a, AccountState::Suspended);
        alert(AlertCode::AccountSuspended, r.account, nullptr, r.retcode);
    }
    update_account_state(a);
}

/// What was counted of `i` by an operator's word or a sum may be this deal: its number and its
/// position, where none was named, are known from here on.
void Engine::name_fill(std::uint32_t i, const Report& r) noexcept {
    Order& o = orders_[i];
    if ((o.marks & kUnnamedFill) == 0 || r.deal_ticket == 0 || o.open_volume.value == 0) {
        return;
    }
    std::rotate(std::begin(o.deals), std::end(o.deals) - 1, std::end(o.deals));
    o.deals[0] = r.deal_ticket;
    bind_tickets(o, r);
    index_position(i);
    order_row(o);
    position_row(o);
}

void Engine::close_second(std::uint32_t i, const Report& r) noexcept {
    if (!has_place()) {
        alert(AlertCode::OwnCloseFailed, r.account, &orders_[i],
              static_cast<std::uint64_t>(Reason::TableFull));
        return;
    }
    const Order& first = orders_[i];
    const std::uint32_t n =
        create_order(first.signal, first.account, CommandType::Open, Origin::Double);
    Order& o = orders_[n];
    o.side = first.side;
    o.price_kind = first.price_kind;
    o.reference = first.reference;
    o.stop_loss = first.stop_loss;
    o.take_profit = first.take_profit;
    o.volume = r.volume;
    o.retcode = r.retcode;
    o.order_ticket = r.order_ticket;
    o.position_id = r.position_id;
    count_anew(n);
    execution_row(o, r, true);
    fill(n, r.volume, r.price, r.deal_ticket);
    end(n, OrdStatus::Filled, Reason::DuplicateClosed);  // stays: its position is open
    close_by_itself(n);
}

// ---- entries done in part -----------------------------------------------------------------------

/// The rest of market entry `i` is gone; its end is told next. Once for each that a signal made.
void Engine::settle_partial(std::uint32_t i) noexcept {
    const Order& o = orders_[i];
    const Group& group = groups_[ledger_[o.signal].signal.group.value];
    const auto action = static_cast<PartialAction>(group.spec.on_partial);
    alert(AlertCode::PartialFill, o.account, &o, group.spec.on_partial);
    if (o.origin == Origin::Signal && action == PartialAction::Refill) {
        send_rest(i);
    } else if (action == PartialAction::Close) {
        close_by_itself(i);
    }
}

/// One more order for the rest, with an intent of its own and the same reference: checked as every
/// entry is. Its end takes the slot that the first one's intermediate word was promised; where that
/// word is out, the answer was long in coming, and nothing is sent after it; nor where something
/// closes what there is: its source would hold what it believes to be closed. Modifies that were
/// accepted by now, waiting or still in their fan-out, act on the first one alone: the rest is made
/// with their stops, or it would be without.
void Engine::send_rest(std::uint32_t i) noexcept {
    Order& first = orders_[i];
    const Lots rest = first.volume - first.cum;
    const bool closes = ledger_[first.signal].leaving || has_exit(orders_, i);
    if (first.results != ResultsDue::Both || closes || !has_place() ||
        rest < symbols_[first.symbol.value].spec.volume_min) {
        return;
    }
    first.marks |= kRestSent;
    const std::uint32_t n =
        create_order(first.signal, first.account, CommandType::Open, Origin::Rest);
    Order& o = orders_[n];
    o.results = ResultsDue::End;
    reserve_results(o.source, 1);
    o.price_kind = first.price_kind;
    o.price = first.price;
    take_stops(orders_, i, o);
    for (std::uint32_t j = 0; j < jobs_size_; ++j) {  // oldest first
        const Job& job = jobs_[(jobs_head_ + j) % jobs_capacity_];
        const Signal* s = job.kind == JobKind::FanOut ? &ledger_[job.subject].signal : nullptr;
        if (s != nullptr && s->action == SignalAction::Modify && s->target == first.signal_id &&
            is_ahead(orders_, job, i)) {
            copy_stops(*s, o);
        }
    }
    o.reference = first.reference;
    o.volume = rest;
    o.deadline = std::min(first.deadline, g_.time + kRefillTtl);
    count_anew(n);
    order_row(o);
    timers_.set(n, g_.time);
}

/// Limits count `i` from here on.
void Engine::count_anew(std::uint32_t i) noexcept {
    value_order(i);
    recount(orders_[i], Lots{});
}

// ---- symbols that a broker has switched off -----------------------------------------------------

/// 10017 while the account may trade, and 10044: it is the symbol that may not; 10042 and 10043:
/// one side of it (C48, the mildest that removes the hazard). Two 10017 within a minute are no
/// accident of one symbol; a broker that winds symbols down says so of many.
void Engine::block_symbol(const Order& o, std::uint32_t code) noexcept {
    Account& a = accounts_[o.account.value];
    AccountOutcome& out = outcome_of(a);
    AccountSides& sides = account_sides_[o.account.value];
    const bool disabled = code == retcode::kTradeDisabled;
    const bool says_so = code == retcode::kLongOnly    ? o.side == Side::Sell
                         : code == retcode::kShortOnly ? o.side == Side::Buy
                                                       : true;
    if (!disabled && (o.type != CommandType::Open || !says_so)) {
        return;  // of a close, or of the side that is allowed: no answer to go by
    }
    auto& blocked = code == retcode::kLongOnly    ? sides.no_sells
                    : code == retcode::kShortOnly ? sides.no_buys
                                                  : out.blocked;
    std::uint64_t& word = blocked[o.symbol.value / 64];
    const std::uint64_t bit = std::uint64_t{1} << (o.symbol.value % 64);
    if ((word & bit) != 0) {
        return;  // it was on its way when the first one was refused
    }
    word |= bit;
    a.has_blocks = true;
    alert(AlertCode::SymbolBlocked, o.account, &o, code);
    if (!disabled) {
        return;
    }
    const bool another = out.blocked_at.value != 0 && g_.time - out.blocked_at < kBlocksTogether;
    out.blocked_at = g_.time;
    if (another && a.wanted == AccountState::Trading) {
        stop_account(a, AccountState::ReduceOnly);
    }
}

bool Engine::is_blocked(const Order& o, const Account& a) const noexcept {
    if (!a.has_blocks) {
        return false;
    }
    const AccountSides& sides = account_sides_[o.account.value];
    const auto& side = o.side == Side::Buy ? sides.no_buys : sides.no_sells;
    const std::size_t word = o.symbol.value / 64;
    const std::uint64_t blocked = account_outcome_[o.account.value].blocked[word] | side[word];
    return (blocked >> (o.symbol.value % 64) & 1U) != 0;
}

/// What the broker lifts by itself blocks nothing: each order is its own question. Somebody is
/// told.
void Engine::tell_broker_limit(const Order& o, std::uint32_t code) noexcept {
    Nanos& told = account_sides_[o.account.value].limit_told;
    if (told.value == 0 || g_.time - told >= kLimitTold) {
        told = g_.time;
        alert(AlertCode::BrokerLimit, o.account, &o, code);
    }
}

}  // namespace millrace
