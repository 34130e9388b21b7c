// Idle strategies: what a thread does while it has nothing to do, from fastest to kindest.
//
//     spin      pause inside the core; never gives the core away
//     yield     sched_yield() each round; the core is anybody's, yet the thread never sleeps
//     backoff   pauses, then yields, then parks
//     park      parks at once: sleeps on its doorbell (shm/doorbell.h)
//
// Spinning and yielding threads never arm a doorbell, so their producers never make a system call
// for them. Parking is the caller's: it knows the bells, the sockets and the longest nap.
#pragma once

#include <sched.h>

#include <cstdint>

namespace millrace {

enum class IdleStrategy : std::uint8_t { Park, Backoff, Yield, Spin };

/// Tells the core that this is a waiting loop. A hint; no ordering.
inline void cpu_pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb" ::: "memory");
#endif
}

/// One thread's waiting, round by round. Threads: the one that waits.
class Idler {
public:
    static constexpr std::uint32_t kPauses = 256;  // of backoff: ~10 us inside the core
    static constexpr std::uint32_t kYields = 64;   // of backoff, after them

    explicit Idler(IdleStrategy strategy = IdleStrategy::Park) noexcept : strategy_{strategy} {}

    /// There was work: the next wait begins anew.
    void worked() noexcept { rounds_ = 0; }

    /// One round in which there was nothing to do: pauses or yields, as the strategy has it.
    /// @return true if the caller is to park now instead (nothing was done here).
    [[nodiscard]] bool wait() noexcept {
        switch (strategy_) {
            case IdleStrategy::Spin: cpu_pause(); return false;
            case IdleStrategy::Yield: ::sched_yield(); return false;
            case IdleStrategy::Park: return true;
            case IdleStrategy::Backoff: break;
        }
        if (rounds_ == kPauses + kYields) {
            return true;  // and stays so until there was work: a timer's wake-up is no work
        }
        rounds_++ < kPauses ? cpu_pause() : static_cast<void>(::sched_yield());
        return false;
    }

    [[nodiscard]] IdleStrategy strategy() const noexcept { return strategy_; }

private:
    IdleStrategy strategy_;
    std::uint32_t rounds_ = 0;
};

}  // namespace millrace
