// Two players hand a turn to and fro and park whenever it is not theirs: every hand-off is a
// wake-up that can be lost. Lies in shared memory: the players may be threads or processes.
#pragma once

#include "shm/clock.h"
#include "shm/doorbell.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace millrace::test {

/// MILLRACE_HAND_OFFS; else `usual`, a hundred times as many with MILLRACE_LONG, fewer under
/// sanitizers.
inline std::uint64_t hand_offs_wanted(std::uint64_t usual) {
    if (const char* text = std::getenv("MILLRACE_HAND_OFFS"); text != nullptr) {
        return std::strtoull(text, nullptr, 10);
    }
#ifdef MILLRACE_SANITIZED
    return usual / 50;
#else
    return std::getenv("MILLRACE_LONG") != nullptr ? 100 * usual : usual;
#endif
}

struct PingPong {
    /// No wake-up takes that long; a lost one costs it, and ends the game.
    static constexpr Nanos kLost = seconds(30);

    Doorbell bells[2];                    // of player 0 and 1
    std::atomic<std::uint64_t> turn{0};   // hand-offs so far; even: player 0's
    std::atomic<std::uint64_t> naps{0};   // in which the last look found nothing: futex() called
    std::atomic<std::uint64_t> slept{0};  // voluntary context switches: really asleep
    std::atomic<bool> lost{false};

    /// Plays `me` until `hand_offs` are done. @return false if a wake-up was lost.
    /// Threads: one per player.
    bool play(std::uint64_t me, std::uint64_t hand_offs) {
        rusage before{};
        ::getrusage(RUSAGE_THREAD, &before);
        std::uint64_t my_naps = 0;
        while (!lost.load()) {
            // Acquire, here and below: pairs with the other player's release.
            const std::uint64_t now = turn.load(std::memory_order_acquire);
            if (now >= hand_offs) {
                break;
            }
            if (now % 2 == me) {
                turn.store(now + 1, std::memory_order_release);
                ring(bells[1 - me]);
                continue;
            }
            nap(me, now, my_naps);
        }
        rusage after{};
        ::getrusage(RUSAGE_THREAD, &after);
        naps.fetch_add(my_naps);
        slept.fetch_add(static_cast<std::uint64_t>(after.ru_nvcsw - before.ru_nvcsw));
        return !lost.load();
    }

    /// After the game: it was about sleepers. On any machine a turn takes its owner a while to
    /// begin after the wake-up, so that the other is asleep by then more often than not.
    void expect_sleeps(std::uint64_t hand_offs) const {
        std::printf("%llu hand-offs, %llu parked, of which %llu gave the core away\n",
                    static_cast<unsigned long long>(hand_offs),
                    static_cast<unsigned long long>(naps.load()),
                    static_cast<unsigned long long>(slept.load()));
        EXPECT_GE(naps.load(), hand_offs / 10) << "too few to call them parked";
        EXPECT_GE(slept.load(), hand_offs / 10) << "too few to call them parked";
    }

private:
    void nap(std::uint64_t me, std::uint64_t now, std::uint64_t& my_naps) {
        const std::int64_t since = monotonic_ns();
        doorbell_wait(bells[me], kLost, [&] {
            const bool idle = turn.load(std::memory_order_acquire) == now;
            my_naps += idle ? 1 : 0;
            return idle;
        });
        // If the other has not moved, this was only a long wait for its turn to end.
        if (monotonic_ns() - since >= kLost.value && turn.load() != now) {
            lost.store(true);
        }
    }
};

}  // namespace millrace::test
