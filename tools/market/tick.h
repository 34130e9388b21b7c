// One quote, and anything that yields quotes in time order.
#pragma once

#include "core/types.h"

#include <optional>

namespace millrace::market {

struct Tick {
    Nanos time;  // recorded time, UTC
    Text<16> symbol;
    Price bid;  // > 0
    Price ask;  // > 0; may be below bid (crossed) in recorded data
    friend bool operator==(const Tick&, const Tick&) = default;
};

/// A stream of ticks. Threads: one.
class TickSource {
public:
    virtual ~TickSource() = default;
    /// The next tick, nothing at the end. Times never go back.
    [[nodiscard]] virtual std::optional<Tick> next() = 0;
};

}  // namespace millrace::market
