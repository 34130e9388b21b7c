// What a signal must satisfy at the edge, before it may take a slot in a `signals` ring. The same
// checks serve TCP ingress and the strategy client library, so a source is told the same thing
// wherever it comes in. Every refusal names the field, its value, the allowed range and the mend.
#pragma once

#include "core/order_status.h"
#include "core/signal.h"
#include "core/signal_bounds.h"
#include "gateway/signal_wire.h"
#include "shm/layout.h"

namespace millrace {

inline constexpr std::uint32_t kTtlMsMax = 86'400'000;
/// The dedupe ledger's window. An older signal may have been executed and forgotten already, so it
/// is refused; so is one as far in the future.
inline constexpr Nanos kSendTimeAgeMax = seconds(7LL * 86'400);
/// A send stamp further ahead than this is a wrong clock (broker time, most likely): receipt
/// counts in its place.
inline constexpr Nanos kSendTimeAheadMax = seconds(5);

/// Why a signal is not taken. `text` is cut to fit and always terminated.
struct Refusal {
    Reason reason = Reason::None;
    bool retry = false;  // the very same signal may be sent again later
    char text[sizeof(signal_wire::Refused::text)] = {};
};

/// Checks every field but the names: id, target, enums, volume, prices, TTL, send stamp.
/// @param now segment clock.
/// @return false with `why` filled in.
/// Threads: any. No allocation, no syscall.
[[nodiscard]] bool check_signal(const Signal& signal, Nanos now, Refusal& why) noexcept;

/// Replaces a send stamp more than kSendTimeAheadMax ahead by 0 (receipt counts).
/// @return true if it did.
bool clamp_send_time(Signal& signal, Nanos now) noexcept;

/// The id of a configured name, kNoId if there is none (yet).
/// Order: the acquire of `ready` pairs with the engine's release after it wrote the name.
[[nodiscard]] std::uint32_t find_name(const NameEntry (&table)[kNamesPerKind],
                                      const Text<16>& name) noexcept;

/// Translates a Submit frame into the signal that the engine takes: names become ids, everything
/// is checked, `source` and `edge_time` are stamped.
/// @return false with `why` filled in; `out` is then unspecified.
[[nodiscard]] bool resolve_signal(const signal_wire::Submit& submit, const NameTables& names,
                                  Nanos now, Signal& out, Refusal& why) noexcept;

/// Fills `why`; `format` as for printf.
[[gnu::format(printf, 4, 5)]] void refuse(Refusal& why, Reason reason, bool retry,
                                          const char* format, ...) noexcept;

}  // namespace millrace
