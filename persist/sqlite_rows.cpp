#include "persist/sqlite_rows.h"

#include <array>
#include <string_view>
#include <type_traits>

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

// ---- and back: columns in the order in which put() binds them -----------------------------------

/// Reads one row's fields in the order of its table's columns, and sees whether they are what
/// RowBinder binds.
class RowReader {
public:
    explicit RowReader(const SqliteStatement& statement) noexcept : s_{statement} {}

    template <class T>
        requires(std::is_integral_v<T> || std::is_enum_v<T>)
    RowReader& operator>>(T& value) noexcept {
        must_be(SqliteType::Integer);
        const std::int64_t found = s_.column(at_++);
        value = static_cast<T>(found);
        must(static_cast<std::int64_t>(value) == found);
        return *this;
    }
    template <class Rep, class Tag>
    RowReader& operator>>(Tagged<Rep, Tag>& value) noexcept {
        return *this >> value.value;
    }
    template <std::size_t N>
    RowReader& operator>>(Text<N>& text) noexcept {
        must_be(SqliteType::Text);
        const std::string found = s_.column_text(at_++);
        found.copy(text.bytes, N);
        must(found.size() <= N && found.find('\0') == std::string::npos);
        return *this;
    }
    RowReader& operator>>(SignalId& id) noexcept {
        if (s_.column_type(at_) == SqliteType::Null) {
            id = {};
            ++at_;
            return *this;
        }
        key(id);
        must(!id.is_none());
        return *this;
    }
    RowReader& key(SignalId& id) noexcept {
        must_be(SqliteType::Blob);
        const auto bytes = s_.column_blob(at_++);
        must(bytes.size() == 16);
        id = {};
        for (std::size_t i = 0; i < 16 && bytes.size() == 16; ++i) {
            std::uint64_t& half = i < 8 ? id.hi : id.lo;
            half = half << 8U | static_cast<std::uint64_t>(bytes[i]);
        }
        return *this;
    }
    RowReader& id(std::uint32_t& value) noexcept {
        if (s_.column_type(at_) == SqliteType::Null) {
            value = kNoId;
            ++at_;
            return *this;
        }
        *this >> value;
        must(value != kNoId);
        return *this;
    }
    void must(bool sound) noexcept { as_put_ = as_put_ && sound; }
    [[nodiscard]] bool as_put() const noexcept { return as_put_; }

private:
    void must_be(SqliteType type) noexcept { must(s_.column_type(at_) == type); }

    const SqliteStatement& s_;
    int at_ = 0;
    bool as_put_ = true;
};

void get(RowReader& b, DefinitionRow& r) noexcept {
    Text<1> kind;
    b >> kind >> r.id >> r.name >> r.state;
    r.kind = kind.bytes[0];
}
void get(RowReader& b, SignalRow& r) noexcept {
    b.key(r.id) >> r.target;
    b.id(r.source.value).id(r.group.value).id(r.symbol.value);
    b >> r.action >> r.side >> r.price_kind >> r.done >> r.reason >> r.accounts >> r.filled >>
        r.rejected >> r.volume >> r.price >> r.stop_loss >> r.take_profit >> r.send_time >>
        r.accepted_time;
}
void get(RowReader& b, OrderRow& r) noexcept {
    std::uint64_t intent = 0;
    b >> intent >> r.magic >> r.signal;
    b.must(intent == r.magic.intent());
    b.id(r.account.value).id(r.symbol.value);
    b >> r.type >> r.side >> r.price_kind >> r.status >> r.reason >> r.attempts >> r.retcode >>
        r.volume >> r.cum_volume >> r.price >> r.avg_price >> r.stop_loss >> r.take_profit >>
        r.order_ticket >> r.position_id >> r.created >> r.deadline;
}
void get(RowReader& b, ExecutionRow& r) noexcept {
    b >> r.deal_ticket >> r.magic;
    b.id(r.account.value).id(r.symbol.value);
    b >> r.side >> r.exec_kind >> r.entry >> r.volume >> r.price >> r.order_ticket >>
        r.position_id >> r.broker_time;
}
void get(RowReader& b, PositionRow& r) noexcept {
    b >> r.account >> r.position_id >> r.magic;
    b.id(r.symbol.value) >> r.signal >> r.side >> r.volume >> r.open_price >> r.stop_loss >>
        r.take_profit;
}
void get(RowReader& b, AccountRow& r) noexcept {
    b >> r.account >> r.state >> r.link >> r.permissions >> r.equity >> r.balance >>
        r.live_orders >> r.open_positions;
}
void get(RowReader& b, AlertRow& r) noexcept {
    b >> r.code;
    b.id(r.account.value) >> r.magic >> r.signal >> r.detail;
}

// ---- keys: in the order of their table's
// ---------------------------------------------------------

/// Calls `f(part)` for each part of the key of the row that `e` writes.
template <class F>
void each_key(const Effect& e, F f) {
    switch (e.kind) {
        case EffectKind::Definition: {
            const auto r = e.as<DefinitionRow>();
            f(Text<1>{{r.kind}});
            f(r.id);
            break;
        }
        case EffectKind::Signal: f(e.as<SignalRow>().id); break;
        case EffectKind::Order: f(e.as<OrderRow>().magic.intent()); break;
        case EffectKind::Position: {
            const auto r = e.as<PositionRow>();
            f(r.account.value);
            f(r.magic.value);
            f(r.position_id);
            break;
        }
        case EffectKind::Account: f(e.as<AccountRow>().account.value); break;
        default:
            f(e.seq.value);
            f(e.k);
            break;
    }
}

std::string where_key(EffectKind kind) {
    std::string where;
    each_column(table_of(kind).keys, [&](std::string_view column) {
        where += (where.empty() ? " WHERE " : " AND ") + std::string{column} + " = ?";
    });
    return where;
}

std::string key_text(const Text<1>& kind) {
    return {kind.bytes, 1};
}
std::string key_text(const SignalId& id) {
    return std::to_string(id.hi) + "." + std::to_string(id.lo);
}
std::string key_text(std::uint64_t number) {
    return std::to_string(number);
}

std::string insert_or_update(const Table& table, const std::string& unless_newer) {
    const std::string name{table.name};
    const std::string columns = std::string{table.columns} + ",seq,k,time_ns";
    std::string marks;
    std::string sets;
    each_column(columns, [&](std::string_view column) {
        marks += marks.empty() ? "?" : ",?";
        sets +=
            (sets.empty() ? "" : ",") + std::string{column} + "=excluded." + std::string{column};
    });
    return "INSERT INTO " + name + "(" + columns + ") VALUES(" + marks + ") ON CONFLICT(" +
           std::string{table.keys} + ") DO UPDATE SET " + sets + " WHERE " + unless_newer;
}

template <class Row>
StoredRow read(const SqliteStatement& statement, EffectKind kind) noexcept {
    Row row;
    RowReader b{statement};
    get(b, row);
    StoredRow stored{Effect::make(kind, row)};
    b >> stored.effect.seq >> stored.effect.k >> stored.effect.time;
    stored.as_put = b.as_put();
    return stored;
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
    // Only a later effect may change a row: what was applied once is never applied again.
    return insert_or_update(table,
                            "(excluded.seq, excluded.k) > (" + name + ".seq, " + name + ".k)");
}

std::string sqlite_put_back(EffectKind kind, Sequence upto, Sequence now) {
    const Table table = table_of(kind);
    return insert_or_update(table, std::string{table.name} + ".seq NOT BETWEEN " +
                                       std::to_string(upto.value + 1) + " AND " +
                                       std::to_string(now.value));
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

std::string sqlite_select(EffectKind kind, bool of_range) {
    const Table table = table_of(kind);
    return "SELECT " + std::string{table.columns} + ",seq,k,time_ns FROM " +
           std::string{table.name} + (of_range ? " WHERE seq BETWEEN ? AND ?" : "");
}

std::string sqlite_select_row(EffectKind kind) {
    return sqlite_select(kind, false) + where_key(kind);
}

std::string sqlite_delete_row(EffectKind kind) {
    return "DELETE FROM " + std::string{table_of(kind).name} + where_key(kind) +
           " AND seq = ? AND k = ?";
}

void sqlite_bind_key(SqliteStatement& select_row, const Effect& effect) noexcept {
    RowBinder b{select_row};
    each_key(effect, [&](const auto& part) {
        if constexpr (std::is_same_v<decltype(part), const SignalId&>) {
            b.key(part);
        } else {
            b << part;
        }
    });
}

std::string sqlite_key(const Effect& effect) {
    std::string key{table_of(effect.kind).name};
    each_key(effect, [&](const auto& part) { key += " " + key_text(part); });
    return key;
}

std::string_view sqlite_table(EffectKind kind) noexcept {
    return table_of(kind).name;
}

StoredRow sqlite_get(const SqliteStatement& row, EffectKind kind) noexcept {
    switch (kind) {
        case EffectKind::Definition: return read<DefinitionRow>(row, kind);
        case EffectKind::Signal: return read<SignalRow>(row, kind);
        case EffectKind::Order: return read<OrderRow>(row, kind);
        case EffectKind::Execution: return read<ExecutionRow>(row, kind);
        case EffectKind::Position: return read<PositionRow>(row, kind);
        case EffectKind::Account: return read<AccountRow>(row, kind);
        case EffectKind::Alert: return read<AlertRow>(row, kind);
    }
    return {};
}

}  // namespace millrace
