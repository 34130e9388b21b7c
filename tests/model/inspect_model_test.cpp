// Goal: what the inspector copies out of a ring in use is the record that it asked for, and the
// cursors that it reads are such as the ring had, in every interleaving with a producer that laps
// it and a consumer that releases meanwhile; of a ring whose owner is dead they are exact.
// Method: the inspector's own code over the production ring on the explorer's atomics. What a copy
// of bytes is to the processor stands beside the slot as one word: on x86 each plain store is a
// release, elsewhere it is not, which must be found out, or the restriction to x86 would have no
// reason. A plain load is relaxed: that the looks come after it is the work of the fence.
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
    static constexpr std::uint64_t kAskAhead = 0;
    static void fence(std::memory_order order, const Here& here = Here::current()) {
        model::fence(order, here);
    }
};
struct Payload {
    std::uint64_t words[7];
};
using View = RingView<Payload, Policy>;

constexpr std::uint32_t kCapacity = 2;

/// How the bytes of a record are written and read, and how many records there are.
struct CopyCase {
    const char* name;
    std::uint64_t items;
    std::uint64_t wanted;  // the record that the inspector copies
    std::memory_order store = std::memory_order_release;
};

struct Ring {
    View view;
    Atomic<std::uint64_t>* bytes;  // of each slot
};

Ring make_ring(World& world, std::uint32_t capacity = kCapacity) {
    Ring r;
    r.view.control = world.make<RingControl<Policy>>();
    r.view.slots = world.make_array<RingSlot<Payload, Policy>>(capacity);
    r.bytes = world.make_array<Atomic<std::uint64_t>>(capacity);
    auto& c = *r.view.control;
    c.magic = kRingMagic;
    c.slot_bytes = sizeof(RingSlot<Payload, Policy>);
    c.capacity = capacity;
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
        got = r.bytes[(c.wanted - 1) % kCapacity].load(std::memory_order_relaxed);
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

/// How many records there are in a ring of how many slots, while read_cursors() looks.
struct CursorCase {
    const char* name;
    std::uint64_t items;
    std::uint32_t capacity;
};

std::uint64_t published(const View& ring) {
    std::uint64_t n = 0;
    for (std::uint32_t i = 0; i < ring.control->capacity; ++i) {
        n = std::max(n, ring.slots[i].sequence.newest());
    }
    return n;
}

/// @return what is written by the looker's word, after all that can be said of one look.
std::uint64_t look_once(const View& ring) {
    const auto at = inspect::read_cursors(ring);
    check(at.ok(), "a live ring is called corrupt");
    const auto [read, written] = at.value();
    check(read <= written, "more read than written");
    check(written - read <= ring.control->capacity, "more written than the ring holds");
    check(written <= published(ring), "more written than was published");
    check(read <= ring.control->read_cursor.newest(), "more read than was released");
    return written;
}

Scenario live_ring(const CursorCase& c) {
    return {c.name, {}, [c](World& world) {
                const Ring r = make_ring(world, c.capacity);
                world.thread({"producer"}, [r, c] {
                    auto p = RingProducer<Payload, Policy>::attach(r.view).value();
                    while (p.written() < c.items) {
                        checkpoint(&p, sizeof p);
                        if (p.claim() != nullptr) {
                            p.commit();
                        }
                    }
                });
                world.thread({"consumer"}, [r, c] {
                    auto k = RingConsumer<Payload, Policy>::attach(r.view).value();
                    while (k.position() <= c.items) {
                        checkpoint(&k, sizeof k);
                        if (k.peek() != nullptr) {
                            k.advance();
                            k.release();
                        }
                    }
                });
                world.thread({"inspector"}, [r] {
                    const std::uint64_t before = look_once(r.view);
                    check(look_once(r.view) >= before, "less is written than at the look before");
                });
            }};
}

/// One thread is both ends and may die before any of its accesses; then the inspector looks.
Scenario dead_ring(const CursorCase& c) {
    return {c.name, {.deaths = 1}, [c](World& world) {
                const Ring r = make_ring(world, c.capacity);
                const int owner = world.thread({"owner", -1, true}, [r, c] {
                    auto p = RingProducer<Payload, Policy>::attach(r.view).value();
                    auto k = RingConsumer<Payload, Policy>::attach(r.view).value();
                    while (k.position() <= c.items) {
                        while (p.written() < c.items && p.claim() != nullptr) {
                            p.commit();
                        }
                        while (k.peek() != nullptr) {
                            k.advance();
                            k.release();
                        }
                    }
                });
                world.thread({"inspector", owner}, [r] {
                    const auto at = inspect::read_cursors(r.view);
                    check(at.ok(), "a dead ring is called corrupt");
                    check(at.value().written == published(r.view), "not all that was published");
                    check(at.value().read == r.view.control->read_cursor.newest(),
                          "not all that was released");
                });
            }};
}

std::vector<Scenario> cursor_scenarios() {
    std::vector<Scenario> all{live_ring({"inspect: cursors, 3 items, capacity 2", 3, 2}),
                              live_ring({"inspect: cursors, 3 items, capacity 1", 3, 1}),
                              dead_ring({"inspect: cursors of the dead, 5 items", 5, 2})};
    if (long_run()) {
        all.push_back(live_ring({"inspect: cursors, 5 items, capacity 2", 5, 2}));
    }
    return all;
}

std::vector<Scenario> copy_scenarios() {
    std::vector<Scenario> all;
    for (const CopyCase& c : {CopyCase{"inspect: first of three, lapped", 3, 1},
                              CopyCase{"inspect: second of four, lapped", 4, 2},
                              CopyCase{"inspect: third of four, the second lap", 4, 3}}) {
        all.push_back(scenario_of(c));
    }
    return all;
}

TEST(InspectModel, ReadsCursorsThatTheRingHadLiveAndDead) {
    for (const Scenario& s : cursor_scenarios()) {
        EXPECT_TRUE(holds(s)) << s.name;
    }
}

TEST(InspectModel, CopiesTheRecordThatItAskedForOrNoneWhereStoresStayInOrder) {
    for (const Scenario& s : copy_scenarios()) {
        EXPECT_TRUE(holds(s)) << s.name;
    }
}

TEST(InspectModel, EveryWeakenedOrderIsCaught) {
    std::vector<Scenario> all = cursor_scenarios();
    const std::vector<Scenario> copies = copy_scenarios();
    all.insert(all.end(), copies.begin(), copies.end());
    for (const Scenario& s : all) {
        EXPECT_TRUE(explore(s).complete) << s.name;  // so that the places are known
    }
    EXPECT_EQ(unexplored_lines("tools/inspect/rings.h"), std::vector<std::string>{});
    EXPECT_EQ(survivors("tools/inspect/rings.h", all), std::vector<std::string>{});
}

TEST(InspectModel, WouldTakeAnotherRecordsBytesWhereStoresOvertakeEachOther) {
    const CopyCase weak{"relaxed copies", 3, 1, std::memory_order_relaxed};
    EXPECT_TRUE(is_caught(explore(scenario_of(weak))))
        << "then copy_record() need not be restricted to x86";
}

}  // namespace
}  // namespace millrace::model
