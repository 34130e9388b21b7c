// What a thread that parks costs one that spins: each membarrier() interrupts it.
#pragma once

#include "bench/ring/turns.h"

namespace millrace::bench {

/// The hop between two spinning threads beside a third one that sleeps and wakes all the time: by
/// its doorbell, as a stage parks, and beside it by a plain sleep.
void run_neighbour(Bench& bench);

}  // namespace millrace::bench
