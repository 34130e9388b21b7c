// Goal: the ring delivers every published record once, in order and whole, whatever dies between.
// Method: an end that "dies" is simply dropped and attached again on the same memory; two threads
// hand over numbered records whose every word must agree.
#include "ring/spsc_ring.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <thread>
#include <vector>

namespace millrace {
namespace {

struct Message {
    std::array<std::uint64_t, 15> words;  // 120 bytes: a slot of 128
};
static_assert(sizeof(RingSlot<Message>) == 128);

Message numbered(std::uint64_t n) {
    Message m{};
    m.words.fill(n);
    return m;
}

class Memory {
public:
    explicit Memory(std::uint32_t capacity)
        : control_{std::make_unique<RingControl<>>()},
          slots_{std::make_unique<RingSlot<Message>[]>(capacity)} {
        control_->capacity = capacity;
        control_->slot_bytes = sizeof(RingSlot<Message>);
        control_->magic = kRingMagic;
    }
    [[nodiscard]] RingView<Message> view() const { return {control_.get(), slots_.get()}; }
    [[nodiscard]] RingProducer<Message> producer() const {
        return RingProducer<Message>::attach(view()).value();
    }
    [[nodiscard]] RingConsumer<Message> consumer() const {
        return RingConsumer<Message>::attach(view()).value();
    }

private:
    std::unique_ptr<RingControl<>> control_;
    std::unique_ptr<RingSlot<Message>[]> slots_;
};

TEST(SpscRing, DeliversInOrderOverManyLaps) {
    const Memory memory{4};
    auto producer = memory.producer();
    auto consumer = memory.consumer();
    for (std::uint64_t n = 1; n <= 1000; ++n) {
        EXPECT_EQ(producer.try_publish(numbered(n)).value(), n);
        ASSERT_NE(consumer.peek(), nullptr);
        EXPECT_EQ(consumer.peek()->words[14], n);
        consumer.advance();
        consumer.release();
    }
    EXPECT_EQ(consumer.peek(), nullptr);
}

TEST(SpscRing, RefusesWhenFullAndChangesNothing) {
    const Memory memory{4};
    auto producer = memory.producer();
    auto consumer = memory.consumer();
    for (std::uint64_t n = 1; n <= 4; ++n) {
        ASSERT_TRUE(producer.try_publish(numbered(n)).ok());
    }
    EXPECT_EQ(producer.try_publish(numbered(5)).code(), Errc::RingFull);
    EXPECT_EQ(producer.written(), 4U);
    EXPECT_EQ(memory.view().control->full_stalls.load(), 1U);
    EXPECT_EQ(consumer.peek()->words[0], 1U);
    consumer.advance();
    EXPECT_EQ(producer.try_publish(numbered(5)).code(), Errc::RingFull) << "not released yet";
    consumer.release();
    EXPECT_TRUE(producer.try_publish(numbered(5)).ok());
}

TEST(SpscRing, HalfWrittenRecordOfAKilledProducerNeverExisted) {
    const Memory memory{4};
    auto producer = memory.producer();
    ASSERT_TRUE(producer.try_publish(numbered(1)).ok());
    *producer.claim() = numbered(99);  // killed before commit()
    auto heir = memory.producer();
    auto consumer = memory.consumer();
    EXPECT_EQ(heir.written(), 1U);
    ASSERT_NE(consumer.peek(), nullptr);
    consumer.advance();
    EXPECT_EQ(consumer.peek(), nullptr);
    EXPECT_EQ(heir.try_publish(numbered(2)).value(), 2U);
    EXPECT_EQ(consumer.peek()->words[7], 2U);
}

TEST(SpscRing, HeirOfAProducerFindsItsPlaceInEveryFillState) {
    for (std::uint64_t released = 0; released <= 9; ++released) {
        for (std::uint64_t depth = 0; depth <= 4; ++depth) {
            const Memory memory{4};
            auto producer = memory.producer();
            auto consumer = memory.consumer();
            for (std::uint64_t n = 1; n <= released; ++n) {
                ASSERT_TRUE(producer.try_publish(numbered(n)).ok());
                ASSERT_EQ(consumer.poll(1, [](const Message&) {}), 1U);
            }
            for (std::uint64_t n = 1; n <= depth; ++n) {
                ASSERT_TRUE(producer.try_publish(numbered(released + n)).ok());
            }
            EXPECT_EQ(memory.producer().written(), released + depth);
            EXPECT_EQ(memory.producer().free_slots(), 4 - depth);
        }
    }
}

TEST(SpscRing, RedeliversRecordWhenConsumerDiesBeforeRelease) {
    const Memory memory{8};
    auto producer = memory.producer();
    for (std::uint64_t n = 1; n <= 5; ++n) {
        ASSERT_TRUE(producer.try_publish(numbered(n)).ok());
    }
    auto consumer = memory.consumer();
    EXPECT_EQ(consumer.poll(2, [](const Message&) {}), 2U);
    ASSERT_NE(consumer.peek(), nullptr);
    consumer.advance();  // read the third, died before release
    auto heir = memory.consumer();
    EXPECT_EQ(heir.position(), 3U);
    EXPECT_EQ(heir.peek()->words[0], 3U);
}

TEST(SpscRing, PollReleasesABatchAtOnceAndStopsAtTheLimit) {
    const Memory memory{8};
    auto producer = memory.producer();
    for (std::uint64_t n = 1; n <= 7; ++n) {
        ASSERT_TRUE(producer.try_publish(numbered(n)).ok());
    }
    auto consumer = memory.consumer();
    std::vector<std::uint64_t> seen;
    EXPECT_EQ(consumer.poll(5, [&](const Message& m) { seen.push_back(m.words[3]); }), 5U);
    EXPECT_EQ(seen, (std::vector<std::uint64_t>{1, 2, 3, 4, 5}));
    EXPECT_EQ(memory.view().control->read_cursor.load(), 5U);
}

TEST(SpscRing, RefusesAttachWhenALaterRecordStandsBehindTheLastOne) {
    const Memory memory{4};
    auto producer = memory.producer();
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(producer.try_publish(numbered(1)).ok());
    }
    memory.view().slot(2).sequence.store(6);
    EXPECT_EQ(RingProducer<Message>::attach(memory.view()).code(), Errc::BadCursor);
    EXPECT_EQ(RingConsumer<Message>::attach(memory.view()).code(), Errc::BadCursor);
}

TEST(SpscRingDeathTest, CommitsNothingThatWasRefused) {
    const Memory memory{4};
    auto producer = memory.producer();
    for (std::uint64_t i = 0; i < 4; ++i) {
        ASSERT_TRUE(producer.try_publish(numbered(i)).ok());
    }
    ASSERT_EQ(producer.claim(), nullptr);
    EXPECT_DEATH(producer.commit(), "written_ - cached_read_");
    EXPECT_EQ(memory.consumer().peek()->words[3], 0U) << "the unread record is whole";
}

TEST(SpscRingDeathTest, StepsOverNothingThatWasNotSeen) {
    const Memory memory{4};
    auto producer = memory.producer();
    auto consumer = memory.consumer();
    ASSERT_EQ(consumer.peek(), nullptr);
    EXPECT_DEATH(consumer.advance(), "shown_ == next_");
    ASSERT_TRUE(producer.try_publish(numbered(1)).ok());
    ASSERT_NE(consumer.peek(), nullptr);
    consumer.advance();
    EXPECT_DEATH(consumer.advance(), "shown_ == next_");
}

TEST(SpscRing, SkipsToTheEndOfWhatIsThereAndNoFurther) {
    const Memory memory{4};
    auto producer = memory.producer();
    auto consumer = memory.consumer();
    EXPECT_FALSE(consumer.skip_to(2)) << "nothing was ever published";
    for (std::uint64_t n = 1; n <= 3; ++n) {
        ASSERT_TRUE(producer.try_publish(numbered(n)).ok());
    }
    EXPECT_FALSE(consumer.skip_to(5)) << "the fourth is not there";
    EXPECT_EQ(consumer.position(), 1U) << "a refused skip moves nothing";
    EXPECT_TRUE(consumer.skip_to(1));
    EXPECT_TRUE(consumer.skip_to(3));
    EXPECT_EQ(consumer.peek()->words[0], 3U);
    EXPECT_TRUE(consumer.skip_to(4));
    EXPECT_EQ(consumer.peek(), nullptr);
    consumer.release();
    EXPECT_EQ(memory.consumer().position(), 4U);
    EXPECT_EQ(memory.producer().free_slots(), 4U);
}

TEST(SpscRing, RefusesAttachWhenTheSlotsContradictTheReadCursor) {
    const Memory memory{4};
    auto producer = memory.producer();
    ASSERT_TRUE(producer.try_publish(numbered(1)).ok());
    memory.view().control->read_cursor.store(3);  // two records that never were
    EXPECT_EQ(RingProducer<Message>::attach(memory.view()).code(), Errc::BadCursor);
    EXPECT_EQ(RingConsumer<Message>::attach(memory.view()).code(), Errc::BadCursor);
}

TEST(SpscRing, LastRecordStaysReadableForAFullLap) {
    const Memory memory{4};
    auto producer = memory.producer();
    auto consumer = memory.consumer();
    EXPECT_EQ(producer.last(), nullptr);
    for (std::uint64_t n = 1; n <= 6; ++n) {
        ASSERT_TRUE(producer.try_publish(numbered(n)).ok());
        ASSERT_EQ(consumer.poll(1, [](const Message&) {}), 1U);
        EXPECT_EQ(memory.producer().last()->words[0], n);
    }
}

TEST(SpscRing, TwoThreadsHandOverEveryRecordWholeWhileTheConsumerRestarts) {
    constexpr std::uint64_t kRecords = 200'000;
    const Memory memory{64};
    std::thread source{[&memory] {
        auto producer = memory.producer();
        for (std::uint64_t n = 1; n <= kRecords;) {
            if (producer.try_publish(numbered(n)).ok()) {
                ++n;
            } else {
                std::this_thread::yield();
            }
        }
    }};
    std::uint64_t expected = 1;
    auto consumer = memory.consumer();
    while (expected <= kRecords) {
        const std::size_t got = consumer.poll(32, [&](const Message& m) {
            for (const std::uint64_t word : m.words) {
                ASSERT_EQ(word, expected) << "torn, lost or doubled";
            }
            ++expected;
        });
        if (got == 0) {
            std::this_thread::yield();
        } else if (expected % 1000 < 32) {
            consumer = memory.consumer();  // killed and restarted between two batches
        }
    }
    source.join();
    EXPECT_EQ(consumer.peek(), nullptr);
}

}  // namespace
}  // namespace millrace
