// What moving messages costs when nothing of a queue is left: the lines, one end at a time. While
// one end works, the other waits elsewhere: what the slower of the two makes is a measure of what a
// queue of as many slots may hope for. No bound by proof: short stretches may travel better.
#pragma once

#include "bench/ring/hints.h"
#include "bench/ring/measure.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace millrace::bench::inline MILLRACE_BENCH_BUILD {

/// What the quickest lap took one end, in ticks: a ceiling is what can be had at best, and what
/// made the other laps slower was not the lines.
struct BestLap {
    std::int64_t ticks = std::numeric_limits<std::int64_t>::max();

    void add(std::int64_t lap) noexcept { ticks = std::min(ticks, lap); }
};

/// As many messages as a queue has slots, and whose turn it is.
template <std::size_t W>
struct Lines {
    alignas(kCacheLineBytes) std::atomic<std::uint64_t> turn{0};  // even: the writing end's
    alignas(kCacheLineBytes) BestLap wrote;
    alignas(kCacheLineBytes) BestLap read;
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

/// All at once: a message that is made and looked at word by word cannot have this. In turn by the
/// widest instructions that the C library knows for this processor, and by plain loops that ask for
/// lines ahead of them; of both ends the quickest lap counts, whichever way that was.
struct AllAtOnce {
    static constexpr std::size_t kAhead = 16;  // messages

    template <std::size_t W>
    static void write(Lines<W>& lines, std::uint64_t lap) noexcept {
        const std::uint64_t byte = lap & 0x7F;
        if (lap % 2 == 0) {
            std::memset(static_cast<void*>(lines.slots), static_cast<int>(byte),
                        sizeof lines.slots);
            return;
        }
        const std::uint64_t word = byte * 0x0101010101010101U;
        for (std::size_t i = 0; i < kCapacity; ++i) {
            ask_to_write(lines.slots[std::min(i + kAhead, kCapacity - 1)]);
            for (std::uint64_t& w : lines.slots[i].words) {
                w = word;
            }
        }
    }
    template <std::size_t W>
    static void read(Lines<W>& lines, std::uint64_t lap) noexcept {
        const std::uint64_t byte = lap & 0x7F;
        if (lap / 2 % 2 == 0) {
            // Looks for what is not there, so at every byte.
            const void* other = std::memchr(lines.slots, 0xFF, sizeof lines.slots);
            check_sum(other == nullptr ? lines.slots[0].words[0] & 0xFF : ~std::uint64_t{0}, byte);
            return;
        }
        const std::uint64_t word = byte * 0x0101010101010101U;
        std::uint64_t other = 0;
        for (std::size_t i = 0; i < kCapacity; ++i) {
            ask_to_read(lines.slots[std::min(i + kAhead, kCapacity - 1)]);
            for (const std::uint64_t w : lines.slots[i].words) {
                other |= w ^ word;
            }
        }
        check_sum(other, 0);
    }
};

/// @param laps that are timed, after two that are not.
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
    const double ns = ticks_to_ns(std::max(lines->wrote.ticks, lines->read.ticks));
    return {static_cast<double>(kCapacity) * 1e3 / ns, quiet};
}

}  // namespace millrace::bench::inline MILLRACE_BENCH_BUILD
