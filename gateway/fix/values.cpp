#include "gateway/fix/values.h"

#include "core/index_map.h"

#include <charconv>
#include <chrono>

namespace millrace::fix {
namespace {

constexpr int kDecimals = 8;
constexpr std::string_view kDigits36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::uint64_t kHashed = std::uint64_t{1} << 62U;

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

/// Number of exactly these digits; -1 if one is none.
int digits(std::string_view text) noexcept {
    int value = 0;
    for (const char c : text) {
        if (!is_digit(c)) {
            return -1;
        }
        value = value * 10 + (c - '0');
    }
    return value;
}

/// FNV-1a over the bytes, finished by mix64: FNV alone leaves the high bits of short texts alike.
std::uint64_t hash_of(std::string_view id) noexcept {
    std::uint64_t hash = 0xCBF2'9CE4'8422'2325ULL;
    for (const char c : id) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x0000'0100'0000'01B3ULL;
    }
    return kHashed | (mix64(hash) & (kHashed - 1));
}

void append(ShortText& text, char c) noexcept {
    text.bytes[text.length++] = c;
}

void append_padded(ShortText& text, unsigned value, unsigned width) noexcept {
    for (unsigned power = width; power-- > 0;) {
        unsigned divisor = 1;
        for (unsigned i = 0; i < power; ++i) {
            divisor *= 10;
        }
        append(text, static_cast<char>('0' + value / divisor % 10));
    }
}

}  // namespace

std::optional<std::int64_t> parse_decimal(std::string_view text) noexcept {
    const bool negative = text.starts_with('-');
    text.remove_prefix(negative ? 1 : 0);
    std::int64_t value = 0;
    int fraction = -1;  // digits after the point so far; -1 = before it
    bool any = false;
    for (const char c : text) {
        if (c == '.' && fraction < 0) {
            fraction = 0;
            continue;
        }
        if (!is_digit(c)) {
            return std::nullopt;
        }
        any = true;
        if (fraction == kDecimals) {
            if (c != '0') {
                return std::nullopt;
            }
            continue;  // zeros beyond our scale say nothing
        }
        fraction += fraction >= 0 ? 1 : 0;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, c - '0', &value)) {
            return std::nullopt;
        }
    }
    for (int i = fraction < 0 ? 0 : fraction; i < kDecimals; ++i) {
        if (__builtin_mul_overflow(value, 10, &value)) {
            return std::nullopt;
        }
    }
    return any ? std::optional{negative ? -value : value} : std::nullopt;
}

ShortText decimal_text(std::int64_t value) noexcept {
    ShortText text;
    std::uint64_t rest = static_cast<std::uint64_t>(value);
    if (value < 0) {
        append(text, '-');
        rest = ~rest + 1;
    }
    const auto scale = static_cast<std::uint64_t>(kScale);
    const auto whole = std::to_chars(text.bytes + text.length, std::end(text.bytes), rest / scale);
    text.length = static_cast<std::uint8_t>(whole.ptr - text.bytes);
    std::uint64_t fraction = rest % scale;
    if (fraction != 0) {
        append(text, '.');
        for (std::uint64_t unit = scale / 10; fraction != 0; unit /= 10) {
            append(text, static_cast<char>('0' + fraction / unit));
            fraction %= unit;
        }
    }
    return text;
}

std::optional<Nanos> parse_utc(std::string_view text) noexcept {
    constexpr std::size_t kSeconds = 17;  // YYYYMMDD-HH:MM:SS
    if (text.size() < kSeconds || text[8] != '-' || text[11] != ':' || text[14] != ':') {
        return std::nullopt;
    }
    const std::chrono::year_month_day day{
        std::chrono::year{digits(text.substr(0, 4))},
        std::chrono::month{static_cast<unsigned>(digits(text.substr(4, 2)))},
        std::chrono::day{static_cast<unsigned>(digits(text.substr(6, 2)))}};
    const int hour = digits(text.substr(9, 2));
    const int minute = digits(text.substr(12, 2));
    const int second = digits(text.substr(15, 2));
    const bool of_day = hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0;
    if (digits(text.substr(0, 8)) < 0 || !day.ok() || !of_day || second > 60) {
        return std::nullopt;
    }
    std::int64_t nanos = 0;
    const std::string_view fraction = text.substr(kSeconds);
    if (!fraction.empty()) {
        if (fraction[0] != '.' || fraction.size() < 2 || fraction.size() > 10 ||
            digits(fraction.substr(1)) < 0) {
            return std::nullopt;
        }
        nanos = digits(fraction.substr(1));
        for (std::size_t i = fraction.size(); i < 10; ++i) {
            nanos *= 10;
        }
    }
    const auto days = std::chrono::sys_days{day}.time_since_epoch().count();
    const std::int64_t of_day_s = std::int64_t{hour} * 3600 + minute * 60 + second;
    return seconds(std::int64_t{days} * 86'400 + of_day_s) + Nanos{nanos};
}

ShortText utc_text(Nanos time) noexcept {
    using namespace std::chrono;
    const sys_time<milliseconds> ms{floor<milliseconds>(nanoseconds{time.value})};
    const sys_days day = floor<days>(ms);
    const year_month_day date{day};
    const hh_mm_ss clock{ms - day};
    ShortText text;
    append_padded(text, static_cast<unsigned>(static_cast<int>(date.year())), 4);
    append_padded(text, static_cast<unsigned>(date.month()), 2);
    append_padded(text, static_cast<unsigned>(date.day()), 2);
    append(text, '-');
    append_padded(text, static_cast<unsigned>(clock.hours().count()), 2);
    append(text, ':');
    append_padded(text, static_cast<unsigned>(clock.minutes().count()), 2);
    append(text, ':');
    append_padded(text, static_cast<unsigned>(clock.seconds().count()), 2);
    append(text, '.');
    append_padded(text, static_cast<unsigned>(clock.subseconds().count()), 3);
    return text;
}

ShortText cl_ord_id(Magic magic) noexcept {
    char reversed[16] = {};
    std::size_t n = 0;
    std::uint64_t rest = magic.value;
    do {
        reversed[n++] = kDigits36[rest % 36];
        rest /= 36;
    } while (rest != 0);
    ShortText text;
    while (n > 0) {
        append(text, reversed[--n]);
    }
    return text;
}

std::optional<Magic> magic_of(std::string_view cl_ord_id) noexcept {
    if (cl_ord_id.empty() || cl_ord_id[0] == '0') {
        return std::nullopt;  // we number from 1 and write no leading zeros
    }
    std::uint64_t value = 0;
    for (const char c : cl_ord_id) {
        const std::size_t digit = kDigits36.find(c);
        if (digit == std::string_view::npos || __builtin_mul_overflow(value, 36, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return std::nullopt;
        }
    }
    // A magic has 63 bits.
    return value >> 63U == 0 ? std::optional{Magic{value}} : std::nullopt;
}

std::uint64_t ticket_of(std::string_view id) noexcept {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
    const bool plain = error == std::errc{} && end == id.data() + id.size() && id[0] != '0';
    if (plain && number < kHashed) {
        return number;
    }
    return hash_of(id);
}

std::uint64_t ticket_of(std::string_view first, std::string_view second, char kind) noexcept {
    const std::uint64_t pair = mix64(hash_of(first)) ^ hash_of(second);
    return kHashed | (mix64(pair + static_cast<unsigned char>(kind)) & (kHashed - 1));
}

}  // namespace millrace::fix
