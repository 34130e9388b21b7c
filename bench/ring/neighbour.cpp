#include "bench/ring/neighbour.h"

#include "bench/ring/measure.h"
#include "shm/doorbell.h"

#include <atomic>
#include <chrono>
#include <thread>

namespace millrace::bench {
namespace {

constexpr const char* kGroup = "spinning beside a neighbour that sleeps, 64 B";
constexpr auto kNap = std::chrono::microseconds{300};

enum class Sleep { Plainly, OnItsDoorbell };

/// A thread that naps until this goes out of scope.
class Neighbour {
public:
    explicit Neighbour(Sleep how) : thread_{[this, how] { nap(how); }} {}
    ~Neighbour() {
        stop_.store(true, std::memory_order_relaxed);
        thread_.join();
    }
    Neighbour(const Neighbour&) = delete;
    Neighbour& operator=(const Neighbour&) = delete;

private:
    void nap(Sleep how) {
        while (!stop_.load(std::memory_order_relaxed)) {
            if (how == Sleep::OnItsDoorbell) {
                doorbell_wait(bell_, Nanos{std::chrono::nanoseconds{kNap}.count()},
                              [] { return true; });
            } else {
                std::this_thread::sleep_for(kNap);
            }
        }
    }

    Doorbell bell_{};
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace

void run_neighbour(Bench& bench) {
    if (!doorbell_setup()) {
        std::printf("%s: the kernel refuses membarrier\n", kGroup);
        return;
    }
    const Setup s = bench.setup(Mode::Threads, 0);
    const std::uint64_t trips = bench.count(500'000);
    const auto beside = [&](const char* name, Part part, Sleep how) {
        return Contender{kGroup, name, part, [=](Series& series) {
                             const Neighbour neighbour{how};
                             return round_trip<Ours<8>>(s, trips, series.histogram);
                         }};
    };
    // Once each: the neighbour takes a core for a moment in either case.
    bench.turns("ns", false,
                {beside("a neighbour that only sleeps", Part::Limit, Sleep::Plainly),
                 beside("millrace", Part::Ours, Sleep::OnItsDoorbell)},
                1);
}

}  // namespace millrace::bench
