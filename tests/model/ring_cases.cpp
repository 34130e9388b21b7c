#include "tests/model/ring_cases.h"

#include "ring/spsc_ring.h"
#include "tests/model/atomics.h"

#include <algorithm>

namespace millrace::model {
namespace {

struct ModelPolicy {
    using AtomicU64 = Atomic<std::uint64_t>;
    static constexpr std::uint64_t kAskAhead = 0;
};

/// 56 bytes: a slot of 64. First and last word stand for the whole.
struct Payload {
    std::uint64_t words[7];
};

using View = RingView<Payload, ModelPolicy>;
using Producer = RingProducer<Payload, ModelPolicy>;
using Consumer = RingConsumer<Payload, ModelPolicy>;

void write_whole(Payload& p, std::uint64_t n) {
    plain_write(&p.words[0], n);
    plain_write(&p.words[6], n);
}

void read_whole(const Payload& p, std::uint64_t n) {
    check(plain_read(&p.words[0]) == n, "first word belongs to another record");
    check(plain_read(&p.words[6]) == n, "last word belongs to another record: torn");
}

struct Shared {
    View view;
    Atomic<std::uint64_t>* journal = nullptr;  // last record handled, as the journal knows it

    [[nodiscard]] std::uint64_t released() const { return view.control->read_cursor.newest(); }
    [[nodiscard]] std::uint64_t published() const {
        std::uint64_t n = 0;
        for (std::uint32_t i = 0; i < view.control->capacity; ++i) {
            n = std::max(n, view.slots[i].sequence.newest());
        }
        return n;
    }
};

Shared make_shared(World& world, const RingCase& c) {
    Shared s;
    s.view.control = world.make<RingControl<ModelPolicy>>();
    s.view.slots = world.make_array<RingSlot<Payload, ModelPolicy>>(c.capacity);
    auto& control = *s.view.control;
    control.capacity = c.capacity;
    control.slot_bytes = sizeof(RingSlot<Payload, ModelPolicy>);
    control.magic = kRingMagic;
    for (auto* statistic : {&control.consumer_generation, &control.write_hint, &control.full_stalls,
                            &control.high_water, &control.producer_generation,
                            &control.high_water_ns, &control.stall_ns}) {
        statistic->silence();
    }
    control.read_cursor.named("read_cursor");
    for (std::uint32_t i = 0; i < c.capacity; ++i) {
        static constexpr const char* kNames[] = {"slot0", "slot1", "slot2", "slot3"};
        s.view.slots[i].sequence.named(kNames[i % 4]);
    }
    if (c.journalled) {
        s.journal = world.make<Atomic<std::uint64_t>>();
        s.journal->named("journal");
    }
    return s;
}

void fill(const Shared& s, Payload& slot, std::uint64_t n) {
    check(n <= s.view.capacity() + s.released(), "writes a slot that was not given back");
    write_whole(slot, n);
}

void publish_one(Producer& p, const Shared& s) {
    if (Payload* slot = p.claim(); slot != nullptr) {
        const std::uint64_t n = p.written() + 1;
        fill(s, *slot, n);
        check(p.commit() == n, "commit() counts wrong");
    }
}

/// All of the batch is written before any of it is committed.
void publish_batch(Producer& p, const Shared& s, std::uint64_t wanted) {
    const std::uint64_t batch = p.claim_batch(wanted);
    const std::uint64_t first = p.written() + 1;
    check(batch <= wanted, "claim_batch() gives more than was asked for");
    for (std::uint64_t i = 0; i < batch; ++i) {
        fill(s, p.claimed(i), first + i);
    }
    if (batch > 0) {
        check(p.commit_batch(batch) == first + batch - 1, "commit_batch() counts wrong");
    }
}

void produce(const Shared& s, const RingCase& c) {
    auto attached = Producer::attach(s.view);
    check(attached.ok(), "a producer's attach is refused");
    Producer p = attached.value();
    check(p.written() == s.published(), "a producer finds the wrong place");
    // In a ring of one slot the last record's slot is also the next one's: a producer killed while
    // it fills that leaves last() torn. The segment has no such ring.
    if (p.last() != nullptr && c.capacity > 1) {
        read_whole(*p.last(), p.written());
    }
    while (p.written() < c.items) {
        checkpoint(&p, sizeof p);
        const std::uint64_t left = c.items - p.written();
        if (c.publish_batch == 1) {
            publish_one(p, s);
        } else {
            publish_batch(p, s, std::min<std::uint64_t>(c.publish_batch, left));
        }
    }
}

/// Handles record `n`; with a journal, exactly once over all the consumers' lives.
void handle(const Shared& s, const Payload& record, std::uint64_t n) {
    read_whole(record, n);
    if (s.journal != nullptr) {
        check(s.journal->newest() + 1 == n, "a record is handled twice or left out");
        s.journal->store(n, std::memory_order_relaxed);
    }
}

void consume(const Shared& s, const RingCase& c) {
    auto attached = Consumer::attach(s.view);
    check(attached.ok(), "a consumer's attach is refused");
    Consumer consumer = attached.value();
    check(consumer.position() == s.released() + 1, "a consumer does not begin at read_cursor");
    if (s.journal != nullptr) {
        const std::uint64_t handled = s.journal->load(std::memory_order_relaxed);
        if (handled >= consumer.position()) {
            check(consumer.skip_to(handled + 1), "what was handled is not in the ring");
            consumer.release();
        }
    }
    while (consumer.position() <= c.items) {
        checkpoint(&consumer, sizeof consumer);
        if (c.take) {
            if (const Payload* record = consumer.take(); record != nullptr) {
                handle(s, *record, consumer.position() - 1);
            }
            continue;
        }
        std::uint64_t n = consumer.position();
        const std::size_t done =
            consumer.poll(c.poll_batch, [&](const Payload& record) { handle(s, record, n++); });
        check(consumer.position() == n, "poll() handed out another number than it stepped");
        check(done <= c.poll_batch, "poll() went beyond its limit");
    }
    if (c.take) {
        check(consumer.take() == nullptr, "a record that was never published");  // releases
    }
}

/// Looks as an inspector does. Only where no slot is written twice (items <= capacity): then
/// everything it counts as visible must be whole.
void look(const Shared& s) {
    const auto written = s.view.find_write_cursor();
    check(written.ok(), "a live ring is called corrupt");
    for (std::uint64_t n = 1; n <= written.value(); ++n) {
        read_whole(s.view.slot(n).payload, n);
    }
}

/// Adds an owner and its heirs.
void add_line(World& world, const char* name, int heirs, bool mortal,
              const std::function<void()>& life) {
    int before = world.thread({name, -1, mortal}, life);
    for (int i = 0; i < heirs; ++i) {
        const std::string heir = std::string{name} + "'s heir " + std::to_string(i + 1);
        before = world.thread({heir, before, mortal && i + 1 < heirs}, life);
    }
}

}  // namespace

Scenario scenario_of(const RingCase& c) {
    return {c.name, {.deaths = c.deaths}, [c](World& world) {
                const Shared s = make_shared(world, c);
                add_line(world, "producer", c.producer_heirs, c.producer_heirs > 0,
                         [s, c] { produce(s, c); });
                add_line(world, "consumer", c.consumer_heirs, c.consumer_heirs > 0,
                         [s, c] { consume(s, c); });
                if (c.onlooker) {
                    world.thread({"onlooker"}, [s] { look(s); });
                }
                world.at_end([s, c] {
                    check(s.published() == c.items, "not everything was published");
                    check(s.released() == c.items, "not everything was released");
                });
            }};
}

std::vector<RingCase> ring_cases() {
    return {
        {.name = "3 items, capacity 2", .items = 3, .capacity = 2},
        {.name = "4 items, capacity 1", .items = 4, .capacity = 1},
        {.name = "batches, 6 items, capacity 4",
         .items = 6,
         .capacity = 4,
         .publish_batch = 3,
         .poll_batch = 2},
        {.name = "take(), released in twos, 5 items, capacity 16",
         .items = 5,
         .capacity = 16,
         .take = true},
        {.name = "onlooker, 2 items, capacity 2", .items = 2, .capacity = 2, .onlooker = true},
        {.name = "producer killed anywhere, twice",
         .items = 3,
         .capacity = 2,
         .producer_heirs = 2,
         .deaths = 2},
        {.name = "consumer killed anywhere, twice",
         .items = 3,
         .capacity = 2,
         .consumer_heirs = 2,
         .deaths = 2},
        {.name = "consumer killed, effectively once by its journal",
         .items = 3,
         .capacity = 2,
         .poll_batch = 2,
         .consumer_heirs = 2,
         .deaths = 2,
         .journalled = true},
        {.name = "take-over of both, two deaths",
         .items = 3,
         .capacity = 2,
         .producer_heirs = 2,
         .consumer_heirs = 2,
         .deaths = 2},
        {.name = "take-over of both in batches, two deaths",
         .items = 5,
         .capacity = 4,
         .publish_batch = 4,
         .poll_batch = 2,
         .producer_heirs = 1,
         .consumer_heirs = 1,
         .deaths = 2},
        {.name = "producer killed in batches as large as the ring",
         .items = 5,
         .capacity = 2,
         .publish_batch = 2,
         .producer_heirs = 2,
         .deaths = 2},
        {.name = "take-over with take(), capacity 16, two deaths",
         .items = 3,
         .capacity = 16,
         .producer_heirs = 1,
         .consumer_heirs = 1,
         .deaths = 2,
         .take = true},
        {.name = "take-over of both, capacity 1, two deaths",
         .items = 4,
         .capacity = 1,
         .producer_heirs = 2,
         .consumer_heirs = 2,
         .deaths = 2},
    };
}

std::vector<RingCase> long_ring_cases() {
    return {
        {.name = "take() over a lap, capacity 16", .items = 19, .capacity = 16, .take = true},
        {.name = "8 items, capacity 4", .items = 8, .capacity = 4},
        {.name = "9 items in batches of 3, capacity 4",
         .items = 9,
         .capacity = 4,
         .publish_batch = 4,
         .poll_batch = 3},
        {.name = "take-over of both, capacity 4, two deaths",
         .items = 9,
         .capacity = 4,
         .producer_heirs = 2,
         .consumer_heirs = 2,
         .deaths = 2},
        {.name = "take-over of both, four deaths",
         .items = 5,
         .capacity = 2,
         .producer_heirs = 2,
         .consumer_heirs = 2,
         .deaths = 4,
         .journalled = true},
    };
}

}  // namespace millrace::model
