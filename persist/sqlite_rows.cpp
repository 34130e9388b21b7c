#include "persist/sqlite_rows.h"

#include <array>
#include <string_view>

namespace millrace {
namespace {

struct Table {
    std::string_view name;
    std::string_view keys;
    std::string_view columns;  // in the order of put() below; seq, k, time_ns follow
};

constexpr Table table_of(EffectKind kind) noexcept {
    switch (kind) {
        case EffectKind::Definition: return {"definitions", "kind,id", "kind,id,name,state"};
        case EffectKind::Signal:
            return {"signals", "id",
                    "id,target,source,grp,symbol,action,side,price_kind,done,reason,accounts,"
                    "filled,rejected,volume,price,stop_loss,take_profit,send_ns,accepted_ns"};
        case EffectKind::Order:
            return {"orders", "intent",
                    "intent,magic,signal,account,symbol,type,side,price_kind,status,reason,"
                    "attempts,retcode,volume,cum_volume,price,avg_price,stop_loss,take_profit,"
                    "order_ticket,position_id,created_ns,deadline_ns"};
        case EffectKind::Execution:
            return {"executions", "seq,k",
                    "deal_ticket,magic,account,symbol,side,exec_kind,entry,volume,price,"
                    "order_ticket,position_id,broker_ns"};
        case EffectKind::Position:
            return {"positions", "account,magic,position_id",
                    "account,position_id,magic,symbol,signal,side,volume,open_price,stop_loss,"
                    "take_profit"};
        case EffectKind::Account:
            return {"accounts", "account",
                    "account,state,link,permissions,equity,balance,live_orders,open_positions"};
        case EffectKind::Alert: return {"alerts", "seq,k", "code,account,magic,signal,detail"};
    }
    return {};
}

/// Calls `f(column)` for each name of a comma-separated list.
template <class F>
void each_column(std::string_view list, F f) {
    while (!list.empty()) {
        const std::size_t comma = list.find(',');
        f(list.substr(0, comma));
        list = comma == std::string_view::npos ? "" : list.substr(comma + 1);
    }
}

/// Binds one row's fields in the order of its table's columns.
class RowBinder {
public:
    explicit RowBinder(SqliteStatement& statement) noexcept : s_{statement} {}

    template <class T>
        requires(std::is_integral_v<T> || std::is_enum_v<T>)
    RowBinder& operator<<(T value) noexcept {
        s_.bind(static_cast<std::int64_t>(value));
        return *this;
    }
    template <class Rep, class Tag>
    RowBinder& operator<<(const Tagged<Rep, Tag>& value) noexcept {
        return *this << value.value;
    }
    template <std::size_t N>
    RowBinder& operator<<(const Text<N>& text) noexcept {
        std::size_t n = 0;
        while (n < N && text.bytes[n] != '\0') {
            ++n;
        }
        s_.bind_text({text.bytes, n});
        return *this;
    }
    RowBinder& operator<<(const SignalId& id) noexcept {
        if (id.is_none()) {
            s_.bind_null();
            return *this;
        }
        return key(id);
    }
    /// An id that is a key: never NULL, not even for a refused signal that came without one.
    RowBinder& key(const SignalId& id) noexcept {
        // Big-endian, as a UUID is written.
        std::array<std::byte, 16> bytes{};
        for (unsigned i = 0; i < 8; ++i) {
            bytes[i] = static_cast<std::byte>(id.hi >> (56 - 8 * i));
            bytes[8 + i] = static_cast<std::byte>(id.lo >> (56 - 8 * i));
        }
        s_.bind_blob(bytes);
        return *this;
    }
    /// A dense id; NULL if there is none.
    RowBinder& id(std::uint32_t value) noexcept {
        if (value == kNoId) {
            s_.bind_null();
            return *this;
        }
        return *this << value;
    }

private:
    SqliteStatement& s_;
};

void put(RowBinder& b, const DefinitionRow& r) noexcept {
    b << Text<1>{{r.kind}} << r.id << r.name << r.state;
}
void put(RowBinder& b, const SignalRow& r) noexcept {
    b.key(r.id) << r.target;
    b.id(r.source.value).id(r.group.value).id(r.symbol.value);
    b << r.action << r.side << r.price_kind << r.done << r.reason << r.accounts << r.filled
      << r.rejected << r.volume << r.price << r.stop_loss << r.take_profit << r.send_time
      << r.accepted_time;
}
void put(RowBinder& b, const OrderRow& r) noexcept {
    b << r.magic.intent() << r.magic << r.signal;
    b.id(r.account.value).id(r.symbol.value);
    b << r.type << r.side << r.price_kind << r.status << r.reason << r.attempts << r.retcode
      << r.volume << r.cum_volume << r.price << r.avg_price << r.stop_loss << r.take_profit
      << r.order_ticket << r.position_id << r.created << r.deadline;
}
void put(RowBinder& b, const ExecutionRow& r) noexcept {
    b << r.deal_ticket << r.magic;
    b.id(r.account.value).id(r.symbol.value);
    b << r.side << r.exec_kind << r.entry << r.volume << r.price << r.order_ticket << r.position_id
      << r.broker_time;
}
void put(RowBinder& b, const PositionRow& r) noexcept {
    b << r.account << r.position_id << r.magic;
    b.id(r.symbol.value) << r.signal << r.side << r.volume << r.open_price << r.stop_loss
                         << r.take_profit;
}
void put(RowBinder& b, const AccountRow& r) noexcept {
    b << r.account << r.state << r.link << r.permissions << r.equity << r.balance << r.live_orders
      << r.open_positions;
}
void put(RowBinder& b, const AlertRow& r) noexcept {
    b << r.code;
    b.id(r.account.value) << r.magic << r.signal << r.detail;
}

template <class Row>
Status run(SqliteStatement& statement, const Effect& effect) noexcept {
    RowBinder b{statement};
    put(b, effect.as<Row>());
    b << effect.seq << effect.k << effect.time;
    return statement.run();
}

}  // namespace

std::string sqlite_upsert(EffectKind kind) {
    const Table table = table_of(kind);
    if (table.name.empty()) {
        return {};
    }
    const std::string name{table.name};
    const std::string columns = std::string{table.columns} + ",seq,k,time_ns";
    std::string marks;
    std::string sets;
    each_column(columns, [&](std::string_view column) {
        marks += marks.empty() ? "?" : ",?";
        sets +=
            (sets.empty() ? "" : ",") + std::string{column} + "=excluded." + std::string{column};
    });
    // Only a later effect may change a row: what was applied once is never applied again.
    return "INSERT INTO " + name + "(" + columns + ") VALUES(" + marks + ") ON CONFLICT(" +
           std::string{table.keys} + ") DO UPDATE SET " + sets +
           " WHERE (excluded.seq, excluded.k) > (" + name + ".seq, " + name + ".k)";
}

Status sqlite_put(SqliteStatement& upsert, const Effect& effect) noexcept {
    switch (effect.kind) {
        case EffectKind::Definition: return run<DefinitionRow>(upsert, effect);
        case EffectKind::Signal: return run<SignalRow>(upsert, effect);
        case EffectKind::Order: return run<OrderRow>(upsert, effect);
        case EffectKind::Execution: return run<ExecutionRow>(upsert, effect);
        case EffectKind::Position: return run<PositionRow>(upsert, effect);
        case EffectKind::Account: return run<AccountRow>(upsert, effect);
        case EffectKind::Alert: return run<AlertRow>(upsert, effect);
    }
    return {Errc::BadInput, "effect of a kind that this build does not know"};
}

}  // namespace millrace
