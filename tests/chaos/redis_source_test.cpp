// Goal: what producers add to RTSS is executed once, whichever of us, or Redis, is killed; what is
// too old ends with a published EXPIRED; in the end nothing is left unacknowledged. Method: the
// whole pipeline with a source of kind "redis" over a real server, or over a primary, two replicas
// and three Sentinels, beside the usual load; a producer that adds again what Redis did not
// confirm, and now and then what it did; the broker's books and RTRS tell.
#include <gtest/gtest.h>

#include <cstdio>

#include "shm/clock.h"
#include "tests/chaos/rtrs.h"
#include "tests/chaos/world.h"
#include "tests/not_proven.h"
#include "tests/ops/quiet_port.h"
#include "tests/redis/server.h"
#include "tools/demo_run/evidence.h"
#include "tools/simbroker/books.h"

namespace millrace::chaos {
namespace {

constexpr Nanos kLong = seconds(240);
constexpr std::uint64_t kMagicTag = 0x4D52;
constexpr std::size_t kMembers = 3;  // of the group `hedging`
constexpr const char* kStream = "test:RTSS";

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

/// What a producer says of signal `n` that it sends now.
std::vector<std::string> entry_of(std::uint64_t n) {
    return {
        "id",  text_of(id_of(n)), "group", "hedging", "symbol", "EURUSD", "action", "open", "side",
        "buy", "volume",          "0.10"};
}

/// A pipeline that takes signals from Redis, and their producer.
class RedisProducer : public ::testing::Test {
protected:
    /// @param configured `"servers": [...]` or `"sentinels": [...]`.
    void begin(const std::string& configured, const RedisPlace& place, int replicas) {
        RedisPlace patient = place;
        patient.timeouts = {seconds(5), seconds(5)};
        primary_ = std::make_unique<RedisPrimary>(patient);
        replicas_ = std::to_string(replicas);
        WorldOptions o;
        // Nobody is replaced for standing still: a test may stop one for as long as it needs.
        o.edits = {{"\"accounts_max\"",
                    "\"redis\": {" + configured +
                        R"(, "prefix": "test:"}, "restart": {"stuck_ms": 600000}, "accounts_max")"},
                   {"\"sources\": [", R"("sources": [{"name": "bus", "kind": "redis"}, )"}};
        world_ = std::make_unique<World>(o);
        ASSERT_EQ(world_->start(), "") << world_->log();
    }
    /// A connection to who is the primary now; not open if nobody is.
    [[nodiscard]] RedisLink link() const {
        RedisLink l;
        (void)primary_->connect(l);
        return l;
    }
    static Status xadd(RedisLink& link, const std::vector<std::string>& fields,
                       const std::string& id = "*") {
        std::vector<std::string_view> words{"XADD", kStream, id};
        words.insert(words.end(), fields.begin(), fields.end());
        RespCommands command;
        command.begin(words.size());
        for (const std::string_view word : words) {
            command.arg(word);
        }
        return link.run(command);
    }
    /// Adds the entry, again for as long as Redis does not confirm it: with each replica that is
    /// waited for.
    void add(const std::vector<std::string>& fields, const std::string& id = "*") {
        ASSERT_TRUE(world_->turn_until(
            [&] {
                RedisLink to = link();
                if (!to.is_open() || !xadd(to, fields, id).ok()) {
                    return false;
                }
                const auto heard = to.call({"WAIT", replicas_, "200"});
                return heard.ok() && heard.value().integer() >= std::stoi(replicas_);
            },
            kLong))
            << primary_->message();
    }
    /// Nothing is unread and nothing unacknowledged.
    [[nodiscard]] bool all_done() const {
        RedisLink at = link();
        const auto group = at.call({"XINFO", "GROUPS", kStream});
        const auto stream = at.call({"XINFO", "STREAM", kStream});
        return group.ok() && stream.ok() && group.value().size() == 1 &&
               group.value()[0].field("pending").integer() == 0 &&
               group.value()[0].field("last-delivered-id").text() ==
                   stream.value().field("last-generated-id").text();
    }
    /// Until everything has come to its end and Redis knows all of it.
    void come_to_rest() {
        ASSERT_TRUE(world_->turn_until([&] { return all_done(); }, kLong)) << world_->log();
        ASSERT_TRUE(world_->rest(kLong)) << world_->log();
        const std::uint64_t end = world_->segment().core().completed.load();
        const auto& stored = world_->segment().core().redis_seq;
        ASSERT_TRUE(world_->turn_until([&] { return stored.load() >= end; }, kLong))
            << world_->log();
        RedisLink at;
        ASSERT_TRUE(world_->turn_until([&] { return (at = link()).is_open(); }, kLong))
            << primary_->message();
        said_ = published(std::move(at), "test:RTRS");
        for (const auto& [id, of] : said_) {
            if (of.has("ACCEPTED") && world_->source().lives().find(id) == nullptr) {
                world_->count_other(id);
            }
        }
    }
    /// Stops the pipeline; its books have what RTRS says of each signal of ours, once.
    /// @return orders that were executed for them.
    std::size_t judge() {
        const Judgement judgement = world_->finish();
        EXPECT_TRUE(judgement.good()) << describe(judgement, *world_);
        demo::Evidence books{kMagicTag};
        const auto bytes = sim::read_file(world_->pipeline().books_path());
        EXPECT_TRUE(bytes && sim::scan_books(bytes.value(), [&](const auto& r) { books.add(r); }));
        std::size_t executed = 0;
        for (const auto& [id, of] : said_) {
            if (world_->source().lives().find(id) != nullptr) {
                continue;
            }
            const auto& opened = books.opened(demo::comment_of(id));
            for (const auto& [login, tickets] : opened) {
                EXPECT_EQ(tickets.size(), 1U) << text_of(id) << " on account " << login;
            }
            EXPECT_EQ(opened.size(), of.filled) << text_of(id) << ": " << of.states;
            executed += opened.size();
        }
        return executed;
    }

    redis_test::TempDir dir_;
    std::unique_ptr<RedisPrimary> primary_;
    std::string replicas_;  // that a producer waits for
    std::unique_ptr<World> world_;
    std::map<SignalId, Published> said_;
};

// ---- one server --------------------------------------------------------------------------------

class ChaosRedisSource : public RedisProducer {
protected:
    static constexpr std::uint64_t kSignals = 200;

    void SetUp() override {
        // A Redis that loses what it confirmed is another test's: here what is lost is our doing.
        redis_ = std::make_unique<redis_test::RedisProcess>(redis_test::RedisProcess::Options{
            dir_.path(), port_.number(), false,
            "appendonly yes\nappendfsync always\nmaxmemory-policy noeviction\nmaxmemory 500mb\n"
            "save \"\"\n"});
        redis_->start();
        RedisPlace place;
        place.servers = {redis_->at()};
        begin(R"("servers": ["127.0.0.1:)" + std::to_string(port_.number()) + "\"]", place, 0);
    }
    static bool is_stale(std::uint64_t n) { return n % 10 == 9; }
    void add_signal(std::uint64_t n) {
        auto fields = entry_of(n);
        // The stamp is the first one's, whenever it is confirmed.
        const std::int64_t ms = wall_ns() / 1'000'000 - (is_stale(n) ? 60'000 : 0);
        fields.insert(fields.end(),
                      {"time_ms", std::to_string(ms), "ttl_ms", is_stale(n) ? "30000" : "300000"});
        add(fields);
    }

    test::QuietPort port_;
    std::unique_ptr<redis_test::RedisProcess> redis_;
};

TEST_F(ChaosRedisSource, ExecutesEachEntryOnceWhoeverIsKilledAndEndsWhatIsTooOld) {
    std::map<StageId, std::size_t> kills;
    // A minute old by its entry's id, and nothing else tells its age.
    constexpr std::uint64_t kOldById = kSignals;
    add(entry_of(kOldById), std::to_string(wall_ns() / 1'000'000 - 60'000) + "-1");
    for (std::uint64_t n = 0; n < kSignals; ++n) {
        add_signal(n);
        if (n % 20 == 19) {
            add_signal(n - 19);  // again, long after it was done
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
    come_to_rest();
    std::size_t expired = 0;
    for (std::uint64_t n = 0; n < kSignals; ++n) {
        const auto of = said_.find(id_of(n));
        ASSERT_NE(of, said_.end()) << "no result of signal " << n;
        EXPECT_NE(of->second.has("ACCEPTED"), is_stale(n)) << n << ": " << of->second.states;
        // Once each time that it is read: who dies in between reads it again.
        expired += of->second.states.starts_with("EXPIRED ") ? 1 : 0;
    }
    EXPECT_EQ(expired, kSignals / 10);
    EXPECT_TRUE(said_[id_of(kOldById)].states.starts_with("EXPIRED "))
        << said_[id_of(kOldById)].states;
    // One that has just died is in no table, and cannot be killed.
    EXPECT_GIVEN(kills[StageId::Rtss] > 0) << "no source was killed";
    EXPECT_GIVEN(kills[StageId::Engine] > 0) << "no engine was killed";
    // A machine that stands still has no fresh price now and then: the others must have traded.
    EXPECT_GIVEN(judge() > kSignals * kMembers / 2) << "hardly anything was traded";
}

// ---- a primary that Sentinels replace ----------------------------------------------------------

/// What a Sentinel may do at a server; taken away, the server is dead for the Sentinels alone.
constexpr const char* kWatcher = "user watcher on >watch allchannels allkeys +@all";

class ChaosRedisFailover : public RedisProducer {
protected:
    void SetUp() override {
        redis_test::RedisClusterOptions options;
        options.extra = std::string{kWatcher} + "\n";
        options.sentinel_extra = "sentinel auth-user desk watcher\nsentinel auth-pass desk watch\n";
        cluster_ = std::make_unique<redis_test::RedisCluster>(dir_.path(), options);
        std::string sentinels;
        for (const RedisEndpoint& s : cluster_->place().sentinels) {
            sentinels += (sentinels.empty() ? "\"" : ", \"") + s.text() + "\"";
        }
        begin("\"sentinels\": [" + sentinels + "], \"primary\": \"desk\"", cluster_->place(), 2);
    }
    /// However long a machine that does much else takes for a failover.
    static std::vector<std::string> lasting(std::uint64_t n) {
        auto fields = entry_of(n);
        fields.insert(fields.end(), {"ttl_ms", "300000"});
        return fields;
    }
    void add_signals(std::uint64_t from, std::uint64_t to) {
        for (std::uint64_t n = from; n < to; ++n) {
            add(lasting(n));
            world_->turn();
        }
    }
    /// How far the source has read at this server, and what it has not acknowledged there.
    struct Read {
        std::string up_to;
        std::int64_t pending = -1;
    };
    [[nodiscard]] Read read_at(std::size_t node) {
        RedisLink at = cluster_->node(node).link();
        const auto group = at.call({"XINFO", "GROUPS", kStream});
        EXPECT_TRUE(group.ok()) << at.message();
        return {std::string{group.value()[0].field("last-delivered-id").text()},
                group.value()[0].field("pending").integer()};
    }
    [[nodiscard]] bool has_another_primary_than(std::size_t old) {
        const std::size_t named = cluster_->named();
        return named < 3 && named != old;
    }
    void expect_accepted(std::uint64_t from, std::uint64_t to) {
        for (std::uint64_t n = from; n < to; ++n) {
            EXPECT_TRUE(said_[id_of(n)].has("ACCEPTED")) << n << ": " << said_[id_of(n)].states;
        }
    }

    std::unique_ptr<redis_test::RedisCluster> cluster_;
};

TEST_F(ChaosRedisFailover, ExecutesWhatWasConfirmedOnceThoughTheNewPrimaryIsBehind) {
    add_signals(0, 20);
    // The replicas have the next entries, and never hear who read and acknowledged them.
    ASSERT_TRUE(world_->kill_stage(StageId::Rtss, SIGSTOP));
    add_signals(20, 40);
    const std::string behind = read_at(0).up_to;
    cluster_->cut_off(1);
    cluster_->cut_off(2);
    ASSERT_TRUE(world_->kill_stage(StageId::Rtss, SIGCONT));
    ASSERT_TRUE(world_->turn_until([&] { return all_done(); }, kLong)) << world_->log();
    ASSERT_NE(read_at(0).up_to, behind);
    const std::uint64_t taken = world_->segment().core().rtss_taken.load();
    cluster_->node(0).kill();
    cluster_->let_back(1);
    cluster_->let_back(2);
    ASSERT_TRUE(world_->turn_until([&] { return cluster_->replaced(0); }, kLong));
    EXPECT_GIVEN(world_->turn_until(
        [&] { return world_->segment().core().rtss_taken.load() >= taken + 20; }, kLong))
        << "nothing was read again";
    cluster_->node(0).start();
    cluster_->await_replicas(2);
    // And once more, with nothing prepared. A producer waits for each replica that lives: of two
    // the Sentinels may choose the one that a confirmed entry has not come to.
    const std::size_t second = cluster_->primary();
    add_signals(40, 60);
    cluster_->node(second).kill();
    replicas_ = "1";
    cluster_->allow_failover();
    add_signals(60, 80);
    cluster_->forbid_failover();
    come_to_rest();
    EXPECT_NE(cluster_->primary(), second);
    expect_accepted(0, 80);
    EXPECT_GIVEN(judge() > 80 * kMembers / 2) << "hardly anything was traded";
}

TEST_F(ChaosRedisFailover, DoublesNothingThatAnOldPrimaryTookBesideTheNewOne) {
    constexpr std::uint64_t kUnconfirmed = 1'000;
    add_signals(0, 20);
    const std::uint64_t taken = world_->segment().core().rtss_taken.load();
    // For its clients it is what it was, and no Sentinel can tell it otherwise.
    (void)cluster_->node(0).ask({"ACL", "SETUSER", "watcher", "-@all"});
    std::uint64_t next = kUnconfirmed;
    const auto adds_on = [&] {
        RedisLink old = cluster_->node(0).link();
        EXPECT_TRUE(xadd(old, lasting(next++)).ok()) << old.message();
        world_->turn_for(millis(10));
    };
    const auto adds_on_until = [&](auto done) {
        return world_->turn_until([&] { return adds_on(), done(); }, kLong);
    };
    ASSERT_TRUE(adds_on_until([&] { return world_->segment().core().rtss_taken.load() > taken; }))
        << world_->log();
    cluster_->allow_failover();
    ASSERT_TRUE(adds_on_until([&] { return has_another_primary_than(0); }))
        << cluster_->sentinel(0).log();
    cluster_->forbid_failover();
    replicas_ = "1";  // the old one has none
    for (int i = 0; i < 20; ++i) {
        adds_on();
    }
    // Every other one is added again by its producer, as nobody confirmed it.
    for (std::uint64_t n = kUnconfirmed; n < next; n += 2) {
        add(lasting(n));
    }
    add_signals(20, 40);
    ASSERT_TRUE(world_->turn_until([&] { return all_done(); }, kLong))
        << "the source stays with the old one: " << world_->log();
    (void)cluster_->node(0).ask({"ACL", "SETUSER", "watcher", "+@all"});
    ASSERT_TRUE(world_->turn_until(
        [&] { return cluster_->node(0).ask({"ROLE"}).starts_with("slave"); }, kLong));
    come_to_rest();
    expect_accepted(0, 40);
    std::size_t lost = 0;
    for (std::uint64_t n = kUnconfirmed; n < next; ++n) {
        const bool known = said_.contains(id_of(n));
        EXPECT_TRUE(known || n % 2 != 0) << n << " was confirmed";
        lost += known ? 0 : 1;
    }
    std::printf("%lu entries that nobody confirmed, half of them added again: %zu are lost\n",
                static_cast<unsigned long>(next - kUnconfirmed), lost);
    EXPECT_GIVEN(judge() > 40 * kMembers / 2) << "hardly anything was traded";
}

}  // namespace
}  // namespace millrace::chaos
