#include "core/engine.h"

#include <limits>
#include <type_traits>

namespace millrace {
namespace {

/// Both halves of the product, so that every bit of either factor reaches every bit (as in wyhash).
std::uint64_t multiply_mix(std::uint64_t a, std::uint64_t b) noexcept {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

/// `hash`, and then `value`. Each pair of words is mixed with keys of its place, so order matters,
/// and no pair waits for another: a hash rolling through the words one by one took a quarter of the
/// time that an order takes.
template <class T>
std::uint64_t fold(std::uint64_t hash, const T& value) noexcept {
    static_assert(sizeof(T) % 8 == 0 && std::is_trivially_copyable_v<T>);
    constexpr std::size_t kWords = (sizeof(T) / 8 + 1) / 2 * 2;
    std::uint64_t words[kWords] = {};
    std::memcpy(words, &value, sizeof(T));
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < kWords; i += 2) {
        sum ^= multiply_mix(words[i] ^ mix64(i + 1), words[i + 1] ^ mix64(i + 2));
    }
    hash = (hash ^ sum) * 0x9E3779B97F4A7C15ULL;
    return hash ^ (hash >> 29);
}

}  // namespace

Engine::Engine(const Capacity& capacity)
    : capacity_{capacity},
      orders_{capacity.orders},
      ledger_{capacity.signals},
      members_{capacity.members},
      accounts_{std::make_unique<Account[]>(capacity.accounts)},
      symbols_{std::make_unique<SymbolState[]>(kSymbolsMax)},
      groups_{std::make_unique<Group[]>(kGroupsMax)},
      account_risk_{std::make_unique<AccountRisk[]>(capacity.accounts)},
      group_risk_{std::make_unique<GroupRisk[]>(kGroupsMax)},
      symbol_risk_{std::make_unique<SymbolRisk[]>(kSymbolsMax)},
      account_outcome_{std::make_unique<AccountOutcome[]>(capacity.accounts)},
      account_sides_{std::make_unique<AccountSides[]>(capacity.accounts)},
      account_standby_{std::make_unique<AccountStandby[]>(capacity.accounts)},
      ended_closes_{std::make_unique<EndedCloses>()},
      sources_{std::make_unique<SourceState[]>(kSourcesMax)},
      by_signal_{capacity.signals},
      by_intent_{capacity.orders},
      by_position_{capacity.orders},
      timers_{capacity.orders},
      // One fan-out at a time (the driver takes no signal while there is work) and two jobs an
      // account.
      jobs_{std::make_unique<Job[]>(capacity.accounts * 2 + 4)},
      jobs_capacity_{capacity.accounts * 2 + 4},
      currencies_{std::make_unique<CurrencyState[]>(kCurrenciesMax)},
      account_guard_{std::make_unique<AccountGuard[]>(capacity.accounts)},
      group_guard_{std::make_unique<GroupGuard[]>(kGroupsMax)},
      symbol_guard_{std::make_unique<SymbolGuard[]>(kSymbolsMax)},
      order_value_{std::make_unique<Money[]>(capacity.orders)} {}

void Engine::apply(const JournalRecord& record, OutputPort& out) noexcept {
    ASSERT(record.seq > g_.seq);
    ASSERT(record.time >= g_.time);
    record_ = &record;
    out_ = &out;
    next_k_ = 0;
    next_effect_k_ = 0;
    orders_out_ = 0;
    valued_symbol_ = SymbolId{kNoId};
    g_.seq = record.seq;
    g_.time = record.time;
    record_symbol_ = symbol_of(record);
    switch (record.type) {
        case InputType::Start: on_start(record.as<StartInput>()); break;
        case InputType::Jump:
            if (const auto floor = record.as<JumpInput>().intent_floor; floor > g_.next_intent) {
                g_.next_intent = floor;
            }
            break;
        case InputType::Signal: on_signal(record.as<Signal>()); break;
        case InputType::Report: on_report(record.as<Report>()); break;
        case InputType::Admin: on_admin(record.as<AdminRecord>()); break;
        case InputType::Timer: on_timer(); break;
        case InputType::Continue: break;  // its budget is the message
        case InputType::Skip:
            alert(AlertCode::SequenceSkipped, AccountId{kNoId}, nullptr,
                  record.as<SkipInput>().seq);
            break;
        case InputType::Deliver: on_deliver(record.as<DeliverInput>()); break;
        case InputType::Rate: on_rate(record.as<RateInput>()); break;
    }
    run_jobs(record.budget > orders_out_ ? record.budget - orders_out_ : 0);
    record_ = nullptr;
    out_ = nullptr;
}

/// Whose price `record` carries; the driver asked the same questions before it made the record.
SymbolId Engine::symbol_of(const JournalRecord& record) const noexcept {
    switch (record.type) {
        case InputType::Signal: return record.as<Signal>().symbol;
        case InputType::Rate: return record.as<RateInput>().symbol;
        case InputType::Timer: return timer_symbol();
        case InputType::Continue: return work_symbol();
        default: return SymbolId{kNoId};
    }
}

SymbolId Engine::work_symbol() const noexcept {
    if (jobs_size_ == 0) {
        return SymbolId{kNoId};
    }
    const Job& job = jobs_[jobs_head_];
    if (job.kind == JobKind::FanOut) {
        return ledger_[job.subject].signal.symbol;
    }
    return job.kind == JobKind::Release && job.cursor != kNoId ? orders_[job.cursor].symbol
                                                               : SymbolId{kNoId};
}

SymbolId Engine::timer_symbol() const noexcept {
    return timers_.empty() ? SymbolId{kNoId} : orders_[timers_.earliest_order()].symbol;
}

Nanos Engine::next_deadline() const noexcept {
    return timers_.empty() ? Nanos{std::numeric_limits<std::int64_t>::max()} : timers_.earliest();
}

void Engine::emit(OrderCommand& command) noexcept {
    command.seq = g_.seq;
    command.k = next_k_++;
    command.engine_time = g_.time;
    ++orders_out_;
    g_.output_hash = fold(g_.output_hash, command);
    out_->order(command);
}

void Engine::emit(SignalResult& result) noexcept {
    result.seq = g_.seq;
    result.k = next_k_++;
    result.time = g_.time;
    g_.output_hash = fold(g_.output_hash, result);
    out_->result(result);
}

void Engine::put_result(const Order& o, ResultKind kind) noexcept {
    SignalResult r;
    r.kind = kind;
    r.ord_status = static_cast<std::uint8_t>(o.status);
    r.reason = static_cast<std::uint16_t>(o.reason);
    r.signal = o.signal_id;
    r.source = o.source;
    r.account = o.account;
    r.cum_volume = o.cum;
    r.avg_price = o.avg;
    r.retcode = o.retcode;
    r.magic = magic_of(o).value;
    r.edge_time = o.edge_time;
    emit(r);
}

template <class Row>
void Engine::emit_effect(EffectKind kind, const Row& row) noexcept {
    Effect e = Effect::make(kind, row);
    e.seq = g_.seq;
    e.k = next_effect_k_++;
    e.time = g_.time;
    out_->effect(e);
}

void Engine::emit_definition(const DefinitionRow& row) noexcept {
    if (out_->effects_wanted()) {
        emit_effect(EffectKind::Definition, row);
    }
}

void Engine::order_row(const Order& o) noexcept {
    if (!out_->effects_wanted()) {
        return;
    }
    OrderRow r;
    r.magic = magic_of(o);
    r.signal = o.signal_id;
    r.account = o.account;
    r.symbol = o.symbol;
    r.type = static_cast<std::uint8_t>(o.type);
    r.side = o.side;
    r.price_kind = o.price_kind;
    r.status = o.status;
    r.reason = static_cast<std::uint16_t>(o.reason);
    r.attempts = static_cast<std::uint16_t>(o.attempt + 1);
    r.retcode = o.retcode;
    r.volume = o.volume;
    r.cum_volume = o.cum;
    r.price = o.price;
    r.avg_price = o.avg;
    r.stop_loss = o.stop_loss;
    r.take_profit = o.take_profit;
    r.order_ticket = o.order_ticket;
    r.position_id = o.position_id;
    r.created = o.created;
    r.deadline = o.deadline;
    emit_effect(EffectKind::Order, r);
}

void Engine::signal_row(const SignalEntry& e, Reason reason) noexcept {
    if (!out_->effects_wanted()) {
        return;
    }
    SignalRow r;
    const Signal& s = e.signal;
    r.id = s.id;
    r.target = s.target;
    r.source = s.source;
    r.group = s.group;
    r.symbol = s.symbol;
    r.action = s.action;
    r.side = s.side;
    r.price_kind = s.price_kind;
    r.done = e.done ? 1 : 0;
    r.reason = static_cast<std::uint16_t>(reason);
    r.accounts = e.orders_made;
    r.filled = e.filled;
    r.rejected = e.rejected;
    r.volume = s.volume;
    r.price = s.price;
    r.stop_loss = s.stop_loss;
    r.take_profit = s.take_profit;
    r.send_time = s.send_time;
    r.accepted_time = e.accepted_time;
    emit_effect(EffectKind::Signal, r);
}

void Engine::position_row(const Order& o) noexcept {
    if (!out_->effects_wanted()) {
        return;
    }
    PositionRow r;
    r.account = o.account;
    r.symbol = o.symbol;
    r.position_id = o.position_id;
    r.magic = magic_of(o);
    r.signal = o.signal_id;
    r.side = o.side;
    r.volume = o.open_volume;
    r.open_price = o.avg;
    r.stop_loss = o.stop_loss;
    r.take_profit = o.take_profit;
    emit_effect(EffectKind::Position, r);
}

void Engine::execution_row(const Order& o, const Report& rep, bool entry) noexcept {
    if (!out_->effects_wanted()) {
        return;
    }
    ExecutionRow r;
    r.deal_ticket = rep.deal_ticket;
    r.magic = magic_of(o);
    r.account = o.account;
    r.symbol = o.symbol;
    r.side = entry ? o.side : opposite(o.side);
    r.exec_kind = static_cast<std::uint8_t>(rep.exec_kind);
    r.entry = entry ? 0 : 1;
    r.volume = rep.volume;
    r.price = rep.price;
    r.order_ticket = rep.order_ticket;
    r.position_id = rep.position_id;
    r.broker_time = rep.broker_time;
    emit_effect(EffectKind::Execution, r);
}

void Engine::account_row(const Account& a) noexcept {
    if (!out_->effects_wanted()) {
        return;
    }
    AccountRow r;
    r.account = a.spec.id;
    r.state = a.state;
    r.link = a.link;
    // Bit 0: the broker lets it trade. Bits 1 to 3: what it is once its link is up, which `state`
    // hides while it is reconciled; bit 7: that they say so (rows of older builds do not).
    const auto within = static_cast<unsigned>(within_halt(a));
    r.permissions = static_cast<std::uint8_t>((a.permitted ? 1U : 0U) | within << 1U | 0x80U);
    r.equity = a.equity;
    r.balance = a.balance;
    r.live_orders = a.live_orders;
    r.open_positions = a.open_positions;
    emit_effect(EffectKind::Account, r);
}

void Engine::alert(AlertCode code, AccountId account, const Order* o,
                   std::uint64_t detail) noexcept {
    if (!out_->effects_wanted()) {
        return;
    }
    AlertRow r;
    r.code = code;
    r.account = account;
    if (o != nullptr) {
        r.magic = magic_of(*o);
        r.signal = o->signal_id;
    }
    r.detail = detail;
    emit_effect(EffectKind::Alert, r);
}

}  // namespace millrace
