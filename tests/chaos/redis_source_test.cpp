// Goal: what producers add to RTSS is executed once, whichever of us, or Redis, is killed; what is
// too old ends with a published EXPIRED; in the end nothing is left unacknowledged. Method: the
// whole pipeline with a source of kind "redis" over a real server, beside the usual load; a
// producer that adds again what Redis did not confirm, and now and then what it did; the broker's
// books and RTRS tell.
#include <gtest/gtest.h>

#include <cstdio>

#include "shm/clock.h"
#include "tests/chaos/world.h"
#include "tests/ops/quiet_port.h"
#include "tests/redis/server.h"
#include "tools/demo_run/evidence.h"
#include "tools/simbroker/books.h"

namespace millrace::chaos {
namespace {

constexpr std::uint64_t kSignals = 200;
constexpr Nanos kLong = seconds(120);
constexpr std::uint64_t kMagicTag = 0x4D52;
constexpr std::size_t kMembers = 3;  // of the group `hedging`

bool is_stale(std::uint64_t n) {
    return n % 10 == 9;
}

/// Differ in the 80 bits that an order's comment has.
SignalId id_of(std::uint64_t n) {
    return {0xB0500000 + n, n};
}

std::string text_of(const SignalId& id) {
    char text[37];
    std::snprintf(text, sizeof text, "%08x-%04x-%04x-%04x-%012llx",
                  static_cast<unsigned>(id.hi >> 32U),
                  static_cast<unsigned>(id.hi >> 16U & 0xFFFFU),
                  static_cast<unsigned>(id.hi & 0xFFFFU), static_cast<unsigned>(id.lo >> 48U),
                  static_cast<unsigned long long>(id.lo & 0xFFFFFFFFFFFFULL));
    return text;
}

class ChaosRedisSource : public ::testing::Test {
protected:
    void SetUp() override {
        // A Redis that loses what it confirmed is another test's: here what is lost is our doing.
        redis_ = std::make_unique<redis_test::RedisProcess>(redis_test::RedisProcess::Options{
            dir_.path(), port_.number(), false,
            "appendonly yes\nappendfsync always\nmaxmemory-policy noeviction\nmaxmemory 500mb\n"
            "save \"\"\n"});
        redis_->start();
        WorldOptions o;
        o.edits = {{"\"accounts_max\"", R"("redis": {"servers": ["127.0.0.1:)" +
                                            std::to_string(port_.number()) +
                                            R"("], "prefix": "test:"}, "accounts_max")"},
                   {"\"sources\": [", R"("sources": [{"name": "bus", "kind": "redis"}, )"}};
        world_ = std::make_unique<World>(o);
        ASSERT_EQ(world_->start(), "") << world_->log();
    }
    /// Adds signal `n`, again for as long as Redis does not confirm it, as a producer must.
    void add(std::uint64_t n) {
        const std::string id = text_of(id_of(n));
        // The stamp is the first one's, whenever it is confirmed.
        const std::int64_t ms = wall_ns() / 1'000'000 - (is_stale(n) ? 60'000 : 0);
        const std::string stamp = std::to_string(ms);
        const std::string ttl = is_stale(n) ? "30000" : "300000";
        ASSERT_TRUE(world_->turn_until(
            [&] {
                RedisLink link;
                return link.connect(redis_->at(), {}, {}).ok() &&
                       link.call({"XADD", "test:RTSS", "*", "id", id, "group", "hedging", "symbol",
                                  "EURUSD", "action", "open", "side", "buy", "volume", "0.10",
                                  "time_ms", stamp, "ttl_ms", ttl})
                           .ok();
            },
            kLong))
            << redis_->log();
    }
    /// Nothing is unread and nothing unacknowledged.
    [[nodiscard]] bool all_done() const {
        RedisLink link;
        if (!link.connect(redis_->at(), {}, {}).ok()) {
            return false;
        }
        const auto group = link.call({"XINFO", "GROUPS", "test:RTSS"});
        const auto stream = link.call({"XINFO", "STREAM", "test:RTSS"});
        return group.ok() && stream.ok() && group.value().size() == 1 &&
               group.value()[0].field("pending").integer() == 0 &&
               group.value()[0].field("last-delivered-id").text() ==
                   stream.value().field("last-generated-id").text();
    }
    /// What RTRS says of each signal of ours: states in their order.
    [[nodiscard]] std::map<std::string, std::string> results() const {
        std::map<std::string, std::string> said;
        RedisLink link = redis_->link();
        const auto all = link.call({"XRANGE", "test:RTRS", "-", "+"});
        EXPECT_TRUE(all.ok()) << link.message();
        for (std::size_t i = 0; all.ok() && i < all.value().size(); ++i) {
            const RedisView fields = all.value()[i][1];
            if (fields.field("event").text() == "signal") {
                said[std::string{fields.field("signal").text()}] +=
                    std::string{fields.field("state").text()} + " ";
            }
        }
        return said;
    }
    [[nodiscard]] std::uint64_t stored() const {
        return world_->segment().core().redis_seq.load(std::memory_order_relaxed);
    }

    redis_test::TempDir dir_;
    test::QuietPort port_;
    std::unique_ptr<redis_test::RedisProcess> redis_;
    std::unique_ptr<World> world_;
};

TEST_F(ChaosRedisSource, ExecutesEachEntryOnceWhoeverIsKilledAndEndsWhatIsTooOld) {
    std::map<StageId, std::size_t> kills;
    for (std::uint64_t n = 0; n < kSignals; ++n) {
        add(n);
        if (n % 20 == 19) {
            add(n - 19);  // again, long after it was done
        }
        switch (n % 50) {
            case 10: kills[StageId::Rtss] += world_->kill_stage(StageId::Rtss) ? 1 : 0; break;
            case 20: kills[StageId::Engine] += world_->kill_stage(StageId::Engine) ? 1 : 0; break;
            case 30:
                redis_->kill();
                redis_->start();
                break;
            default: break;
        }
        world_->turn();
    }
    ASSERT_TRUE(world_->turn_until([&] { return all_done(); }, kLong)) << world_->log();
    ASSERT_TRUE(world_->rest(kLong)) << world_->log();
    const std::uint64_t end = world_->segment().core().completed.load();
    ASSERT_TRUE(world_->turn_until([&] { return stored() >= end; }, kLong)) << world_->log();

    const auto said = results();
    std::size_t expired = 0;
    for (std::uint64_t n = 0; n < kSignals; ++n) {
        const auto of = said.find(text_of(id_of(n)));
        ASSERT_NE(of, said.end()) << "no result of signal " << n;
        const bool accepted = of->second.find("ACCEPTED") != std::string::npos;
        EXPECT_NE(accepted, is_stale(n)) << n << ": " << of->second;
        // Once each time that it is read: who dies in between reads it again.
        expired += of->second.starts_with("EXPIRED ") ? 1 : 0;
        if (accepted) {
            world_->count_other(id_of(n));
        }
    }
    EXPECT_EQ(expired, kSignals / 10);
    // One that has just died is in no table, and cannot be killed.
    EXPECT_GT(kills[StageId::Rtss], 0U) << "nobody died: this proves nothing";
    EXPECT_GT(kills[StageId::Engine], 0U) << "nobody died: this proves nothing";

    const Judgement judgement = world_->finish();
    EXPECT_TRUE(judgement.good()) << describe(judgement, *world_);
    demo::Evidence books{kMagicTag};
    const auto bytes = sim::read_file(world_->pipeline().books_path());
    ASSERT_TRUE(bytes && sim::scan_books(bytes.value(), [&](const auto& r) { books.add(r); }));
    std::size_t executed = 0;
    for (std::uint64_t n = 0; n < kSignals; ++n) {
        const auto& opened = books.opened(demo::comment_of(id_of(n)));
        for (const auto& [login, tickets] : opened) {
            EXPECT_EQ(tickets.size(), 1U) << "signal " << n << " on account " << login;
        }
        EXPECT_LE(opened.size(), is_stale(n) ? 0 : kMembers) << "signal " << n;
        executed += opened.size();
    }
    // A machine that stands still has no fresh price now and then: the others must have traded.
    EXPECT_GT(executed, kSignals * kMembers / 2);
}

}  // namespace
}  // namespace millrace::chaos
