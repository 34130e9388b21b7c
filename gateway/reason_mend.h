#pragma once
#include <string_view>

#include "core/order_status.h"

namespace millrace {

/// What whoever sent the signal can do about `reason`, in one sentence; "" for None and for numbers
/// that are no reason. Zero-terminated, lives for ever, any thread. gateway/SIGNALS.md lists them.
[[nodiscard]] std::string_view reason_mend(Reason reason) noexcept;

}  // namespace millrace
