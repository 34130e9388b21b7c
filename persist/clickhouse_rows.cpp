#include "persist/clickhouse_rows.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <string_view>
#include <type_traits>

#include "persist/clickhouse_row.h"

namespace millrace {
namespace {

using clickhouse::bit;
using clickhouse::each_column;
using clickhouse::Row;

template <class T>
constexpr const char* type_of() noexcept {
    if constexpr (std::is_same_v<T, std::uint8_t>) {
        return "UInt8";
    } else if constexpr (std::is_same_v<T, std::uint16_t>) {
        return "UInt16";
    } else if constexpr (std::is_same_v<T, std::uint32_t>) {
        return "UInt32";
    } else if constexpr (std::is_same_v<T, std::uint64_t>) {
        return "UInt64";
    } else if constexpr (std::is_same_v<T, std::int64_t>) {
        return "Int64";
    } else if constexpr (std::is_same_v<T, SignalId>) {
        return "UUID";
    } else {
        static_assert(std::is_same_v<T, std::string_view>);
        return "String";
    }
}

// ---- an effect's fields ------------------------------------------------------------------------

template <std::size_t N>
std::string_view view(const Text<N>& text) noexcept {
    std::size_t n = 0;
    while (n < N && text.bytes[n] != '\0') {
        ++n;
    }
    return {text.bytes, n};
}

template <class E>
constexpr std::uint8_t byte(E value) noexcept {
    return static_cast<std::uint8_t>(value);
}

void fill(Row& r, const DefinitionRow& d) noexcept {
    r.def_kind = {&d.kind, 1};
    r.def_id = d.id;
    r.def_state = d.state;
    r.name = view(d.name);
}
void fill(Row& r, const SignalRow& s) noexcept {
    r.signal = s.id;
    r.target = s.target;
    r.source = s.source.value;
    r.grp = s.group.value;
    r.symbol = s.symbol.value;
    r.type = byte(s.action);
    r.side = byte(s.side);
    r.price_kind = byte(s.price_kind);
    r.done = s.done;
    r.reason = s.reason;
    r.accounts = s.accounts;
    r.filled = s.filled;
    r.rejected = s.rejected;
    r.volume = s.volume.value;
    r.price = s.price.value;
    r.stop_loss = s.stop_loss.value;
    r.take_profit = s.take_profit.value;
    r.send_ns = s.send_time.value;
    r.accepted_ns = s.accepted_time.value;
}
void fill(Row& r, const OrderRow& o) noexcept {
    r.intent = o.magic.intent();
    r.magic = o.magic.value;
    r.signal = o.signal;
    r.account = o.account.value;
    r.symbol = o.symbol.value;
    r.type = o.type;
    r.side = byte(o.side);
    r.price_kind = byte(o.price_kind);
    r.status = byte(o.status);
    r.reason = o.reason;
    r.attempts = o.attempts;
    r.retcode = o.retcode;
    r.volume = o.volume.value;
    r.cum_volume = o.cum_volume.value;
    r.price = o.price.value;
    r.avg_price = o.avg_price.value;
    r.stop_loss = o.stop_loss.value;
    r.take_profit = o.take_profit.value;
    r.order_ticket = o.order_ticket;
    r.position_id = o.position_id;
    r.created_ns = o.created.value;
    r.deadline_ns = o.deadline.value;
}
void fill(Row& r, const ExecutionRow& e) noexcept {
    r.deal_ticket = e.deal_ticket;
    r.magic = e.magic.value;
    r.account = e.account.value;
    r.symbol = e.symbol.value;
    r.side = byte(e.side);
    r.exec_kind = e.exec_kind;
    r.entry = e.entry;
    r.volume = e.volume.value;
    r.price = e.price.value;
    r.order_ticket = e.order_ticket;
    r.position_id = e.position_id;
    r.broker_ns = e.broker_time.value;
}
void fill(Row& r, const PositionRow& p) noexcept {
    r.account = p.account.value;
    r.symbol = p.symbol.value;
    r.position_id = p.position_id;
    r.magic = p.magic.value;
    r.signal = p.signal;
    r.side = byte(p.side);
    r.volume = p.volume.value;
    r.price = p.open_price.value;
    r.stop_loss = p.stop_loss.value;
    r.take_profit = p.take_profit.value;
}
void fill(Row& r, const AccountRow& a) noexcept {
    r.account = a.account.value;
    r.state = byte(a.state);
    r.link = byte(a.link);
    r.permissions = a.permissions;
    r.equity = a.equity.value;
    r.balance = a.balance.value;
    r.live_orders = a.live_orders;
    r.open_positions = a.open_positions;
}
void fill(Row& r, const AlertRow& a) noexcept {
    r.code = static_cast<std::uint32_t>(a.code);
    r.account = a.account.value;
    r.magic = a.magic.value;
    r.signal = a.signal;
    r.detail = a.detail;
}

/// Calls `use` with the effect as a row. Texts in it live as long as the call.
template <class Use>
void with_row(const Effect& e, Use use) {
    Row r;
    r.kind = byte(e.kind);
    r.seq = e.seq.value;
    r.k = e.k;
    r.time_ns = e.time.value;
    const auto as = [&]<class Body>(const Body& body) {
        fill(r, body);
        use(r);
    };
    switch (e.kind) {
        case EffectKind::Definition: return as(e.as<DefinitionRow>());
        case EffectKind::Signal: return as(e.as<SignalRow>());
        case EffectKind::Order: return as(e.as<OrderRow>());
        case EffectKind::Execution: return as(e.as<ExecutionRow>());
        case EffectKind::Position: return as(e.as<PositionRow>());
        case EffectKind::Account: return as(e.as<AccountRow>());
        case EffectKind::Alert: return as(e.as<AlertRow>());
    }
    use(r);  // of a kind that this build does not know: seq, k and time alone
}

// ---- bytes -------------------------------------------------------------------------------------

constexpr std::size_t kTextBytesMax = 127;  // its length is one byte of LEB128

/// The longest that a row can be: RowBinary has no padding.
constexpr std::size_t kRowBytesMax = [] {
    std::size_t bytes = 0;
    const Row row;
    each_column(row, [&]<class T>(const char*, const T&, unsigned) {
        bytes += std::is_same_v<T, std::string_view> ? 1 + kTextBytesMax : sizeof(T);
    });
    return bytes;
}();

/// @return behind what was written.
std::byte* put(std::byte* to, const void* data, std::size_t bytes) noexcept {
    return std::copy_n(static_cast<const std::byte*>(data), bytes, to);
}

/// RowBinary is little-endian, as every machine is that this runs on (core/types.h asserts it not;
/// x86-64 and AArch64 Linux are).
template <class T>
std::byte* put_value(std::byte* to, const T& value) noexcept {
    if constexpr (std::is_same_v<T, SignalId>) {
        return put(put(to, &value.hi, 8), &value.lo, 8);
    } else if constexpr (std::is_same_v<T, std::string_view>) {
        ASSERT(value.size() <= kTextBytesMax);
        *to++ = static_cast<std::byte>(value.size());
        return put(to, value.data(), value.size());
    } else {
        return put(to, &value, sizeof value);
    }
}

/// By way of one buffer: growing `out` for each of some fifty columns cost half of an INSERT's own
/// work.
void put_row(std::vector<std::byte>& out, const Row& row) {
    std::array<std::byte, kRowBytesMax> bytes;
    std::byte* end = bytes.data();
    each_column(row,
                [&](const char*, const auto& value, unsigned) { end = put_value(end, value); });
    out.insert(out.end(), bytes.data(), end);
}

// ---- text that rows are compared by ------------------------------------------------------------

constexpr std::string_view kNotCompared = "history";

class HashText {
public:
    void add(const SignalId& id) noexcept {
        const int n = std::snprintf(
            room(), kRoom, "%08x-%04x-%04x-%04x-%012llx", static_cast<unsigned>(id.hi >> 32U),
            static_cast<unsigned>((id.hi >> 16U) & 0xFFFFU), static_cast<unsigned>(id.hi & 0xFFFFU),
            static_cast<unsigned>(id.lo >> 48U),
            static_cast<unsigned long long>(id.lo & 0xFFFF'FFFF'FFFFULL));
        used_ += static_cast<std::size_t>(n);
        end();
    }
    void add(std::string_view text) noexcept {
        ASSERT(text.size() < kRoom);
        text.copy(room(), text.size());
        used_ += text.size();
        end();
    }
    template <class T>
        requires std::is_integral_v<T>
    void add(T value) noexcept {
        const auto done = std::to_chars(room(), room() + kRoom, value);
        used_ = static_cast<std::size_t>(done.ptr - buffer_.data());
        end();
    }
    [[nodiscard]] std::uint64_t hash() const noexcept {
        static constexpr std::array<unsigned char, crypto_shorthash_KEYBYTES> kKey{};
        std::uint64_t value = 0;
        static_assert(sizeof value == crypto_shorthash_BYTES);
        crypto_shorthash(reinterpret_cast<unsigned char*>(&value),
                         reinterpret_cast<const unsigned char*>(buffer_.data()), used_,
                         kKey.data());
        return value;
    }

private:
    static constexpr std::size_t kRoom = 64;  // for one value and its end
    char* room() noexcept {
        ASSERT(used_ + kRoom < buffer_.size());
        return buffer_.data() + used_;
    }
    void end() noexcept { buffer_[used_++] = '|'; }

    std::array<char, 2048> buffer_{};
    std::size_t used_ = 0;
};

}  // namespace

const std::vector<ClickHouseColumn>& clickhouse_columns() {
    static const std::vector<ClickHouseColumn> all = [] {
        std::vector<ClickHouseColumn> made;
        const Row row;
        each_column(row, [&]<class T>(const char* name, const T&, unsigned kinds) {
            made.push_back({name, type_of<T>(), kinds});
        });
        return made;
    }();
    return all;
}

bool clickhouse_uses(const ClickHouseColumn& column, EffectKind kind) noexcept {
    return column.kinds == 0 || (column.kinds & bit(kind)) != 0;
}

std::string clickhouse_column_list() {
    std::string list;
    for (const ClickHouseColumn& c : clickhouse_columns()) {
        list += (list.empty() ? "" : ", ") + c.name;
    }
    return list;
}

const char* clickhouse_key(EffectKind kind) noexcept {
    switch (kind) {
        case EffectKind::Definition: return "def_kind, def_id";
        case EffectKind::Signal: return "signal";
        case EffectKind::Order: return "intent";
        case EffectKind::Position: return "account, magic, position_id";
        case EffectKind::Account: return "account";
        case EffectKind::Execution:
        case EffectKind::Alert: break;
    }
    return "seq, k";  // never changed once written
}

void clickhouse_put(std::vector<std::byte>& out, ClickHouseHistory history, const Effect& effect) {
    with_row(effect, [&](Row& row) {
        row.history = history;
        put_row(out, row);
    });
}

void clickhouse_put_mark(std::vector<std::byte>& out, ClickHouseHistory history,
                         const EffectCursor& cursor, Nanos time, const ClickHouseFacts& facts) {
    Row row;
    row.history = history;
    row.kind = kClickHouseMark;
    row.seq = cursor.seq.value;
    row.k = cursor.k;
    row.time_ns = time.value;
    row.epoch = cursor.epoch;
    row.chain = cursor.chain;
    row.instance = facts.instance;
    row.whole = facts.whole ? 1 : 0;
    put_row(out, row);
}

std::uint64_t clickhouse_hash(const Effect& effect) noexcept {
    HashText text;
    with_row(effect, [&](const Row& row) {
        each_column(row, [&](std::string_view name, const auto& value, unsigned kinds) {
            if (name != kNotCompared && (kinds == 0 || (kinds & bit(effect.kind)) != 0)) {
                text.add(value);
            }
        });
    });
    return text.hash();
}

std::string clickhouse_hash_sql(EffectKind kind) {
    std::string parts;
    for (const ClickHouseColumn& c : clickhouse_columns()) {
        if (c.name != kNotCompared && clickhouse_uses(c, kind)) {
            parts += (parts.empty() ? "" : ", ") +
                     (c.type == "String" ? c.name : "toString(" + c.name + ")") + ", '|'";
        }
    }
    return "sipHash64(concat(" + parts + "))";
}

}  // namespace millrace
