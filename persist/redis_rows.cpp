#include "persist/redis_rows.h"

#include <xxhash.h>

#include <charconv>
#include <cstring>

#include "core/assert.h"
#include "persist/redis_words.h"

namespace millrace {
namespace {

constexpr std::size_t kUuidBytes = 36;

/// @return bytes written, always kUuidBytes.
std::size_t put_uuid(char* at, const SignalId& id) noexcept {
    static constexpr char kHex[] = "0123456789abcdef";
    const char* const begin = at;
    for (unsigned i = 0; i < 32; ++i) {
        if (i == 8 || i == 12 || i == 16 || i == 20) {
            *at++ = '-';
        }
        const std::uint64_t half = i < 16 ? id.hi : id.lo;
        *at++ = kHex[(half >> (60 - 4 * (i % 16))) & 15U];
    }
    return static_cast<std::size_t>(at - begin);
}

template <std::size_t N>
std::string_view view(const Text<N>& text) noexcept {
    return {text.bytes, ::strnlen(text.bytes, N)};
}

/// Writes a key's parts with colons between them.
class KeyWriter {
public:
    explicit KeyWriter(RedisRow& row, std::string_view kind) noexcept : row_{row} {
        std::memcpy(row_.key_bytes.data(), kind.data(), kind.size());
        row_.key_size = kind.size();
    }
    KeyWriter& operator<<(std::string_view text) noexcept {
        row_.key_bytes[row_.key_size++] = ':';
        std::memcpy(row_.key_bytes.data() + row_.key_size, text.data(), text.size());
        row_.key_size += text.size();
        return *this;
    }
    KeyWriter& operator<<(const SignalId& id) noexcept {
        char text[kUuidBytes];
        return *this << std::string_view{text, put_uuid(text, id)};
    }
    KeyWriter& operator<<(std::uint64_t id) noexcept {
        char* const begin = row_.key_bytes.data();
        begin[row_.key_size++] = ':';
        const auto end =
            std::to_chars(begin + row_.key_size, begin + row_.key_bytes.size(), id).ptr;
        row_.key_size = static_cast<std::size_t>(end - begin);
        return *this;
    }

private:
    RedisRow& row_;
};

void put(RedisRow& row, const OrderRow& r) noexcept {
    KeyWriter{row, "RTS"} << r.account.value << r.magic.intent();
    // A position that it opened may stay open for months, and nobody would know whose it is, or
    // what share of it a close has taken.
    const auto type = static_cast<CommandType>(r.type);
    const bool traded =
        (type == CommandType::Open || type == CommandType::Close) && r.cum_volume.value > 0;
    row.stay = !is_final(r.status) ? RedisStay::Always
               : traded            ? RedisStay::Traded
                                   : RedisStay::Ended;
    RedisFields& f = row.fields;
    f.text("state", to_string(r.status));
    f.number("symbol", r.symbol.value);
    f.text("type", redis_word(static_cast<CommandType>(r.type)));
    f.text("side", redis_word(r.side));
    f.text("kind", redis_word(r.price_kind));
    f.decimal("volume", r.volume.value);
    f.decimal("filled", r.cum_volume.value);
    f.decimal("price", r.price.value);
    f.decimal("avg_price", r.avg_price.value);
    f.decimal("stop_loss", r.stop_loss.value);
    f.decimal("take_profit", r.take_profit.value);
    f.text("reason", redis_word(static_cast<Reason>(r.reason)));
    f.number("retcode", r.retcode);
    f.number("attempts", r.attempts);
    f.number("magic", r.magic.value);
    f.uuid("signal", r.signal);
    f.number("order", r.order_ticket);
    f.number("position", r.position_id);
    f.number("created_ns", static_cast<std::uint64_t>(r.created.value));
    f.number("deadline_ns", static_cast<std::uint64_t>(r.deadline.value));
}

void put(RedisRow& row, const PositionRow& r) noexcept {
    KeyWriter{row, "RTP"} << r.account.value << r.position_id << r.magic.intent();
    const bool closed = r.volume.value == 0;
    row.stay = closed ? RedisStay::Ended : RedisStay::Always;
    RedisFields& f = row.fields;
    f.text("state", closed ? "CLOSED" : "OPEN");
    f.number("symbol", r.symbol.value);
    f.text("side", redis_word(r.side));
    f.decimal("volume", r.volume.value);
    f.decimal("open_price", r.open_price.value);
    f.decimal("stop_loss", r.stop_loss.value);
    f.decimal("take_profit", r.take_profit.value);
    f.number("magic", r.magic.value);
    f.uuid("signal", r.signal);
}

void put(RedisRow& row, const AccountRow& r) noexcept {
    KeyWriter{row, "RIS"} << r.account.value;
    RedisFields& f = row.fields;
    f.text("state", to_string(r.state));
    f.text("link", to_string(r.link));
    f.number("permissions", r.permissions);
    f.decimal("equity", r.equity.value);
    f.decimal("balance", r.balance.value);
    f.number("live_orders", r.live_orders);
    f.number("open_positions", r.open_positions);
}

void put(RedisRow& row, const SignalRow& r) noexcept {
    KeyWriter{row, "SIG"} << r.id;
    row.stay = r.done != 0 && r.filled == 0 ? RedisStay::Signal : RedisStay::TradedSignal;
    row.since = r.accepted_time;
    RedisFields& f = row.fields;
    f.text("state", r.done != 0 ? "DONE" : "ACCEPTED");
    f.number("source", r.source.value);
    f.number("group", r.group.value);
    f.number("symbol", r.symbol.value);
    f.text("action", redis_word(r.action));
    f.text("side", redis_word(r.side));
    f.text("kind", redis_word(r.price_kind));
    f.uuid("target", r.target);
    f.decimal("volume", r.volume.value);
    f.decimal("price", r.price.value);
    f.decimal("stop_loss", r.stop_loss.value);
    f.decimal("take_profit", r.take_profit.value);
    f.number("orders", r.accounts);
    f.number("filled", r.filled);
    f.number("rejected", r.rejected);
    f.number("send_ns", static_cast<std::uint64_t>(r.send_time.value));
    f.number("accepted_ns", static_cast<std::uint64_t>(r.accepted_time.value));
}

void put(RedisRow& row, const ExecutionRow& r) noexcept {
    KeyWriter{row, "RTX"} << r.account.value << r.magic.intent() << r.deal_ticket;
    row.stay = RedisStay::Traded;
    RedisFields& f = row.fields;
    f.text("state", r.entry == 0 ? "IN" : "OUT");
    f.number("symbol", r.symbol.value);
    f.text("side", redis_word(r.side));
    f.number("exec", r.exec_kind);
    f.decimal("volume", r.volume.value);
    f.decimal("price", r.price.value);
    f.number("magic", r.magic.value);
    f.number("order", r.order_ticket);
    f.number("position", r.position_id);
    f.number("broker_ns", static_cast<std::uint64_t>(r.broker_time.value));
}

void put(RedisRow& row, const DefinitionRow& r) noexcept {
    KeyWriter{row, "DEF"} << std::string_view{&r.kind, 1} << r.id;
    row.fields.number("state", r.state);
    row.fields.text("name", view(r.name));
}

void result(RedisFields& f, const SignalRow& r) noexcept {
    const auto reason = static_cast<Reason>(r.reason);
    const bool refused = reason != Reason::None && r.accounts == 0;
    f.text("event", "signal");
    f.uuid("signal", r.id);
    f.text("state", reason == Reason::Expired ? "EXPIRED"
                    : refused                 ? "REFUSED"
                    : r.done != 0             ? "DONE"
                                              : "ACCEPTED");
    f.text("reason", redis_word(reason));
    f.number("source", r.source.value);
    f.number("orders", r.accounts);
    f.number("filled", r.filled);
    f.number("rejected", r.rejected);
}

void result(RedisFields& f, const OrderRow& r) noexcept {
    f.text("event", "order");
    f.uuid("signal", r.signal);
    f.text("state", to_string(r.status));
    f.text("reason", redis_word(static_cast<Reason>(r.reason)));
    f.number("account", r.account.value);
    f.number("intent", r.magic.intent());
    f.number("magic", r.magic.value);
    f.decimal("volume", r.volume.value);
    f.decimal("filled", r.cum_volume.value);
    f.decimal("avg_price", r.avg_price.value);
    f.number("retcode", r.retcode);
    f.number("order", r.order_ticket);
    f.number("position", r.position_id);
}

/// What a reader of results waits for; the steps in between are in RTS.
bool is_result(OrdStatus s) noexcept {
    return is_final(s) || s == OrdStatus::InDoubt || s == OrdStatus::New ||
           s == OrdStatus::PartiallyFilled;
}

}  // namespace

// ---- fields ------------------------------------------------------------------------------------

char* RedisFields::room(std::size_t bytes) noexcept {
    ASSERT(count_ < kFieldsMax);
    ASSERT(used_ + bytes <= buffer_.size());
    return buffer_.data() + used_;
}

void RedisFields::close(std::string_view name, const char* begin, const char* end) noexcept {
    const auto bytes = static_cast<std::uint32_t>(end - begin);
    fields_[count_++] = {name, static_cast<std::uint32_t>(used_), bytes};
    used_ += bytes;
}

void RedisFields::text(std::string_view name, std::string_view value) noexcept {
    char* const at = room(value.size());
    std::memcpy(at, value.data(), value.size());
    close(name, at, at + value.size());
}

void RedisFields::number(std::string_view name, std::uint64_t value) noexcept {
    char* const at = room(20);
    close(name, at, std::to_chars(at, at + 20, value).ptr);
}

void RedisFields::decimal(std::string_view name, std::int64_t value) noexcept {
    char* const begin = room(24);
    char* at = begin;
    // Unsigned: the smallest int64 has no positive counterpart.
    std::uint64_t rest = static_cast<std::uint64_t>(value);
    if (value < 0) {
        *at++ = '-';
        rest = 0 - rest;
    }
    const auto scale = static_cast<std::uint64_t>(kScale);
    at = std::to_chars(at, at + 20, rest / scale).ptr;
    std::uint64_t fraction = rest % scale;
    if (fraction != 0) {
        *at++ = '.';
        for (std::uint64_t digit = scale / 10; fraction != 0; digit /= 10) {
            *at++ = static_cast<char>('0' + fraction / digit);
            fraction %= digit;
        }
    }
    close(name, begin, at);
}

void RedisFields::uuid(std::string_view name, const SignalId& id) noexcept {
    char* const at = room(kUuidBytes);
    close(name, at, at + put_uuid(at, id));
}

void RedisFields::version(std::string_view name, Sequence seq, std::uint32_t k) noexcept {
    char* const begin = room(32);
    char* at = std::to_chars(begin, begin + 20, seq.value).ptr;
    *at++ = '-';
    close(name, begin, std::to_chars(at, begin + 32, k).ptr);
}

void RedisFields::checksum(std::string_view name, std::uint64_t sum) noexcept {
    static constexpr char kHex[] = "0123456789abcdef";
    char* const begin = room(16);
    for (unsigned i = 0; i < 16; ++i) {
        begin[i] = kHex[(sum >> (60 - 4 * i)) & 15U];
    }
    close(name, begin, begin + 16);
}

// ---- checksums ---------------------------------------------------------------------------------

std::uint64_t redis_key_hash(std::string_view key) noexcept {
    return ::XXH3_64bits(key.data(), key.size());
}

RedisSum::RedisSum(std::string_view key) noexcept : seed_{redis_key_hash(key)}, sum_{seed_} {}

void RedisSum::add(std::string_view name, std::string_view value) noexcept {
    const std::uint64_t of_name = ::XXH3_64bits_withSeed(name.data(), name.size(), seed_);
    sum_ += ::XXH3_64bits_withSeed(value.data(), value.size(), of_name);
}

std::uint64_t redis_parse_sum(std::string_view hex) noexcept {
    std::uint64_t sum = 0;
    (void)std::from_chars(hex.data(), hex.data() + hex.size(), sum, 16);
    return sum;
}

Nanos redis_until(const RedisRow& row, const RedisKeep& keep) noexcept {
    switch (row.stay) {
        case RedisStay::Always: return {};
        case RedisStay::Ended:
        case RedisStay::Traded: return row.since + keep.ended;
        case RedisStay::Signal:
        case RedisStay::TradedSignal: return row.since + keep.signals;
    }
    return {};
}

// ---- effects -----------------------------------------------------------------------------------

bool redis_row(const Effect& effect, RedisRow& row) noexcept {
    row.fields.clear();
    row.stay = RedisStay::Always;
    row.since = effect.time;
    row.fields.number("schema", kRedisSchema);
    switch (effect.kind) {
        case EffectKind::Order: put(row, effect.as<OrderRow>()); break;
        case EffectKind::Position: put(row, effect.as<PositionRow>()); break;
        case EffectKind::Account: put(row, effect.as<AccountRow>()); break;
        case EffectKind::Execution: put(row, effect.as<ExecutionRow>()); break;
        case EffectKind::Definition: put(row, effect.as<DefinitionRow>()); break;
        case EffectKind::Signal: {
            const auto signal = effect.as<SignalRow>();
            if (static_cast<Reason>(signal.reason) != Reason::None) {
                return false;  // refused: never in the ledger, or there as another one's repeat
            }
            put(row, signal);
            break;
        }
        default: return false;
    }
    row.fields.version("version", effect.seq, effect.k);
    row.fields.number("time_ns", static_cast<std::uint64_t>(effect.time.value));
    RedisSum sum{row.key()};
    for (std::size_t i = 0; i < row.fields.size(); ++i) {
        sum.add(row.fields.name(i), row.fields.value(i));
    }
    row.sum = sum.value();
    row.fields.checksum("sum", row.sum);
    return true;
}

bool redis_result(const Effect& effect, RedisFields& fields) noexcept {
    fields.clear();
    if (effect.kind == EffectKind::Signal) {
        result(fields, effect.as<SignalRow>());
    } else if (effect.kind == EffectKind::Order && is_result(effect.as<OrderRow>().status)) {
        result(fields, effect.as<OrderRow>());
    } else {
        return false;
    }
    fields.number("time_ns", static_cast<std::uint64_t>(effect.time.value));
    return true;
}

}  // namespace millrace
