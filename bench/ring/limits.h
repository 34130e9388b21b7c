// What moving messages costs when nothing of a queue is left: the lines, one end at a time. While
// one end works, the other waits elsewhere, so neither can do its part of any queue faster than
// this: a queue whose ends work at the same time can at best be as fast as the slower of the two.
#pragma once

#include "bench/ring/measure.h"

#include <algorithm>
#include <cstring>

namespace millrace::bench::inline MILLRACE_BENCH_BUILD {

/// What each lap took one end, in ticks. The median is used: a lap in which the core was taken away
/// says nothing about lines.
struct LapTimes {
    static constexpr std::size_t kLapsMax = 64;
    std::array<std::int64_t, kLapsMax> laps{};
    std::size_t count = 0;

    void add(std::int64_t ticks) noexcept {
        if (count < kLapsMax) {
            laps[count++] = ticks;
        }
    }
    [[nodiscard]] std::int64_t median() noexcept {
        const auto middle = laps.begin() + static_cast<std::ptrdiff_t>(count / 2);
        std::nth_element(laps.begin(), middle, laps.begin() + static_cast<std::ptrdiff_t>(count));
        return *middle;
    }
};

/// As many messages as a queue has slots, and whose turn it is.
template <std::size_t W>
struct Lines {
    alignas(kCacheLineBytes) std::atomic<std::uint64_t> turn{0};  // even: the writing end's
    alignas(kCacheLineBytes) LapTimes wrote;
    alignas(kCacheLineBytes) LapTimes read;
    alignas(4096) Message<W> slots[kCapacity];
};

/// How the words come into the messages and out of them again.
/// One by one, by the code that all queues here are measured with.
struct WordByWord {
    template <std::size_t W>
    static void write(Lines<W>& lines, std::uint64_t lap) noexcept {
        for (std::size_t i = 0; i < kCapacity; ++i) {
            write_words(lines.slots[i].words, 0, lap, 0);
        }
    }
    template <std::size_t W>
    static void read(Lines<W>& lines, std::uint64_t lap) noexcept {
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < kCapacity; ++i) {
            sum += lines.slots[i].got().sum;
        }
        check_sum(sum, kCapacity * ((W - 1) * lap + (W - 1) * (W - 2) / 2));
    }
};

/// All at once, by the widest instructions that the C library knows for this processor: a message
/// that is made and looked at word by word cannot have this.
struct AllAtOnce {
    template <std::size_t W>
    static void write(Lines<W>& lines, std::uint64_t lap) noexcept {
        std::memset(static_cast<void*>(lines.slots), static_cast<int>(lap & 0x7F),
                    sizeof lines.slots);
    }
    template <std::size_t W>
    static void read(Lines<W>& lines, std::uint64_t lap) noexcept {
        // Looks for what is not there, so at every byte.
        const void* other = std::memchr(lines.slots, 0xFF, sizeof lines.slots);
        check_sum(other == nullptr ? lines.slots[0].words[0] & 0xFF : ~std::uint64_t{0},
                  lap & 0x7F);
    }
};

/// @param laps that are timed, 1 .. LapTimes::kLapsMax, after two that are not.
/// @return messages a second, in millions, of the slower of the two ends by itself.
template <class How, std::size_t W>
Round each_end_alone(const Setup& s, std::uint64_t laps) {
    constexpr std::uint64_t kWarm = 2;
    Shared<Lines<W>> lines;
    const auto await = [&](std::uint64_t turn) {
        while (lines->turn.load(std::memory_order_acquire) !=
               turn) {  // pairs with the stores below
            idle(1);
        }
        return ticks();
    };
    const bool quiet = run_pair(
        s.mode, s.cpu_near, s.cpu_far,
        [&] {
            for (std::uint64_t lap = 0; lap < kWarm + laps; ++lap) {
                const std::int64_t t = await(2 * lap);
                How::write(*lines, lap);
                // Else stores that still wait for their line would be the reader's time.
                std::atomic_thread_fence(std::memory_order_seq_cst);
                const std::int64_t took = ticks() - t;
                if (lap >= kWarm) {
                    lines->wrote.add(took);
                }
                lines->turn.store(2 * lap + 1, std::memory_order_release);
            }
        },
        [&] {
            for (std::uint64_t lap = 0; lap < kWarm + laps; ++lap) {
                const std::int64_t t = await(2 * lap + 1);
                How::read(*lines, lap);
                const std::int64_t took = ticks() - t;
                if (lap >= kWarm) {
                    lines->read.add(took);
                }
                lines->turn.store(2 * lap + 2, std::memory_order_release);
            }
        });
    const double ns = ticks_to_ns(std::max(lines->wrote.median(), lines->read.median()));
    return {static_cast<double>(kCapacity) * 1e3 / ns, quiet};
}

}  // namespace millrace::bench::inline MILLRACE_BENCH_BUILD
