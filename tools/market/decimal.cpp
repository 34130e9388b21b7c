#include "tools/market/decimal.h"

#include "core/assert.h"

namespace millrace::market {
namespace {

constexpr bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

// value = value * 10 + digit, or false on overflow.
bool push_digit(std::int64_t& value, char c) noexcept {
    return !__builtin_mul_overflow(value, std::int64_t{10}, &value) &&
           !__builtin_add_overflow(value, std::int64_t{c - '0'}, &value);
}

}  // namespace

std::int64_t power_of_ten(unsigned exponent) noexcept {
    ASSERT(exponent <= 18);
    std::int64_t power = 1;
    for (unsigned i = 0; i < exponent; ++i) {
        power *= 10;
    }
    return power;
}

Result<std::int64_t> parse_scaled(std::string_view text, unsigned scale_digits,
                                  Excess excess) noexcept {
    ASSERT(scale_digits <= 18);
    const bool negative = !text.empty() && text.front() == '-';
    if (negative || (!text.empty() && text.front() == '+')) {
        text.remove_prefix(1);
    }
    std::int64_t value = 0;
    unsigned fraction_digits = 0;
    bool in_fraction = false;
    bool any_digit = false;
    for (const char c : text) {
        if (c == '.' && !in_fraction) {
            in_fraction = true;
            continue;
        }
        if (!is_digit(c)) {
            return {Errc::BadInput, "not a decimal number"};
        }
        any_digit = true;
        if (in_fraction && fraction_digits == scale_digits) {
            if (c != '0' && excess == Excess::Refuse) {
                return {Errc::BadInput, "more decimal places than the scale holds"};
            }
            continue;
        }
        fraction_digits += in_fraction ? 1U : 0U;
        if (!push_digit(value, c)) {
            return {Errc::BadInput, "number out of range"};
        }
    }
    if (!any_digit) {
        return {Errc::BadInput, "not a decimal number"};
    }
    const std::int64_t rest = power_of_ten(scale_digits - fraction_digits);
    if (__builtin_mul_overflow(value, rest, &value)) {
        return {Errc::BadInput, "number out of range"};
    }
    return negative ? -value : value;
}

unsigned decimals_of(std::string_view text) noexcept {
    const auto point = text.find('.');
    return point == std::string_view::npos ? 0U : static_cast<unsigned>(text.size() - point - 1);
}

std::string format_decimal(std::int64_t scaled) {
    const bool negative = scaled < 0;
    // Through unsigned: -INT64_MIN does not exist.
    const auto magnitude = negative ? std::uint64_t{0} - static_cast<std::uint64_t>(scaled)
                                    : static_cast<std::uint64_t>(scaled);
    const auto scale = static_cast<std::uint64_t>(kScale);
    std::string fraction = std::to_string(scale + magnitude % scale).substr(1);
    while (!fraction.empty() && fraction.back() == '0') {
        fraction.pop_back();
    }
    std::string text = (negative ? "-" : "") + std::to_string(magnitude / scale);
    return fraction.empty() ? text : text + "." + fraction;
}

}  // namespace millrace::market
