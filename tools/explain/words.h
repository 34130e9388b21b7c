// Numbers, times and codes in the words of people.
#pragma once

#include "core/admin.h"
#include "core/order_command.h"
#include "core/order_status.h"
#include "core/retcode.h"
#include "core/types.h"

#include <string>
#include <vector>

namespace millrace::explain {

/// Times in the zone of this name (/usr/share/zoneinfo) from now on, with their offset from UTC.
/// Of the whole process; to be called once, before other threads are made.
void show_times_in(const std::string& zone);
/// `2026-11-22T09:30:05.123456Z`, in another zone `2026-11-22T10:30:05.123456+0100`; "-" for 0.
[[nodiscard]] std::string moment_text(Nanos time);
/// `09:30:05.123456`
[[nodiscard]] std::string clock_text(Nanos time);
/// `850ms`, `12s`, `3m05s`, `2h07m`
[[nodiscard]] std::string span_text(Nanos span);

/// A sentence without its end: why an order, or a signal, was not carried out.
[[nodiscard]] const char* reason_words(Reason reason) noexcept;
/// What a class means for the order, in a few words.
[[nodiscard]] const char* class_words(RetcodeClass cls) noexcept;
/// `10019 NO_MONEY (refused for good)`; empty for 0. @param cls as the answer to its command.
[[nodiscard]] std::string retcode_text(std::uint32_t code, RetcodeClass cls);

/// OPEN, CLOSE, MODIFY, CANCEL, QUERY
[[nodiscard]] const char* command_word(std::uint8_t type) noexcept;
[[nodiscard]] inline const char* side_word(Side side) noexcept {
    return side == Side::Buy ? "BUY" : "SELL";
}
/// An exact decimal of 1e-8 units: "0.1".
[[nodiscard]] std::string number(std::int64_t scaled);
/// A fraction of 1e-8 units as a percentage of at most four digits: "0.1 %".
[[nodiscard]] std::string percent(std::int64_t scaled);
/// A line for each limit of positions and volumes, and for each of losses and slippage; none for
/// what has none.
void exposure_limits(const LimitSpec& l, std::vector<std::string>& out);
void loss_limits(const LimitSpec& l, std::vector<std::string>& out);

}  // namespace millrace::explain
