// Prices, volumes and times between the trade server (scaled integers, wall clock) and MQL5
// (doubles, milliseconds of the server's clock).
#pragma once

#include "tests/mt5/host.h"

#include <cmath>
#include <cstdint>

namespace millrace::mt5 {

inline double unscaled(std::int64_t v) {
    return static_cast<double>(v) / static_cast<double>(kScale);
}
inline std::int64_t scaled(double v) {
    return std::llround(v * static_cast<double>(kScale));
}
inline long server_msc(std::int64_t time_ns) {
    return time_ns / 1'000'000 + kServerOffsetMs;
}

}  // namespace millrace::mt5
