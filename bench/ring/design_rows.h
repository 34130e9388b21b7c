// The table of ring/adr/0001.
#pragma once

#include "bench/ring/turns.h"

namespace millrace::bench {

/// One-by-one throughput of the production ring and its variants, threads, 64 and 128 bytes.
void run_designs(Bench& bench);

}  // namespace millrace::bench
