// Goal: the way out needs no store. Every position is closed at one word while Redis, ClickHouse
// and PostgreSQL are dead and the SQLite store cannot be written to; they learn of it afterwards.
// Method: a whole pipeline with real servers (outside.h); the broker's own lists tell what is open.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "persist/sqlite_db.h"
#include "tests/chaos/world.h"
#include "tests/isolation/outside.h"

namespace millrace::isolation {
namespace {

constexpr Nanos kSlowMachine = seconds(120);

/// At the broker, on all accounts; SIZE_MAX if it does not say.
std::size_t open_positions(chaos::World& world) {
    std::size_t sum = 0;
    for (const demo::AccountPlan& a : world.pipeline().plan().accounts) {
        const nlohmann::json answer = world.control({{"cmd", "positions"}, {"login", a.login}});
        if (!answer.at("ok").get<bool>()) {
            return SIZE_MAX;
        }
        sum += answer.at("positions").size();
    }
    return sum;
}

TEST(FlattenWithoutStores, ClosesEveryPositionWhileAllOfThemAreDeadOrLocked) {
    chaos::WorldOptions options;
    std::unique_ptr<chaos::World> world;  // outlives the servers
    Outside outside;
    options.edits = outside.edits();
    world = std::make_unique<chaos::World>(options);
    outside.add_credential("sealed-before");
    ASSERT_EQ(world->start(), "") << world->log();
    ASSERT_TRUE(world->each_account_fills(kSlowMachine)) << world->log();
    ASSERT_TRUE(world->rest(kSlowMachine)) << world->log();
    const std::size_t open = open_positions(*world);
    ASSERT_GT(open, 0U) << "nothing to be closed";
    ASSERT_NE(open, SIZE_MAX);

    const Outage outage{Ill::Killed, {Store::Redis, Store::ClickHouse, Store::Postgres}};
    outside.begin(outage);
    SqliteDb lock;
    ASSERT_TRUE(lock.open(world->workspace().path("millrace.db"), 60'000).ok()) << lock.message();
    ASSERT_TRUE(lock.exec("BEGIN IMMEDIATE").ok()) << lock.message();
    const CoreCells& core = world->segment().core();
    const std::uint64_t word = core.completed.load();
    std::string said;
    EXPECT_EQ(world->command({"kill", "--all", "--flatten"}, kSlowMachine, &said), 0) << said;
    EXPECT_TRUE(world->turn_until([&] { return open_positions(*world) == 0; }, kSlowMachine))
        << world->log();
    // Relaxed: counts that only grow.
    const auto has = [&](const AtomicU64& cell) {
        return cell.load(std::memory_order_relaxed) >= core.completed.load();
    };
    EXPECT_GT(core.completed.load(), word) << "the engine was told of nothing";
    EXPECT_FALSE(has(core.redis_seq)) << "this store was not away";
    EXPECT_FALSE(has(core.clickhouse_seq)) << "this store was not away";
    EXPECT_FALSE(has(core.sqlite_seq)) << "this store was not away";

    ASSERT_TRUE(lock.exec("ROLLBACK").ok()) << lock.message();
    lock.close();
    outside.end(outage);
    EXPECT_EQ(world->command({"unkill", "--all"}, kSlowMachine, &said), 0) << said;
    EXPECT_TRUE(world->turn_until(
        [&] { return has(core.redis_seq) && has(core.clickhouse_seq) && has(core.sqlite_seq); },
        kSlowMachine))
        << world->log();
    const chaos::Judgement judgement = world->finish();
    EXPECT_TRUE(judgement.good()) << describe(judgement, *world);
}

}  // namespace
}  // namespace millrace::isolation
