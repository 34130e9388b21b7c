// Goal: the supervisor knows of each stage whether work waits for it: only then is a stage that
// stands still hung. Method: a segment whose cells say so, or not.
#include "tools/millrace/backlog.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/ops/temp_dir.h"

namespace millrace {
namespace {

/// A segment whose journal ring has eight slots, both ends of it, and the engine's cell.
struct JournalRing {
    JournalRing() {
        SegmentPlan plan;
        plan.path = dir.path() + "/segment";
        plan.journal_dir = dir.path();
        plan.journal_slots = 8;
        plan.memory.lock = MemoryWish::Off;
        std::string message;
        segment = Segment::create(plan, message).value();
        const auto view = segment.ring<JournalRecord>("journal");
        producer = RingProducer<JournalRecord>::attach(view).value();
        consumer = RingConsumer<JournalRecord>::attach(view).value();
    }
    /// The engine journals record `seq` and has finished all before it.
    void journal(std::uint64_t seq) {
        JournalRecord record;
        record.seq = Sequence{seq};
        ASSERT_TRUE(producer.try_publish(record).ok());
        segment.core().completed = seq - 1;
    }
    void release_all() {
        while (consumer.peek() != nullptr) {
            consumer.advance();
        }
        consumer.release();
    }

    const test::TempDir dir;
    Segment segment;
    RingProducer<JournalRecord> producer;
    RingConsumer<JournalRecord> consumer;
};

TEST(RecordInFlight, IsTheLastOneJournalledUntilTheEngineHasFinishedIt) {
    JournalRing r;
    EXPECT_EQ(record_in_flight(r.segment), Sequence{});
    for (std::uint64_t seq = 101; seq < 130; ++seq) {
        r.journal(seq);
        EXPECT_EQ(record_in_flight(r.segment), Sequence{seq});
        r.segment.core().completed = seq;
        EXPECT_EQ(record_in_flight(r.segment), Sequence{});
        r.release_all();
    }
}

TEST(RecordInFlight, IsKnownAlsoWhenTheJournalStageHasReleasedIt) {
    JournalRing r;
    for (std::uint64_t seq = 101; seq < 130; ++seq) {
        r.journal(seq);
        r.release_all();
        EXPECT_EQ(record_in_flight(r.segment), Sequence{seq});
        // What a producer that died in the middle of the next one leaves does not matter.
        r.producer.claim()->seq = Sequence{0xDEAD};
        EXPECT_EQ(record_in_flight(r.segment), Sequence{seq});
    }
}

TEST(Backlog, OfEachSinkIsWhatTheReplicaHasMadeAndItHasNotStored) {
    const test::TempDir dir;
    SegmentPlan plan;
    plan.path = dir.path() + "/segment";
    plan.journal_dir = dir.path();
    plan.memory.lock = MemoryWish::Off;
    std::string message;
    auto made = Segment::create(plan, message);
    ASSERT_TRUE(made.ok()) << message;
    Segment& s = made.value();
    CoreCells& core = s.core();
    core.replica_applied = 7;
    const struct {
        StageId stage;
        AtomicU64& stored;
    } sinks[] = {{StageId::Sqlite, core.sqlite_seq},
                 {StageId::Redis, core.redis_seq},
                 {StageId::ClickHouse, core.clickhouse_seq}};
    for (const auto& sink : sinks) {
        EXPECT_TRUE(has_backlog(s, s.stage(sink.stage))) << stage_name(sink.stage);
        sink.stored = 7;
        EXPECT_FALSE(has_backlog(s, s.stage(sink.stage))) << stage_name(sink.stage);
    }
}

}  // namespace
}  // namespace millrace
