#include "persist/redis_parse.h"

#include <array>
#include <charconv>
#include <concepts>

#include "persist/redis_words.h"

namespace millrace {
namespace {

constexpr int kDecimals = 8;

template <class T>
bool parse_number(std::string_view text, T& value) noexcept {
    const auto end = text.data() + text.size();
    const auto done = std::from_chars(text.data(), end, value);
    return done.ec == std::errc{} && done.ptr == end;
}

/// What RedisFields::decimal() wrote.
bool parse_decimal(std::string_view text, std::int64_t& value) noexcept {
    const bool negative = text.starts_with('-');
    text.remove_prefix(negative ? 1 : 0);
    std::uint64_t sum = 0;
    int decimals = -1;  // seen so far; -1 = no point yet
    for (const char c : text) {
        if (c == '.' && decimals < 0) {
            decimals = 0;
        } else if (c >= '0' && c <= '9' && decimals < kDecimals) {
            sum = sum * 10 + static_cast<std::uint64_t>(c - '0');
            decimals += decimals >= 0 ? 1 : 0;
        } else {
            return false;
        }
    }
    for (decimals = decimals < 0 ? 0 : decimals; decimals < kDecimals; ++decimals) {
        sum *= 10;
    }
    value = static_cast<std::int64_t>(negative ? 0 - sum : sum);
    return !text.empty();
}

/// Reads the fields of one hash; after the first that is missing or unreadable, ok() is false.
class FieldReader {
public:
    explicit FieldReader(const RedisView& fields) noexcept : fields_{fields} {}

    template <std::integral T>
    FieldReader& number(std::string_view name, T& to) noexcept {
        ok_ = ok_ && parse_number(text(name), to);
        return *this;
    }
    template <class Rep, class Tag>
    FieldReader& number(std::string_view name, Tagged<Rep, Tag>& to) noexcept {
        return number(name, to.value);
    }
    template <class Tag>
    FieldReader& decimal(std::string_view name, Tagged<std::int64_t, Tag>& to) noexcept {
        ok_ = ok_ && parse_decimal(text(name), to.value);
        return *this;
    }
    FieldReader& uuid(std::string_view name, SignalId& to) noexcept {
        ok_ = ok_ && parse_uuid(text(name), to);
        return *this;
    }
    template <class E>
    FieldReader& word(std::string_view name, E& to) noexcept {
        ok_ = ok_ && from_redis_word(text(name), to);
        return *this;
    }
    /// A word whose code lies in an integer.
    template <class E, class T>
    FieldReader& word_as(std::string_view name, T& to) noexcept {
        E code{};
        word(name, code);
        to = static_cast<T>(code);
        return *this;
    }
    [[nodiscard]] std::string_view text(std::string_view name) const noexcept {
        return fields_.field(name).text();
    }
    [[nodiscard]] bool ok() const noexcept { return ok_; }

private:
    const RedisView& fields_;
    bool ok_ = true;
};

/// The parts of a key between its colons, at most four.
struct KeyParts {
    explicit KeyParts(std::string_view key) noexcept {
        for (; count < all.size(); ++count) {
            const std::size_t colon = key.find(':');
            all[count] = key.substr(0, colon);
            if (colon == std::string_view::npos) {
                ++count;
                return;
            }
            key.remove_prefix(colon + 1);
        }
    }
    std::array<std::string_view, 4> all{};
    std::size_t count = 0;
};

bool get(FieldReader& f, const KeyParts& key, OrderRow& r) noexcept {
    f.word("state", r.status).number("symbol", r.symbol);
    f.word_as<CommandType>("type", r.type).word("side", r.side).word("kind", r.price_kind);
    f.decimal("volume", r.volume).decimal("filled", r.cum_volume).decimal("price", r.price);
    f.decimal("avg_price", r.avg_price).decimal("stop_loss", r.stop_loss);
    f.decimal("take_profit", r.take_profit).word_as<Reason>("reason", r.reason);
    f.number("retcode", r.retcode).number("attempts", r.attempts).number("magic", r.magic);
    f.uuid("signal", r.signal).number("order", r.order_ticket).number("position", r.position_id);
    f.number("created_ns", r.created).number("deadline_ns", r.deadline);
    return key.count == 3 && parse_number(key.all[1], r.account.value);
}

bool get(FieldReader& f, const KeyParts& key, PositionRow& r) noexcept {
    f.number("symbol", r.symbol).word("side", r.side).decimal("volume", r.volume);
    f.decimal("open_price", r.open_price).decimal("stop_loss", r.stop_loss);
    f.decimal("take_profit", r.take_profit).number("magic", r.magic).uuid("signal", r.signal);
    return key.count == 4 && parse_number(key.all[1], r.account.value) &&
           parse_number(key.all[2], r.position_id);
}

bool get(FieldReader& f, const KeyParts& key, ExecutionRow& r) noexcept {
    r.entry = f.text("state") == "IN" ? 0 : 1;
    f.number("symbol", r.symbol).word("side", r.side).number("exec", r.exec_kind);
    f.decimal("volume", r.volume).decimal("price", r.price).number("magic", r.magic);
    f.number("order", r.order_ticket).number("position", r.position_id);
    f.number("broker_ns", r.broker_time);
    return key.count == 4 && parse_number(key.all[1], r.account.value) &&
           parse_number(key.all[3], r.deal_ticket);
}

bool get(FieldReader& f, const KeyParts& key, AccountRow& r) noexcept {
    f.word("state", r.state).word("link", r.link).number("permissions", r.permissions);
    f.decimal("equity", r.equity).decimal("balance", r.balance);
    f.number("live_orders", r.live_orders).number("open_positions", r.open_positions);
    return key.count == 2 && parse_number(key.all[1], r.account.value);
}

bool get(FieldReader& f, const KeyParts& key, SignalRow& r) noexcept {
    r.done = f.text("state") == "DONE" ? 1 : 0;
    f.number("source", r.source).number("group", r.group).number("symbol", r.symbol);
    f.word("action", r.action).word("side", r.side).word("kind", r.price_kind);
    f.uuid("target", r.target).decimal("volume", r.volume).decimal("price", r.price);
    f.decimal("stop_loss", r.stop_loss).decimal("take_profit", r.take_profit);
    f.number("orders", r.accounts).number("filled", r.filled).number("rejected", r.rejected);
    f.number("send_ns", r.send_time).number("accepted_ns", r.accepted_time);
    return key.count == 2 && parse_uuid(key.all[1], r.id);
}

bool get(FieldReader& f, const KeyParts& key, DefinitionRow& r) noexcept {
    f.number("state", r.state);
    f.text("name").copy(r.name.bytes, sizeof r.name.bytes);
    r.kind = key.all[1].empty() ? '\0' : key.all[1][0];
    return key.count == 3 && key.all[1].size() == 1 && parse_number(key.all[2], r.id);
}

template <class Row>
bool parse(EffectKind kind, const KeyParts& key, const RedisView& fields, Effect& effect) noexcept {
    FieldReader f{fields};
    Row row;
    if (!get(f, key, row) || !f.ok()) {
        return false;
    }
    effect = Effect::make(kind, row);
    f.number("time_ns", effect.time);
    const std::string_view version = f.text("version");
    const std::size_t dash = version.find('-');
    return f.ok() && dash != std::string_view::npos &&
           parse_number(version.substr(0, dash), effect.seq.value) &&
           parse_number(version.substr(dash + 1), effect.k);
}

}  // namespace

bool parse_uuid(std::string_view text, SignalId& id) noexcept {
    if (text.size() != 36) {
        return false;
    }
    id = {};
    unsigned digits = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i] != '-') {
                return false;
            }
            continue;
        }
        unsigned digit = 0;
        if (std::from_chars(&text[i], &text[i] + 1, digit, 16).ec != std::errc{}) {
            return false;
        }
        std::uint64_t& half = digits++ < 16 ? id.hi : id.lo;
        half = half << 4U | digit;
    }
    return true;
}

bool redis_effect(std::string_view key, const RedisView& fields, Effect& effect) noexcept {
    const KeyParts parts{key};
    const std::string_view kind = parts.all[0];
    if (kind == "RTS") {
        return parse<OrderRow>(EffectKind::Order, parts, fields, effect);
    }
    if (kind == "RTP") {
        return parse<PositionRow>(EffectKind::Position, parts, fields, effect);
    }
    if (kind == "RTX") {
        return parse<ExecutionRow>(EffectKind::Execution, parts, fields, effect);
    }
    if (kind == "RIS") {
        return parse<AccountRow>(EffectKind::Account, parts, fields, effect);
    }
    if (kind == "SIG") {
        return parse<SignalRow>(EffectKind::Signal, parts, fields, effect);
    }
    return kind == "DEF" && parse<DefinitionRow>(EffectKind::Definition, parts, fields, effect);
}

}  // namespace millrace
