// Signals: the ledger, validation, and fan-out to the accounts of a group.
#include "core/engine.h"

#include <utility>

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
    SignalResult r;
    r.kind = ResultKind::Accepted;
    r.signal = s.id;
    r.source = s.source;
    emit(r);
    reserve_results(s.source, 1);  // SignalDone
    signal_row(ledger_[entry], Reason::None);
    std::uint32_t first = kNoId;
    if (s.action == SignalAction::Open) {
        first = groups_[s.group.value].first_member;
    } else {
        const std::uint32_t target = by_signal_.find(key_of(s.target));
        first = ledger_[target].first_order;
        ledger_[target].closed_volume.value += s.action == SignalAction::Close ? s.volume.value : 0;
    }
    push_job(JobKind::FanOut, entry, first);
}

Reason Engine::validate(const Signal& s, Nanos deadline) const noexcept {
    if (s.id.is_none() || !is_known(s.action) || s.side > Side::Sell ||
        s.price_kind > PriceKind::Stop || s.ttl_ms > kTtlMsMax) {
        return Reason::BadSignal;
    }
    if (s.group.value >= kGroupsMax || !groups_[s.group.value].defined) {
        return Reason::UnknownGroup;
    }
    if (s.symbol.value >= kSymbolsMax || !symbols_[s.symbol.value].defined) {
        return Reason::UnknownSymbol;
    }
    if (s.price.value < 0 || s.stop_loss.value < 0 || s.take_profit.value < 0 ||
        s.reference_price.value < 0) {
        return Reason::BadPrice;
    }
    if (born(s, g_.time).value + g_.risk.ledger_window_ns <= g_.time.value) {
        return Reason::StaleSignal;
    }
    if (g_.time >= deadline) {
        return Reason::Expired;
    }
    const Group& group = groups_[s.group.value];
    if (ledger_.full()) {
        return Reason::LedgerFull;
    }
    if (s.action != SignalAction::Open) {
        if (s.volume.value < 0) {
            return Reason::BadVolume;
        }
        const std::uint32_t target = by_signal_.find(key_of(s.target));
        if (target == kNoId) {
            return Reason::UnknownTarget;
        }
        return orders_.capacity() - orders_.live() < ledger_[target].in_table ? Reason::TableFull
                                                                             : Reason::None;
    }
    if (s.volume.value <= 0) {
        return Reason::BadVolume;
    }
    if (s.price_kind != PriceKind::Market && s.price.value == 0) {
        return Reason::BadPrice;
    }
    if (group.members == 0) {
        return Reason::EmptyGroup;
    }
    return orders_.capacity() - orders_.live() < group.members ? Reason::TableFull : Reason::None;
}

void Engine::refuse(const Signal& s, Reason why) noexcept {
    ++g_.signals_refused;
    SignalResult r;
    r.kind = ResultKind::Refused;
    r.reason = static_cast<std::uint16_t>(why);
    r.signal = s.id;
    r.source = s.source;
    emit(r);
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

void Engine::answer_duplicate(const Signal& s, std::uint32_t entry) noexcept {
    const SignalEntry& e = ledger_[entry];
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
        by_signal_.erase(key_of(e.signal.id));
        ledger_.release(i);
    }
}

void Engine::fan_out(Job& job) noexcept {
    const std::uint32_t entry = job.subject;
    if (ledger_[entry].signal.action == SignalAction::Open) {
        const std::uint32_t m = job.cursor;
        job.cursor = members_[m].next;
        fan_out_open(entry, members_[m]);
    } else {
        const std::uint32_t target = job.cursor;
        job.cursor = orders_[target].next_in_signal;
        fan_out_to_order(entry, target);
    }
}

void Engine::fan_out_open(std::uint32_t entry, const Member& member) noexcept {
    const Signal& s = ledger_[entry].signal;
    const MemberSpec& m = member.spec;
    if (m.enabled == 0) {
        return;
    }
    const std::uint32_t i = create_order(entry, m.account, CommandType::Open);
    Order& o = orders_[i];
    o.price_kind = s.price_kind;
    o.price = s.price;
    o.stop_loss = s.stop_loss;
    o.take_profit = s.take_profit;
    o.reference = s.reference_price.value != 0 ? s.reference_price : market_price(s.side);
    const SymbolSpec& spec = symbols_[s.symbol.value].spec;
    const Account& a = accounts_[m.account.value];
    o.volume = sized_volume(s, a, m, spec);
    if ((m.symbols[s.symbol.value / 64] >> (s.symbol.value % 64) & 1) == 0) {
        end(i, OrdStatus::Rejected, Reason::SymbolFiltered);
    } else if (o.volume < spec.volume_min || o.volume.value <= 0) {
        // Sizing by equity needs a price; without one the volume is 0.
        const bool no_price = m.sizing == SizingMode::EquityShare && !has_price();
        end(i, OrdStatus::Rejected, no_price ? Reason::NoPrice : Reason::VolumeBelowMin);
    } else {
        start(i);
    }
}

void Engine::fan_out_to_order(std::uint32_t entry, std::uint32_t target) noexcept {
    const Signal& s = ledger_[entry].signal;
    Order& t = orders_[target];
    if (t.type != CommandType::Open) {
        return;
    }
    const bool is_pending = t.status == OrdStatus::New || t.status == OrdStatus::PartiallyFilled;
    const bool is_unknown = t.status == OrdStatus::PendingNew || t.status == OrdStatus::InDoubt;
    if (t.status == OrdStatus::Held && s.action != SignalAction::Modify) {
        end(target, OrdStatus::Canceled, Reason::CanceledByUser);  // it never left
        return;
    }
    if (s.action == SignalAction::Modify) {
        const std::uint32_t i = create_order(entry, t.account, CommandType::Modify);
        Order& o = orders_[i];
        o.parent = target;
        ++t.children;
        o.price_kind = t.price_kind;
        o.price = is_pending && s.price.value != 0 ? s.price : t.price;
        o.stop_loss = s.stop_loss;
        o.take_profit = s.take_profit;
        start(i);
        return;
    }
    if (s.action == SignalAction::Close && (t.open_volume.value > 0 || is_unknown)) {
        request_close(entry, target, close_volume(ledger_[entry], t));
    }
    if (is_pending || (is_unknown && s.action == SignalAction::Cancel)) {
        const std::uint32_t i = create_order(entry, t.account, CommandType::Cancel);
        orders_[i].parent = target;
        ++orders_[target].children;
        start(i);
    }
}

void Engine::request_close(std::uint32_t entry, std::uint32_t parent, Lots volume) noexcept {
    Order& t = orders_[parent];
    const std::uint32_t i = create_order(entry, t.account, CommandType::Close);
    Order& o = orders_[i];
    o.parent = parent;
    ++t.children;
    o.side = opposite(t.side);
    o.volume = volume;
    start(i);
}

/// Volume to close of `parent`'s position: everything, or the signal's share of it in whole steps;
/// what would be left must be 0 or at least the minimum (10014 otherwise).
Lots Engine::close_volume(const SignalEntry& close, const Order& parent) const noexcept {
    const Lots available = parent.open_volume - parent.closing;
    const std::uint32_t target = by_signal_.find(key_of(close.signal.target));
    const SignalEntry& opened = ledger_[target];
    if (close.signal.volume.value == 0 || opened.closed_volume >= opened.signal.volume) {
        return available;
    }
    const SymbolSpec& spec = symbols_[parent.symbol.value].spec;
    const __int128 share = static_cast<__int128>(parent.cum.value) * close.signal.volume.value /
                           opened.signal.volume.value;
    const std::int64_t step = spec.volume_step.value > 0 ? spec.volume_step.value : 1;
    Lots v{static_cast<std::int64_t>(share) / step * step};
    if (v < spec.volume_min) {
        v = spec.volume_min;
    }
    const Lots left = available - v;
    return left.value < 0 || (left.value > 0 && left < spec.volume_min) ? available : v;
}

void Engine::finish_fan_out(std::uint32_t entry) noexcept {
    ledger_[entry].fanned_out = true;
    finish_signal_if_done(entry);
}

void Engine::finish_signal_if_done(std::uint32_t entry) noexcept {
    SignalEntry& e = ledger_[entry];
    if (e.done || !e.fanned_out || e.orders_open > 0) {
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
    unreserve_results(e.signal.source, 1);
    signal_row(e, Reason::None);
}

}  // namespace millrace
