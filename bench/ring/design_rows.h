// The table of ring/adr/0001.
#pragma once

#include "bench/ring/turns.h"

namespace millrace::bench {

/// One-by-one throughput of the production ring, its variants and designs beside it, threads, 64
/// and 128 bytes; a hop of those that might be adopted.
void run_designs(Bench& bench);

}  // namespace millrace::bench
