// Goal: each idle strategy does what its name says, and only backoff and park ever ask to sleep.
// Method: rounds are counted; that a yield gives the core away shows on a core that two share.
#include "shm/idle.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace millrace {
namespace {

constexpr std::uint32_t kBackoffRounds = Idler::kPauses + Idler::kYields;

std::uint32_t rounds_until_parking(Idler& idler, std::uint32_t limit) {
    std::uint32_t rounds = 0;
    while (rounds < limit && !idler.wait()) {
        ++rounds;
    }
    return rounds;
}

TEST(Idle, ParkSleepsAtOnceAndSpinAndYieldNever) {
    Idler park{IdleStrategy::Park};
    Idler spin{IdleStrategy::Spin};
    Idler yield{IdleStrategy::Yield};
    EXPECT_EQ(rounds_until_parking(park, 1), 0U);
    EXPECT_EQ(rounds_until_parking(spin, kBackoffRounds + 1), kBackoffRounds + 1);
    EXPECT_EQ(rounds_until_parking(yield, kBackoffRounds + 1), kBackoffRounds + 1);
}

TEST(Idle, BackoffSleepsAfterItsPausesAndYieldsAndBeginsAnewAfterWork) {
    Idler idler{IdleStrategy::Backoff};
    EXPECT_EQ(rounds_until_parking(idler, 2 * kBackoffRounds), kBackoffRounds);
    EXPECT_TRUE(idler.wait()) << "a nap that ended without work is no reason to spin again";
    idler.worked();
    EXPECT_EQ(rounds_until_parking(idler, 2 * kBackoffRounds), kBackoffRounds);
}

/// Rounds that two threads on one core waited for each other, in all.
std::uint64_t rounds_on_one_core(IdleStrategy strategy, int hand_offs) {
    std::atomic<int> turn{0};
    std::atomic<std::uint64_t> rounds{0};
    const auto play = [&](int parity) {
        Idler idler{strategy};
        std::uint64_t waited = 0;
        for (int n = parity; n < hand_offs; n += 2) {
            // Acquire and release: nothing but the turn itself is handed over.
            while (turn.load(std::memory_order_acquire) != n) {
                (void)idler.wait();
                ++waited;
            }
            turn.store(n + 1, std::memory_order_release);
        }
        rounds.fetch_add(waited);
    };
    cpu_set_t before;
    CPU_ZERO(&before);
    EXPECT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(::sched_getcpu()), &one);
    EXPECT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);  // the other thread inherits it
    std::thread other{[&] { play(1); }};
    play(0);
    other.join();
    EXPECT_EQ(::sched_setaffinity(0, sizeof before, &before), 0);
    return rounds.load();
}

TEST(Idle, YieldGivesTheCoreToTheThreadItWaitsFor) {
    const std::uint64_t yielding = rounds_on_one_core(IdleStrategy::Yield, 200);
    const std::uint64_t spinning = rounds_on_one_core(IdleStrategy::Spin, 20);
    std::printf("rounds a hand-off on one core: yield %.1f, spin %.0f\n",
                static_cast<double>(yielding) / 200, static_cast<double>(spinning) / 20);
    // A spinner keeps the core to the end of its slice: thousands of rounds.
    EXPECT_LT(yielding / 200, 100U);
    EXPECT_GT(spinning / 20, yielding / 200);
}

}  // namespace
}  // namespace millrace
