// Goal: no allocation in the ingress stage's duty cycle, not for signals, refusals, results, nor
// for a source that comes back. Method: operator new aborts while it runs.
#include "tests/alloc/trapping_new.h"
#include "tests/ingress/fixture.h"

namespace millrace::ingress_test {
namespace {

/// The bench's round, with the trap set around the stage alone.
void step_trapped(Bench& bench) {
    test::trap_allocations = true;
    bench.stage->step(bench.segment.clock().now() + bench.skew);
    test::trap_allocations = false;
    bench.engine.step();
    for (const auto& client : bench.clients) {
        client->poll(0);
    }
}

bool until_trapped(Bench& bench, const std::function<bool()>& condition) {
    const std::int64_t deadline = monotonic_ns() + 20'000'000'000;
    while (!condition() && monotonic_ns() < deadline) {
        step_trapped(bench);
    }
    return condition();
}

TEST(IngressAllocation, NeverAllocatesInTheDutyCycleNotEvenForAReconnect) {
    Bench bench;
    int acks = 0;
    int refusals = 0;
    int results = 0;
    SignalClient& client = bench.connect("alpha", {[&](const SignalAnswer&) { ++acks; },
                                                   [&](const SignalAnswer&) { ++refusals; },
                                                   [&](const SignalResult&) { ++results; },
                                                   {}});
    ASSERT_TRUE(client.submit(open_signal(1)).ok());
    ASSERT_TRUE(bench.until([&] { return acks == 1; })) << "warm-up: a place for one connection";
    ASSERT_GT(test::allocations, 0U) << "the trap is not in place";
    for (std::uint64_t n = 2; n <= 200; ++n) {
        SignalRequest signal = open_signal(n);
        if (n % 10 == 0) {
            signal.symbol = "NOSUCH";
        }
        ASSERT_TRUE(client.submit(signal).ok());
        step_trapped(bench);
        if (!bench.engine.accepted.empty() && bench.engine.free_results() > 4) {
            bench.engine.publish(ResultKind::OrderDone, bench.engine.accepted.back());
        }
    }
    EXPECT_TRUE(until_trapped(bench, [&] { return acks == 180 && refusals == 20; }));
    EXPECT_TRUE(until_trapped(bench, [&] { return results > 100; }));

    bench.clients.clear();
    ASSERT_TRUE(until_trapped(bench, [&] { return bench.stage->peers() == 0; }));
    SignalClient& again =
        bench.connect("alpha", {[&](const SignalAnswer&) { ++acks; }, {}, {}, {}});
    ASSERT_TRUE(again.submit(open_signal(500)).ok());
    EXPECT_TRUE(until_trapped(bench, [&] { return acks == 181; }));
    bench.clients.clear();
    ASSERT_TRUE(until_trapped(bench, [&] { return bench.stage->peers() == 0; }));
    SignalClientOptions stranger = bench.client_options("alpha");
    stranger.key = key_of('x');
    bench.connect(stranger);
    EXPECT_TRUE(until_trapped(bench, [&] { return bench.stage->stats().logins_denied == 1; }));
}

}  // namespace
}  // namespace millrace::ingress_test
