// What a measurement of two ends is told, and what one round of it gives.
#pragma once

#include "bench/lib/pair.h"

#include <cstdint>

namespace millrace::bench {

struct Setup {
    Mode mode = Mode::Threads;
    int cpu_near = 0;
    int cpu_far = 1;
    int pauses = 0;  // pause instructions after a refused push and an empty pop
};

struct Round {
    double value = 0;  // M/s, or ns at p50
    bool undisturbed = false;
    double p999 = 0;  // ns; 0 = none: no latencies, or not every message was seen
};

}  // namespace millrace::bench
