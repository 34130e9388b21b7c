// Decimal text <-> int64 in 1e-8: exact, or refused.
#pragma once

#include "core/result.h"
#include "core/types.h"

#include <string>
#include <string_view>

namespace millrace {

/// Reads "-12.34500000" into 1e-8 units.
/// @return BadInput: not a plain decimal (exponents are refused), more than 8 decimals (trailing
/// zeros do not count), or beyond +-9.2e10. `Error::what` says which.
[[nodiscard]] Result<std::int64_t> parse_decimal(std::string_view text) noexcept;

/// Shortest decimal text of `value` in 1e-8 units.
[[nodiscard]] std::string format_decimal(std::int64_t value);

}  // namespace millrace
