// Hop and one-way latency of all queues, 64-byte messages.
#pragma once

#include "bench/ring/turns.h"

namespace millrace::bench {

/// Round trip / 2; one way at a fixed rate; one way as fast as the queue takes them. Rounds of the
/// first two last about 200 ms, so that one stall is not a round's p99.9.
void run_latencies(Bench& bench, Mode mode);

}  // namespace millrace::bench
