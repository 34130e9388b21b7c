// Goal: Redis, ClickHouse and PostgreSQL may all be killed, stopped or slow: trading goes on, no
// process grows, and once they are back they hold what they would hold without any outage.
// Method: real servers behind gates (outside.h) beside a whole pipeline under load. What an
// undisturbed projection holds is told by the log alone: Redis is compared with it row by row,
// ClickHouse by counts and checksums with the SQLite store, which nothing disturbed.
// All killed at once; MILLRACE_LONG: each store in each way, then all together in each way.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <string>

#include "persist/effects_log_source.h"
#include "persist/redis_audit.h"
#include "shm/clock.h"
#include "tests/chaos/world.h"
#include "tests/isolation/outside.h"

namespace millrace::isolation {
namespace {

constexpr Nanos kSlowMachine = seconds(120);
constexpr std::uint64_t kFillsBefore = 60;  // so that what is used is there and was touched
constexpr std::uint64_t kFillsBeside = 150;
constexpr std::size_t kAcksBeside = 40;
/// A process may grow by so much over an outage: batches that wait and answers half read. What a
/// sink lacks waits in the effects log, on disk, however long it lasts.
constexpr std::uint64_t kGrowthKibMax = 16 * 1024;

/// Memory of its own, without the segment, which is shared and has its size from the start.
std::uint64_t own_kib(std::uint32_t pid) {
    std::ifstream status{"/proc/" + std::to_string(pid) + "/status"};
    for (std::string word; status >> word;) {
        std::uint64_t kib = 0;
        if (word == "RssAnon:" && status >> kib) {
            return kib;
        }
    }
    return 0;
}

class Outages : public ::testing::Test {
protected:
    void start() {
        outside_ = std::make_unique<Outside>();
        chaos::WorldOptions options;
        options.rate = 60;
        options.edits = outside_->edits();
        // A snapshot's buffers are part of what is measured before.
        options.edits.push_back({"\"journal\": {", "\"journal\": {\"snapshot_s\": 1, "});
        world_ = std::make_unique<chaos::World>(options);
        outside_->add_credential("sealed-before");
        ASSERT_EQ(world_->start(), "") << world_->log();
        await("executions", [this] { return fills() >= kFillsBefore; });
        catch_up();
    }
    void TearDown() override {
        outside_.reset();  // before the world, which ends all children
        world_.reset();
    }

    void await(const char* what, const std::function<bool()>& done) {
        ASSERT_TRUE(world_->turn_until(done, kSlowMachine)) << "no " << what << "\n"
                                                            << world_->log();
    }
    [[nodiscard]] std::uint64_t fills() const {
        std::uint64_t sum = 0;
        for (const auto& [account, filled] : world_->fills()) {
            sum += filled;
        }
        return sum;
    }
    [[nodiscard]] std::size_t acks() const { return world_->source().counts().accepted; }
    [[nodiscard]] const CoreCells& core() const { return world_->segment().core(); }

    /// Until every store has what is durable now.
    void catch_up() {
        const std::uint64_t durable = core().durable.load();
        await("store that has it all", [&] {
            return std::min({core().redis_seq.load(), core().clickhouse_seq.load(),
                             core().sqlite_seq.load()}) >= durable;
        });
    }
    struct Memory {
        std::uint32_t pid = 0;
        std::uint64_t kib = 0;
    };
    /// By stage, as it stands in the segment.
    [[nodiscard]] std::map<std::string, Memory> memory() const {
        std::map<std::string, Memory> all;
        for (std::uint32_t i = 0; i < kStages; ++i) {
            const StageEntry& e = world_->segment().stage(static_cast<StageId>(i));
            // Relaxed: a picture.
            if (const auto pid = e.pid.load(std::memory_order_relaxed); pid != 0) {
                all[stage_name(static_cast<StageId>(i))] = {pid, own_kib(pid)};
            }
        }
        return all;
    }
    /// Of the same processes: one that grew until it died and was replaced is small again.
    void expect_flat(const std::map<std::string, Memory>& before) const {
        const auto after = memory();
        EXPECT_EQ(after.size(), before.size());
        for (const auto& [stage, now] : after) {
            const auto was = before.find(stage);
            ASSERT_NE(was, before.end()) << stage;
            EXPECT_EQ(now.pid, was->second.pid) << stage << " was replaced";
            EXPECT_GT(now.kib, 0U) << stage << " (pid " << now.pid << ") is gone";
            EXPECT_LE(now.kib, was->second.kib + kGrowthKibMax)
                << stage << " has grown beside the outage";
        }
    }

    /// The outage begins, trading goes on beside it, the stores come back and catch up.
    void live_through(const Outage& outage) {
        SCOPED_TRACE(name_of(outage));
        const auto before = memory();
        outside_->begin(outage);
        const std::uint64_t durable = core().durable.load();
        const std::uint64_t filled = fills();
        const std::size_t acked = acks();
        await("fills beside the outage", [&] { return fills() >= filled + kFillsBeside; });
        await("acks beside the outage", [&] { return acks() >= acked + kAcksBeside; });
        expect_hurt(outage, durable);
        expect_flat(before);
        outside_->end(outage);
        catch_up();
    }
    /// Nothing that became durable in the outage was stored in whoever cannot answer.
    void expect_hurt(const Outage& outage, std::uint64_t durable) const {
        const auto hurt = [&](Store store) {
            return std::find(outage.stores.begin(), outage.stores.end(), store) !=
                   outage.stores.end();
        };
        if (outage.ill == Ill::Slow) {
            return;  // it gets on, byte by byte
        }
        EXPECT_GT(core().durable.load(), durable);
        EXPECT_TRUE(!hurt(Store::Redis) || core().redis_seq.load() <= durable);
        EXPECT_TRUE(!hurt(Store::ClickHouse) || core().clickhouse_seq.load() <= durable);
    }

    /// What the log says, and nothing else.
    void expect_redis_as_undisturbed() {
        RedisStore store{{.prefix = "millrace:test:"}};
        RedisLink link = outside_->redis().link();
        ASSERT_TRUE(store.open(link).ok()) << store.message();
        RedisAudit audit{store.options().keep};
        audit.begin(std::make_unique<EffectsLogSource>(world_->workspace().path("journal")));
        for (bool more = true; more;) {
            const auto step = audit.step(link, store, Nanos{wall_ns()});
            ASSERT_TRUE(step.ok()) << step.error().what;
            more = step.value();
        }
        EXPECT_TRUE(audit.findings().clean()) << audit.findings().first;
        EXPECT_GT(audit.findings().rows, kFillsBefore + kFillsBeside);
    }
    void expect_clickhouse_as_undisturbed() {
        std::string output;
        EXPECT_EQ(world_->command({"verify", "clickhouse", "--wait", "60"}, kSlowMachine, &output),
                  0)
            << output;
        EXPECT_NE(output.find("EQUAL"), std::string::npos) << output;
    }
    void expect_postgres_as_undisturbed() {
        std::string output;
        outside_->add_credential("sealed-after");
        EXPECT_EQ(world_->command({"credential", "list"}, kSlowMachine, &output), 0) << output;
        for (const char* account : {"sealed-before", "sealed-after"}) {
            EXPECT_NE(output.find(account), std::string::npos) << output;
        }
    }
    void expect_all_as_undisturbed() {
        EXPECT_TRUE(world_->rest(kSlowMachine));
        expect_clickhouse_as_undisturbed();
        expect_postgres_as_undisturbed();
        const chaos::Judgement judgement = world_->finish();
        EXPECT_TRUE(judgement.good()) << describe(judgement, *world_);
        expect_redis_as_undisturbed();
    }

    std::unique_ptr<Outside> outside_;
    std::unique_ptr<chaos::World> world_;
};

TEST_F(Outages, OfAllStoresAtOnceLeaveTradingMemoryAndContentAsTheyWere) {
    start();
    if (HasFatalFailure()) {
        return;
    }
    live_through({Ill::Killed, {Store::Redis, Store::ClickHouse, Store::Postgres}});
    if (!HasFatalFailure()) {
        expect_all_as_undisturbed();
    }
}

TEST_F(Outages, OfEachStoreAndOfAllInEachWayLeaveTradingMemoryAndContentAsTheyWere) {
    if (std::getenv("MILLRACE_LONG") == nullptr) {
        GTEST_SKIP() << "SKIPPED: some minutes; MILLRACE_LONG=1 asks for it";
    }
    start();
    for (const Outage& outage : all_outages()) {
        if (HasFatalFailure()) {
            return;
        }
        live_through(outage);
    }
    if (!HasFatalFailure()) {
        expect_all_as_undisturbed();
    }
}

}  // namespace
}  // namespace millrace::isolation
