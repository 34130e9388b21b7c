// An order's life: created, held or sent, in doubt, working, filled, ended, forgotten.
//
// Mind: end() and position_reduced() may free the order's slot; nobody touches it afterwards.
#include "core/engine.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace millrace {
namespace {

constexpr unsigned kAttemptsMax = 1U << Magic::kAttemptBits;

/// First 80 bits of the signal's UUID in base32 (RFC 4648 alphabet, lower case): what stands in
/// the order's comment as second evidence.
Text<16> comment_of(const SignalId& id) noexcept {
    static constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    std::uint8_t bytes[10];
    for (unsigned i = 0; i < 8; ++i) {
        bytes[i] = static_cast<std::uint8_t>(id.hi >> (56 - 8 * i));
    }
    bytes[8] = static_cast<std::uint8_t>(id.lo >> 56);
    bytes[9] = static_cast<std::uint8_t>(id.lo >> 48);
    Text<16> t;
    for (unsigned i = 0; i < 16; ++i) {
        const unsigned bit = i * 5;
        const unsigned pair = static_cast<unsigned>(bytes[bit / 8]) << 8 |
                              (bit / 8 + 1 < 10 ? bytes[bit / 8 + 1] : 0U);
        t.bytes[i] = kAlphabet[pair >> (11 - bit % 8) & 31];
    }
    return t;
}

using Wide = unsigned __int128;

/// The text as a number, first character lowest, what follows a terminator left out.
template <std::size_t N>
Wide wide_of(const Text<N>& text, unsigned& length) noexcept {
    static_assert(std::endian::native == std::endian::little);
    Wide w = 0;
    std::memcpy(&w, text.bytes, N);
    length = 0;
    while (length < N && text.bytes[length] != '\0') {
        ++length;
    }
    return length == sizeof(Wide) ? w : w & ((Wide{1} << (8 * length)) - 1);
}

/// The account's own name of a symbol: prefix + name + suffix, cut to 16 characters.
Text<16> broker_symbol(const AccountSpec& a, const SymbolSpec& s) noexcept {
    if (a.symbol_prefix.bytes[0] == '\0' && a.symbol_suffix.bytes[0] == '\0') {
        return s.name;
    }
    unsigned prefix = 0;
    unsigned name = 0;
    unsigned suffix = 0;
    Wide w = wide_of(a.symbol_prefix, prefix);
    w |= wide_of(s.name, name) << (8 * prefix);
    if (prefix + name < sizeof(Wide)) {
        w |= wide_of(a.symbol_suffix, suffix) << (8 * (prefix + name));
    }
    Text<16> t;
    std::memcpy(t.bytes, &w, sizeof t.bytes);
    return t;
}

}  // namespace

std::uint32_t Engine::create_order(std::uint32_t entry, AccountId account, CommandType type,
                                   Origin origin) noexcept {
    const std::uint32_t i = orders_.allocate();
    ASSERT(i != kNoId);  // validate() saw room for all
    Order& o = orders_[i];
    SignalEntry& e = ledger_[entry];
    o.intent = g_.next_intent++;
    o.signal_id = e.signal.id;
    o.signal = entry;
    o.account = account;
    o.symbol = e.signal.symbol;
    o.source = e.signal.source;
    o.type = type;
    o.origin = origin;
    o.side = e.signal.side;
    o.created = g_.time;
    order_value_[i] = Money{};
    const std::uint32_t ttl = e.signal.ttl_ms == 0 ? kDefaultTtlMs : e.signal.ttl_ms;
    o.deadline = e.born + millis(ttl);
    o.signal_time = e.signal.send_time;
    o.edge_time = e.signal.edge_time;
    link(i);
    by_intent_.insert(key_of(account, o.intent), i);
    ++accounts_[account.value].live_orders;
    ++g_.live_orders;
    if (is_told(origin)) {
        ++e.orders_made;
        ++e.orders_open;
    }
    if (origin == Origin::Signal) {
        reserve_results(o.source, 2);
    } else {
        o.results = ResultsDue::Nothing;  // it came unasked: nobody has kept a slot for it
    }
    return i;
}

void Engine::start(std::uint32_t i) noexcept {
    const Order& o = orders_[i];
    Account& a = accounts_[o.account.value];
    if (g_.time >= o.deadline) {
        end(i, OrdStatus::Expired, Reason::Expired);
        return;
    }
    if (const Reason why = barred(o); why != Reason::None) {
        end(i, OrdStatus::Rejected, why);
        return;
    }
    const Lots asked = o.volume;
    if (o.parent != kNoId && waits_or_is_moot(i)) {
        return;
    }
    const bool entry = o.type == CommandType::Open;
    if (entry) {
        watch_losses(a);  // a reading that stands counts, and so does a day that has begun
        watch_week(a);
    }
    const AccountState state = entry ? a.state : state_for_exit(o, a);
    if (state == AccountState::Reconciling || (entry && symbol_in_doubt(o, a))) {
        const Lots taken = o.volume;
        orders_[i].volume = asked;
        if (o.type != CommandType::Close || taken >= least_to_close(o)) {
            orders_[i].volume = taken;  // else its last call, in which it could not go
        }
        hold(i);
    } else if (state == AccountState::Trading || (state == AccountState::ReduceOnly && !entry)) {
        const Reason why = entry ? check_entry(o, a, g_.time) : check_change(o, a);
        if (why == Reason::None) {
            send(i);
        } else {
            end(i, OrdStatus::Rejected, why);
        }
    } else {
        end(i, OrdStatus::Rejected, why_not(a));
    }
}

/// True if another order of the same symbol on this account is IN_DOUBT: no new entry until it is
/// known what we hold (C19).
bool Engine::symbol_in_doubt(const Order& o, const Account& a) const noexcept {
    if (a.in_doubt == 0) {
        return false;
    }
    for (std::uint32_t i = a.first_order; i != kNoId; i = orders_[i].next_in_account) {
        if (orders_[i].status == OrdStatus::InDoubt && orders_[i].symbol == o.symbol) {
            return true;
        }
    }
    return false;
}

void Engine::send(std::uint32_t i) noexcept {
    Order& o = orders_[i];
    const Account& a = accounts_[o.account.value];
    OrderCommand c;
    c.account = o.account;
    c.magic = magic_of(o);
    c.type = o.type;
    c.side = o.side;
    c.price_kind = o.price_kind;
    c.deviation_points = a.spec.deviation_points;
    c.symbol = broker_symbol(a.spec, symbols_[o.symbol.value].spec);
    c.volume = o.volume;
    c.price = o.price;
    c.stop_loss = o.stop_loss;
    c.take_profit = o.take_profit;
    if (o.parent != kNoId) {
        Order& p = orders_[o.parent];
        c.position_ticket = p.open_volume.value > 0 ? p.position_id : 0;
        c.order_ticket = p.order_ticket;
        o.position_id = p.position_id;  // known since, perhaps
        if (o.type == CommandType::Close) {
            p.closing = p.closing + o.volume;
            o.claimed = true;
        }
    }
    c.deadline = o.deadline;
    c.signal_time = o.signal_time;
    c.edge_time = o.edge_time;
    if (comment_signal_ != o.signal_id) {  // one for all orders of a fan-out
        comment_signal_ = o.signal_id;
        comment_ = comment_of(o.signal_id);
    }
    c.comment = comment_;
    set_status(i, OrdStatus::PendingNew);
    ++g_.orders_sent;
    timers_.set(i, Nanos{g_.time.value + g_.risk.answer_timeout_ns});
    order_row(o);
    emit(c);
}

void Engine::query(std::uint32_t i) noexcept {
    Order& o = orders_[i];
    OrderCommand c;
    c.account = o.account;
    c.magic = magic_of(o);
    c.type = CommandType::Query;
    c.symbol = broker_symbol(accounts_[o.account.value].spec, symbols_[o.symbol.value].spec);
    if (!o.query_open) {
        o.query_open = true;
        ++accounts_[o.account.value].queries_open;
    }
    o.queries = static_cast<std::uint8_t>(std::min(250, o.queries + 1));
    emit(c);
}

/// The look-up is answered, or will not be in this session.
void Engine::close_query(Order& o) noexcept {
    if (o.query_open) {
        o.query_open = false;
        --accounts_[o.account.value].queries_open;
    }
}

void Engine::hold(std::uint32_t i) noexcept {
    Order& o = orders_[i];
    set_status(i, OrdStatus::Held);
    o.retrying = false;
    if (o.origin == Origin::Engine) {
        orders_[o.parent].close_wanted = true;  // it ends with its position, wherever it waits
    }
    const Nanos last = last_call_of(o);
    timers_.set(i, o.type == CommandType::Close && g_.time < last ? last : o.deadline);
    order_row(o);
}

void Engine::retry_at(std::uint32_t i, Nanos when) noexcept {
    Order& o = orders_[i];
    if (may_have_gone_on(o) && o.attempt + 1U < kAttemptsMax) {
        ask_next_attempt(i);
        return;
    }
    // Before unclaim(): end() wakes what waited for this one, if it had claimed something.
    if (o.attempt + 1U >= kAttemptsMax) {
        const bool closed = o.retcode == retcode::kMarketClosed;
        end(i, OrdStatus::Rejected, closed ? Reason::MarketClosed : Reason::RetriesExhausted);
        return;
    }
    if (when >= o.deadline) {
        end(i, OrdStatus::Expired, Reason::Expired);
        return;
    }
    const bool claimed = o.claimed;
    unclaim(o);
    set_status(i, OrdStatus::Held);
    o.retrying = true;
    timers_.set(i, when);
    order_row(o);
    if (claimed && orders_[o.parent].close_wanted) {
        answered(o.parent);  // what waited for its claim goes on while it waits itself
    }
}

void Engine::doubt(std::uint32_t i) noexcept {
    Order& o = orders_[i];
    set_status(i, OrdStatus::InDoubt);
    if (o.results == ResultsDue::Both) {
        o.results = ResultsDue::End;
        put_result(o, ResultKind::OrderInDoubt);
        unreserve_results(o.source, 1);
    }
    alert(AlertCode::OrderInDoubt, o.account, &o, o.queries);
    timers_.set(i, g_.time);  // look it up at once, then 10 s, then every 30 s (C19)
    order_row(o);
}

/// True if an attempt of it may have left under a record that is lost.
bool Engine::may_have_gone_on(const Order& o) const noexcept {
    const bool lost = accounts_[o.account.value].lost_some && o.created <= segment_loss_.at;
    return lost || is_of_lost_log(o);
}

/// A segment was lost, and what left for this account did not wait for the disk: the log may end
/// before it. What waits here may have left under the number that it would be sent by next: that is
/// looked up, and so is each after it (retry_at).
void Engine::doubt_held(const Account& a) noexcept {
    for (std::uint32_t i = a.first_order; i != kNoId; i = orders_[i].next_in_account) {
        Order& o = orders_[i];
        if (o.status != OrdStatus::Held) {
            continue;
        }
        o.attempt = static_cast<std::uint8_t>(o.attempt + (o.retrying ? 1 : 0));
        o.retrying = false;
        o.queries = 0;
        if (o.type == CommandType::Close) {
            claim_what_is_left(o);
        }
        doubt(i);
    }
}

void Engine::working(std::uint32_t i) noexcept {
    Order& o = orders_[i];
    set_status(i, o.cum.value > 0 ? OrdStatus::PartiallyFilled : OrdStatus::New);
    timers_.cancel(i);
    if (o.results == ResultsDue::Both) {
        o.results = ResultsDue::End;
        put_result(o, ResultKind::OrderWorking);
        unreserve_results(o.source, 1);
    }
    if (o.results == ResultsDue::End) {
        rest(o);
    }
    order_row(o);
    pass_on_closed_early(o);
    if (o.close_wanted) {
        answered(i);
    }
}

void Engine::fill(std::uint32_t i, Lots volume, Price price, std::uint64_t deal) noexcept {
    Order& o = orders_[i];
    ASSERT(volume.value > 0);
    const Lots exposed = exposure_of(o);
    std::rotate(o.deals, o.deals + 3, o.deals + 4);
    o.deals[0] = deal;
    o.marks |= o.type == CommandType::Open && deal == 0 ? kUnnamedFill : std::uint8_t{0};
    const Lots before = o.cum;
    o.cum = o.cum + volume;
    // Volume-weighted average in 1e-8; 128 bits hold any product.
    o.avg =
        before.value == 0
            ? price
            : Price{static_cast<std::int64_t>((static_cast<__int128>(o.avg.value) * before.value +
                                               static_cast<__int128>(price.value) * volume.value) /
                                              o.cum.value)};
    if (o.type != CommandType::Open) {
        return;
    }
    if (o.open_volume.value == 0) {
        ++accounts_[o.account.value].open_positions;
        ++g_.open_positions;
    }
    o.open_volume = o.open_volume + volume;
    recount(o, exposed);
    note_filled(i, volume);
    index_position(i);
    position_row(o);
    if (o.closed_early.value > 0) {
        const Lots cut = std::min(o.closed_early, o.open_volume);
        o.closed_early = o.closed_early - cut;
        position_reduced(i, cut);  // frees nothing: the order is not final yet
    }
}

void Engine::set_status(std::uint32_t i, OrdStatus status) noexcept {
    Order& o = orders_[i];
    ASSERT(!is_final(o.status));
    Account& a = accounts_[o.account.value];
    const std::uint32_t now_doubted = status == OrdStatus::InDoubt ? 1 : 0;
    const std::uint32_t was_doubted = o.status == OrdStatus::InDoubt ? 1 : 0;
    g_.in_doubt += now_doubted - was_doubted;
    a.in_doubt += now_doubted - was_doubted;
    o.status = status;
    if (was_doubted > now_doubted && a.ready) {
        queue_release(a);  // entries of this symbol may have waited
    }
}

void Engine::end(std::uint32_t i, OrdStatus status, Reason reason) noexcept {
    Order& o = orders_[i];
    Account& a = accounts_[o.account.value];
    ASSERT(is_final(status));
    const Lots exposed = exposure_of(o);
    const bool may_be_done = o.status == OrdStatus::InDoubt || o.retrying || o.attempt > 0;
    set_status(i, status);
    recount(o, exposed);
    o.reason = reason;
    timers_.cancel(i);
    if (o.type == CommandType::Close && o.cum < o.volume && (may_be_done || o.cum.value > 0)) {
        remember_ended_close(o);
    }
    const bool acted = o.claimed || o.retrying || o.attempt > 0;
    unclaim(o);
    if (o.query_open) {
        close_query(o);
        update_account_state(a);
    }
    if (o.type == CommandType::Close && o.cum.value == 0 && is_told(o.origin)) {
        Order& p = orders_[o.parent];  // nothing came of it: its share is still to close
        p.close_shares = p.close_shares - ledger_[o.signal].signal.volume;
    }
    --a.live_orders;
    --g_.live_orders;
    SignalEntry& e = ledger_[o.signal];
    const bool done = status == OrdStatus::Filled || o.cum.value > 0;
    if (is_told(o.origin)) {
        ++(done ? e.filled : e.rejected);
    }
    ++(done ? g_.orders_filled : g_.orders_rejected);
    order_row(o);
    if (!is_told(o.origin)) {
        tell_own_end(o);
    } else if (o.results == ResultsDue::Resting) {
        owe_end(i);
    } else {
        unreserve_results(o.source, o.results == ResultsDue::Both ? 2 : 1);
        tell_end(i);
    }
    pass_on_closed_early(o);
    if (o.close_wanted) {
        answered(i);
    }
    const std::uint32_t parent = o.parent;
    if (parent == kNoId) {
        release_if_done(i);
        return;
    }
    o.parent = kNoId;
    --orders_[parent].children;
    if (acted && orders_[parent].close_wanted && !is_unknown(orders_[parent].status)) {
        answered(parent);  // closes that waited for it; one that waited too had nothing
    }
    const std::uint8_t round = round_after(o);
    const bool stands = orders_[parent].open_volume.value > 0;
    release_if_done(parent);
    release_if_done(i);
    if (round > 0 && stands) {  // the place that this one leaves is there for it
        close_by_itself(parent, round);
    }
}

/// The fate of `i`, or of a close of its position, is known: closes and cancels that waited for it
/// start (by timer, so that they are sent under a record with a price and a budget of its own).
void Engine::answered(std::uint32_t i) noexcept {
    Order& o = orders_[i];
    o.close_wanted = false;
    for (std::uint32_t c = o.next_in_account; c != kNoId; c = orders_[c].next_in_account) {
        const Order& child = orders_[c];
        if (child.parent == i && child.status == OrdStatus::Held && !child.retrying) {
            timers_.set(c, g_.time);
        }
    }
}

void Engine::release_if_done(std::uint32_t i) noexcept {
    const Order& o = orders_[i];
    if (!is_final(o.status) || o.results != ResultsDue::Nothing || o.open_volume.value > 0 ||
        o.children > 0) {
        return;
    }
    unlink(i);
    by_intent_.erase(key_of(o.account, o.intent));
    orders_.release(i);
}

void Engine::link(std::uint32_t i) noexcept {
    Order& o = orders_[i];
    Account& a = accounts_[o.account.value];
    o.prev_in_account = a.last_order;
    (a.last_order != kNoId ? orders_[a.last_order].next_in_account : a.first_order) = i;
    a.last_order = i;
    SignalEntry& e = ledger_[o.signal];
    o.prev_in_signal = e.last_order;
    (e.last_order != kNoId ? orders_[e.last_order].next_in_signal : e.first_order) = i;
    e.last_order = i;
    ++e.in_table;
}

void Engine::unlink(std::uint32_t i) noexcept {
    const Order& o = orders_[i];
    // A job that was about to visit this order visits the next one.
    for (std::uint32_t n = 0; n < jobs_size_; ++n) {
        Job& job = jobs_[(jobs_head_ + n) % jobs_capacity_];
        if (job.cursor == i && job.kind != JobKind::FanOut) {
            job.cursor = o.next_in_account;
        } else if (job.cursor == i && ledger_[job.subject].signal.action != SignalAction::Open) {
            job.cursor = o.next_in_signal;
        }
    }
    Account& a = accounts_[o.account.value];
    (o.prev_in_account != kNoId ? orders_[o.prev_in_account].next_in_account : a.first_order) =
        o.next_in_account;
    (o.next_in_account != kNoId ? orders_[o.next_in_account].prev_in_account : a.last_order) =
        o.prev_in_account;
    SignalEntry& e = ledger_[o.signal];
    (o.prev_in_signal != kNoId ? orders_[o.prev_in_signal].next_in_signal : e.first_order) =
        o.next_in_signal;
    (o.next_in_signal != kNoId ? orders_[o.next_in_signal].prev_in_signal : e.last_order) =
        o.prev_in_signal;
    --e.in_table;
}

}  // namespace millrace
