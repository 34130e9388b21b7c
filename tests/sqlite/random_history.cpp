#include "tests/sqlite/random_history.h"

#include <algorithm>
#include <cstring>
#include <random>

#include "core/order_command.h"

namespace millrace::sqlite_test {
namespace {

constexpr std::uint64_t kSignals = 60;
constexpr std::uint32_t kAccounts = 4;
constexpr OrdStatus kStatuses[] = {
    OrdStatus::Held,   OrdStatus::PendingNew, OrdStatus::New,      OrdStatus::PartiallyFilled,
    OrdStatus::Filled, OrdStatus::Canceled,   OrdStatus::Rejected, OrdStatus::Expired,
    OrdStatus::InDoubt};

class Maker {
public:
    Maker(std::uint64_t seed, Nanos now) : random_{seed}, now_{now} {}

    std::vector<Effect> make() {
        names();
        for (std::uint64_t n = 0; n < kSignals; ++n) {
            const bool acts = n > 0 && any(3) == 0;
            // Few targets: several closes share one.
            const std::uint64_t target = acts ? any(std::min<std::uint64_t>(n, 6)) : 0;
            const auto action = acts && actions_[target] == 1 ? 2 + any(3) : 1;
            actions_.push_back(action);
            signal(n, static_cast<SignalAction>(action), target);
            for (std::uint32_t a = 0; a < kAccounts; ++a) {
                order(n, a, static_cast<std::uint8_t>(action));
            }
        }
        AccountRow account{
            AccountId{1}, AccountState::ReduceOnly, LinkState::Up, 1, 0, {}, {}, 3, 4};
        account.equity = Money{-123'456'789};
        account.balance = Money{kScale * 1'000'000};
        add(EffectKind::Account, account);
        return std::move(all_);
    }

private:
    std::uint64_t any(std::uint64_t below) { return random_() % below; }
    Lots lots() { return Lots{static_cast<std::int64_t>(1 + any(1'000'000'000))}; }
    Price price() { return Price{static_cast<std::int64_t>(any(10'000'000'000'000))}; }
    static SignalId id_of(std::uint64_t n) { return {0xFEDC'BA98'0000'0000ULL + n, n * 7 + 1}; }

    template <class Row>
    void add(EffectKind kind, const Row& row) {
        Effect e = Effect::make(kind, row);
        e.seq = Sequence{all_.size() + 1};
        e.k = 1;
        e.time = now_ - seconds(3'600) + millis(static_cast<std::int64_t>(all_.size()));
        all_.push_back(e);
    }

    void names() {
        for (const char kind : {'S', 'G', 'A', 'O'}) {
            for (std::uint32_t id = 0; id < kAccounts; ++id) {
                const std::string name = std::string{kind} + " name" + std::to_string(id);
                DefinitionRow row{kind, static_cast<std::uint8_t>(id % 3), {}, id, {}};
                name.copy(row.name.bytes, sizeof row.name.bytes);
                add(EffectKind::Definition, row);
            }
        }
    }

    void signal(std::uint64_t n, SignalAction action, std::uint64_t target) {
        SignalRow r;
        r.id = id_of(n);
        r.target = action == SignalAction::Open ? SignalId{} : id_of(target);
        r.source = SourceId{static_cast<std::uint32_t>(any(4))};
        r.group = GroupId{static_cast<std::uint32_t>(any(4))};
        r.symbol = SymbolId{static_cast<std::uint32_t>(any(4))};
        r.action = action;
        r.side = static_cast<Side>(any(2));
        r.price_kind = static_cast<PriceKind>(any(3));
        r.done = static_cast<std::uint8_t>(any(2));
        r.accounts = kAccounts;
        r.filled = static_cast<std::uint32_t>(r.done + any(4));  // what is done was filled
        r.rejected = static_cast<std::uint32_t>(any(5));
        r.volume = lots();
        r.price = price();
        r.stop_loss = price();
        r.take_profit = price();
        // The first ones are older than a ledger remembers.
        const std::int64_t days = n < 10 ? 9 : 0;
        r.accepted_time = now_ - seconds(3'600 + days * 86'400) + millis(static_cast<int>(n));
        r.send_time = any(2) == 0 ? Nanos{} : r.accepted_time - millis(1);
        add(EffectKind::Signal, r);
    }

    void order(std::uint64_t n, std::uint32_t account, std::uint8_t type) {
        const std::uint64_t intent = 1'000 + n * kAccounts + account;
        OrderRow r;
        r.magic = Magic::make(0x4D52, intent, static_cast<unsigned>(any(8)));
        r.signal = id_of(n);
        r.account = AccountId{account};
        r.symbol = SymbolId{static_cast<std::uint32_t>(any(4))};
        r.type = type;
        r.side = static_cast<Side>(any(2));
        r.price_kind = static_cast<PriceKind>(any(3));
        r.status = any(3) == 0 ? kStatuses[any(std::size(kStatuses))] : OrdStatus::Filled;
        r.reason = static_cast<std::uint16_t>(any(2) == 0 ? Reason::None : Reason::NoMoney);
        r.attempts = static_cast<std::uint16_t>(1 + any(5));
        r.retcode = static_cast<std::uint32_t>(any(11'000));
        r.volume = lots();
        r.cum_volume = any(4) == 0 ? Lots{} : r.volume;
        r.price = price();
        r.avg_price = price();
        r.stop_loss = price();
        r.take_profit = price();
        r.order_ticket = random_();
        r.position_id = random_();
        r.created = now_ - seconds(3'600) + millis(static_cast<int>(n));
        r.deadline = r.created + seconds(30);
        add(EffectKind::Order, r);
        if (r.type == 1 && r.cum_volume.value > 0) {
            position(r);
        }
    }

    void position(const OrderRow& order) {
        for (std::uint64_t deal = any(7); deal-- > 0;) {
            ExecutionRow x;
            x.deal_ticket = random_();
            x.magic = order.magic;
            x.account = order.account;
            x.entry = static_cast<std::uint8_t>(deal == 0 ? 0 : 1);
            x.volume = order.volume;
            x.price = price();
            add(EffectKind::Execution, x);
        }
        PositionRow p;
        p.account = order.account;
        p.symbol = order.symbol;
        p.position_id = random_();
        p.magic = order.magic;
        p.signal = order.signal;
        p.side = order.side;
        p.volume = any(2) == 0 ? Lots{} : lots();
        p.open_price = order.avg_price;
        p.stop_loss = price();
        p.take_profit = price();
        add(EffectKind::Position, p);
    }

    std::mt19937_64 random_;
    Nanos now_;
    std::vector<Effect> all_;
    std::vector<std::uint64_t> actions_;
};

/// Rows have no padding: their bytes are what they say.
template <class Row>
bool equal(const std::vector<Row>& a, const std::vector<Row>& b) {
    return a.size() == b.size() &&
           (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(Row)) == 0);
}

StoredState sorted(StoredState s) {
    std::sort(s.definitions.begin(), s.definitions.end(), [](const auto& a, const auto& b) {
        return std::pair{a.kind, a.id} < std::pair{b.kind, b.id};
    });
    std::sort(s.accounts.begin(), s.accounts.end(),
              [](const auto& a, const auto& b) { return a.account < b.account; });
    return s;
}

}  // namespace

std::vector<Effect> random_history(std::uint64_t seed, Nanos now) {
    return Maker{seed, now}.make();
}

EffectCursor end_of(const std::vector<Effect>& history) {
    return {3, history.back().seq, history.back().k, 0xC0FF'EE00'1234'5678ULL};
}

::testing::AssertionResult same_state(const StoredState& left, const StoredState& right) {
    const StoredState a = sorted(left);
    const StoredState b = sorted(right);
    const auto differ = [](const char* what) {
        return ::testing::AssertionFailure() << what << " differ";
    };
    if (!(a.cursor == b.cursor) || a.instance != b.instance || a.intent != b.intent) {
        return differ("cursor, instance or highest id");
    }
    if (a.latest != b.latest || a.kill_used != b.kill_used || a.signals_known != b.signals_known) {
        return differ("newest time, kill or number of signals");
    }
    if (!equal(a.definitions, b.definitions) || !equal(a.accounts, b.accounts)) {
        return differ("definitions or accounts");
    }
    if (!equal(a.signals, b.signals)) {
        return differ("signals");
    }
    for (std::size_t i = 0; i < std::min(a.orders.size(), b.orders.size()); ++i) {
        if (std::memcmp(&a.orders[i], &b.orders[i], sizeof(RestoredOrder)) != 0) {
            return ::testing::AssertionFailure()
                   << "order " << a.orders[i].row.magic.intent() << " differs from order "
                   << b.orders[i].row.magic.intent();
        }
    }
    if (a.orders.size() != b.orders.size() || a.gaps != b.gaps) {
        return differ("numbers of orders or gaps");
    }
    return ::testing::AssertionSuccess();
}

}  // namespace millrace::sqlite_test
