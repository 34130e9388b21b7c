// Goal: the supervisor knows of each stage whether work waits for it: only then is a stage that
// stands still hung. Method: a segment whose cells say so, or not.
#include "tools/millrace/backlog.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/ops/temp_dir.h"

namespace millrace {
namespace {

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
