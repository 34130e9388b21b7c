// Goal: no allocation in the stage's duty cycle. Method: operator new aborts while it runs.
#include "broker_world.h"
#include "tests/alloc/trapping_new.h"

#include <gtest/gtest.h>

namespace millrace::test {
namespace {

TEST(BrokerAllocation, NeverAllocatesInTheDutyCycleNotEvenForAReconnect) {
    World w{{.session_slots = 16, .reports_slots = 4096}};
    w.define_symbol(1, "EURUSD");
    Terminal& t = w.connect(kFirstLogin);
    const auto step = [&] {
        trap_allocations = true;
        w.stage->step(w.now());
        trap_allocations = false;
        t.poll();
    };
    for (int i = 0; i < 200; ++i) {
        const Magic magic = w.order(0, i % 3 == 0 ? CommandType::Close : CommandType::Open,
                                    i % 50 == 7 ? Nanos{-1} : seconds(30));
        w.order(1);  // overflows
        step();
        t.send_event(filled(magic));
        bridge::Tick tick{};
        std::memcpy(tick.symbol, "EURUSD", 6);
        tick.bid = tick.ask = 110'000'000;
        t.send(bridge::FrameType::Tick, 0, tick);
        bridge::Holding held{};
        held.kind = 1;
        held.volume = kScale;
        t.send(bridge::FrameType::Holding, 0, held);
        t.send(bridge::FrameType::HoldingsEnd, 0, bridge::HoldingsEnd{1, 0, 0});
        w.kill(KillCommand{static_cast<std::uint64_t>(i) + 1,
                           KillScope::Account,
                           i % 2 == 0 ? kKillStop : std::uint8_t{0},
                           {},
                           0,
                           {}});
        step();
        if (i == 100) {
            t.disconnect();
            t.connect(w.stage->port());
        }
        w.skew = w.skew + millis(20);
    }
    EXPECT_GT(w.stage->stats().ticks, 100U);
    EXPECT_GT(w.stage->stats().holdings_lost, 100U);
    EXPECT_GT(w.stage->stats().queue_full, 100U);
    EXPECT_GT(w.stage->stats().sent, 100U);
}

}  // namespace
}  // namespace millrace::test
