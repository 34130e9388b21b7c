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

/// MILLRACE_PARKED; else `usual`, a hundred times as many with MILLRACE_LONG, fewer under
/// sanitizers.
inline std::uint64_t parked_wanted(std::uint64_t usual) {
    if (const char* text = std::getenv("MILLRACE_PARKED"); text != nullptr) {
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

    Doorbell bells[2];  // of player 0 and 1
    static constexpr std::uint64_t kOver = UINT64_MAX;

    std::atomic<std::uint64_t> turn{0};       // hand-offs so far; even: player 0's; kOver: the end
    std::atomic<std::uint64_t> hand_offs{0};  // of a game that has ended
    std::atomic<std::uint64_t> naps{
        0};  // parked: in which the last look found nothing: futex() called
    std::atomic<std::uint64_t> slept{0};  // voluntary context switches: really asleep
    std::atomic<bool> lost{false};

    /// Plays `me` until the two have parked `parked` times, however many hand-offs that takes (a
    /// turn that comes while its player still looks is one, and parks nobody).
    /// @return false if a wake-up was lost.
    /// Threads: one per player.
    bool play(std::uint64_t me, std::uint64_t parked) {
        rusage before{};
        ::getrusage(RUSAGE_THREAD, &before);
        while (!lost.load()) {
            // Acquire, here and below: pairs with the other player's release.
            const std::uint64_t now = turn.load(std::memory_order_acquire);
            if (now == kOver) {
                break;
            }
            if (now % 2 != me) {
                nap(me, now);
                continue;
            }
            const bool over = naps.load(std::memory_order_relaxed) >= parked;
            hand_offs.store(now, std::memory_order_relaxed);
            turn.store(over ? kOver : now + 1, std::memory_order_release);
            ring(bells[1 - me]);
        }
        rusage after{};
        ::getrusage(RUSAGE_THREAD, &after);
        slept.fetch_add(static_cast<std::uint64_t>(after.ru_nvcsw - before.ru_nvcsw));
        return !lost.load();
    }

    /// After the game: it was about sleepers.
    void expect_parked(std::uint64_t parked) const {
        std::printf("%llu hand-offs, %llu parked, of which %llu gave the core away\n",
                    static_cast<unsigned long long>(hand_offs.load()),
                    static_cast<unsigned long long>(naps.load()),
                    static_cast<unsigned long long>(slept.load()));
        EXPECT_EQ(turn.load(), kOver);
        EXPECT_GE(naps.load(), parked);
        EXPECT_GE(slept.load(), parked / 10) << "too few to call them parked";
    }

private:
    void nap(std::uint64_t me, std::uint64_t now) {
        const std::int64_t since = monotonic_ns();
        std::uint64_t empty = 0;
        doorbell_wait(bells[me], kLost, [&] {
            const bool idle = turn.load(std::memory_order_acquire) == now;
            empty += idle ? 1 : 0;
            return idle;
        });
        // After the nap: a locked instruction before it could order what the doorbell has to.
        naps.fetch_add(empty, std::memory_order_relaxed);
        // If the other has not moved, this was only a long wait for its turn to end.
        if (monotonic_ns() - since >= kLost.value && turn.load() != now) {
            lost.store(true);
        }
    }
};

}  // namespace millrace::test
