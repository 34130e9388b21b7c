// Goal: a result stays in RTRS until the local store has it, every group has read it and its time
// is over; then it goes. Method: a stream of known entries on a real server, trimmed once; and the
// sink, told by its segment how far the store is.
#include "persist/redis_upkeep.h"

#include <algorithm>
#include <sstream>

#include "tests/redis/sink_fixture.h"

namespace millrace::redis_test {
namespace {

constexpr const char* kResults = "millrace:test:RTRS";
constexpr Nanos kNow = seconds(1'000'000);
constexpr Nanos kHour = seconds(3600);

/// The records that results are left of, each once.
std::vector<std::uint64_t> left(const RedisProcess& redis) {
    RedisLink link = redis.link();
    const auto got = link.call({"XRANGE", kResults, "-", "+"});
    EXPECT_TRUE(got.ok()) << link.message();
    std::vector<std::uint64_t> found;
    for (std::size_t i = 0; got.ok() && i < got.value().size(); ++i) {
        const std::uint64_t seq = std::stoull(std::string{got.value()[i][0].text()});
        if (found.empty() || found.back() != seq) {
            found.push_back(seq);
        }
    }
    return found;
}

class RedisResults : public RedisSinkFixture {
protected:
    /// Two results of each of the records 1 to `last`.
    void SetUp() override {
        RedisSinkFixture::SetUp();
        redis_ = server("one");
        link_ = redis_->link();
        RespCommands all;
        for (int seq = 1; seq <= kLast; ++seq) {
            all.add({"XADD", kResults, std::to_string(seq) + "-1", "event", "order"});
            all.add({"XADD", kResults, std::to_string(seq) + "-2", "event", "signal"});
        }
        ASSERT_TRUE(link_.run(all).ok()) << link_.message();
    }
    /// Trims once, all results being old enough.
    /// @return the first record that is left of 1..kLast, all above being there; 0 = a gap.
    std::uint64_t trimmed(std::uint64_t confirmed, std::uint64_t results_max = 1'000'000) {
        RedisUpkeep upkeep{{.results_keep = Nanos{0}, .results_max = results_max}};
        upkeep.mark(kNow - kHour, Sequence{kLast});
        return trimmed_by(upkeep, confirmed);
    }
    std::uint64_t trimmed_by(RedisUpkeep& upkeep, std::uint64_t confirmed) {
        EXPECT_TRUE(upkeep.run(link_, store_, kNow, Sequence{confirmed}).ok()) << link_.message();
        const auto rest = left(*redis_);
        const std::uint64_t first = rest.empty() ? kLast + 1 : rest.front();
        return rest.size() == kLast + 1 - first ? first : 0;
    }
    /// A group that has read `entries` and acknowledged all but the last `pending` of them.
    void group(const std::string& name, int entries, int pending) {
        (void)redis_->ask({"XGROUP", "CREATE", kResults, name, "0"});
        const auto read = link_.call({"XREADGROUP", "GROUP", name, "me", "COUNT",
                                      std::to_string(entries), "STREAMS", kResults, ">"});
        ASSERT_TRUE(read.ok()) << link_.message();
        std::vector<std::string> ids;
        for (int i = 0; i < entries - pending; ++i) {
            ids.emplace_back(read.value()[0][1][static_cast<std::size_t>(i)][0].text());
        }
        for (const std::string& id : ids) {
            EXPECT_EQ(redis_->ask({"XACK", kResults, name, id}), "1");
        }
    }

    static constexpr int kLast = 30;
    std::unique_ptr<RedisProcess> redis_;
    RedisLink link_;
    RedisStore store_{{.prefix = "millrace:test:"}};
};

TEST_F(RedisResults, GoOnceTheStoreHasThemAndNoneOfThemBefore) {
    EXPECT_EQ(trimmed(0), 1U) << "the store has none";
    EXPECT_EQ(trimmed(10), 11U);
    EXPECT_EQ(trimmed(10), 11U);
    EXPECT_EQ(trimmed(5), 11U) << "a store that began anew";
    EXPECT_EQ(trimmed(30), 31U);
    EXPECT_EQ(trimmed(30), 31U) << "an empty stream";
}

TEST_F(RedisResults, StayAsLongAsTheyAreYoung) {
    RedisUpkeep upkeep{{.results_keep = kHour}};
    upkeep.mark(kNow - seconds(7200), Sequence{8});
    upkeep.mark(kNow - kHour, Sequence{12});
    upkeep.mark(kNow - kHour + Nanos{1}, Sequence{20});
    EXPECT_EQ(trimmed_by(upkeep, 30), 13U);
}

TEST_F(RedisResults, StayWhereNothingIsKnownOfTheirAge) {
    RedisUpkeep fresh{{.results_keep = Nanos{0}}};  // as after a restart
    EXPECT_EQ(trimmed_by(fresh, 30), 1U);
}

TEST_F(RedisResults, StayUntilEveryGroupHasReadAndAcknowledgedThem) {
    group("fast", 40, 0);  // all of the records 1 to 20
    group("slow", 20, 4);  // 9-1 to 10-2 are not acknowledged
    EXPECT_EQ(trimmed(30), 9U);
    for (const char* id : {"9-1", "9-2", "10-1"}) {
        (void)redis_->ask({"XACK", kResults, "slow", id});
    }
    EXPECT_EQ(trimmed(30), 10U);
    (void)redis_->ask({"XGROUP", "CREATE", kResults, "new", "0"});
    EXPECT_EQ(trimmed(30), 10U) << "a group that has read nothing yet";
    (void)redis_->ask({"XGROUP", "DESTROY", kResults, "new"});
    (void)redis_->ask({"XGROUP", "DESTROY", kResults, "slow"});
    EXPECT_EQ(trimmed(15), 16U) << "what the store lacks stays whoever has read it";
}

TEST_F(RedisResults, OfARecordThatAGroupHasReadInPartStay) {
    group("halfway", 13, 0);  // 7-1, but not 7-2
    EXPECT_EQ(trimmed(30), 7U) << "7-2 was never read";
    EXPECT_EQ(redis_->ask({"XLEN", kResults}), std::to_string(2 * (kLast - 6)));
}

TEST_F(RedisResults, BeyondTheirMaximumAreHeldBackByTheStoreOnly) {
    group("asleep", 4, 4);
    EXPECT_EQ(trimmed(20), 1U);
    EXPECT_EQ(trimmed(20, 2 * kLast), 1U) << "as many as may be";
    EXPECT_EQ(trimmed(20, 10), 21U) << "and never beyond what the store has";
    EXPECT_EQ(trimmed(20, 10), 21U);
}

TEST_F(RedisSinkFixture, KeepsResultsUntilItsSegmentSaysThatSqliteHasThem) {
    const auto redis = server("one");
    *last_ = 300;
    auto o = options(*redis);
    o.batch_rows = 100'000;  // one batch, one mark of its age
    o.upkeep.results_keep = Nanos{0};
    auto s = sink(o);
    ASSERT_TRUE(run_to(*s, 300));
    const auto all = left(*redis);
    ASSERT_LT(all.front(), 100U);
    ASSERT_GT(all.back(), 200U);
    std::vector<std::uint64_t> above;
    for (const std::uint64_t seq : all) {
        if (seq > 100) {
            above.push_back(seq);
        }
    }
    segment_->core().sqlite_seq = 100;
    EXPECT_TRUE(run_until(*s, [&] { return left(*redis).front() > 100; }));
    EXPECT_EQ(left(*redis), above);
}

class RedisMemory : public RedisResults {
protected:
    /// A server whose use of memory stands still.
    void SetUp() override {
        RedisResults::SetUp();
        (void)redis_->ask({"SETRANGE", "ballast", "50000000", "x"});
        *last_ = 100;
    }
    /// A sink that looks whenever it can.
    [[nodiscard]] RedisSinkOptions looking() const {
        RedisSinkOptions o = options(*redis_);
        o.place.timeouts = {seconds(60), seconds(60)};  // a slow machine is no failure
        o.upkeep_every = o.memory_every = millis(1);
        return o;
    }
    void limit(double times_used) {
        const std::string info = redis_->ask({"INFO", "memory"});
        const double used = std::stod(info.substr(info.find("\nused_memory:") + 13));
        EXPECT_EQ(redis_->ask({"CONFIG", "SET", "maxmemory",
                               std::to_string(static_cast<std::uint64_t>(used * times_used))}),
                  "OK");
    }
    /// Steps `s` until it has looked so often more.
    [[nodiscard]] bool looks(RedisSink& s, std::uint64_t times) {
        (void)redis_->ask({"CONFIG", "RESETSTAT"});
        asked_ = 0;
        return run_until(s, [&] { return asked_info() >= times; }, 60);
    }
    /// How often the error log was given a text with this part.
    [[nodiscard]] std::uint64_t told(std::string_view part) const {
        std::uint64_t sum = 0;
        std::istringstream in{error_log()};
        for (std::string line; std::getline(in, line);) {
            sum += line.find(part) != std::string::npos ? std::stoull(line) : 0;
        }
        return sum;
    }

private:
    /// Calls of INFO since RESETSTAT that were not this test's.
    [[nodiscard]] std::uint64_t asked_info() {
        const std::string stats = redis_->ask({"INFO", "commandstats"});
        const std::size_t at = stats.find("cmdstat_info:calls=");
        const std::uint64_t calls =
            at == std::string::npos ? 0 : std::stoull(stats.substr(at + 19));
        return calls - std::min(calls, asked_++);
    }
    std::uint64_t asked_ = 0;
};

// Nothing is evicted, so a server that fills up must be told of before it refuses signals.
TEST_F(RedisMemory, OfAServerThatFillsUpIsWarnedOfOnceAtEachLevel) {
    const auto s = sink(looking());
    ASSERT_TRUE(run_to(*s, *last_, 60));
    EXPECT_EQ(told("of the server's maxmemory"), 0U);
    limit(1.3);
    ASSERT_TRUE(looks(*s, 20)) << error_log();
    EXPECT_EQ(told("(70 % reached)"), 1U) << error_log();
    EXPECT_EQ(told("(85 % reached)"), 0U);
    limit(1.1);
    ASSERT_TRUE(looks(*s, 20)) << error_log();
    EXPECT_EQ(told("(85 % reached)"), 1U) << error_log();
    EXPECT_EQ(told("(70 % reached)"), 1U) << error_log();
}

}  // namespace
}  // namespace millrace::redis_test
