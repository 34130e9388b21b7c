// HoldingSink: the broker stage's end of the ring `holdings`.
#pragma once

#include "shm/segment.h"

namespace millrace {

/// Threads: the broker stage. No allocation.
class HoldingSink {
public:
    HoldingSink() = default;
    /// @return BadCursor if the ring contradicts itself.
    [[nodiscard]] static Result<HoldingSink> attach(const Segment& segment) noexcept {
        auto producer =
            RingProducer<Holding>::attach(segment.ring<Holding>(std::string_view{kHoldingsRing}));
        if (!producer) {
            return producer.error();
        }
        HoldingSink sink;
        sink.producer_ = producer.value();
        return sink;
    }

    /// @return false, and nothing is told, if nobody has taken what is in the ring: whoever asks
    /// for the whole list then waits for the next.
    [[nodiscard]] bool publish(const Holding& holding) noexcept {
        return producer_.try_publish(holding).ok();
    }

private:
    RingProducer<Holding> producer_{};
};

}  // namespace millrace
