// The segment's clock: CLOCK_MONOTONIC plus the wall-clock anchor taken when the segment was
// created. All stages and strategies on the host agree on it; wall-clock jumps change nothing.
#pragma once

#include "core/types.h"

#include <ctime>

namespace millrace {

/// CLOCK_MONOTONIC in ns. vDSO, no syscall.
[[nodiscard]] inline std::int64_t monotonic_ns() noexcept {
    timespec ts{};
    ::clock_gettime(CLOCK_MONOTONIC, &ts);
    return static_cast<std::int64_t>(ts.tv_sec) * 1'000'000'000 + ts.tv_nsec;
}

/// CLOCK_REALTIME in ns; only to anchor a new segment and to stamp files for people.
[[nodiscard]] inline std::int64_t wall_ns() noexcept {
    timespec ts{};
    ::clock_gettime(CLOCK_REALTIME, &ts);
    return static_cast<std::int64_t>(ts.tv_sec) * 1'000'000'000 + ts.tv_nsec;
}

/// Time on the segment's clock.
class Clock {
public:
    Clock() = default;
    explicit Clock(std::int64_t anchor_ns) noexcept : anchor_ns_{anchor_ns} {}
    [[nodiscard]] Nanos now() const noexcept { return Nanos{monotonic_ns() + anchor_ns_}; }

private:
    std::int64_t anchor_ns_ = 0;
};

}  // namespace millrace
