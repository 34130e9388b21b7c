// Compiled with -O2, see throughput.h.
#define MILLRACE_BENCH_BUILD o2
#include "bench/ring/throughput_rows.h"

namespace millrace::bench {

void add_throughput_o2(std::vector<Contender>& to, const Bench& bench, Mode mode, Load load) {
    add_rows(to, bench, mode, load, " at -O2");
}

}  // namespace millrace::bench
