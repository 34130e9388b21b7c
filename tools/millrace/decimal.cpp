#include "tools/millrace/decimal.h"

namespace millrace {
namespace {

constexpr int kDecimals = 8;

constexpr bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

/// Adds one digit. @return false when int64 would overflow.
bool push_digit(std::int64_t& value, int digit) noexcept {
    return !__builtin_mul_overflow(value, 10, &value) &&
           !__builtin_add_overflow(value, digit, &value);
}

}  // namespace

Result<std::int64_t> parse_decimal(std::string_view text) noexcept {
    const bool negative = !text.empty() && text.front() == '-';
    text.remove_prefix(negative ? 1 : 0);
    if (text.empty() || !is_digit(text.front())) {
        return {Errc::BadInput, "is not a decimal number"};
    }
    std::int64_t value = 0;
    int decimals = -1;  // digits after the point; -1 = no point yet
    for (const char c : text) {
        if (c == '.' && decimals < 0) {
            decimals = 0;
            continue;
        }
        if (!is_digit(c)) {
            return {Errc::BadInput, "must be written as a plain decimal such as 0.25, no exponent"};
        }
        if (decimals >= kDecimals) {
            if (c != '0') {
                return {Errc::BadInput, "has more than 8 decimals"};
            }
            continue;
        }
        decimals += decimals >= 0 ? 1 : 0;
        if (!push_digit(value, c - '0')) {
            return {Errc::BadInput, "is too large; 92233720368 is the limit"};
        }
    }
    for (int i = decimals < 0 ? 0 : decimals; i < kDecimals; ++i) {
        if (!push_digit(value, 0)) {
            return {Errc::BadInput, "is too large; 92233720368 is the limit"};
        }
    }
    return negative ? -value : value;
}

std::string format_decimal(std::int64_t value) {
    const bool negative = value < 0;
    // Unsigned: the most negative int64 has no positive counterpart.
    const std::uint64_t magnitude =
        negative ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
    std::string fraction = std::to_string(magnitude % kScale);
    fraction.insert(0, kDecimals - fraction.size(), '0');
    fraction.erase(fraction.find_last_not_of('0') + 1);
    return (negative ? "-" : "") + std::to_string(magnitude / kScale) +
           (fraction.empty() ? "" : "." + fraction);
}

}  // namespace millrace
