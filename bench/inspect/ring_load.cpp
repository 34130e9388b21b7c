#include "bench/inspect/load.h"
#include "bench/lib/hdr.h"
#include "bench/lib/pair.h"
#include "shm/clock.h"
#include "shm/segment.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace millrace::bench {
namespace {

constexpr const char* kRing = "signals.bench";

class RingLoad : public Load {
public:
    RingLoad(std::uint64_t rate, const std::vector<unsigned>& cpus) : rate_{rate}, cpus_{cpus} {
        plan_.path = "/dev/shm/millrace-bench-inspect-" + std::to_string(::getpid());
        plan_.strategies = {{"bench", SourceId{0}}};
        std::string message;
        auto made = Segment::create(plan_, message);
        if (!made) {
            std::fprintf(stderr, "bench_inspect: %s\n", message.c_str());
            std::exit(1);
        }
        segment_ = std::move(made).value();
    }
    ~RingLoad() override { ::unlink(plan_.path.c_str()); }
    RingLoad(const RingLoad&) = delete;
    RingLoad& operator=(const RingLoad&) = delete;

    [[nodiscard]] std::string segment_path() const override { return plan_.path; }
    [[nodiscard]] std::vector<std::string> groups() const override {
        return {"p50 one way beside inspect top", "p99 one way beside inspect top",
                "p99.9 one way beside inspect top"};
    }

    /// Publishes at a fixed rate for a round; the schedule decides the stamps (no coordinated
    /// omission), the other thread takes each record and notes how late it came.
    [[nodiscard]] Measured round(int round_ms) override {
        const std::uint64_t count = rate_ * static_cast<std::uint64_t>(round_ms) / 1000;
        Hdr late;
        std::int64_t taken_from_consumer = 0;
        std::int64_t taken_from_producer = 0;
        // Threads of their own, both: who is pinned stays so, and hands it on to what it starts.
        std::thread consumer{[&] { taken_from_consumer = consume(count, late); }};
        std::thread producer{[&] { taken_from_producer = produce(count); }};
        producer.join();
        consumer.join();
        // Never 0, which has no ratio: two clocks may disagree by that much.
        const auto at = [&](double q) {
            return static_cast<double>(std::max<std::uint64_t>(late.quantile(q), 1));
        };
        return {{at(0.5), at(0.99), at(0.999)},
                taken_from_producer == 0 && taken_from_consumer == 0};
    }

private:
    /// @return how often it was preempted.
    std::int64_t consume(std::uint64_t count, Hdr& late) const {
        pin_or_die(static_cast<int>(cpus_[1]));
        const std::int64_t before = preemptions();
        auto in = RingConsumer<SignalSlot>::attach(segment_.ring<SignalSlot>(kRing)).value();
        while (late.total() < count) {
            in.poll(64, [&](const SignalSlot& s) {
                late.add(monotonic_ns() - s.value.edge_time.value);
            });
        }
        return preemptions() - before;
    }
    std::int64_t produce(std::uint64_t count) const {
        pin_or_die(static_cast<int>(cpus_[0]));
        const std::int64_t before = preemptions();
        auto out = RingProducer<SignalSlot>::attach(segment_.ring<SignalSlot>(kRing)).value();
        const std::int64_t begin = monotonic_ns() + 1'000'000;
        SignalSlot slot{};
        for (std::uint64_t i = 0; i < count; ++i) {
            const std::int64_t due = begin + static_cast<std::int64_t>(i * 1'000'000'000 / rate_);
            while (monotonic_ns() < due) {
            }
            slot.value.edge_time = Nanos{due};
            while (!out.try_publish(slot)) {
            }
            if (i % 1024 == 0) {
                out.publish_stats(due);
            }
        }
        return preemptions() - before;
    }

    SegmentPlan plan_;
    Segment segment_;
    std::uint64_t rate_;
    std::vector<unsigned> cpus_;
};

}  // namespace

std::unique_ptr<Load> ring_load(std::uint64_t rate, const std::vector<unsigned>& cpus) {
    return std::make_unique<RingLoad>(rate, cpus);
}

}  // namespace millrace::bench
