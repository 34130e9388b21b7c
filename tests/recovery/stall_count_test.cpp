// Goal: a ring's stall counter says how often something that waited found no room, and nothing
// else: an operator sizes rings by it. Method: the engine's driver on full rings, with and without
// an input that waits.
#include <gtest/gtest.h>

#include "core/engine.h"
#include "persist/core_stage.h"
#include "persist/engine_driver.h"
#include "shm/doorbell.h"
#include "tests/ops/temp_dir.h"

namespace millrace {
namespace {

constexpr std::uint32_t kSlots = 8;

class StallCount : public ::testing::Test {
protected:
    StallCount() {
        doorbell_setup();
        SegmentPlan plan;
        plan.path = dir_ / "segment";
        plan.journal_dir = dir_.path();
        plan.sessions = 1;
        plan.session_slots = 2;
        plan.journal_slots = plan.orders_slots = plan.results_slots = kSlots;
        plan.memory.lock = MemoryWish::Off;
        std::string message;
        auto made = Segment::create(plan, message);
        EXPECT_TRUE(made.ok()) << message;
        segment_ = std::move(made).value();
        segment_.core().reserved_seq = 1'000'000;
        segment_.core().reserved_intent = 1'000'000;
    }
    /// The engine of a new segment: it has journalled a Jump and a Start.
    void start() {
        std::string message;
        auto attached = EngineDriver::attach(segment_, message);
        ASSERT_TRUE(attached.ok()) << message;
        driver_ = std::make_unique<EngineDriver>(std::move(attached).value());
        driver_->begin(engine_, 1);
    }
    template <class Slot>
    void fill(const char* ring) {
        auto producer = RingProducer<Slot>::attach(segment_.ring<Slot>(ring)).value();
        while (producer.free_slots() > 0) {
            ASSERT_TRUE(producer.try_publish(Slot{}).ok());
        }
    }
    void send_admin(int count) {
        auto ring = RingProducer<AdminSlot>::attach(segment_.ring<AdminSlot>("admin")).value();
        for (int i = 0; i < count; ++i) {
            AdminSlot slot{};
            slot.value = AdminRecord::make(AdminOp::SetAccount, AccountCommand{});
            ASSERT_TRUE(ring.try_publish(slot).ok());
        }
    }
    void send_signal() {
        auto ring = RingProducer<SignalSlot>::attach(segment_.ring<SignalSlot>("signals.ingress"));
        SignalSlot slot{};
        slot.value.id = {1, 1};
        ASSERT_TRUE(ring.value().try_publish(slot).ok());
    }
    int poll() { return driver_->poll(engine_, segment_.clock().now(), 64); }
    std::uint64_t stalls(const char* ring) {
        return segment_.ring_control(segment_.find_ring(ring)).full_stalls.load();
    }

    test::TempDir dir_;
    Segment segment_;
    Engine engine_{Capacity{1, 4, 64, 64}};
    std::unique_ptr<EngineDriver> driver_;
};

TEST_F(StallCount, OfTheJournalRingGrowsOnlyWhileAnInputWaits) {
    start();
    send_admin(kSlots - 2);
    EXPECT_EQ(poll(), static_cast<int>(kSlots) - 2);  // now the journal ring is full
    EXPECT_EQ(poll() + poll(), 0);
    EXPECT_EQ(stalls("journal"), 0U) << "nothing waited";
    send_admin(1);
    EXPECT_EQ(poll(), 0);
    EXPECT_EQ(stalls("journal"), 1U);
}

TEST_F(StallCount, OfTheOrdersRingGrowsOnlyWhileASignalWaits) {
    fill<OrderSlot>("orders");
    start();
    EXPECT_EQ(poll() + poll(), 0);
    send_admin(1);
    EXPECT_EQ(poll(), 1) << "an operator's command needs no order slot";
    EXPECT_EQ(stalls("orders"), 0U) << "no order waited";
    send_signal();
    EXPECT_EQ(poll(), 0);
    EXPECT_EQ(stalls("orders"), 1U);
}

TEST_F(StallCount, OfAResultsRingGrowsOnlyWhileASignalWaits) {
    fill<ResultSlot>("results.ingress");
    start();
    send_admin(1);
    EXPECT_EQ(poll(), 1);
    EXPECT_EQ(stalls("results.ingress"), 0U) << "no result waited";
    send_signal();
    EXPECT_EQ(poll(), 0);
    EXPECT_EQ(stalls("results.ingress"), 1U);
}

TEST_F(StallCount, LetsAnHeirBeginWhereTheJournalRingIsFullAndNobodyHasReleasedARecord) {
    start();
    send_admin(kSlots - 2);
    ASSERT_EQ(poll(), static_cast<int>(kSlots) - 2);
    std::string message;
    auto heir = EngineDriver::attach(segment_, message);
    ASSERT_TRUE(heir.ok()) << message;
    Engine engine{Capacity{1, 4, 64, 64}};
    ASSERT_TRUE(heir.value().resume(engine, 1).ok()) << "no file has what it needs";
    EXPECT_EQ(engine.seq(), engine_.seq()) << "its own first record waits for room";
    EXPECT_EQ(heir.value().poll(engine, segment_.clock().now(), 64), 0);
    auto journal = RingConsumer<JournalRecord>::attach(segment_.ring<JournalRecord>("journal"));
    ASSERT_TRUE(journal.ok());
    ASSERT_NE(journal.value().peek(), nullptr);
    journal.value().advance();
    journal.value().release();
    EXPECT_EQ(heir.value().poll(engine, segment_.clock().now(), 64), 1);
    EXPECT_EQ(engine.seq().value, engine_.seq().value + 1);
    EXPECT_EQ(heir.value().poll(engine, segment_.clock().now(), 64), 0) << "once";
}

TEST_F(StallCount, LetsAnHeirNapThatFindsNoRoomToBegin) {
    start();
    send_admin(kSlots - 2);
    ASSERT_EQ(poll(), static_cast<int>(kSlots) - 2);
    CoreOptions options;
    options.journal_dir = dir_.path();
    options.capacity = {1, 4, 64, 64};
    std::string message;
    auto heir = CoreStage::start(segment_, options, message);
    ASSERT_TRUE(heir.ok()) << message;
    CoreStage& core = *heir.value();
    core.step(segment_.clock().now());
    ASSERT_FALSE(core.recovering()) << core.failure();
    EXPECT_TRUE(core.idle()) << "it would spin for as long as the journal stands";
    EXPECT_EQ(core.park_limit(segment_.clock().now()), millis(1)) << "no bell tells of room";
    EXPECT_FALSE(core.drained()) << "who begins is owed to the log";
    auto journal = RingConsumer<JournalRecord>::attach(segment_.ring<JournalRecord>("journal"));
    ASSERT_NE(journal.value().peek(), nullptr);
    journal.value().advance();
    journal.value().release();
    EXPECT_EQ(core.step(segment_.clock().now()), 1);
    EXPECT_TRUE(core.drained());
    EXPECT_EQ(core.park_limit(segment_.clock().now()), millis(20));
}

TEST_F(StallCount, LetsAnHeirBeginThoughTheJournalReleasesARecordWhileItReadsTheFiles) {
    start();
    send_admin(kSlots - 2);
    ASSERT_EQ(poll(), static_cast<int>(kSlots) - 2);
    std::string message;
    auto heir = EngineDriver::attach(segment_, message);
    ASSERT_TRUE(heir.ok()) << message;
    const std::uint64_t oldest = heir.value().oldest_in_ring();
    auto journal = RingConsumer<JournalRecord>::attach(segment_.ring<JournalRecord>("journal"));
    ASSERT_TRUE(journal.ok());
    ASSERT_NE(journal.value().peek(), nullptr);
    journal.value().advance();
    journal.value().release();
    EXPECT_EQ(heir.value().oldest_in_ring(), oldest) << "the files were read to the one before";
    Engine engine{Capacity{1, 4, 64, 64}};
    ASSERT_TRUE(heir.value().resume(engine, 1).ok());
    EXPECT_EQ(engine.seq().value, engine_.seq().value + 1) << "with its own first record";
}

}  // namespace
}  // namespace millrace
