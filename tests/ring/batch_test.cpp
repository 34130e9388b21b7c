// Goal: batches and the one-by-one take() keep the ring's promises: order, wholeness, nothing
// visible before its commit, a prefix left by a producer killed half-way, redelivery above
// read_cursor. Method: an end that "dies" is dropped and attached again on the same memory; two
// threads hand over numbered records in batches of changing size.
#include "ring/spsc_ring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <thread>
#include <vector>

namespace millrace {
namespace {

struct Message {
    std::array<std::uint64_t, 7> words;
};
static_assert(sizeof(RingSlot<Message>) == 64);

Message numbered(std::uint64_t n) {
    Message m{};
    m.words.fill(n);
    return m;
}

struct Memory {
    explicit Memory(std::uint32_t capacity)
        : slots{std::make_unique<RingSlot<Message>[]>(capacity)} {
        control->capacity = capacity;
        control->slot_bytes = sizeof(RingSlot<Message>);
        control->magic = kRingMagic;
    }
    [[nodiscard]] RingView<Message> view() const { return {control.get(), slots.get()}; }
    [[nodiscard]] RingProducer<Message> producer() const {
        return RingProducer<Message>::attach(view()).value();
    }
    [[nodiscard]] RingConsumer<Message> consumer() const {
        return RingConsumer<Message>::attach(view()).value();
    }
    [[nodiscard]] std::uint64_t read_cursor() const { return control->read_cursor.load(); }

    std::unique_ptr<RingControl<>> control = std::make_unique<RingControl<>>();
    std::unique_ptr<RingSlot<Message>[]> slots;
};

void write_claimed(RingProducer<Message>& producer, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
        producer.claimed(i) = numbered(producer.written() + 1 + i);
    }
}

/// Takes all there is. @return the first word of each.
std::vector<std::uint64_t> drain(RingConsumer<Message>& consumer) {
    std::vector<std::uint64_t> seen;
    while (const Message* m = consumer.take()) {
        EXPECT_EQ(m->words.front(), m->words.back());
        seen.push_back(m->words.front());
    }
    return seen;
}

TEST(SpscRingBatch, IsInvisibleUntilCommitted) {
    const Memory memory{8};
    auto producer = memory.producer();
    auto consumer = memory.consumer();
    ASSERT_EQ(producer.claim_batch(3), 3U);
    write_claimed(producer, 3);
    EXPECT_EQ(consumer.peek(), nullptr);
    EXPECT_EQ(memory.view().find_write_cursor().value(), 0U);
    EXPECT_EQ(producer.commit_batch(3), 3U);
    EXPECT_EQ(drain(consumer), (std::vector<std::uint64_t>{1, 2, 3}));
}

TEST(SpscRingBatch, DropsTheRestOfTheClaimWhenFewerAreCommitted) {
    const Memory memory{8};
    auto producer = memory.producer();
    auto consumer = memory.consumer();
    ASSERT_EQ(producer.claim_batch(5), 5U);
    write_claimed(producer, 5);
    EXPECT_EQ(producer.commit_batch(2), 2U);
    EXPECT_EQ(drain(consumer), (std::vector<std::uint64_t>{1, 2}));
    EXPECT_EQ(producer.try_publish(numbered(3)).value(), 3U);
    EXPECT_EQ(drain(consumer), (std::vector<std::uint64_t>{3}));
}

TEST(SpscRingBatch, GivesWhatIsFreeAndCountsOnlyAFullRing) {
    const Memory memory{4};
    auto producer = memory.producer();
    auto consumer = memory.consumer();
    ASSERT_EQ(producer.claim_batch(3), 3U);
    write_claimed(producer, 3);
    producer.commit_batch(3);
    EXPECT_EQ(producer.claim_batch(3), 1U);
    EXPECT_EQ(memory.control->full_stalls.load(), 0U);
    write_claimed(producer, 1);
    producer.commit_batch(1);
    EXPECT_EQ(producer.claim_batch(3), 0U);
    EXPECT_EQ(memory.control->full_stalls.load(), 1U);
    EXPECT_EQ(consumer.poll(2, [](const Message&) {}), 2U);
    EXPECT_EQ(producer.claim_batch(3), 2U);  // wraps around the end
    write_claimed(producer, 2);
    producer.commit_batch(2);
    EXPECT_EQ(drain(consumer), (std::vector<std::uint64_t>{3, 4, 5, 6}));
}

TEST(SpscRingBatch, HeirOfAProducerKilledInABatchFindsThePrefixInEveryFillState) {
    for (std::uint64_t filled = 0; filled < 8; ++filled) {
        const std::uint64_t room = std::min<std::uint64_t>(8 - filled, 7);  // not the last record's
        for (std::uint64_t stored = 0; stored <= room; ++stored) {
            const Memory memory{8};
            auto old = memory.producer();
            auto consumer = memory.consumer();
            for (std::uint64_t n = 1; n <= 5 + filled; ++n) {
                ASSERT_TRUE(old.try_publish(numbered(n)));
                if (n <= 5) {
                    ASSERT_NE(consumer.take(), nullptr);
                    consumer.release();
                }
            }
            ASSERT_EQ(old.claim_batch(8), room);
            write_claimed(old, room);
            old.commit_batch(stored);  // killed after so many stores of the commit

            auto heir = memory.producer();
            EXPECT_EQ(heir.written(), 5 + filled + stored);
            EXPECT_EQ(heir.last()->words[3], heir.written()) << "overwritten by the batch";
            std::uint64_t n = 5;
            for (const std::uint64_t seen : drain(consumer)) {
                EXPECT_EQ(seen, ++n);
            }
            EXPECT_EQ(n, 5 + filled + stored);
            EXPECT_EQ(heir.try_publish(numbered(n + 1)).value(), n + 1);
            EXPECT_EQ(drain(consumer), (std::vector<std::uint64_t>{n + 1}));
        }
    }
}

TEST(SpscRingBatch, PublishesThePrefixThatFits) {
    const Memory memory{4};
    auto producer = memory.producer();
    auto consumer = memory.consumer();
    std::vector<Message> records;
    for (std::uint64_t n = 1; n <= 6; ++n) {
        records.push_back(numbered(n));
    }
    EXPECT_EQ(producer.try_publish_batch({}), 0U);
    EXPECT_EQ(producer.try_publish_batch(records), 3U) << "a slot less than the ring has";
    EXPECT_EQ(producer.try_publish_batch(std::span{records}.subspan(3)), 1U);
    EXPECT_EQ(producer.try_publish_batch(records), 0U);
    EXPECT_EQ(drain(consumer), (std::vector<std::uint64_t>{1, 2, 3, 4}));
    EXPECT_EQ(producer.try_publish_batch(std::span{records}.subspan(4)), 2U);
    EXPECT_EQ(drain(consumer), (std::vector<std::uint64_t>{5, 6}));
}

TEST(SpscRingTake, ReleasesInBatchesAndAllWhenEmpty) {
    const Memory memory{64};  // batches of 8
    auto producer = memory.producer();
    auto consumer = memory.consumer();
    for (std::uint64_t n = 1; n <= 20; ++n) {
        ASSERT_TRUE(producer.try_publish(numbered(n)));
    }
    for (std::uint64_t n = 1; n <= 8; ++n) {
        ASSERT_NE(consumer.take(), nullptr);
    }
    EXPECT_EQ(memory.read_cursor(), 0U);
    ASSERT_NE(consumer.take(), nullptr);  // the ninth: eight are done, this one is in hand
    EXPECT_EQ(memory.read_cursor(), 8U);
    EXPECT_EQ(drain(consumer).size(), 11U);
    EXPECT_EQ(memory.read_cursor(), 20U);
}

TEST(SpscRingTake, KeepsTheRecordInHandFromTheProducer) {
    for (const std::uint32_t capacity : {1U, 2U, 4U, 8U, 64U, 512U}) {
        const Memory memory{capacity};
        auto producer = memory.producer();
        auto consumer = memory.consumer();
        for (std::uint64_t n = 1; n <= 4 * capacity; ++n) {
            while (!producer.try_publish(numbered(producer.written() + 1))) {
                // Full: whoever holds a record still finds it whole.
                const Message* m = consumer.take();
                ASSERT_NE(m, nullptr) << "capacity " << capacity;
                while (producer.try_publish(numbered(producer.written() + 1))) {
                }
                EXPECT_EQ(m->words.front(), consumer.position() - 1);
                EXPECT_EQ(m->words.back(), consumer.position() - 1);
            }
            drain(consumer);
        }
    }
}

TEST(SpscRingTake, RedeliversWhatAKilledConsumerHadNotReleased) {
    const Memory memory{64};
    auto producer = memory.producer();
    for (std::uint64_t n = 1; n <= 12; ++n) {
        ASSERT_TRUE(producer.try_publish(numbered(n)));
    }
    auto killed = memory.consumer();
    for (int i = 0; i < 11; ++i) {
        ASSERT_NE(killed.take(), nullptr);
    }
    auto heir = memory.consumer();
    EXPECT_EQ(heir.position(), 9U);
    EXPECT_EQ(drain(heir), (std::vector<std::uint64_t>{9, 10, 11, 12}));
}

TEST(SpscRingBatch, TwoThreadsHandOverEveryRecordWhole) {
    constexpr std::uint64_t kRecords = 20'000;
    const Memory memory{128};
    std::thread writer{[&memory] {
        auto producer = memory.producer();
        while (producer.written() < kRecords) {
            const std::uint64_t wanted =
                std::min(kRecords - producer.written(), 1 + producer.written() % 37);
            const std::uint64_t n = producer.claim_batch(wanted);
            write_claimed(producer, n);
            producer.commit_batch(n);
            if (n == 0) {
                std::this_thread::yield();
            }
        }
    }};
    auto consumer = memory.consumer();
    std::uint64_t seen = 0;
    std::uint64_t wrong = 0;
    while (seen < kRecords) {
        if (const Message* m = consumer.take()) {
            ++seen;
            for (const std::uint64_t w : m->words) {
                wrong += w != seen;
            }
        } else {
            std::this_thread::yield();
        }
    }
    writer.join();
    EXPECT_EQ(wrong, 0U);
    EXPECT_EQ(consumer.take(), nullptr);
    EXPECT_EQ(memory.read_cursor(), kRecords);
}

}  // namespace
}  // namespace millrace
