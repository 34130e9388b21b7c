#include "persist/redis_dump.h"

#include <isa-l/crc64.h>

#include <charconv>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>

#include "core/assert.h"
#include "core/crc32c.h"

namespace millrace {
namespace {

constexpr unsigned char kHashListpack = 16;  // RDB_TYPE_HASH_LISTPACK
constexpr std::uint16_t kRdbVersion = 10;    // Redis 7.0; later ones take it, too
constexpr std::size_t kListpackHead = 6;     // bytes in all (4), entries (2)
constexpr unsigned char kListpackEnd = 0xFF;
constexpr std::size_t kLengthBytes = 2;  // of an RDB string of 64 to 16,383 bytes
constexpr std::size_t kShortText = 63;   // longest string with a head of one byte
constexpr std::int64_t kInt13 = 1 << 12;
constexpr std::int64_t kInt24 = 1 << 23;

/// Writes behind what is there. What is written fits: RedisDump::of() has asserted it.
class Writer {
public:
    explicit Writer(char* at) noexcept : at_{at} {}
    void byte(unsigned value) noexcept { *at_++ = static_cast<char>(value); }
    /// The low `bytes` bytes, lowest first, as x86 has them.
    void number(std::uint64_t value, std::size_t bytes) noexcept {
        std::memcpy(at_, &value, bytes);
        at_ += bytes;
    }
    void text(std::string_view t) noexcept {
        std::memcpy(at_, t.data(), t.size());
        at_ += t.size();
    }
    [[nodiscard]] char* at() const noexcept { return at_; }

private:
    char* at_;
};

/// Whether `text` is exactly how a 64-bit integer is written.
bool is_integer(std::string_view text, std::int64_t& value) noexcept {
    const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
    const bool spelt = !digits.empty() && (digits[0] != '0' || text == "0");
    if (!spelt || digits[0] > '9' || digits[0] < '0') {
        return false;
    }
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    return read.ec == std::errc{} && read.ptr == text.data() + text.size();
}

template <std::signed_integral T>
bool fits(std::int64_t v) noexcept {
    return v >= std::numeric_limits<T>::min() && v <= std::numeric_limits<T>::max();
}

void put_integer(Writer& out, std::int64_t v) noexcept {
    const auto bits = static_cast<std::uint64_t>(v);
    if (v >= 0 && v <= 127) {
        out.byte(static_cast<unsigned>(bits));
    } else if (v >= -kInt13 && v < kInt13) {
        out.byte(0xC0U | static_cast<unsigned>(bits >> 8U & 0x1FU));
        out.byte(static_cast<unsigned>(bits & 0xFFU));
    } else if (fits<std::int16_t>(v)) {
        out.byte(0xF1);
        out.number(bits, 2);
    } else if (v >= -kInt24 && v < kInt24) {
        out.byte(0xF2);
        out.number(bits, 3);
    } else if (fits<std::int32_t>(v)) {
        out.byte(0xF3);
        out.number(bits, 4);
    } else {
        out.byte(0xF4);
        out.number(bits, 8);
    }
}

void put_entry(Writer& out, std::string_view text) noexcept {
    const char* const begin = out.at();
    std::int64_t value = 0;
    if (is_integer(text, value)) {
        put_integer(out, value);
    } else {
        ASSERT(text.size() <= kShortText);  // no name or value of ours is longer
        out.byte(0x80U | static_cast<unsigned>(text.size()));
        out.text(text);
    }
    out.byte(static_cast<unsigned>(out.at() - begin));  // read backwards; below 128: one byte
}

/// The CRC-64 of Redis: Jones' polynomial, begun at 0 and not inverted, as isa-l's is.
std::uint64_t crc64(const char* bytes, std::size_t n) noexcept {
    const auto* data = reinterpret_cast<const unsigned char*>(bytes);
    const std::uint64_t crc = ~::crc64_jones_refl(~std::uint64_t{0}, data, n);
    detail::leave_vector_code();
    return crc;
}

}  // namespace

std::string_view RedisDump::of(const RedisFields& fields) noexcept {
    ASSERT(fields.size() != 0);
    char* const begin = bytes_.data();
    char* const listpack = begin + 1 + kLengthBytes;
    Writer out{listpack + kListpackHead};
    for (std::size_t i = 0; i < fields.size(); ++i) {
        ASSERT(out.at() + 2 * (kShortText + 2) + 1 + 10 <= begin + bytes_.size());
        put_entry(out, fields.name(i));
        put_entry(out, fields.value(i));
    }
    out.byte(kListpackEnd);
    const auto bytes = static_cast<std::size_t>(out.at() - listpack);
    Writer head{begin};
    head.byte(kHashListpack);
    // As a string of 64 bytes and more also where it is shorter: a reader takes either.
    head.byte(0x40U | static_cast<unsigned>(bytes >> 8U));
    head.byte(static_cast<unsigned>(bytes & 0xFFU));
    head.number(bytes, 4);
    head.number(2 * fields.size(), 2);
    out.number(kRdbVersion, 2);
    out.number(crc64(begin, static_cast<std::size_t>(out.at() - begin)), 8);
    return {begin, static_cast<std::size_t>(out.at() - begin)};
}

}  // namespace millrace
