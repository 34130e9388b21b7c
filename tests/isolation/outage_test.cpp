// Goal: Redis, ClickHouse and PostgreSQL may all be killed, stopped or slow: trading goes on, no
// ring is ever full, no process grows, and once they are back they hold what they would hold
// without any outage.
// Method: real servers behind gates (outside.h) beside a whole pipeline under load. What an
// undisturbed projection holds is told by the log alone: Redis is compared with it row by row,
// ClickHouse by counts and checksums with the SQLite store, which nothing disturbed.
// All at once stopped, slow and killed; MILLRACE_LONG: each store in each way, too, with effects
// enough beside each outage that a backlog in memory would show (sinks_alone_test.cpp does that
// always).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "persist/effects_log_source.h"
#include "persist/redis_audit.h"
#include "shm/clock.h"
#include "tests/chaos/world.h"
#include "tests/isolation/outside.h"
#include "tests/isolation/own_memory.h"
#include "tools/inspect/view.h"

namespace millrace::isolation {
namespace {

constexpr Nanos kSlowMachine = seconds(180);
constexpr std::uint64_t kFillsBefore = 100;  // so that what is used is there and was touched

/// What happens beside each outage at the least.
struct Load {
    std::uint32_t signals_per_second;
    std::uint64_t fills;
    std::size_t acks;
    std::uint64_t effects;
    /// By which the replica may grow besides. It follows no store, and the image that it takes for
    /// a snapshot grows with what was traded.
    std::uint64_t image_kib_max;
    bool rests;  // while the stores catch up: a busy machine cannot do both
};
constexpr Load kShort{60, 150, 40, 1'000, 0, false};
/// What a sink would lack in memory were 8 MiB, twice what is allowed.
constexpr Load kLong{200, 150, 40, 50'000, 128 * 1024, true};

/// What a histogram has counted since `before`.
class Since {
public:
    explicit Since(const Histogram& h) : histogram_{h} {
        for (const auto& bucket : h.buckets) {
            before_.push_back(bucket.load());
        }
    }
    /// @return upper bound of the median, ns; 0 if there was nothing.
    [[nodiscard]] std::uint64_t median() const {
        const auto since = std::make_unique<Histogram>();
        for (std::size_t i = 0; i < before_.size(); ++i) {
            since->buckets[i] = histogram_.buckets[i].load() - before_[i];
        }
        return since->quantile(1, 2);
    }

private:
    const Histogram& histogram_;
    std::vector<std::uint64_t> before_;
};

class Outages : public ::testing::Test {
protected:
    void start(const Load& load) {
        load_ = load;
        outside_ = std::make_unique<Outside>();
        chaos::WorldOptions options;
        options.rate = load.signals_per_second;
        options.edits = outside_->edits();
        // An audit holds some bytes of each hash for as long as it takes, outage or not.
        options.edits.push_back({"\"prefix\": ", "\"audit_s\": 3600, \"prefix\": "});
        // A snapshot's buffers are part of what is measured before.
        options.edits.push_back({"\"journal\": {", "\"journal\": {\"snapshot_s\": 1, "});
        // Nobody is replaced because the machine has no time for him.
        options.edits.push_back(
            {"\"accounts_max\"", "\"restart\": {\"stuck_ms\": 600000}, \"accounts_max\""});
        options.edits.push_back(
            {"\"accounts_max\"", "\"capacity\": {\"ledger\": 262144}, \"accounts_max\""});
        world_ = std::make_unique<chaos::World>(options);
        outside_->add_credential("sealed-before");
        ASSERT_EQ(world_->start(), "") << world_->log();
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
    /// The least of some looks: a snapshot's buffers come and go.
    [[nodiscard]] std::map<std::string, Memory> memory_at_rest() {
        auto least = memory();
        for (int look = 0; look < 10; ++look) {
            world_->turn_for(millis(50));
            for (const auto& [stage, now] : memory()) {
                least[stage].kib = std::min(least[stage].kib, now.kib);
            }
        }
        return least;
    }
    [[nodiscard]] std::uint64_t allowed(const std::string& stage) const {
        return kGrowthKibMax + (stage == stage_name(StageId::Replica) ? load_.image_kib_max : 0);
    }
    /// Who holds more than `before`. Of the same processes: one that grew until it died and was
    /// replaced is small again.
    [[nodiscard]] std::string grown_since(const std::map<std::string, Memory>& before) const {
        std::string all;
        const auto after = memory();
        for (const auto& [stage, was] : before) {
            const auto now = after.find(stage);
            if (now == after.end() || now->second.pid != was.pid || now->second.kib == 0) {
                all += stage + " is gone or was replaced; ";
            } else if (now->second.kib > was.kib + allowed(stage)) {
                all +=
                    stage + " has grown by " + std::to_string(now->second.kib - was.kib) + " KiB; ";
            }
        }
        return all;
    }
    /// How often a producer found a ring full, by ring.
    [[nodiscard]] std::map<std::string, std::uint64_t> stalls() const {
        std::map<std::string, std::uint64_t> all;
        for (const auto& ring : inspect::read_view(world_->segment()).rings) {
            all[ring.name] = ring.full_stalls;
        }
        return all;
    }

    /// The outage begins, trading goes on beside it as before, the stores come back and catch up.
    void live_through(const Outage& outage) {
        SCOPED_TRACE(name_of(outage));
        const Since calm{world_->segment().hop(Hop::SignalToSocket)};
        await("fills before it", [this, at = fills()] { return fills() >= at + kFillsBefore; });
        const auto memory = memory_at_rest();
        const std::uint64_t before_ns = calm.median();
        const auto stalled = stalls();
        const std::uint64_t slowed = slowed_by(outage);
        outside_->begin(outage);
        const std::uint64_t durable = core().durable.load();
        const std::uint64_t effects = core().effects_written.load();
        const Since hurt{world_->segment().hop(Hop::SignalToSocket)};
        await("fills beside the outage",
              [this, at = fills()] { return fills() >= at + load_.fills; });
        await("acks beside the outage", [this, at = acks()] { return acks() >= at + load_.acks; });
        await("effects beside the outage",
              [&] { return core().effects_written.load() >= effects + load_.effects; });
        expect_hurt(outage, durable, slowed);
        // What waits for no server keeps up with trading.
        await("replica and SQLite store that follow", [this, at = core().durable.load()] {
            return std::min(core().replica_applied.load(), core().sqlite_seq.load()) >= at;
        });
        EXPECT_EQ(stalls(), stalled) << "somebody found a ring full";
        EXPECT_TRUE(world_->turn_until([&] { return grown_since(memory).empty(); }, seconds(180)))
            << grown_since(memory);
        tell(outage, before_ns, hurt.median(), core().effects_written.load() - effects);
        outside_->end(outage);
        world_->hush(load_.rests);
        catch_up();
        world_->hush(false);
        world_->turn_for(load_.rests ? seconds(3) : Nanos{});  // signals that were due come at once
    }
    /// No assertion: here others compile and test. bench/isolation measures it.
    static void tell(const Outage& outage, std::uint64_t before_ns, std::uint64_t beside_ns,
                     std::uint64_t effects) {
        std::printf(
            "%-18s signal to socket p50 %.2f ms beside it, %.2f ms before: %.2fx; %lu "
            "effects beside it\n",
            name_of(outage).c_str(), static_cast<double>(beside_ns) / 1e6,
            static_cast<double>(before_ns) / 1e6,
            static_cast<double>(beside_ns) / static_cast<double>(before_ns),
            static_cast<unsigned long>(effects));
    }
    /// Bytes that crept through the gates of Redis and ClickHouse, which somebody always asks.
    [[nodiscard]] std::uint64_t slowed_by(const Outage& outage) const {
        std::uint64_t sum = 0;
        for (const Store store : outage.stores) {
            sum += store == Store::Postgres ? 0 : outside_->gate(store).slowed();
        }
        return sum;
    }
    /// Nothing that became durable in the outage was stored in whoever cannot answer.
    void expect_hurt(const Outage& outage, std::uint64_t durable, std::uint64_t slowed) const {
        const auto hurt = [&](Store store) {
            return std::find(outage.stores.begin(), outage.stores.end(), store) !=
                   outage.stores.end();
        };
        EXPECT_GT(core().durable.load(), durable);
        if (outage.ill == Ill::Slow) {
            const bool asked = hurt(Store::Redis) || hurt(Store::ClickHouse);
            EXPECT_TRUE(!asked || slowed_by(outage) > slowed);
            return;  // it gets on, byte by byte
        }
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
        EXPECT_GT(audit.findings().rows, kFillsBefore + load_.fills);
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
    /// One pipeline through some outages, one after the other.
    void live_through_each(const Load& load, bool (*chosen)(const Outage&)) {
        start(load);
        for (const Outage& outage : all_outages()) {
            if (!HasFatalFailure() && chosen(outage)) {
                live_through(outage);
            }
        }
        if (!HasFatalFailure()) {
            expect_all_as_undisturbed();
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

    Load load_{};
    std::unique_ptr<Outside> outside_;
    std::unique_ptr<chaos::World> world_;
};

TEST_F(Outages, OfAllStoresAtOnceInEachWayLeaveTradingMemoryAndContentAsTheyWere) {
    live_through_each(kShort, [](const Outage& outage) { return outage.stores.size() > 1; });
}

TEST_F(Outages, OfEachStoreAndOfAllInEachWayLeaveTradingMemoryAndContentAsTheyWere) {
    if (std::getenv("MILLRACE_LONG") == nullptr) {
        GTEST_SKIP() << "SKIPPED: some minutes; MILLRACE_LONG=1 asks for it";
    }
    live_through_each(kLong, [](const Outage&) { return true; });
}

}  // namespace
}  // namespace millrace::isolation
