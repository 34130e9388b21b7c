// How an effect becomes a hash, an entry of the result stream or a name. Pure: the same effect
// always gives the same bytes, so a checksum over them can be made from the log alone.
#pragma once

#include "core/effect.h"
#include "persist/redis_resp.h"

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace millrace {

/// Layout of keys and fields; documented in persist/REDIS.md. Stands in every hash and the cursor.
inline constexpr std::uint32_t kRedisSchema = 2;

/// The fields of one row: names are literals, values lie in one buffer.
class RedisFields {
public:
    static constexpr std::size_t kFieldsMax = 32;

    void clear() noexcept { count_ = used_ = 0; }
    void text(std::string_view name, std::string_view value) noexcept;
    void number(std::string_view name, std::uint64_t value) noexcept;
    /// Shortest decimal of a value in 1e-8.
    void decimal(std::string_view name, std::int64_t value) noexcept;
    void uuid(std::string_view name, const SignalId& id) noexcept;
    /// "seq-k": which effect wrote it. Grows with each write.
    void version(std::string_view name, Sequence seq, std::uint32_t k) noexcept;
    void checksum(std::string_view name, std::uint64_t sum) noexcept;

    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    [[nodiscard]] std::string_view name(std::size_t i) const noexcept { return fields_[i].name; }
    [[nodiscard]] std::string_view value(std::size_t i) const noexcept {
        return {buffer_.data() + fields_[i].at, fields_[i].bytes};
    }

private:
    struct Field {
        std::string_view name;
        std::uint32_t at;
        std::uint32_t bytes;
    };
    char* room(std::size_t bytes) noexcept;
    void close(std::string_view name, const char* begin, const char* end) noexcept;

    std::array<Field, kFieldsMax> fields_{};
    std::array<char, 1280> buffer_{};  // 32 fields of 39 bytes, more than any row has
    std::size_t count_ = 0;
    std::size_t used_ = 0;
};

/// How long a hash stands.
enum class RedisStay : std::uint8_t {
    Always,
    Ended,         // for RedisKeep::ended from `since` on
    Traded,        // the same, once RedisHold sees that nothing open needs it: no end before that
    Signal,        // for RedisKeep::signals
    TradedSignal,  // the same, once RedisHold sees that nothing open needs it
};
struct RedisKeep {
    Nanos ended = seconds(24 * 3600);
    Nanos signals = seconds(7 * 24 * 3600);  // as long as the engine's ledger knows them
};

/// A hash as it is to stand in Redis.
struct RedisRow {
    std::array<char, 64> key_bytes{};
    std::size_t key_size = 0;
    RedisFields fields;     // the last one is `sum`
    std::uint64_t sum = 0;  // redis_sum() of all others
    RedisStay stay = RedisStay::Always;
    Nanos since;  // time of the effect; of a signal, when it was accepted

    [[nodiscard]] std::string_view key() const noexcept { return {key_bytes.data(), key_size}; }
};

/// The hash that `effect` writes: RTS:{account}:{intent}, RTP:{account}:{position}:{intent},
/// RTX:{account}:{intent}:{deal}, RIS:{account}, SIG:{signal}, DEF:{kind}:{id}.
/// @return false if it writes none. Its inverse is redis_effect() (redis_parse.h).
[[nodiscard]] bool redis_row(const Effect& effect, RedisRow& row) noexcept;

/// When it may be forgotten at the earliest, if nothing that stands needs it; 0 = never.
[[nodiscard]] Nanos redis_until(const RedisRow& row, const RedisKeep& keep) noexcept;

/// The entry that `effect` adds to the result stream. @return false if it adds none.
[[nodiscard]] bool redis_result(const Effect& effect, RedisFields& fields) noexcept;

/// Checksum of a hash: its key's and each field's XXH3 added up, so the fields' order is of no
/// account, and a field too many counts too.
class RedisSum {
public:
    explicit RedisSum(std::string_view key) noexcept;
    void add(std::string_view name, std::string_view value) noexcept;
    [[nodiscard]] std::uint64_t value() const noexcept { return sum_; }

private:
    std::uint64_t seed_;
    std::uint64_t sum_;
};
[[nodiscard]] std::uint64_t redis_key_hash(std::string_view key) noexcept;
/// 16 hex digits; as the field `sum` has it.
[[nodiscard]] std::uint64_t redis_parse_sum(std::string_view hex) noexcept;

}  // namespace millrace
