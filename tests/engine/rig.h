// Rig: an engine with a clock, a quote and a memory of everything it put out and was fed.
//
// Drives it as the engine stage does: records in sequence, Timer and Continue records when they are
// due, results slots counted. check() holds the books of reservations after every record.
#pragma once

#include "core/engine.h"
#include "tests/covers.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::test {

/// Hundredths of a lot.
constexpr Lots centi(std::int64_t n) noexcept {
    return Lots{n * (kScale / 100)};
}
/// Points of a five-digit symbol.
constexpr Price points(std::int64_t n) noexcept {
    return Price{n * (kScale / 100'000)};
}

template <std::size_t N>
Text<N> text(std::string_view s) noexcept {
    Text<N> t;
    std::copy_n(s.begin(), std::min(s.size(), N), t.bytes);
    return t;
}

constexpr SignalId id_of(std::uint64_t n) noexcept {
    return {0xA11CEULL, n};
}

class Rig : public OutputPort {
public:
    static constexpr Capacity kSmall{8, 32, 64, 64};

    explicit Rig(const Capacity& capacity = kSmall) : engine{capacity} {}

    // -- OutputPort -----------------------------------------------------------------------------
    void order(const OrderCommand& c) noexcept override {
        note_output(c.seq, c.k);
        orders.push_back(c);
        covered("orders sent");
    }
    void result(const SignalResult& r) noexcept override {
        note_output(r.seq, r.k);
        results.push_back(r);
        open_signals_ += r.kind == ResultKind::Accepted ? 1U : 0U;
        const bool first = r.kind == ResultKind::SignalDone && !replies_to_duplicate_;
        open_signals_ -= first ? 1U : 0U;
        replies_to_duplicate_ = r.kind == ResultKind::Duplicate;
    }
    void effect(const Effect& e) noexcept override { effects.push_back(e); }
    [[nodiscard]] bool effects_wanted() const noexcept override { return want_effects; }

    // -- records --------------------------------------------------------------------------------
    JournalRecord next(SymbolId symbol = SymbolId{0}) const {
        JournalRecord r;
        r.seq = Sequence{engine.seq().value + 1};
        r.time = std::max(now, engine.time());
        r.budget = budget;
        if (const auto other = quotes.find(symbol.value); other != quotes.end()) {
            r.bid = other->second.bid;
            r.ask = other->second.ask;
            r.tick_time = other->second.time.value_or(now);
        } else if (symbol.value != kNoId) {
            r.bid = bid;
            r.ask = ask;
            r.tick_time = tick_time.value_or(now);
        }
        return r;
    }
    void apply(const JournalRecord& record) {
        const std::size_t before = orders.size();
        replies_to_duplicate_ = false;
        log.push_back(record);
        covered("records");
        engine.apply(record, *this);
        const std::size_t allowed = std::max<std::size_t>(record.budget, 1);
        expect(orders.size() - before <= allowed, "outputs within the record's budget");
        check();
    }
    template <class Body>
    void input(InputType type, const Body& body) {
        JournalRecord r = next();
        r.set_body(type, body);
        apply(r);
    }
    template <class Body>
    void admin(AdminOp op, const Body& body) {
        input(InputType::Admin, AdminRecord::make(op, body));
    }
    /// What the engine asks for before it gets what may send an entry.
    void rates() {
        for (SymbolId s = engine.rate_symbol(now); s.value != kNoId; s = engine.rate_symbol(now)) {
            JournalRecord r = next(s);
            r.set_body(InputType::Rate, RateInput{s, 0});
            apply(r);
        }
    }
    void signal(const Signal& s) {
        rates();
        const std::size_t before = results.size();
        const std::uint32_t promised = engine.results_reserved_total();
        const std::uint32_t needed = engine.results_needed(s);
        JournalRecord r = next(quotes.contains(s.symbol.value) ? s.symbol : SymbolId{0});
        r.set_body(InputType::Signal, s);
        apply(r);
        settle();
        const std::size_t used = results.size() - before + engine.results_reserved_total();
        expect(used <= std::size_t{promised} + needed, "results stay within what was asked for");
    }
    void report(Report r) {
        if (r.event_seq == 0 && r.account.value < kSmall.accounts && number_events) {
            r.event_seq = ++events_[r.account.value];
        }
        r.time = now;
        input(InputType::Report, r);
        settle();
    }
    /// Deliver, Continue and Timer records that are due now.
    void settle() {
        for (int i = 0; i < 100'000; ++i) {
            if (const auto owed = engine.results_owed(SourceId{0});
                owed > 0 && owed <= results_room) {
                input(InputType::Deliver, DeliverInput{SourceId{0}, results_room});
            } else if (engine.next_deadline() <= now) {
                rates();
                JournalRecord r = next(engine.timer_symbol());
                r.set_body(InputType::Timer, TimerInput{});
                apply(r);
            } else if (engine.has_work()) {
                rates();
                JournalRecord r = next(engine.work_symbol());
                r.type = InputType::Continue;
                apply(r);
            } else {
                return;
            }
        }
        expect(false, "deferred work comes to an end");
    }
    /// Lets time pass, stopping at every deadline on the way.
    void advance(Nanos by) {
        const Nanos until = now + by;
        while (engine.next_deadline() < until) {
            now = std::max(now, engine.next_deadline());
            settle();
        }
        now = until;
        settle();
    }

    // -- a small world --------------------------------------------------------------------------
    static SymbolSpec eurusd(std::uint32_t id = 0) {
        SymbolSpec s;
        s.id = SymbolId{id};
        s.name = text<16>(id == 0 ? "EURUSD" : "GBPUSD");
        s.tick_size = points(1);
        s.volume_min = centi(1);
        s.volume_max = centi(10'000);
        s.volume_step = centi(1);
        s.contract_size = 100'000 * kScale;
        return s;
    }
    static AccountSpec account_spec(std::uint32_t id) {
        AccountSpec a;
        a.id = AccountId{id};
        a.name = text<16>("acc");
        a.login = 1000 + id;
        a.rate_per_second = 1000;
        a.rate_burst = 1000;
        return a;
    }
    static MemberSpec member_spec(std::uint32_t group, std::uint32_t account) {
        MemberSpec m;
        m.group = GroupId{group};
        m.account = AccountId{account};
        m.sizing = SizingMode::Multiplier;
        m.value = kScale;
        std::fill(std::begin(m.symbols), std::end(m.symbols), ~std::uint64_t{0});
        return m;
    }
    /// Two symbols, a source, a group of `accounts`, all of them connected and trading.
    void world(std::uint32_t accounts = 1, MarginMode mode = MarginMode::Hedging) {
        admin(AdminOp::DefineSymbol, eurusd(0));
        admin(AdminOp::DefineSymbol, eurusd(1));
        admin(AdminOp::DefineSource, SourceSpec{SourceId{0}, 0, text<16>("src")});
        admin(AdminOp::DefineGroup, GroupSpec{GroupId{0}, 0, text<16>("grp")});
        for (std::uint32_t a = 0; a < accounts; ++a) {
            AccountSpec spec = account_spec(a);
            spec.margin_mode = mode;
            admin(AdminOp::DefineAccount, spec);
            admin(AdminOp::DefineMember, member_spec(0, a));
            session_up(a);
        }
    }
    /// What the terminal says of its account; the balance stands still.
    void equity(std::int64_t units, std::uint32_t account = 0) {
        Report r = from(account, ReportType::AccountInfo);
        r.permissions = 1;
        r.equity = Money{units * kScale};
        r.balance = Money{10'000 * kScale};
        report(r);
    }
    void limit(LimitSpec l, std::uint32_t id = 0, LimitScope scope = LimitScope::Account) {
        l.scope = scope;
        l.id = id;
        admin(AdminOp::DefineLimits, l);
        settle();
    }
    Report from(std::uint32_t account, ReportType type) const {
        Report r;
        r.account = AccountId{account};
        r.type = type;
        return r;
    }
    void link_up(std::uint32_t account, std::uint64_t journal = 77) {
        Report up = from(account, ReportType::SessionUp);
        up.journal_id = journal;
        up.session_generation = ++generation_;
        up.time = now;
        input(InputType::Report, up);
        settle();
    }
    void sync_done(std::uint32_t account) {
        Report done = from(account, ReportType::SyncDone);
        done.session_generation = generation_;
        input(InputType::Report, done);
        settle();
    }
    void session_up(std::uint32_t account, std::uint64_t journal = 77) {
        link_up(account, journal);
        sync_done(account);
    }
    void session_down(std::uint32_t account) {
        input(InputType::Report, from(account, ReportType::SessionDown));
        settle();
    }

    Signal open(std::uint64_t n, Side side = Side::Buy, Lots volume = centi(10)) const {
        Signal s;
        s.id = id_of(n);
        s.source = SourceId{0};
        s.group = GroupId{0};
        s.symbol = SymbolId{0};
        s.action = SignalAction::Open;
        s.side = side;
        s.volume = volume;
        s.send_time = now;
        s.edge_time = now;
        return s;
    }
    Signal pending(std::uint64_t n, PriceKind kind, Price price) const {
        Signal s = open(n);
        s.price_kind = kind;
        s.price = price;
        return s;
    }
    Signal change(std::uint64_t n, SignalAction action, std::uint64_t target,
                  Lots volume = Lots{}) const {
        Signal s = open(n);
        s.action = action;
        s.target = id_of(target);
        s.volume = volume;
        return s;
    }
    /// The executor's answer to `c`.
    Report outcome(const OrderCommand& c, std::uint32_t code, Lots volume = Lots{}) const {
        Report r = from(c.account.value, ReportType::Outcome);
        r.magic = c.magic;
        r.retcode = code;
        r.volume = volume;
        r.requested = c.volume;
        r.price = c.side == Side::Buy ? ask : bid;
        r.symbol = SymbolId{c.symbol == text<16>("EURUSD") ? 0U : 1U};
        r.order_ticket = 1'000'000 + c.magic.intent();
        r.position_id = c.position_ticket != 0 ? c.position_ticket : r.order_ticket;
        r.deal_ticket = volume.value > 0 ? 2'000'000 + c.magic.value % 1'000'000 : 0;
        return r;
    }
    Report query_answer(const OrderCommand& c, ReportType type, OrdStatus status = OrdStatus::New,
                        Lots volume = Lots{}) const {
        Report r = outcome(c, retcode::kDone, volume);
        r.type = type;
        r.ord_status = static_cast<std::uint8_t>(status);
        return r;
    }
    Report exec(const OrderCommand& c, ExecKind kind, Lots volume, std::uint64_t deal = 0) const {
        Report r = outcome(c, retcode::kDone, volume);
        r.type = ReportType::Exec;
        r.exec_kind = kind;
        r.side = kind == ExecKind::PendingFilled ? c.side : opposite(c.side);
        r.deal_ticket = deal != 0 ? deal : 9'000'000 + events_[c.account.value];
        return r;
    }
    void fill(const OrderCommand& c) { report(outcome(c, retcode::kDone, c.volume)); }

    /// The engine's state is of elsewhere: goes on counting from there.
    void continue_from_state() {
        open_signals_ = 0;
        for (std::uint32_t i = 0; i < engine.ledger().used(); ++i) {
            const SignalEntry& e = engine.ledger()[i];
            open_signals_ +=
                engine.ledger().is_live(i) && !e.done && e.refused == Reason::None ? 1U : 0U;
        }
        check();
    }

    // -- what came out --------------------------------------------------------------------------
    /// What was put out since the last call.
    std::vector<OrderCommand> take_orders() {
        std::vector<OrderCommand> taken;
        taken.swap(orders);
        return taken;
    }
    std::vector<SignalResult> take_results() {
        std::vector<SignalResult> taken;
        taken.swap(results);
        return taken;
    }
    OrderCommand only_order() {
        const auto taken = take_orders();
        expect(taken.size() == 1, "exactly one order came out");
        return taken.front();
    }
    [[nodiscard]] std::vector<Reason> reasons(ResultKind kind) const {
        std::vector<Reason> out;
        for (const SignalResult& r : results) {
            if (r.kind == kind) {
                out.push_back(static_cast<Reason>(r.reason));
            }
        }
        return out;
    }
    [[nodiscard]] std::size_t count(ResultKind kind) const { return reasons(kind).size(); }
    [[nodiscard]] const Order* find(Magic magic) const {
        for (std::uint32_t i = 0; i < engine.orders().used(); ++i) {
            if (engine.orders().is_live(i) && engine.orders()[i].intent == magic.intent()) {
                return &engine.orders()[i];
            }
        }
        return nullptr;
    }
    [[nodiscard]] Lots open_volume(std::uint32_t account = 0) const {
        Lots net;
        for (std::uint32_t i = 0; i < engine.orders().used(); ++i) {
            const Order& o = engine.orders()[i];
            if (engine.orders().is_live(i) && o.account.value == account) {
                net = o.side == Side::Buy ? net + o.open_volume : net - o.open_volume;
            }
        }
        return net;
    }
    [[nodiscard]] std::size_t alerts(AlertCode code) const {
        return static_cast<std::size_t>(
            std::count_if(effects.begin(), effects.end(), [code](const Effect& e) {
                return e.kind == EffectKind::Alert && e.as<AlertRow>().code == code;
            }));
    }

    /// The same records through a fresh engine.
    [[nodiscard]] std::uint64_t replayed_hash(const Capacity& capacity = kSmall) const {
        Rig other{capacity};
        for (const JournalRecord& r : log) {
            other.engine.apply(r, other);
        }
        return other.engine.state_hash();
    }

    Engine engine;
    Nanos now = seconds(1'700'000'000);
    std::uint32_t budget = 1000;
    Price bid = points(110'000);
    Price ask = points(110'010);
    struct OtherQuote {
        Price bid;
        Price ask;
        std::optional<Nanos> time;  // none = beside each record
    };
    std::map<std::uint32_t, OtherQuote> quotes;  // by symbol; of others: bid and ask above
    std::optional<Nanos> tick_time;  // of the latest tick; none = a new one beside each record
    bool want_effects = true;
    bool number_events = true;
    std::uint32_t results_room = 64;  // of a Deliver record; 0 = source 0 does not read
    std::vector<OrderCommand> orders;
    std::vector<SignalResult> results;
    std::vector<Effect> effects;
    std::vector<JournalRecord> log;

private:
    static void expect(bool holds, const char* what) {
        if (!holds) {
            std::fprintf(stderr, "rig: violated: %s\n", what);
            std::abort();
        }
    }
    void note_output(Sequence seq, std::uint32_t k) noexcept {
        const bool rises = seq > last_seq_ || (seq == last_seq_ && k == last_k_ + 1) ||
                           log.empty();  // an engine that continues elsewhere
        expect(rises, "(seq, k) rises strictly");
        last_seq_ = seq;
        last_k_ = k;
    }
    /// Counters and reservations are exactly what the tables say.
    void check() const {
        std::uint32_t reserved = 0;
        std::uint32_t open_signals = 0;
        for (std::uint32_t i = 0; i < engine.ledger().used(); ++i) {
            const SignalEntry& e = engine.ledger()[i];
            if (engine.ledger().is_live(i) && !e.done && e.refused == Reason::None) {
                ++open_signals;
                reserved += e.done_returned ? 0U : 1U;
            }
        }
        std::uint32_t owed = 0;
        std::uint32_t live = 0;
        std::uint32_t doubted = 0;
        std::uint32_t positions = 0;
        for (std::uint32_t i = 0; i < engine.orders().used(); ++i) {
            if (!engine.orders().is_live(i)) {
                continue;
            }
            const Order& o = engine.orders()[i];
            live += is_final(o.status) ? 0U : 1U;
            reserved += o.results == ResultsDue::Both ? 2U : o.results == ResultsDue::End ? 1U : 0U;
            owed += o.results == ResultsDue::Owed ? 1U : 0U;
            expect(!is_final(o.status) || o.results >= ResultsDue::Owed, "an end is told or owed");
            doubted += o.status == OrdStatus::InDoubt ? 1U : 0U;
            positions += o.open_volume.value > 0 ? 1U : 0U;
            expect(o.open_volume.value >= 0, "no open volume below zero");
            expect(o.closing.value >= 0, "no claimed volume below zero");
            expect(o.close_shares.value >= 0, "no share to close below zero");
            expect(o.cum <= o.volume, "no order executes more than it asked for");
        }
        check_exposure();
        expect(open_signals == open_signals_, "every accepted signal is answered or open");
        expect(owed == engine.globals().ends_owed, "ends_owed counts the table");
        expect(reserved == engine.results_reserved_total(), "reserved results == what is promised");
        expect(live == engine.globals().live_orders, "live_orders counts the table");
        expect(doubted == engine.globals().in_doubt, "in_doubt counts the table");
        expect(positions == engine.globals().open_positions, "open_positions counts the table");
    }

    /// What limits go by is what the table says.
    void check_exposure() const {
        std::vector<Lots> volume(engine.account_count());
        std::vector<std::uint32_t> positions(engine.account_count());
        Lots group_volume;
        std::uint32_t group_positions = 0;
        for (std::uint32_t i = 0; i < engine.orders().used(); ++i) {
            const Order& o = engine.orders()[i];
            const Lots exposed = engine.orders().is_live(i) ? exposure_of(o) : Lots{};
            if (exposed.value == 0) {
                continue;
            }
            volume[o.account.value] = volume[o.account.value] + exposed;
            ++positions[o.account.value];
            const bool first = engine.ledger()[o.signal].signal.group.value == 0;
            group_volume = first ? group_volume + exposed : group_volume;
            group_positions += first ? 1U : 0U;
        }
        for (std::uint32_t a = 0; a < engine.account_count(); ++a) {
            const AccountRisk& r = engine.account_risk(AccountId{a});
            expect(r.volume == volume[a], "an account's volume is the table's");
            expect(r.positions == positions[a], "an account's positions are the table's");
        }
        const GroupRisk& g = engine.group_risk(GroupId{0});
        expect(g.volume == group_volume, "a group's volume is the table's");
        expect(g.positions == group_positions, "a group's positions are the table's");
    }

    std::uint64_t events_[kSmall.accounts] = {};
    std::uint64_t generation_ = 0;
    std::uint32_t open_signals_ = 0;
    bool replies_to_duplicate_ = false;
    Sequence last_seq_;
    std::uint32_t last_k_ = 0;
};

}  // namespace millrace::test
