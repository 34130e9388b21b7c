// The records that replay_hash generates: whatever an engine can be given, in any order that its
// driver may give it, from one seed.
#pragma once

#include "core/engine.h"

#include <iterator>
#include <vector>

namespace millrace::test {

inline constexpr std::uint32_t kStreamAccounts = 6;

/// splitmix64.
struct Draw {
    std::uint64_t state = 20'260'101;
    std::uint64_t below(std::uint64_t n) {
        state += 0x9E3779B97F4A7C15ULL;
        return mix64(state) % n;
    }
    bool one_in(std::uint64_t n) { return below(n) == 0; }
    AccountId account() { return AccountId{static_cast<std::uint32_t>(below(kStreamAccounts))}; }
};

inline AdminRecord definition(std::uint64_t n) {
    if (n < 2) {
        SymbolSpec s;
        s.id = SymbolId{static_cast<std::uint32_t>(n)};
        s.volume_min = s.volume_step = Lots{kScale / 100};
        s.volume_max = Lots{100 * kScale};
        s.contract_size = 100'000 * kScale;
        return AdminRecord::make(AdminOp::DefineSymbol, s);
    }
    if (n == 2) {
        return AdminRecord::make(AdminOp::DefineGroup, GroupSpec{GroupId{0}, 0, {}});
    }
    const auto account = static_cast<std::uint32_t>(n - 3) / 2;
    if (n % 2 == 1) {
        AccountSpec a;
        a.id = AccountId{account};
        a.margin_mode = account % 3 == 2 ? MarginMode::Netting : MarginMode::Hedging;
        a.rate_per_second = a.rate_burst = 100;
        a.leaves_early = account == 1 ? 1 : 0;
        return AdminRecord::make(AdminOp::DefineAccount, a);
    }
    MemberSpec m;
    m.group = GroupId{0};
    m.account = AccountId{account};
    m.sizing = static_cast<SizingMode>(account % 3);
    m.value = kScale / 2;
    for (std::uint64_t& word : m.symbols) {
        word = ~std::uint64_t{0};
    }
    return AdminRecord::make(AdminOp::DefineMember, m);
}
inline constexpr std::uint64_t kDefinitions = 3 + 2 * kStreamAccounts;

/// Limits in money and time.
inline AdminRecord guard(Draw& random) {
    switch (random.below(5)) {
        case 0: {
            CurrencySpec c;
            c.index = static_cast<std::uint32_t>(random.below(3));
            c.cross = SymbolId{c.index == 0 ? kNoId : static_cast<std::uint32_t>(random.below(2))};
            c.inverse = static_cast<std::uint8_t>(random.below(2));
            c.rate = Ratio{static_cast<std::int64_t>(random.below(2)) * kScale / 2};
            return AdminRecord::make(AdminOp::DefineCurrency, c);
        }
        case 1: {
            SymbolGuardSpec s;
            s.id = SymbolId{static_cast<std::uint32_t>(random.below(2))};
            s.currency = static_cast<std::uint8_t>(1 + random.below(3));
            s.collar_points = random.one_in(4) ? 400 : 0;
            s.collar_spreads = Ratio{random.one_in(4) ? 5 * kScale : 0};
            return AdminRecord::make(AdminOp::DefineSymbolGuard, s);
        }
        case 2: {
            MoneyLimitSpec l;
            l.scope = random.one_in(4) ? LimitScope::Group : LimitScope::Account;
            l.id = l.scope == LimitScope::Group ? 0 : random.account().value;
            l.currency = static_cast<std::uint8_t>(1 + random.below(3));
            l.margin_check = static_cast<std::uint8_t>(random.below(2));
            l.max_notional = Money{static_cast<std::int64_t>(random.below(9'000'000)) * kScale};
            l.max_net_notional = Money{static_cast<std::int64_t>(random.below(900'000)) * kScale};
            l.max_leverage = Ratio{static_cast<std::int64_t>(random.below(900)) * kScale};
            l.changes_per_minute = static_cast<std::uint32_t>(random.below(20));
            return AdminRecord::make(AdminOp::DefineMoneyLimits, l);
        }
        default: {
            HoursSpec h;
            h.scope = static_cast<HoursScope>(random.below(2));
            h.id = static_cast<std::uint32_t>(random.below(2));
            h.count = random.one_in(3) ? 1 : 0;
            h.windows[0] = {100, static_cast<std::uint16_t>(random.below(kWeekMinutes))};
            h.week_opens = 10;
            h.flat_before_min = random.one_in(3) ? 2'000 : 0;
            return AdminRecord::make(AdminOp::DefineHours, h);
        }
    }
}

/// What an operator does.
inline AdminRecord operation(Draw& random) {
    switch (random.below(12)) {
        case 0: {
            AccountCommand c;
            c.account = random.account();
            c.state = !random.one_in(12) ? AccountState::Trading
                      : random.one_in(2) ? AccountState::ReduceOnly
                                         : AccountState::Suspended;
            return AdminRecord::make(AdminOp::SetAccount, c);
        }
        case 1: {
            GroupCommand c;
            c.group = GroupId{0};
            c.state = random.one_in(12) ? GroupState::Paused : GroupState::Active;
            return AdminRecord::make(AdminOp::SetGroup, c);
        }
        case 2:
        case 3: {
            KillCommand c;
            c.kill_id = 1 + random.below(1 << 20);
            c.scope = static_cast<KillScope>(random.below(5));
            c.scope_id = static_cast<std::uint32_t>(random.below(2));
            c.actions = static_cast<std::uint8_t>(random.below(8));
            const bool clear = !random.one_in(60);
            return AdminRecord::make(clear ? AdminOp::ClearKill : AdminOp::Kill, c);
        }
        case 4: {
            LimitSpec l;
            l.id = random.account().value;
            l.max_positions =
                random.one_in(4) ? static_cast<std::uint32_t>(20 + random.below(60)) : 0;
            l.max_volume = Lots{static_cast<std::int64_t>(random.below(400)) * kScale};
            l.max_daily_loss = Money{static_cast<std::int64_t>(random.below(900)) * kScale};
            l.max_drawdown_share =
                Ratio{static_cast<std::int64_t>(random.below(40)) * kScale / 100};
            l.max_slippage =
                random.one_in(10) ? static_cast<std::uint32_t>(500 + random.below(500)) : 0;
            l.on_slippage = static_cast<SlippageAction>(random.below(4));
            return AdminRecord::make(AdminOp::DefineLimits, l);
        }
        case 5: {
            RiskSpec r;
            r.collar = Ratio{static_cast<std::int64_t>(1 + random.below(50)) * kScale / 1000};
            return AdminRecord::make(AdminOp::RiskLimits, r);
        }
        case 6: {
            SymbolLimitSpec l;
            l.id = SymbolId{static_cast<std::uint32_t>(random.below(3))};
            l.max_volume = Lots{static_cast<std::int64_t>(random.below(900)) * kScale};
            l.max_net_volume = Lots{static_cast<std::int64_t>(random.below(60)) * kScale};
            return AdminRecord::make(AdminOp::DefineSymbolLimits, l);
        }
        case 7:
            return AdminRecord::make(AdminOp::ConfigCommit, ConfigCommit{random.below(1 << 30)});
        case 8: return guard(random);
        default: return definition(random.below(kDefinitions));
    }
}

inline Report session(std::uint64_t n) {
    Report r;
    r.account = AccountId{static_cast<std::uint32_t>(n % kStreamAccounts)};
    r.type = n < kStreamAccounts ? ReportType::SessionUp : ReportType::SyncDone;
    r.journal_id = 1;
    return r;
}

/// What a terminal tells unasked: its link, its money, what befell an order that it was given.
inline Report news(Draw& random, const std::vector<OrderCommand>& known, std::uint64_t n) {
    Report r = session(random.below(2 * kStreamAccounts));
    const std::uint64_t kind = random.below(10);
    if (kind == 0) {
        r.type = random.one_in(8) ? ReportType::SessionDown : ReportType::SyncDone;
    } else if (kind < 4) {
        r.type = ReportType::AccountInfo;
        r.permissions = random.one_in(60) ? 0 : 1;
        const std::uint64_t lost =
            random.below(random.one_in(40) ? 5'000 : 100);  // now and then a lot
        r.equity = Money{static_cast<std::int64_t>(10'000 - lost) * kScale};
        r.retcode = random.one_in(3) ? 100 : 0;
        r.price = Price{static_cast<std::int64_t>(random.below(9'000)) * kScale};
        r.balance = Money{10'000 * kScale};
    } else if (kind < 8 && !known.empty()) {
        const OrderCommand& c = known[random.below(known.size())];
        r.account = c.account;
        r.type = ReportType::Exec;
        r.exec_kind = static_cast<ExecKind>(1 + random.below(8));
        r.magic = c.magic;
        r.side = random.one_in(2) ? Side::Buy : Side::Sell;
        r.volume = c.volume;
        r.price = Price{kScale};
        r.order_ticket = r.position_id = 100 + random.below(n);
        r.deal_ticket = 1 + n;
        r.symbol = SymbolId{static_cast<std::uint32_t>(random.below(2))};
    }
    return r;
}

inline Signal signal(Draw& random, std::uint64_t n, Nanos now) {
    Signal s;
    s.id = {1, n};
    s.source = SourceId{0};
    s.group = GroupId{0};
    s.action = n < 10 || !random.one_in(3) ? SignalAction::Open
                                           : static_cast<SignalAction>(1 + random.below(4));
    s.side = random.one_in(2) ? Side::Buy : Side::Sell;
    s.volume = Lots{static_cast<std::int64_t>(1 + random.below(40)) * kScale / 100};
    std::uint64_t of = n;
    if (s.action != SignalAction::Open) {
        of = n - 2 * (1 + random.below(4));
        s.target = {1, of};
        s.volume = random.one_in(2) ? Lots{} : s.volume;
        s.stop_loss = Price{kScale / 2};
    } else if (random.one_in(4)) {
        s.price_kind = PriceKind::Limit;
        s.price = Price{kScale};
    }
    s.symbol = SymbolId{static_cast<std::uint32_t>(of % 2)};
    s.send_time = now;
    if (n % 10 == 0) {
        s.flags = kHoldUntilOpen;
        s.ttl_ms = 300'000;
    }
    return s;
}

inline Report answer(Draw& random, const OrderCommand& c, std::uint64_t n) {
    static constexpr std::uint32_t kCodes[] = {10009, 10009, 10009, 10009, 10008, 10010, 10004,
                                               10012, 10006, 10024, 10018, 10036, 77};
    Report r;
    r.account = c.account;
    r.type = c.type == CommandType::Query ? ReportType::QueryUnknown : ReportType::Outcome;
    if (c.type == CommandType::Query && random.one_in(2)) {
        r.type = random.one_in(2) ? ReportType::QueryAbsent : ReportType::QueryFound;
        r.ord_status = static_cast<std::uint8_t>(OrdStatus::Filled);
    } else if (c.type != CommandType::Query && random.one_in(30)) {
        r.type = ReportType::Unsent;
        r.reason = static_cast<std::uint16_t>(random.one_in(2) ? Reason::None : Reason::QueueFull);
    }
    r.magic = c.magic;
    r.retcode = kCodes[random.below(std::size(kCodes))];
    r.volume = r.retcode == 10010 ? Lots{kScale / 100} : c.volume;
    r.price = Price{kScale + static_cast<std::int64_t>(random.below(1000))};
    r.order_ticket = r.position_id = 100 + n;
    r.position_id = c.position_ticket != 0 ? c.position_ticket : r.position_id;
    r.deal_ticket = 1 + n;
    return r;
}

inline constexpr Capacity kStreamCapacity{8, 32, 2048, 1 << 15};

/// Keeps what the engine puts out. Allocates nothing before room() is used up.
class StreamPort final : public OutputPort {
public:
    void order(const OrderCommand& c) noexcept override {
        sent.push_back(c);
        if (c.type == CommandType::Open) {
            known.push_back(c);
        }
    }
    void result(const SignalResult&) noexcept override {}
    void room(std::size_t commands) {
        sent.reserve(commands);
        known.reserve(commands);
    }
    std::vector<OrderCommand> sent;   // and not answered
    std::vector<OrderCommand> known;  // every entry
};

/// One record after the other for one engine, to which the caller applies each before the next.
class Generator {
public:
    [[nodiscard]] JournalRecord next(const Engine& engine) {
        const std::uint64_t n = n_++;
        now_ = now_ + millis(static_cast<std::int64_t>(random_.below(200)));
        JournalRecord r;
        r.seq = Sequence{n + 1};
        r.time = now_;
        r.budget = 8;
        r.bid = Price{kScale + static_cast<std::int64_t>(random_.below(1000))};
        r.ask = Price{r.bid.value + 100};
        r.tick_time = now_;
        if (n < kDefinitions) {
            r.set_body(InputType::Admin, definition(n));
        } else if (n < kDefinitions + 2 * kStreamAccounts) {
            r.set_body(InputType::Report, session(n - kDefinitions));
        } else if (begins_segment(n, r, engine)) {
            out_.sent.clear();  // with its rings
        } else if (engine.owes_results()) {
            r.set_body(InputType::Deliver, DeliverInput{SourceId{0}, 4});
        } else if (const SymbolId rate = engine.rate_symbol(now_);
                   rate.value != kNoId && !random_.one_in(4)) {
            r.set_body(InputType::Rate, RateInput{rate, 0});
        } else if (engine.next_deadline() <= now_) {
            r.set_body(InputType::Timer, TimerInput{});
        } else if (engine.has_work()) {
            r.type = InputType::Continue;
        } else if (random_.one_in(25)) {
            r.set_body(InputType::Admin, operation(random_));
        } else if (random_.one_in(6)) {
            r.set_body(InputType::Report, news(random_, out_.known, n));
        } else if (!out_.sent.empty() && !random_.one_in(5)) {
            const std::uint64_t at = random_.below(out_.sent.size());
            r.set_body(InputType::Report, answer(random_, out_.sent[at], n));
            out_.sent.erase(out_.sent.begin() + static_cast<std::ptrdiff_t>(at));
        } else {
            r.set_body(InputType::Signal, signal(random_, ++signals_, now_));
        }
        return r;
    }
    [[nodiscard]] StreamPort& out() noexcept { return out_; }

private:
    static constexpr std::uint64_t kNewSegmentEvery = 9'000;

    /// A new segment: the Jump and the Start that its engine writes first.
    static bool begins_segment(std::uint64_t n, JournalRecord& r, const Engine& engine) {
        if (n < kNewSegmentEvery || n % kNewSegmentEvery > 1) {
            return false;
        }
        if (n % kNewSegmentEvery == 0) {
            r.set_body(InputType::Jump, JumpInput{engine.globals().next_intent + 10});
        } else {
            StartInput start;
            start.epoch = 1 + n / kNewSegmentEvery;
            start.new_segment = 1;
            r.set_body(InputType::Start, start);
        }
        return true;
    }

    Draw random_;
    StreamPort out_;
    Nanos now_ = seconds(1'700'000'000);
    std::uint64_t n_ = 0;
    std::uint64_t signals_ = 0;
};

}  // namespace millrace::test
