// Goal: no wake-up is lost, and a sleeper that is gone leaves nothing that matters.
// Method: a million hand-offs between two threads, each of which parks whenever the turn is the
// other's; a lost wake would run into the (long) timeout, which ends the game. MILLRACE_LONG: a
// hundred million; MILLRACE_HAND_OFFS: as many as that says. (Two processes:
// doorbell_process_test.cpp.)
#include "shm/doorbell.h"
#include "tests/shm/ping_pong.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace millrace {
namespace {

TEST(Doorbell, LosesNoWakeInAMillionHandOffsBetweenParkedThreads) {
    doorbell_setup();
    const std::uint64_t hand_offs = test::hand_offs_wanted(1'000'000);
    auto game = std::make_unique<test::PingPong>();
    std::thread other{[&] { game->play(1, hand_offs); }};
    EXPECT_TRUE(game->play(0, hand_offs)) << "a wake was lost";
    other.join();
    EXPECT_EQ(game->turn.load(), hand_offs);
    game->expect_sleeps(hand_offs);
}

TEST(Doorbell, ATicketThatNobodyHoldsAnyMoreCostsOneCallAndIsCleared) {
    doorbell_setup();
    auto bell = std::make_unique<Doorbell>();
    bell->armed.store(1);
    ring(*bell);
    EXPECT_EQ(bell->armed.load(), 0U);
    EXPECT_EQ(bell->rings.load(), 1U);
    ring(*bell);
    EXPECT_EQ(bell->rings.load(), 1U) << "nobody sleeps: no call";
}

TEST(Doorbell, ALateClearingDoesNotDisarmASleeperThatHasArmedAnew) {
    doorbell_setup();
    auto bell = std::make_unique<Doorbell>();
    // Two naps with a ring between: the second ticket differs, so the first ring's clearing fails.
    detail::arm(*bell);
    const std::uint32_t first = bell->armed.load();
    ring(*bell);
    detail::arm(*bell);
    EXPECT_NE(bell->armed.load(), 0U);
    EXPECT_NE(bell->armed.load(), first);
}

}  // namespace
}  // namespace millrace
