// Signals: the ledger, validation, and fan-out to the accounts of a group.
#include <algorithm>

#include "core/engine.h"
#include "core/signal_bounds.h"

namespace millrace {
namespace {

constexpr std::uint32_t kTtlMsMax = 86'400'000;
constexpr std::uint32_t kAgedPerSignal = 4;  // bounds the work of one record

Nanos ttl_of(const Signal& s) noexcept {
    return millis(s.ttl_ms == 0 ? kDefaultTtlMs : s.ttl_ms);
}

/// TTL runs from the source's send stamp, else from receipt at the edge; a stamp from the future
/// (another host's clock) counts as receipt.
Nanos born(const Signal& s, Nanos now) noexcept {
    if (s.send_time.value > 0 && s.send_time <= now) {
        return s.send_time;
    }
    return s.edge_time.value > 0 && s.edge_time <= now ? s.edge_time : now;
}

bool is_known(SignalAction a) noexcept {
    return a == SignalAction::Open || a == SignalAction::Close || a == SignalAction::Modify ||
           a == SignalAction::Cancel;
}

/// True if the very same signal might be accepted at another time. A stamped one that has expired,
/// or is older than the ledger, stays so; what is wrong in its own fields stays wrong.
bool may_pass(Reason why, bool stamped) noexcept {
    switch (why) {
        case Reason::UnknownGroup:
        case Reason::UnknownSymbol:
        case Reason::UnknownTarget:
        case Reason::EmptyGroup:
        case Reason::GroupPaused:
        case Reason::TableFull: return true;
        case Reason::Expired: return !stamped;
        default: return false;
    }
}

/// Places in a ledger of `signals` that refusals may take: all of them, and one source's.
constexpr std::uint32_t refusals_max(std::uint32_t signals) noexcept {
    return signals / 4;
}
constexpr std::uint32_t refusals_max_per_source(std::uint32_t signals) noexcept {
    return signals / 64 + 4;
}

}  // namespace

void Engine::on_signal(const Signal& s) noexcept {
    age_ledger();
    if (const std::uint32_t known = by_signal_.find(key_of(s.id)); known != kNoId) {
        answer_duplicate(s, known);
        return;
    }
    if (const Reason why = validate(s, born(s, g_.time) + ttl_of(s)); why != Reason::None) {
        refuse(s, why);
        return;
    }
    const std::uint32_t entry = remember(s);
    ++g_.signals_accepted;
    Job job{JobKind::FanOut, entry, kNoId, 0};
    SignalResult r;
    r.kind = ResultKind::Accepted;
    r.signal = s.id;
    r.source = s.source;
    if (s.action == SignalAction::Open) {
        const Group& group = groups_[s.group.value];
        job.cursor = group.first_member;
        // An account that joins meanwhile takes no part: validate() saw no room for it.
        job.detail = group.members;
        r.accounts = group.enabled;
    } else {
        const std::uint32_t target = find_target(s.target);
        job.cursor = ledger_[target].first_order;
        if (s.action != SignalAction::Modify) {
            ledger_[target].leaving = true;
        }
        job.detail = r.accounts = ledger_[target].in_table;
    }
    emit(r);
    reserve_results(s.source, 1);  // SignalDone
    signal_row(ledger_[entry], Reason::None);
    push_job(job);
}

Reason Engine::validate(const Signal& s, Nanos deadline) const noexcept {
    if (s.id.is_none() || !is_known(s.action) || s.side > Side::Sell ||
        s.price_kind > PriceKind::Stop || s.ttl_ms > kTtlMsMax || (s.flags & ~kSignalFlags) != 0 ||
        s.source.value >= kSourcesMax) {  // results are reserved by source
        return Reason::BadSignal;
    }
    if (s.group.value >= kGroupsMax || !groups_[s.group.value].defined) {
        return Reason::UnknownGroup;
    }
    if (s.symbol.value >= kSymbolsMax || !symbols_[s.symbol.value].defined) {
        return Reason::UnknownSymbol;
    }
    for (const Price p : {s.price, s.stop_loss, s.take_profit, s.reference_price}) {
        if (p.value < 0 || p.value > kPriceMax) {
            return Reason::BadPrice;
        }
    }
    if (born(s, g_.time).value + g_.risk.ledger_window_ns <= g_.time.value || is_of_lost_log(s)) {
        return Reason::StaleSignal;
    }
    if (g_.time >= deadline) {
        return Reason::Expired;
    }
    if (ledger_.full()) {
        return Reason::LedgerFull;
    }
    return s.action == SignalAction::Open ? validate_open(s) : validate_change(s);
}

Reason Engine::validate_open(const Signal& s) const noexcept {
    if (s.volume.value <= 0 || s.volume.value > kVolumeMax) {
        return Reason::BadVolume;
    }
    if (s.price_kind != PriceKind::Market && s.price.value == 0) {
        return Reason::BadPrice;
    }
    const Group& group = groups_[s.group.value];
    if (group.state == GroupState::Paused) {
        return Reason::GroupPaused;
    }
    if (group.members == 0) {
        return Reason::EmptyGroup;
    }
    // A full table must not keep positions open: the last places are for what closes them. (A group
    // that needs some of these itself, in a table that cannot be made larger, trades on without.)
    const std::uint32_t kept = places_for_changes();
    const std::uint32_t wanted =
        group.members + kept <= orders_.capacity() ? group.members + kept : group.members;
    return orders_.capacity() - orders_.live() < wanted ? Reason::TableFull : Reason::None;
}

/// An eighth of the table, or what a close of the largest group's pendings takes, if an entry for
/// it leaves as much: half of that is beyond the reach of modifies and enough for a close of its
/// positions.
std::uint32_t Engine::places_for_changes() const noexcept {
    const std::uint32_t least = places_kept(orders_.capacity());
    const std::uint64_t close = std::uint64_t{kChildrenPerTarget} * largest_group_;
    const bool fits = close + largest_group_ <= orders_.capacity();
    return fits ? std::max(least, static_cast<std::uint32_t>(close)) : least;
}

/// True if the log that was lost may have had it, beyond what the store knew: executed again, it
/// would be a double. By its own stamp, also one from the future: the clock of its source was the
/// same when it sent it first. One without a stamp tells nothing, for as long as a repeat counts.
bool Engine::is_of_lost_log(const Signal& s) const noexcept {
    const Nanos from = seconds(g_.ledger_from_s);
    if (g_.ledger_from_s == 0 || s.send_time.value > 0) {
        return s.send_time < from && g_.ledger_from_s != 0;
    }
    return g_.time.value < from.value + g_.risk.ledger_window_ns;
}

/// Close, Modify, Cancel.
Reason Engine::validate_change(const Signal& s) const noexcept {
    if (s.volume.value < 0 || s.volume.value > kVolumeMax) {
        return Reason::BadVolume;
    }
    const std::uint32_t target = find_target(s.target);
    if (target == kNoId || ledger_[target].signal.action != SignalAction::Open) {
        return Reason::UnknownTarget;
    }
    if (ledger_[target].signal.symbol != s.symbol) {
        return Reason::BadSignal;  // the price beside the record would be another symbol's
    }
    const bool two = s.action == SignalAction::Close &&  // of a pending: a close and a cancel
                     ledger_[target].signal.price_kind != PriceKind::Market;
    std::uint64_t wanted = std::uint64_t{two ? kChildrenPerTarget : 1} * ledger_[target].in_table;
    if (s.action == SignalAction::Modify) {
        wanted += places_for_changes() / 2;  // of the last places, half are for closes
    }
    return orders_.capacity() - orders_.live() < wanted ? Reason::TableFull : Reason::None;
}

/// The accepted signal with this id, kNoId if there is none.
std::uint32_t Engine::find_target(const SignalId& id) const noexcept {
    const std::uint32_t entry = by_signal_.find(key_of(id));
    return entry != kNoId && ledger_[entry].refused == Reason::None ? entry : kNoId;
}

void Engine::refuse(const Signal& s, Reason why) noexcept {
    ++g_.signals_refused;
    put_refusal(s, why, Sequence{});
    remember_refusal(s, why);
    SignalEntry shown;
    shown.signal = s;
    shown.accepted_time = g_.time;
    shown.done = true;
    signal_row(shown, why);
    if (why == Reason::LedgerFull || why == Reason::TableFull) {
        alert(why == Reason::LedgerFull ? AlertCode::LedgerFull : AlertCode::TableFull,
              AccountId{kNoId}, nullptr, ledger_.live());
    }
}

void Engine::put_refusal(const Signal& s, Reason why, Sequence first) noexcept {
    SignalResult r;
    r.kind = ResultKind::Refused;
    r.reason = static_cast<std::uint16_t>(why);
    r.signal = s.id;
    r.source = s.source;
    r.original = first;
    emit(r);
}

/// A copy of a refused signal must not be accepted later, when the reason has passed: its source
/// was told that nothing would be done. Only reasons that can pass take a place in the ledger, and
/// no source takes more than its share of places: rubbish must not push signals out.
void Engine::remember_refusal(const Signal& s, Reason why) noexcept {
    const bool stamped = s.send_time.value > 0 && s.send_time <= g_.time;
    if (s.source.value >= kSourcesMax || !may_pass(why, stamped)) {
        return;
    }
    SourceState& source = sources_[s.source.value];
    const bool in_share = source.refusals < refusals_max_per_source(capacity_.signals) &&
                          g_.refusals < refusals_max(capacity_.signals);
    if (!in_share || ledger_.full()) {
        return;
    }
    SignalEntry& e = ledger_[remember(s)];
    e.refused = why;
    e.done = true;
    ++source.refusals;
    ++g_.refusals;
}

void Engine::answer_duplicate(const Signal& s, std::uint32_t entry) noexcept {
    const SignalEntry& e = ledger_[entry];
    if (e.refused != Reason::None) {
        ++g_.signals_refused;
        put_refusal(s, e.refused, e.accepted);
        return;
    }
    SignalResult r;
    r.kind = ResultKind::Duplicate;
    r.reason = static_cast<std::uint16_t>(Reason::DuplicateSignal);
    r.signal = s.id;
    r.source = s.source;
    r.accounts = e.orders_made;
    r.filled = e.filled;
    r.rejected = e.rejected;
    r.original = e.accepted;
    emit(r);
    if (e.done) {  // the source may have missed it
        r.kind = ResultKind::SignalDone;
        emit(r);
    }
}

std::uint32_t Engine::remember(const Signal& s) noexcept {
    const std::uint32_t i = ledger_.allocate();
    ASSERT(i != kNoId);
    SignalEntry& e = ledger_[i];
    e.signal = s;
    e.accepted = g_.seq;
    e.accepted_time = g_.time;
    e.born = born(s, g_.time);
    if (s.reference_price.value == 0 && has_price()) {
        e.signal.reference_price = market_price(s.side);  // later accounts compare with it too
    }
    by_signal_.insert(key_of(s.id), i);
    link_newest(i);
    return i;
}

void Engine::link_newest(std::uint32_t i) noexcept {
    ledger_[i].older = g_.newest_signal;
    ledger_[i].newer = kNoId;
    if (g_.newest_signal != kNoId) {
        ledger_[g_.newest_signal].newer = i;
    } else {
        g_.oldest_signal = i;
    }
    g_.newest_signal = i;
}

void Engine::unlink_age(std::uint32_t i) noexcept {
    const SignalEntry& e = ledger_[i];
    (e.older != kNoId ? ledger_[e.older].newer : g_.oldest_signal) = e.newer;
    (e.newer != kNoId ? ledger_[e.newer].older : g_.newest_signal) = e.older;
}

void Engine::age_ledger() noexcept {
    for (std::uint32_t n = 0; n < kAgedPerSignal && g_.oldest_signal != kNoId; ++n) {
        const std::uint32_t i = g_.oldest_signal;
        SignalEntry& e = ledger_[i];
        if (e.accepted_time.value + g_.risk.ledger_window_ns > g_.time.value) {
            return;
        }
        unlink_age(i);
        if (!e.done || e.in_table > 0) {
            // Its position is still open: a close must find it. It starts another window.
            e.accepted_time = g_.time;
            link_newest(i);
            continue;
        }
        if (e.refused != Reason::None) {
            --sources_[e.signal.source.value].refusals;
            --g_.refusals;
        }
        by_signal_.erase(key_of(e.signal.id));
        ledger_.release(i);
    }
}

void Engine::fan_out(Job& job) noexcept {
    const std::uint32_t entry = job.subject;
    const std::uint32_t at = job.cursor;
    const bool opens = ledger_[entry].signal.action == SignalAction::Open;
    job.cursor = opens ? members_[at].next : orders_[at].next_in_signal;
    --job.detail;
    if (job.detail == 0) {
        job.cursor = kNoId;
    }
    if (opens) {
        fan_out_open(entry, members_[at]);
    } else {
        fan_out_to_order(entry, at);
    }
}

void Engine::fan_out_open(std::uint32_t entry, const Member& member) noexcept {
    const Signal& s = ledger_[entry].signal;
    const MemberSpec& m = member.spec;
    if (m.enabled == 0) {
        return;
    }
    const AccountId taker = taker_of(m, s.group);
    if (taker.value == kNoId) {
        return;
    }
    const std::uint32_t i = create_order(entry, taker, CommandType::Open);
    Order& o = orders_[i];
    tell_standby(o, m);
    o.price_kind = s.price_kind;
    o.price = s.price;
    o.stop_loss = s.stop_loss;
    o.take_profit = s.take_profit;
    o.reference = s.reference_price.value != 0 ? s.reference_price : market_price(s.side);
    const SymbolSpec& spec = symbols_[s.symbol.value].spec;
    const Account& a = accounts_[taker.value];
    o.volume = sized_volume(s, a, m, spec);
    value_order(i);
    recount(o, Lots{});
    if ((m.symbols[s.symbol.value / 64] >> (s.symbol.value % 64) & 1) == 0) {
        end(i, OrdStatus::Rejected, Reason::SymbolFiltered);
    } else if (o.volume < spec.volume_min || o.volume.value <= 0) {
        // Sizing by equity needs a price; without one the volume is 0.
        const bool by_equity = m.sizing == SizingMode::EquityShare;
        const bool no_price = by_equity && !has_price();
        const bool no_rate = by_equity && is_converted(a, s.symbol) && !has_rates(a, s.symbol);
        end(i, OrdStatus::Rejected,
            no_price  ? Reason::NoPrice
            : no_rate ? Reason::NoRate
                      : Reason::VolumeBelowMin);
    } else {
        start(i);
    }
}

void Engine::fan_out_to_order(std::uint32_t entry, std::uint32_t target) noexcept {
    const SignalAction action = ledger_[entry].signal.action;
    const Order& t = orders_[target];
    if (t.type != CommandType::Open) {
        return;  // a close of the engine's own, under way already
    }
    const bool works = t.status == OrdStatus::New || t.status == OrdStatus::PartiallyFilled;
    const bool unanswered = is_unanswered(t.status);
    if (action == SignalAction::Modify) {
        request_modify(entry, target);
        return;
    }
    if (t.status == OrdStatus::Held) {
        end(target, OrdStatus::Canceled, Reason::CanceledByUser);  // no attempt is at the broker
        return;
    }
    // What an unanswered pending will be, a position or an order that works, is not known yet: a
    // close asks for both, and the one that does not apply ends as moot.
    const bool may_work =
        works ||
        (unanswered && (action == SignalAction::Cancel || t.price_kind != PriceKind::Market));
    if (action == SignalAction::Close && (t.open_volume.value > 0 || unanswered)) {
        request_close(entry, target);
    }
    if (may_work) {
        request_cancel(entry, target);
    }
}

void Engine::finish_fan_out(std::uint32_t entry) noexcept {
    ledger_[entry].fanned_out = true;
    finish_signal_if_done(entry);
}

void Engine::finish_signal_if_done(std::uint32_t entry) noexcept {
    SignalEntry& e = ledger_[entry];
    if (e.done || !e.fanned_out) {
        return;
    }
    if (e.orders_open > 0) {
        if (e.orders_open == e.orders_resting && !e.done_returned) {
            e.done_returned = true;  // SignalDone comes with the last of their ends
            unreserve_results(e.signal.source, 1);
        }
        return;
    }
    e.done = true;
    SignalResult r;
    r.kind = ResultKind::SignalDone;
    r.reason = static_cast<std::uint16_t>(e.orders_made == 0 ? Reason::NothingToDo : Reason::None);
    r.signal = e.signal.id;
    r.source = e.signal.source;
    r.accounts = e.orders_made;
    r.filled = e.filled;
    r.rejected = e.rejected;
    emit(r);
    if (!e.done_returned) {
        unreserve_results(e.signal.source, 1);
    }
    signal_row(e, Reason::None);
}

}  // namespace millrace
