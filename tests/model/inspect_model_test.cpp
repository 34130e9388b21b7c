// Goal: what the inspector copies out of a ring in use is the record that it asked for, in every
// interleaving with a producer that laps it and a consumer that releases meanwhile.
// Method: the inspector's own code over the production ring on the explorer's atomics. What a copy
// of bytes is to the processor stands beside the slot as one word: on x86 each plain store is a
// release and each plain load an acquire, elsewhere neither is. The second must be found out, or
// the restriction to x86 would have no reason.
#include "ring/spsc_ring.h"
#include "tests/model/atomics.h"
#include "tests/model/explorer.h"
#include "tests/model/report.h"
#include "tools/inspect/rings.h"

#include <gtest/gtest.h>

namespace millrace::model {
namespace {

struct Policy {
    using AtomicU64 = Atomic<std::uint64_t>;
};
struct Payload {
    std::uint64_t words[7];
};
using View = RingView<Payload, Policy>;

constexpr std::uint64_t kCapacity = 2;

/// How the bytes of a record are written and read, and how many records there are.
struct CopyCase {
    const char* name;
    std::uint64_t items;
    std::uint64_t wanted;  // the record that the inspector copies
    std::memory_order store = std::memory_order_release;
    std::memory_order load = std::memory_order_acquire;
};

struct Ring {
    View view;
    Atomic<std::uint64_t>* bytes;  // of each slot
};

Ring make_ring(World& world) {
    Ring r;
    r.view.control = world.make<RingControl<Policy>>();
    r.view.slots = world.make_array<RingSlot<Payload, Policy>>(kCapacity);
    r.bytes = world.make_array<Atomic<std::uint64_t>>(kCapacity);
    auto& c = *r.view.control;
    c.magic = kRingMagic;
    c.slot_bytes = sizeof(RingSlot<Payload, Policy>);
    c.capacity = kCapacity;
    for (auto* counter : {&c.consumer_generation, &c.write_hint, &c.full_stalls, &c.high_water,
                          &c.producer_generation, &c.high_water_ns, &c.stall_ns}) {
        counter->silence();
    }
    return r;
}

void produce(const Ring& r, const CopyCase& c) {
    auto p = RingProducer<Payload, Policy>::attach(r.view).value();
    while (p.written() < c.items) {
        checkpoint(&p, sizeof p);
        if (p.claim() != nullptr) {
            const std::uint64_t n = p.written() + 1;
            r.bytes[(n - 1) % kCapacity].store(n, c.store);
            p.commit();
        }
    }
}

void consume(const Ring& r, const CopyCase& c) {
    auto k = RingConsumer<Payload, Policy>::attach(r.view).value();
    while (k.position() <= c.items - kCapacity) {
        checkpoint(&k, sizeof k);
        if (k.peek() != nullptr) {
            k.advance();
            k.release();
        }
    }
}

void inspect_ring(const Ring& r, const CopyCase& c) {
    std::uint64_t got = 0;
    const bool whole = inspect::copy_if_whole<true>(r.view, c.wanted, [&](const Payload&) {
        got = r.bytes[(c.wanted - 1) % kCapacity].load(c.load);
        fence(std::memory_order_acquire);
    });
    check(!whole || got == c.wanted, "the bytes of another record were taken for this one's");
}

Scenario scenario_of(const CopyCase& c) {
    return {c.name, {}, [c](World& world) {
                const Ring r = make_ring(world);
                world.thread({"producer"}, [r, c] { produce(r, c); });
                world.thread({"consumer"}, [r, c] { consume(r, c); });
                world.thread({"inspector"}, [r, c] { inspect_ring(r, c); });
            }};
}

TEST(InspectModel, CopiesTheRecordThatItAskedForOrNoneWhereStoresStayInOrder) {
    std::vector<Scenario> all;
    for (const CopyCase& c : {CopyCase{"inspect: first of three, lapped", 3, 1},
                              CopyCase{"inspect: second of four, lapped", 4, 2},
                              CopyCase{"inspect: third of four, the second lap", 4, 3}}) {
        all.push_back(scenario_of(c));
        EXPECT_TRUE(holds(all.back())) << c.name;
    }
    EXPECT_EQ(survivors("tools/inspect/rings.h", all), std::vector<std::string>{});
}

TEST(InspectModel, WouldTakeAnotherRecordsBytesWhereStoresOvertakeEachOther) {
    const CopyCase weak{"relaxed copies", 3, 1, std::memory_order_relaxed,
                        std::memory_order_relaxed};
    EXPECT_TRUE(explore(scenario_of(weak)).violated)
        << "then copy_record() need not be restricted to x86";
}

}  // namespace
}  // namespace millrace::model
