// Goal: no wake-up is lost, and a sleeper that is gone leaves nothing that matters.
// Method: two threads hand a turn to and fro, and each parks whenever it is the other's, until they
// have parked a million times; a lost wake would run into the (long) timeout, which ends the game.
// MILLRACE_LONG: a hundred million; MILLRACE_PARKED: as many as that says. (Two processes:
// doorbell_process_test.cpp.)
#include "shm/doorbell.h"
#include "tests/shm/ping_pong.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace millrace {
namespace {

TEST(Doorbell, LosesNoWakeInAMillionParkedHandOffsBetweenThreads) {
    doorbell_setup();
    const std::uint64_t parked = test::parked_wanted(1'000'000);
    auto game = std::make_unique<test::PingPong>();
    std::thread other{[&] { game->play(1, parked); }};
    EXPECT_TRUE(game->play(0, parked)) << "a wake was lost";
    other.join();
    game->expect_parked(parked);
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
