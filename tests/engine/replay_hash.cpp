// replay_hash: one generated stream of records through the engine; prints its hashes. Compiled by
// every compiler and at every level that compare_hashes.sh finds; all must print the same.
#include "core/engine.h"

#include <cstdio>
#include <vector>

namespace {

using namespace millrace;

constexpr std::uint64_t kRecords = 60'000;
constexpr std::uint32_t kAccounts = 6;
constexpr Capacity kCapacity{8, 32, 2048, 1 << 15};

class Collector : public OutputPort {
public:
    void order(const OrderCommand& c) noexcept override { sent.push_back(c); }
    void result(const SignalResult&) noexcept override {}
    std::vector<OrderCommand> sent;
};

struct Stream {
    std::uint64_t state = 20'260'101;
    std::uint64_t below(std::uint64_t n) {
        state += 0x9E3779B97F4A7C15ULL;
        return mix64(state) % n;
    }
};

AdminRecord definition(std::uint64_t n) {
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

Report session(std::uint64_t n) {
    Report r;
    r.account = AccountId{static_cast<std::uint32_t>(n % kAccounts)};
    r.type = n < kAccounts ? ReportType::SessionUp : ReportType::SyncDone;
    r.journal_id = 1;
    return r;
}

Signal signal(Stream& random, std::uint64_t n, Nanos now) {
    Signal s;
    s.id = {1, n};
    s.source = SourceId{0};
    s.group = GroupId{0};
    s.symbol = SymbolId{static_cast<std::uint32_t>(n % 2)};
    s.action = n < 10 || random.below(3) != 0 ? SignalAction::Open : SignalAction::Close;
    s.side = random.below(2) == 0 ? Side::Buy : Side::Sell;
    s.volume = Lots{static_cast<std::int64_t>(1 + random.below(40)) * kScale / 100};
    if (s.action == SignalAction::Close) {
        s.target = {1, n - 2 * (1 + random.below(4))};
        s.volume = random.below(2) == 0 ? Lots{} : s.volume;
    } else if (random.below(4) == 0) {
        s.price_kind = PriceKind::Limit;
        s.price = Price{kScale};
    }
    s.send_time = now;
    return s;
}

Report answer(Stream& random, const OrderCommand& c, std::uint64_t n) {
    static constexpr std::uint32_t kCodes[] = {10009, 10009, 10009, 10009, 10008, 10010, 10004,
                                               10012, 10006, 10024, 10018, 10036, 77};
    Report r;
    r.account = c.account;
    r.type = c.type == CommandType::Query ? ReportType::QueryUnknown : ReportType::Outcome;
    if (c.type == CommandType::Query && random.below(2) == 0) {
        r.type = random.below(2) == 0 ? ReportType::QueryAbsent : ReportType::QueryFound;
        r.ord_status = static_cast<std::uint8_t>(OrdStatus::Filled);
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

}  // namespace

int main() {
    Engine engine{kCapacity};
    Collector out;
    Stream random;
    Nanos now = seconds(1'700'000'000);
    std::uint64_t signals = 0;
    std::uint64_t state_hashes = 0;
    for (std::uint64_t n = 0; n < kRecords; ++n) {
        now = now + millis(static_cast<std::int64_t>(random.below(200)));
        JournalRecord r;
        r.seq = Sequence{n + 1};
        r.time = now;
        r.budget = 8;
        r.bid = Price{kScale + static_cast<std::int64_t>(random.below(1000))};
        r.ask = Price{r.bid.value + 100};
        r.tick_time = now;
        constexpr std::uint64_t kDefinitions = 3 + 2 * kAccounts;
        if (n < kDefinitions) {
            r.set_body(InputType::Admin, definition(n));
        } else if (n < kDefinitions + 2 * kAccounts) {
            r.set_body(InputType::Report, session(n - kDefinitions));
        } else if (engine.owes_results()) {
            r.set_body(InputType::Deliver, DeliverInput{SourceId{0}, 4});
        } else if (engine.next_deadline() <= now) {
            r.set_body(InputType::Timer, TimerInput{});
        } else if (engine.has_work()) {
            r.type = InputType::Continue;
        } else if (!out.sent.empty() && random.below(5) != 0) {
            const std::uint64_t at = random.below(out.sent.size());
            r.set_body(InputType::Report, answer(random, out.sent[at], n));
            out.sent.erase(out.sent.begin() + static_cast<std::ptrdiff_t>(at));
        } else {
            r.set_body(InputType::Signal, signal(random, ++signals, now));
        }
        engine.apply(r, out);
        if (n % 10'000 == 0) {
            state_hashes = mix64(state_hashes ^ engine.state_hash());
        }
    }
    std::printf("records %llu orders %llu filled %llu state %016llx outputs %016llx way %016llx\n",
                static_cast<unsigned long long>(kRecords),
                static_cast<unsigned long long>(engine.globals().orders_sent),
                static_cast<unsigned long long>(engine.globals().orders_filled),
                static_cast<unsigned long long>(engine.state_hash()),
                static_cast<unsigned long long>(engine.output_hash()),
                static_cast<unsigned long long>(state_hashes));
    return 0;
}
