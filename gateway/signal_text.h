// A signal as named text fields, the way it lies in the stream RTSS (gateway/SIGNALS.md).
#pragma once

#include "gateway/ingress_check.h"
#include "gateway/signal_wire.h"

#include <span>
#include <string>
#include <utility>

namespace millrace {

using TextField = std::pair<std::string, std::string>;

/// Reads the fields into a Submit frame; names are not looked up, ranges not checked.
/// @param stamp_ns when the entry came into being, if it does not say so itself.
/// @return false with `why` filled in: a field that is unknown, missing, given twice or unreadable.
/// Threads: any.
[[nodiscard]] bool parse_signal(std::span<const TextField> fields, std::int64_t stamp_ns,
                                signal_wire::Submit& out, Refusal& why);

}  // namespace millrace
