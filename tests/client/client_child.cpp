// A strategy as a process of its own: opens, submits `count` signals from id `first` on, says how
// far it came, holds the role until its stdin ends. Crash points of the client kill it on demand.
//
//     client_child SEGMENT STRATEGY FIRST COUNT
#include "gateway/client/millrace_client.hpp"

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
    if (argc != 5) {
        return 2;
    }
    millrace::client::Strategy strategy;
    if (strategy.open(argv[1], argv[2]) != MR_OK) {
        std::printf("error: %s\n", millrace::client::Strategy::error());
        std::fflush(stdout);
        return 1;
    }
    const std::uint64_t first = std::strtoull(argv[3], nullptr, 10);
    const std::uint64_t count = std::strtoull(argv[4], nullptr, 10);
    for (std::uint64_t n = first; n < first + count; ++n) {
        millrace::client::Signal s{};
        s.id = {0xC11D, n};
        s.action = MR_OPEN;
        s.volume = MR_SCALE;
        if (strategy.group("main", s.group) != MR_OK ||
            strategy.symbol("EURUSD", s.symbol) != MR_OK || strategy.submit(s) != MR_OK) {
            std::printf("error: %s\n", millrace::client::Strategy::error());
            std::fflush(stdout);
            return 1;
        }
    }
    std::printf("done\n");
    std::fflush(stdout);
    while (std::getchar() != EOF) {
    }
    return 0;
}
