// Goal: the loss of a second journal disk that the journal is not on costs neither trading nor the
// hot spare, the stores, or an engine that dies meanwhile; an ALERT says it. Method: the whole
// pipeline under load; the second directory is taken away while files roll and stages are killed.
#include <gtest/gtest.h>

#include <filesystem>

#include "shm/clock.h"
#include "tests/chaos/world.h"
#include "tests/not_proven.h"
#include "tests/ops/temp_dir.h"

namespace millrace::chaos {
namespace {

constexpr Nanos kSlowMachine = seconds(180);

std::uint64_t sum_of_fills(const World& world) {
    std::uint64_t sum = 0;
    for (const auto& [account, count] : world.fills()) {
        sum += count;
    }
    return sum;
}

TEST(ChaosSecondDisk, ThatIsGoneWhileNobodyUsesItIsDoneWithout) {
    const test::TempDir dir;
    const std::string second = dir / "second";
    WorldOptions options;
    options.edits = {{"\"file_mib\"", "\"second_directory\": \"" + second + "\", \"file_mib\""}};
    World world{options};
    ASSERT_EQ(world.start(), "") << world.log();
    const CoreCells& core = world.segment().core();
    const auto trade = [&] {
        const std::uint64_t fills = sum_of_fills(world) + 40;
        return world.turn_until([&] { return sum_of_fills(world) >= fills; }, kSlowMachine);
    };
    const auto stores_follow = [&] {
        const std::uint64_t durable = core.durable.load();
        return world.turn_until(
            [&] {
                return core.replica_applied.load() >= durable && core.sqlite_seq.load() >= durable;
            },
            kSlowMachine);
    };
    ASSERT_TRUE(trade()) << world.log();
    std::filesystem::rename(second, second + ".away");
    ASSERT_TRUE(world.turn_until(
        [&] { return world.log().find("ALERT journal: the log in") != std::string::npos; },
        kSlowMachine))
        << world.log();
    // Both at once: no spare takes over, and each reads the log by itself.
    EXPECT_TRUE(world.kill_stage(StageId::Replica));
    EXPECT_TRUE(world.kill_stage(StageId::Engine));
    ASSERT_TRUE(trade()) << world.log();
    ASSERT_TRUE(stores_follow()) << world.log();
    // By the spare that has come back.
    EXPECT_TRUE(world.kill_stage(StageId::Engine));
    ASSERT_TRUE(trade()) << world.log();
    ASSERT_TRUE(stores_follow()) << world.log();
    std::filesystem::rename(second + ".away", second);
    ASSERT_TRUE(world.turn_until(
        [&] { return world.log().find(second + " is there again") != std::string::npos; },
        kSlowMachine))
        << world.log();
    const Judgement judgement = world.finish();
    EXPECT_TRUE(judgement.good()) << describe(judgement, world);
    EXPECT_GIVEN(judgement.book_executions > 0) << "nothing was traded";
}

}  // namespace
}  // namespace millrace::chaos
