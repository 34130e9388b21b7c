// Goal: an onlooker's depth and records are true however the ring moves while it looks. Method: the
// very templates over scripted atomics, which move the ring before each load in turn; and real
// threads for the picture of slots.
#include "tools/inspect/rings.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/inspect/fixture.h"
#include "tools/inspect/slots.h"

namespace millrace::inspect {
namespace {

/// Runs before each load; counts them.
struct Script {
    std::uint64_t loads = 0;
    std::function<void(std::uint64_t load)> before;
};
Script script;  // the atomics cannot carry it

struct Scripted {
    static void fence(std::memory_order /*one thread*/) noexcept {}
    struct AtomicU64 {
        std::uint64_t value = 0;
        [[nodiscard]] std::uint64_t load(std::memory_order) const {
            ++script.loads;
            if (script.before) {
                script.before(script.loads);
            }
            return value;
        }
    };
};

struct Payload {
    std::uint64_t number = 0;
    std::uint64_t pad[6] = {};
};

constexpr std::uint64_t kCapacity = 8;

/// A ring whose both ends do what they are told to, between two loads.
class World {
public:
    explicit World(std::uint64_t depth) {
        control_.capacity = kCapacity;
        while (written_ < 40) {
            publish();
            if (written_ - control_.read_cursor.value > depth) {
                ++control_.read_cursor.value;
            }
        }
        script = {};
    }
    ~World() { script = {}; }
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    [[nodiscard]] RingView<Payload, Scripted> view() noexcept { return {&control_, slots_}; }
    [[nodiscard]] std::uint64_t written() const noexcept { return written_; }
    [[nodiscard]] std::uint64_t read() const noexcept { return control_.read_cursor.value; }

    /// `records` more are read and published: the depth stays.
    void move(std::uint64_t records) noexcept {
        for (; records > 0; --records) {
            if (written_ - control_.read_cursor.value == kCapacity) {
                ++control_.read_cursor.value;
                publish();
            } else {
                publish();
                ++control_.read_cursor.value;
            }
        }
    }
    /// As a producer that is at work, or was killed at it. Only with a free slot.
    void begin_next() noexcept { slot().payload.number = written_ + 1; }

private:
    RingSlot<Payload, Scripted>& slot() noexcept { return slots_[written_ % kCapacity]; }
    void publish() noexcept {
        begin_next();
        slot().sequence.value = written_ + 1;
        ++written_;
    }

    RingControl<Scripted> control_{};
    RingSlot<Payload, Scripted> slots_[kCapacity]{};
    std::uint64_t written_ = 0;
};

TEST(Onlooker, NeverTakesARingForEmptierThanItIsHoweverItMoves) {
    for (std::uint64_t depth = 0; depth <= kCapacity; ++depth) {
        for (std::uint64_t when = 1; when <= 30; ++when) {
            for (std::uint64_t by = 1; by <= 3 * kCapacity; ++by) {
                World world{depth};
                script.before = [&](std::uint64_t load) {
                    if (load == when) {
                        world.move(by);
                    }
                };
                const auto at = read_cursors(world.view());
                ASSERT_TRUE(at.ok()) << "depth " << depth << " load " << when << " by " << by;
                const std::uint64_t seen = at.value().written - at.value().read;
                ASSERT_GE(seen, depth) << "load " << when << " by " << by;
                ASSERT_LE(seen, kCapacity);
                ASSERT_LE(at.value().written, world.written());
                ASSERT_LE(at.value().read, world.read());
            }
        }
    }
}

TEST(Onlooker, NeverTakesARingForEmptierThanItIsWhenItIsLappedInEveryLook) {
    for (std::uint64_t depth = 0; depth <= kCapacity; ++depth) {
        for (std::uint64_t by = 1; by <= 3 * kCapacity; ++by) {
            World world{depth};
            script.before = [&](std::uint64_t) { world.move(by); };
            const auto at = read_cursors(world.view());
            ASSERT_TRUE(at.ok()) << "depth " << depth << " by " << by;
            ASSERT_GE(at.value().written - at.value().read, depth) << "by " << by;
            ASSERT_LE(at.value().written - at.value().read, kCapacity);
            ASSERT_LE(at.value().written, world.written());
        }
    }
}

TEST(Onlooker, IsExactAboutARingAtRest) {
    for (std::uint64_t depth = 0; depth <= kCapacity; ++depth) {
        World world{depth};
        const auto at = read_cursors(world.view());
        ASSERT_TRUE(at.ok());
        EXPECT_EQ(at.value().read, world.read());
        EXPECT_EQ(at.value().written, world.written());
    }
}

TEST(Onlooker, CopiesARecordOnlyIfItIsThatRecord) {
    std::uint64_t copied = 0;
    for (std::uint64_t depth = 0; depth < kCapacity; ++depth) {
        for (std::uint64_t when = 0; when <= 4; ++when) {
            for (std::uint64_t by = 0; by <= kCapacity; ++by) {
                for (std::uint64_t number = 33; number <= 40; ++number) {
                    World world{depth};
                    script.before = [&](std::uint64_t load) {
                        if (load == when) {
                            world.move(by);
                            world.begin_next();
                        }
                    };
                    if (when == 0) {
                        world.begin_next();
                    }
                    Payload out;
                    if (copy_record(world.view(), number, out)) {
                        ASSERT_EQ(out.number, number) << "load " << when << " by " << by;
                        ++copied;
                    }
                }
            }
        }
    }
    EXPECT_GT(copied, 1000U) << "refusing everything would be no proof";
}

class SlotMap : public SegmentFixture {};

TEST_F(SlotMap, CallsNoSlotOfALiveRingWrong) {
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> moved{0};
    std::thread traffic{[&] {
        auto producer = RingProducer<OrderSlot>::attach(segment_->ring<OrderSlot>("orders"));
        auto consumer = RingConsumer<OrderSlot>::attach(segment_->ring<OrderSlot>("orders"));
        while (!stop.load()) {
            (void)producer.value().try_publish(OrderSlot{});
            consumer.value().poll(1, [](const OrderSlot&) {});
            moved.fetch_add(1);
            std::this_thread::yield();  // the pace of a busy ring, not of a bare loop
        }
    }};
    const std::uint32_t index = segment_->find_ring("orders");
    for (int i = 0; i < 500 || moved.load() < 1000; ++i) {
        const std::string map = slot_map(*segment_, index);
        EXPECT_EQ(map.find('!'), std::string::npos) << map;
    }
    stop.store(true);
    traffic.join();
}

}  // namespace
}  // namespace millrace::inspect
