// Values of FIX fields to and from ours: decimals, times, and the ids that bind a venue's orders
// and deals to our magics and tickets.
#pragma once

#include "core/types.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace millrace::fix {

/// Exact value of a FIX float ("-12.5", ".5", "95.00000000") in 1e-8. Nothing if it is no decimal
/// number (FIX has no exponents), needs more than 8 digits after the point, or overflows.
[[nodiscard]] std::optional<std::int64_t> parse_decimal(std::string_view text) noexcept;

/// Text of a number in a buffer of its own, for a field of an outgoing message.
struct ShortText {
    char bytes[32] = {};
    std::uint8_t length = 0;
    [[nodiscard]] std::string_view view() const noexcept { return {bytes, length}; }
};
/// Fewest digits that give `value` (in 1e-8) back: 110010000 is "1.1001".
[[nodiscard]] ShortText decimal_text(std::int64_t value) noexcept;

/// UTCTimestamp, "20200302-11:14:36" with up to 9 digits of a second's fraction. A leap second
/// (:60) is taken as the second after. Nothing if it is none.
[[nodiscard]] std::optional<Nanos> parse_utc(std::string_view text) noexcept;
/// UTCTimestamp with milliseconds.
[[nodiscard]] ShortText utc_text(Nanos time) noexcept;

/// ClOrdID of an order: its magic in base 36, at most 13 of 0-9A-Z. Deterministic, so that a
/// restart finds its orders at the venue, and as short as the strictest venue wants it (18).
[[nodiscard]] ShortText cl_ord_id(Magic magic) noexcept;
/// The magic of a ClOrdID; nothing if we cannot have made it (lower case, leading zero, too large).
[[nodiscard]] std::optional<Magic> magic_of(std::string_view cl_ord_id) noexcept;

/// A number for a venue's text id (ExecID, position id), never 0, always positive as int64: its
/// own value if it is a plain number below 2^62, so that an operator finds it again, else 2^62 and
/// 62 bits of a hash.
[[nodiscard]] std::uint64_t ticket_of(std::string_view id) noexcept;
/// The same for two ids of any length that mean something only together; always a hash. `kind`
/// tells apart what else could be equal.
[[nodiscard]] std::uint64_t ticket_of(std::string_view first, std::string_view second,
                                      char kind) noexcept;
/// True if `ticket` is the venue's number itself, so that it may be sent back.
[[nodiscard]] constexpr bool is_own_number(std::uint64_t ticket) noexcept {
    return ticket != 0 && ticket >> 62U == 0;
}

}  // namespace millrace::fix
