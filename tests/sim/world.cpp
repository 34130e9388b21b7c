#include "tests/sim/world.h"

#include "tests/sim/ports.h"

#include <algorithm>
#include <string>

namespace millrace::sim {
namespace {

constexpr std::uint64_t kHealSteps = 60'000;
constexpr std::size_t kReportsSlots = 64;
constexpr std::uint32_t kSymbols = 2;

template <std::size_t N>
Text<N> text(const std::string& s) {
    Text<N> t;
    std::copy_n(s.begin(), std::min(s.size(), N), t.bytes);
    return t;
}

}  // namespace

World::World(const Options& options)
    : options_{options},
      rng_{options.seed},
      faults_rng_{options.seed ^ 0xFA17ULL},
      source_rng_{options.seed ^ 0x50CEULL},
      equity_rng_{options.seed ^ 0xE9ULL},
      reach_rng_{options.seed ^ 0xAFULL} {
    accounts_ = 1 + static_cast<std::uint32_t>(rng_.below(kAccountsMax));
    mode_ = rng_.chance(250) ? MarginMode::Netting : MarginMode::Hedging;
    price_ = Price{kScale + static_cast<std::int64_t>(rng_.below(1000))};
    orders_slots_ = 6 + rng_.below(58);
    // Orders that work at the broker keep a slot each for their last word.
    results_slots_ = 400 + rng_.below(600);
    draw_faults();
    faults_ = options.faults != nullptr ? *options.faults : faults_;
    active_ = faults_;
    for (std::uint32_t a = 0; a < accounts_; ++a) {
        terminals_.emplace_back(AccountId{a}, mode_, active_, options.canary,
                                options.seed * 31 + a);
        sessions_.emplace_back(AccountId{a}, 4 + rng_.below(12));
    }
    engine_ = std::make_unique<Engine>(kCapacity);
    port_ = std::make_unique<LivePort>(*this);
    segments_.emplace_back();
}

World::~World() = default;

/// Swarm: each class of fault is off with one half, else anywhere up to its most.
void World::draw_faults() {
    const auto draw = [this](std::uint32_t most) -> std::uint32_t {
        return faults_rng_.chance(500) ? 0
                                       : 1 + static_cast<std::uint32_t>(faults_rng_.below(most));
    };
    faults_ = {draw(200), draw(150), draw(200), draw(200), draw(200), draw(10),  draw(5), draw(20),
               draw(50),  draw(60),  draw(20),  draw(3),   draw(900), draw(100), draw(3), 0};
}

void World::configure() {
    for (std::uint32_t n = 0; n < kSymbols; ++n) {
        SymbolSpec s;
        s.id = SymbolId{n};
        s.name = text<16>("S" + std::to_string(n));
        s.tick_size = Price{1000};
        s.volume_min = s.volume_step = Lots{kScale / 100};
        s.volume_max = Lots{100 * kScale};
        s.contract_size = 100'000 * kScale;
        admin_ring_.push_back(AdminRecord::make(AdminOp::DefineSymbol, s));
    }
    admin_ring_.push_back(
        AdminRecord::make(AdminOp::DefineSource, SourceSpec{SourceId{0}, 0, text<16>("src")}));
    admin_ring_.push_back(
        AdminRecord::make(AdminOp::DefineGroup, GroupSpec{GroupId{0}, 0, text<16>("all")}));
    for (std::uint32_t a = 0; a < accounts_; ++a) {
        AccountSpec spec;
        spec.id = AccountId{a};
        spec.margin_mode = mode_;
        spec.name = text<16>("a" + std::to_string(a));
        spec.login = 100 + a;
        spec.rate_per_second = 50;
        spec.rate_burst = 50;
        admin_ring_.push_back(AdminRecord::make(AdminOp::DefineAccount, spec));
        MemberSpec m;
        m.group = GroupId{0};
        m.account = AccountId{a};
        m.sizing = SizingMode::Multiplier;
        m.value = kScale * (1 + a) / 2;
        std::fill(std::begin(m.symbols), std::end(m.symbols), ~std::uint64_t{0});
        admin_ring_.push_back(AdminRecord::make(AdminOp::DefineMember, m));
    }
    if (faults_.losses > 0) {
        limit();
    }
    while (engine_step()) {
    }
    advance_durable(log_.back().seq.value);
}

void World::limit() {
    LimitSpec l;
    for (std::uint32_t a = 0; a < accounts_; ++a) {
        l.id = a;
        l.action = a % 2 == 0 ? LossAction::ReduceOnly : LossAction::Suspend;
        l.max_symbol_positions = 6;
        l.max_volume = Lots{2 * kScale};
        l.max_daily_loss = Money{500 * kScale};
        l.max_drawdown_share = Ratio{kScale / 10};
        l.day_start_s = 81'000;  // in this world's first half hour
        admin_ring_.push_back(AdminRecord::make(AdminOp::DefineLimits, l));
    }
    LimitSpec all;
    all.scope = LimitScope::Group;
    all.id = 0;
    all.max_volume = Lots{5 * kScale};
    admin_ring_.push_back(AdminRecord::make(AdminOp::DefineLimits, all));
}

/// A terminal tells its equity: it wanders, and one reading in ten is nonsense.
void World::tell_equity() {
    const auto account = static_cast<std::uint32_t>(equity_rng_.below(accounts_));
    equity_ += static_cast<std::int64_t>(equity_rng_.below(201)) - 100;
    Report r;
    r.time = now_;
    r.account = AccountId{account};
    r.type = ReportType::AccountInfo;
    r.permissions = 1;
    r.balance = Money{10'000 * kScale};
    r.equity = Money{equity_rng_.chance(100) ? 0 : equity_ * kScale};
    if (reports_ring_.size() < kReportsSlots && sessions_[account].up()) {
        reports_ring_.push_back(r);
    }
}

/// A terminal tells whether it has its trade server. (What it was sent before is answered all the
/// same, as late answers are.)
void World::tell_reach(std::uint32_t account, std::uint8_t permissions) {
    Report r;
    r.time = now_;
    r.account = AccountId{account};
    r.type = ReportType::AccountInfo;
    r.permissions = permissions;
    r.balance = r.equity = Money{equity_ * kScale};
    reports_ring_.push_back(r);
}

Summary World::run() {
    configure();
    for (std::uint32_t a = 0; a < accounts_; ++a) {
        connect(a);
    }
    while (signals_made_ < options_.signals) {
        step();
    }
    heal();
    check_end();
    summary_.records = log_.size();
    return summary_;
}

void World::step() {
    now_ =
        now_ +
        Nanos{static_cast<std::int64_t>(rng_.below(rng_.chance(20) ? 3'000'000'000 : 120'000'000))};
    price_.value += static_cast<std::int64_t>(rng_.below(2001)) - 1000;
    price_.value = std::clamp<std::int64_t>(price_.value, kScale / 2, kScale * 2);
    if (rng_.chance(600)) {
        emit_signal();
    }
    faults_strike();
    for (std::uint64_t n = 1 + rng_.below(12); n > 0; --n) {
        switch (rng_.below(4)) {
            case 0:
            case 1: static_cast<void>(engine_step()); break;
            case 2: static_cast<void>(broker_step()); break;
            default: terminals_[rng_.below(accounts_)].step(now_); break;
        }
    }
    if (rng_.chance(500) && !log_.empty()) {
        const std::uint64_t last = log_.back().seq.value;
        advance_durable(rng_.chance(700) ? last : durable_ + rng_.below(last - durable_ + 1));
    }
    if (!rng_.chance(active_.slow_reader)) {
        read_results();
    }
    if (rng_.chance(15)) {
        take_snapshot();
    }
}

/// Faults end, everything is connected and read: whatever was accepted comes to its end.
void World::heal() {
    healing_ = true;
    active_ = none_;
    while (!admin_ring_.empty() || !reports_ring_.empty()) {
        static_cast<void>(engine_step());
    }
    kill_or_clear();
    for (std::uint32_t a = 0; a < accounts_; ++a) {
        AccountCommand resume;
        resume.account = AccountId{a};
        resume.state = AccountState::Trading;
        admin_ring_.push_back(AdminRecord::make(AdminOp::SetAccount, resume));
        disconnect(a);
        connect(a);
        tell_reach(a, kAccountPermitted);
    }
    quiet_or_violated();
}

void World::quiet_or_violated() {
    for (std::uint64_t n = 0; n < kHealSteps; ++n) {
        bool worked = engine_step();
        worked = broker_step() || worked;
        bool busy = false;
        for (std::uint32_t a = 0; a < accounts_; ++a) {
            worked = terminals_[a].step(now_) || worked;
            busy = busy || terminals_[a].busy() || !sessions_[a].idle();
        }
        advance_durable(log_.back().seq.value);
        read_results();
        if (worked) {
            continue;
        }
        const bool waiting = engine_->next_deadline().value < INT64_MAX;
        if (!busy && !waiting && signals_ring_.empty() && unacked_.empty()) {
            return;
        }
        if (!unacked_.empty() && signals_ring_.empty()) {
            signals_ring_.push_back(unacked_.front());
        }
        now_ = now_ + millis(500);
    }
    violated("I3 terminal", "not quiet after healing: in doubt " +
                                std::to_string(engine_->globals().in_doubt) + ", live orders " +
                                std::to_string(engine_->globals().live_orders) +
                                ", signals waiting " + std::to_string(signals_ring_.size()) + "+" +
                                std::to_string(unacked_.size()) + ", work " +
                                std::to_string(engine_->has_work() ? 1 : 0) + ", results free " +
                                std::to_string(results_slots_ - results_ring_.size()) +
                                " reserved " + std::to_string(engine_->results_reserved_total()));
}

bool World::broker_step() {
    bool worked = false;
    while (!orders_ring_.empty() && reports_ring_.size() < kReportsSlots) {
        const OrderCommand c = orders_ring_.front();
        orders_ring_.pop_front();
        worked = true;
        if (!sessions_[c.account.value].enqueue(c)) {
            answer_unsent(c, Reason::QueueFull);
        }
    }
    const bool open_gate = options_.canary == Canary::SendsBeforeDurable;
    for (std::uint32_t a = 0; a < accounts_; ++a) {
        worked = sessions_[a].send_ready(
                     now_, open_gate ? UINT64_MAX : durable_,
                     [this](const OrderCommand& c, Reason why) { answer_unsent(c, why); }) ||
                 worked;
        worked = sessions_[a].exchange(terminals_[a], now_, rng_, [this](const Report& r) {
            if (reports_ring_.size() >= kReportsSlots) {
                return false;
            }
            reports_ring_.push_back(r);
            return true;
        }) || worked;
    }
    return worked;
}

void World::answer_unsent(const OrderCommand& c, Reason why) {
    Report r;
    r.time = now_;
    r.account = c.account;
    r.type = c.type == CommandType::Query ? ReportType::QueryUnknown : ReportType::Unsent;
    r.reason = static_cast<std::uint16_t>(why);
    r.magic = c.magic;
    r.journal_id = c.seq.value;
    r.journal_tail = c.k;
    reports_ring_.push_back(r);
}

void World::publish_link(ReportType type, std::uint32_t account) {
    Report r;
    r.time = now_;
    r.account = AccountId{account};
    r.type = type;
    r.session_generation = sessions_[account].generation();
    r.journal_id = sessions_[account].journal_id();
    reports_ring_.push_back(r);
}

void World::connect(std::uint32_t account) {
    if (!sessions_[account].up()) {
        sessions_[account].connect(terminals_[account]);
        publish_link(ReportType::SessionUp, account);
    }
}

void World::disconnect(std::uint32_t account) {
    if (sessions_[account].up()) {
        sessions_[account].cut();
        publish_link(ReportType::SessionDown, account);
    }
}

void World::faults_strike() {
    for (std::uint32_t a = 0; a < accounts_; ++a) {
        if (rng_.chance(active_.broker_moves)) {
            terminals_[a].broker_moves();
        }
        if (rng_.chance(active_.terminal_crash)) {
            disconnect(a);
            terminals_[a].crash(now_);
        }
        if (rng_.chance(active_.journal_loss)) {
            disconnect(a);
            terminals_[a].lose_journal(now_);
        }
        if (rng_.chance(active_.cut)) {
            disconnect(a);
        } else if (rng_.chance(150)) {
            connect(a);
        }
    }
    if (rng_.chance(active_.kill)) {
        kill_or_clear();
    }
    if (equity_rng_.chance(active_.losses)) {
        tell_equity();
    }
    const std::uint8_t reach[] = {kAccountPermitted, kAccountAway, kAccountSettling};
    if (reach_rng_.chance(active_.away) && reports_ring_.size() < kReportsSlots) {
        const auto account = static_cast<std::uint32_t>(reach_rng_.below(accounts_));
        tell_reach(account, reach[reach_rng_.below(std::size(reach))]);
    }
    if (rng_.chance(active_.host_crash)) {
        crash_host();
    }
    crash_pending_ = crash_pending_ || rng_.chance(active_.engine_crash);
}

void World::kill_or_clear() {
    KillCommand kill;
    kill.kill_id = rng_.next();
    const bool clear = healing_ || rng_.chance(500);
    const std::uint8_t all[] = {kKillStop, kKillStop | kKillCancel,
                                kKillStop | kKillCancel | kKillFlatten};
    kill.actions = all[rng_.below(3)];
    for (Terminal& t : terminals_) {
        t.kill(clear ? std::uint8_t{0} : kill.actions);  // overtakes the queue
    }
    admin_ring_.push_back(AdminRecord::make(clear ? AdminOp::ClearKill : AdminOp::Kill, kill));
}

void World::emit_signal() {
    if (!unacked_.empty() && rng_.chance(active_.resend)) {
        signals_ring_.push_back(unacked_[source_rng_.below(unacked_.size())]);
        ++summary_.doubled_signals;
        return;
    }
    ++signals_made_;
    const Signal s = draw_signal();
    signals_ring_.push_back(s);
    unacked_.push_back(s);
    if (s.action == SignalAction::Open) {
        opens_.emplace_back(s.id, s.symbol);
    }
}

Signal World::draw_signal() {
    Signal s;
    s.id = {options_.seed + 1, signals_made_};
    s.source = SourceId{0};
    s.group = GroupId{0};
    s.symbol = SymbolId{static_cast<std::uint32_t>(source_rng_.below(kSymbols))};
    s.send_time = now_;
    s.edge_time = now_;
    s.side = source_rng_.chance(500) ? Side::Buy : Side::Sell;
    s.flags = signals_made_ % 7 == 0 ? kHoldUntilOpen : std::uint8_t{0};
    s.ttl_ms =
        source_rng_.chance(500) ? 0 : 200 + static_cast<std::uint32_t>(source_rng_.below(20'000));
    const std::uint64_t what = source_rng_.below(100);
    if (what < 55 || opens_.empty()) {
        s.action = SignalAction::Open;
        s.volume = Lots{(1 + static_cast<std::int64_t>(source_rng_.below(30))) * (kScale / 100)};
        if (source_rng_.chance(250)) {
            s.price_kind = source_rng_.chance(500) ? PriceKind::Limit : PriceKind::Stop;
            s.price = price_;
        }
        return s;
    }
    const std::uint64_t recent = std::min<std::uint64_t>(opens_.size(), 12);
    const auto& [target, symbol] = opens_[opens_.size() - 1 - source_rng_.below(recent)];
    s.target = target;
    s.symbol = source_rng_.chance(20) ? s.symbol : symbol;  // a source may be wrong
    s.action = what < 85   ? SignalAction::Close
               : what < 93 ? SignalAction::Modify
                           : SignalAction::Cancel;
    if (s.action == SignalAction::Close && source_rng_.chance(400)) {
        s.volume = Lots{(1 + static_cast<std::int64_t>(source_rng_.below(20))) * (kScale / 100)};
    }
    s.stop_loss = Price{static_cast<std::int64_t>(source_rng_.below(5))};
    return s;
}

/// The source reads its results: an answer that is durable ends its duty to send again.
void World::read_results() {
    while (!results_ring_.empty()) {
        const SignalResult r = results_ring_.front();
        const Sequence holds = r.kind == ResultKind::Duplicate ? r.original : r.seq;
        if (holds.value > durable_) {
            return;  // its level is `disk`: the acknowledgement waits
        }
        results_ring_.pop_front();
        if (r.kind == ResultKind::Accepted || r.kind == ResultKind::Refused ||
            r.kind == ResultKind::Duplicate) {
            std::erase_if(unacked_, [&r](const Signal& s) { return s.id == r.signal; });
        }
        summary_.in_doubt += r.kind == ResultKind::OrderInDoubt ? 1U : 0U;
    }
}

}  // namespace millrace::sim
