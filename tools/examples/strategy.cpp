// An example strategy in shared memory: buys 0.10 lots on every account of a group, then closes.
//
//     millrace-example-strategy /dev/shm/millrace STRATEGY GROUP SYMBOL
#include "gateway/client/millrace_client.hpp"

#include <sys/random.h>

#include <cstdio>

namespace mr = millrace::client;

// Submits one signal and prints its results until every account's order is final.
static bool run(mr::Strategy& strategy, const mr::Signal& signal) {
    int code = strategy.submit(signal);
    // Full and Journal pass by themselves: try for ten seconds.
    for (int i = 0; i < 1'000 && (code == MR_FULL || code == MR_JOURNAL); ++i) {
        (void)strategy.wait(10);
        code = strategy.submit(signal);
    }
    bool over = false;
    bool good = code == MR_OK;
    while (good && !over) {
        good = strategy.wait(60'000) > 0;  // 0: nothing for a minute; < 0: see error()
        strategy.poll([&](const mr::Result& r) {
            const bool ours = r.signal.hi == signal.id.hi && r.signal.lo == signal.id.lo;
            std::printf("kind %d account %d status %c %s %s\n", r.kind, static_cast<int>(r.account),
                        r.ord_status != 0 ? r.ord_status : '-', mr_reason_text(r.reason),
                        mr_reason_mend(r.reason));
            over = over || (ours && (r.kind == MR_SIGNAL_DONE || r.kind == MR_REFUSED));
        });
    }
    return good;
}

int main(int argc, char** argv) {
    mr::Strategy strategy;
    mr::Signal open{};
    if (argc != 5 || strategy.open(argv[1], argv[2]) != MR_OK ||
        strategy.group(argv[3], open.group) != MR_OK ||
        strategy.symbol(argv[4], open.symbol) != MR_OK) {
        std::fprintf(stderr, "%s\n",
                     argc == 5 ? mr::Strategy::error() : "usage: SEGMENT STRATEGY GROUP SYMBOL");
        return 2;
    }
    open.action = MR_OPEN;
    open.side = MR_BUY;
    open.volume = mr::fixed("0.10");
    mr::Signal close = open;
    close.action = MR_CLOSE;
    close.volume = 0;  // all of it
    const bool named = ::getrandom(&open.id, sizeof open.id, 0) == sizeof open.id &&
                       ::getrandom(&close.id, sizeof close.id, 0) == sizeof close.id;
    close.target = open.id;
    const bool done = named && run(strategy, open) && run(strategy, close);
    std::fprintf(stderr, "%s", done ? "" : mr::Strategy::error());
    return done ? 0 : 1;
}
