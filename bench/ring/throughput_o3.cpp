// Compiled with -O3, see throughput.h.
#define MILLRACE_BENCH_BUILD o3
#include "bench/ring/throughput_rows.h"

namespace millrace::bench {

void add_throughput_o3(std::vector<Contender>& to, const Bench& bench, Mode mode, Load load) {
    add_rows(to, bench, mode, load, "");
}

}  // namespace millrace::bench
