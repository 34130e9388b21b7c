// How a queue of bench/ring/queues.h is measured: throughput, round trips, one way.
#pragma once

#include <cstdio>
#include <cstdlib>

#include "bench/lib/hdr.h"
#include "bench/lib/pair.h"
#include "bench/ring/queues.h"
#include "bench/ring/round.h"

namespace millrace::bench::inline MILLRACE_BENCH_BUILD {

inline void idle(int pauses) noexcept {
    for (int i = 0; i < pauses; ++i) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        asm volatile("isb" ::: "memory");
#endif
    }
}

/// What both ends of a round leave behind.
struct Outcome {
    std::int64_t began = 0;
    std::int64_t ended = 0;
    std::uint64_t sum = 0;
    std::uint64_t warm = 0;  // messages before `began`
    Hdr histogram;
};

/// Messages that go over before time is taken: two laps, so that every slot has been on both sides.
inline constexpr std::uint64_t kWarmUp = 2 * kCapacity;

inline void check_sum(std::uint64_t got, std::uint64_t expected) {
    if (got != expected) {
        std::fprintf(stderr, "bench: a queue lost or tore messages: sum %llu, expected %llu\n",
                     static_cast<unsigned long long>(got),
                     static_cast<unsigned long long>(expected));
        std::exit(1);
    }
}

/// Messages a second, one by one, in millions, as the consuming end sees them after the warm-up.
template <class Queue, std::size_t W>
Round throughput_of(const Setup& s, std::uint64_t counted) {
    const std::uint64_t messages = kWarmUp + counted;
    Shared<Queue> queue;
    Shared<Outcome> out;
    const bool quiet = run_pair(
        s.mode, s.cpu_near, s.cpu_far,
        [&] {
            typename Queue::Near near{*queue};
            for (std::uint64_t n = 1; n <= messages;) {
                near.push(n, 0) ? static_cast<void>(++n) : idle(s.pauses);
            }
        },
        [&] {
            typename Queue::Far far{*queue};
            std::uint64_t sum = 0;
            for (std::uint64_t n = 0; n != messages;) {
                const Got got = far.pop();
                if (got.number == 0) {
                    idle(s.pauses);
                    continue;
                }
                n = got.number;
                sum += got.sum;
                if (n == kWarmUp) {
                    out->began = ticks();
                }
            }
            out->ended = ticks();
            out->sum = sum;
        });
    check_sum(out->sum, expected_sum<W>(messages));
    return {static_cast<double>(counted) * 1e3 / ticks_to_ns(out->ended - out->began), quiet};
}

template <template <std::size_t> class Queue, std::size_t W>
Round throughput(const Setup& s, std::uint64_t counted) {
    return throughput_of<Queue<W>, W>(s, counted);
}

/// The same, batch against batch.
template <template <std::size_t> class Queue, std::size_t W>
Round batch_throughput(const Setup& s, std::uint64_t counted, std::size_t batch) {
    const std::uint64_t messages = kWarmUp + counted;
    Shared<Queue<W>> queue;
    Shared<Outcome> out;
    const bool quiet = run_pair(
        s.mode, s.cpu_near, s.cpu_far,
        [&] {
            typename Queue<W>::Near near{*queue};
            for (std::uint64_t n = 1; n <= messages;) {
                const std::size_t k =
                    near.push_batch(n, std::min<std::size_t>(batch, messages + 1 - n));
                n += k;
                k == 0 ? idle(s.pauses) : static_cast<void>(0);
            }
        },
        [&] {
            typename Queue<W>::Far far{*queue};
            std::uint64_t sum = 0;
            std::uint64_t warm = 0;
            for (std::uint64_t n = 0; n != messages;) {
                const std::size_t k = far.pop_batch(batch, sum);
                n += k;
                k == 0 ? idle(s.pauses) : static_cast<void>(0);
                if (n <= kWarmUp) {
                    out->began = ticks();
                    warm = n;
                }
            }
            out->ended = ticks();
            out->sum = sum;
            out->warm = warm;
        });
    check_sum(out->sum, expected_sum<W>(messages));
    return {static_cast<double>(messages - out->warm) * 1e3 / ticks_to_ns(out->ended - out->began),
            quiet};
}

/// p50 and p99.9 of one round.
inline Round latency_round(const Hdr& h, bool quiet) noexcept {
    return {static_cast<double>(h.quantile(0.5)), quiet, static_cast<double>(h.quantile(0.999))};
}

/// Ping-pong over two queues, nothing else in them. @return half a round trip, p50, ns.
template <class Queue>
Round round_trip(const Setup& s, std::uint64_t trips, Hdr& all) {
    Shared<Queue> there;
    Shared<Queue> back;
    Shared<Outcome> out;
    const std::int64_t clock_cost = cost_of_ticks();
    const bool quiet = run_pair(
        s.mode, s.cpu_near, s.cpu_far,
        [&] {
            typename Queue::Near send{*there};
            typename Queue::Far receive{*back};
            for (std::uint64_t n = 1; n <= trips; ++n) {
                const std::int64_t t = ticks();
                send.push(n, 0);
                while (receive.pop().number == 0) {
                    idle(s.pauses);
                }
                const std::int64_t took = ticks() - t - clock_cost;
                out->histogram.add(static_cast<std::int64_t>(ticks_to_ns(took) / 2));
            }
        },
        [&] {
            typename Queue::Near send{*back};
            typename Queue::Far receive{*there};
            for (std::uint64_t n = 1; n <= trips; ++n) {
                while (receive.pop().number == 0) {
                    idle(s.pauses);
                }
                send.push(n, 0);
            }
        });
    all.add(out->histogram);
    return latency_round(out->histogram, quiet);
}

/// One way, from the time a message was due (no coordinated omission: a late sender does not move
/// the times that follow), or with `every_ns` 0 as fast as the queue takes them, from the push.
/// @return p50, ns.
template <class Queue>
Round one_way(const Setup& s, std::uint64_t messages, double every_ns, Hdr& all) {
    Shared<Queue> queue;
    Shared<Outcome> out;
    const std::int64_t every = ns_to_ticks(every_ns);
    const bool quiet = run_pair(
        s.mode, s.cpu_near, s.cpu_far,
        [&] {
            typename Queue::Near near{*queue};
            std::int64_t due = ticks() + every;
            for (std::uint64_t n = 1; n <= messages; ++n, due += every) {
                while (every != 0 && ticks() < due) {
                }
                const std::int64_t from = every != 0 ? due : ticks();
                while (!near.push(n, static_cast<std::uint64_t>(from))) {
                    idle(s.pauses);
                }
            }
        },
        [&] {
            typename Queue::Far far{*queue};
            for (std::uint64_t n = 0; n != messages;) {
                const Got got = far.pop();
                if (got.number == 0) {
                    idle(s.pauses);
                    continue;
                }
                n = got.number;
                const std::int64_t took = ticks() - static_cast<std::int64_t>(got.stamp);
                out->histogram.add(static_cast<std::int64_t>(ticks_to_ns(took)));
            }
        });
    all.add(out->histogram);
    Round round = latency_round(out->histogram, quiet);
    if constexpr (requires { Queue::kOverwrites; }) {
        round.p999 = 0;  // late messages are those that are missing
    }
    return round;
}

}  // namespace millrace::bench::inline MILLRACE_BENCH_BUILD
