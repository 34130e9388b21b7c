// Decimal text to scaled integers and back, exactly: no price or volume ever passes a double.
#pragma once

#include "core/result.h"
#include "core/types.h"

#include <string>
#include <string_view>

namespace millrace::market {

/// What to do with digits beyond the scale.
enum class Excess : std::uint8_t { Refuse, Truncate };

/// Parses `[+-]digits[.digits]` (no exponent, no blanks) into value x 10^scale_digits.
/// @param scale_digits 0..18.
/// @return Errc::BadInput for anything else, for a value beyond int64, and (Excess::Refuse) for
///         non-zero digits that the scale cannot hold.
[[nodiscard]] Result<std::int64_t> parse_scaled(std::string_view text, unsigned scale_digits,
                                                Excess excess) noexcept;

/// A price, volume or amount of money: 1e-8, exact or refused.
[[nodiscard]] inline Result<std::int64_t> parse_decimal(std::string_view text) noexcept {
    return parse_scaled(text, 8, Excess::Refuse);
}

/// Milliseconds with an optional fraction to nanoseconds; digits below 1 ns are cut off.
[[nodiscard]] inline Result<std::int64_t> parse_millis_ns(std::string_view text) noexcept {
    return parse_scaled(text, 6, Excess::Truncate);
}

/// Digits after the point, trailing zeros counted; 0 without a point.
[[nodiscard]] unsigned decimals_of(std::string_view text) noexcept;

/// 1e-8 value as text without trailing zeros: 108000000 -> "1.08".
[[nodiscard]] std::string format_decimal(std::int64_t scaled);

/// 10^exponent. @param exponent 0..18.
[[nodiscard]] std::int64_t power_of_ten(unsigned exponent) noexcept;

}  // namespace millrace::market
