// One-by-one and batch throughput of all queues, compiled twice: at -O3 and at -O2, which is what
// the release preset builds the product with. Both take turns in one run.
#pragma once

#include "bench/ring/turns.h"

namespace millrace::bench {

/// Messages of how many bytes, one by one or by batches of 32.
enum class Load { OneByOne64, OneByOne128, Batches64, Batches128 };

/// Limits, rivals and ours, in groups "throughput 64 B, threads" and so on.
void add_throughput_o3(std::vector<Contender>& to, const Bench& bench, Mode mode, Load load);
/// The same code at -O2, in groups "throughput 64 B at -O2, threads" and so on.
void add_throughput_o2(std::vector<Contender>& to, const Bench& bench, Mode mode, Load load);

}  // namespace millrace::bench
