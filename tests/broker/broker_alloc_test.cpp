// Goal: no allocation in the stage's duty cycle. Method: operator new aborts while it runs.
#include "broker_world.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <new>

namespace {
thread_local bool g_trap = false;

void* allocate(std::size_t bytes) {
    if (g_trap) {
        g_trap = false;  // printing may allocate
        std::fprintf(stderr, "allocation of %zu bytes inside the duty cycle\n", bytes);
        std::abort();
    }
    void* memory = std::malloc(bytes);
    if (memory == nullptr) {
        std::abort();
    }
    return memory;
}
}  // namespace

void* operator new(std::size_t bytes) { return allocate(bytes); }
void* operator new[](std::size_t bytes) { return allocate(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace millrace::test {
namespace {

TEST(BrokerAllocation, NeverAllocatesInTheDutyCycleNotEvenForAReconnect) {
    World w{{.session_slots = 16, .reports_slots = 4096}};
    w.define_symbol(1, "EURUSD");
    Terminal& t = w.connect(kFirstLogin);
    const auto step = [&] {
        g_trap = true;
        w.stage->step(w.now());
        g_trap = false;
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
        w.kill(KillCommand{static_cast<std::uint64_t>(i) + 1, KillScope::Account,
                           i % 2 == 0 ? kKillStop : std::uint8_t{0}, {}, 0, {}});
        step();
        if (i == 100) {
            t.disconnect();
            t.connect(w.stage->port());
        }
        w.skew = w.skew + millis(20);
    }
    EXPECT_GT(w.stage->stats().ticks, 100U);
    EXPECT_GT(w.stage->stats().queue_full, 100U);
    EXPECT_GT(w.stage->stats().sent, 100U);
}

}  // namespace
}  // namespace millrace::test
