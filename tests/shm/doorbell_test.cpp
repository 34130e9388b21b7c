// Goal: no wake-up is lost, and a killed sleeper leaves nothing that matters.
// Method: a million hand-offs between two threads that park after every one; a lost wake would run
// into the (long) timeout, which the test counts. MILLRACE_LONG: a hundred million;
// MILLRACE_HAND_OFFS: as many as that says.
#include "shm/doorbell.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <thread>

namespace millrace {
namespace {

std::uint64_t hand_offs_wanted() {
    if (const char* text = std::getenv("MILLRACE_HAND_OFFS"); text != nullptr) {
        return std::strtoull(text, nullptr, 10);
    }
#ifdef MILLRACE_SANITIZED
    return 20'000;
#else
    return std::getenv("MILLRACE_LONG") != nullptr ? 100'000'000 : 1'000'000;
#endif
}

TEST(Doorbell, LosesNoWakeInAMillionHandOffsBetweenParkedThreads) {
    doorbell_setup();
    const std::uint64_t hand_offs = hand_offs_wanted();
    auto bell = std::make_unique<Doorbell>();
    std::atomic<std::uint64_t> published{0};
    std::atomic<std::uint64_t> consumed{0};
    std::uint64_t timeouts = 0;
    std::uint64_t parked = 0;
    std::thread sleeper{[&] {
        std::uint64_t seen = 0;
        while (seen < hand_offs) {
            const std::uint64_t now = published.load(std::memory_order_acquire);
            if (now != seen) {
                seen = now;
                consumed.store(seen, std::memory_order_release);
                continue;
            }
            const auto before = std::chrono::steady_clock::now();
            doorbell_wait(*bell, seconds(2), [&] {
                const bool idle = published.load(std::memory_order_acquire) == seen;
                parked += idle ? 1 : 0;
                return idle;
            });
            timeouts += std::chrono::steady_clock::now() - before > std::chrono::seconds{2} ? 1 : 0;
        }
    }};
    for (std::uint64_t n = 1; n <= hand_offs; ++n) {
        published.store(n, std::memory_order_release);
        ring(*bell);
        // Every 16th is waited for, so that the sleeper gets to park; the others race it.
        while (n % 16 == 0 && consumed.load(std::memory_order_acquire) != n) {
            std::this_thread::yield();
        }
    }
    sleeper.join();
    std::printf("%lu hand-offs, parked %lu times, lost wakes %lu\n",
                static_cast<unsigned long>(hand_offs), static_cast<unsigned long>(parked),
                static_cast<unsigned long>(timeouts));
    EXPECT_EQ(timeouts, 0U);
}

TEST(Doorbell, AnArmedBellOfAKilledSleeperCostsOneCallAndIsCleared) {
    doorbell_setup();
    auto bell = std::make_unique<Doorbell>();
    bell->armed.store(1);  // killed inside doorbell_wait
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
