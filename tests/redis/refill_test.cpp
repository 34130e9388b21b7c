// Goal: an emptied Redis, or one that the log has left behind, holds everything again though the
// effects log has lost its beginning: the SQLite store has it. What is not of this log, or not
// whole, makes nothing whole. Method: a known history in a SQLite store, its end in a log, against
// an undisturbed run key by key; results, which only the log has, aside.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <csignal>
#include <sstream>

#include "persist/sqlite_store.h"
#include "persist/stored_state.h"
#include "tests/redis/sink_fixture.h"

namespace millrace::redis_test {
namespace {

constexpr StoredLimits kAll{seconds(7 * 24 * 3600).value, 10'000};

class RedisRefill : public RedisSinkFixture {
protected:
    /// Runs `sql` on the SQLite store.
    void change(const char* sql) const {
        SqliteDb db;
        ASSERT_TRUE(db.open(sqlite_, 1'000).ok());
        ASSERT_TRUE(db.exec(sql).ok()) << db.message();
    }
    void SetUp() override {
        RedisSinkFixture::SetUp();
        redis_ = server("one");
        sqlite_ = dir_.path() + "/store.db";
    }
    /// A SQLite store that has followed the log from its beginning up to record `last`.
    void keep_in_sqlite(std::uint64_t last, bool whole = true, std::uint64_t salt = 0) const {
        SqliteStore store;
        SqliteStoreOptions o;
        o.path = sqlite_;
        ASSERT_TRUE(store.open(o).ok()) << store.message();
        store.set_whole(whole);
        RecentLog log{std::make_shared<std::uint64_t>(last), 1, salt};
        std::vector<Effect> all;
        EffectCursor at;
        for (auto next = log.next(all); next.ok() && next.value(); next = log.next(all)) {
            at = *next.value();
        }
        ASSERT_TRUE(store.store(all, at, Nanos{}).ok()) << store.message();
    }
    [[nodiscard]] RedisSinkOptions with_sqlite() const {
        auto o = options(*redis_);
        o.sqlite_path = sqlite_;
        return o;
    }
    /// What Redis holds of things, as an undisturbed run would have left it at record `last`.
    ::testing::AssertionResult has_all(std::uint64_t last) {
        const std::uint64_t first = std::exchange(first_, 1);
        const auto result = same(without_results(dump(*redis_)), without_results(expected(last)));
        first_ = first;
        return result;
    }
    static std::string without_results(const std::string& text) {
        std::istringstream in{text};
        std::string rows;
        for (std::string line; std::getline(in, line);) {
            rows += line.starts_with("RTRS") ? "" : line + "\n";
        }
        return rows;
    }
    /// What `recover --from redis` would call lacking.
    std::vector<std::string> gaps() const {
        RedisPlace place;
        place.servers = {redis_->at()};
        std::string said;
        const auto state = read_redis_state(place, options(*redis_).store, kAll, said);
        return state ? state.value().gaps : std::vector<std::string>{said};
    }

    std::unique_ptr<RedisProcess> redis_;
    std::string sqlite_;
};

TEST_F(RedisRefill, GivesAnEmptiedRedisWhatTheLogHasLost) {
    *last_ = 300;
    ASSERT_TRUE(run_to(*sink(with_sqlite()), 300));
    keep_in_sqlite(280);
    first_ = 150;
    (void)redis_->ask({"FLUSHALL"});  // another's doing
    auto s = sink(with_sqlite());
    ASSERT_TRUE(run_to(*s, 300));
    EXPECT_TRUE(has_all(300));
    EXPECT_TRUE(gaps().empty()) << gaps().front();
    const std::string all = dump(*redis_);
    EXPECT_EQ(all.find("RTRS "), all.find("RTRS 150-1 ")) << "results that the log still has";
    *last_ = 400;
    ASSERT_TRUE(run_to(*s, 400));
    EXPECT_TRUE(has_all(400));
    EXPECT_TRUE(gaps().empty()) << gaps().front();
}

TEST_F(RedisRefill, GivesWhatWentByWhileItWasDetached) {
    *last_ = 60;
    ASSERT_TRUE(run_to(*sink(with_sqlite()), 60));
    keep_in_sqlite(300);
    first_ = 150;
    *last_ = 300;
    ASSERT_TRUE(run_to(*sink(with_sqlite()), 300));
    EXPECT_TRUE(has_all(300));
    EXPECT_TRUE(gaps().empty()) << gaps().front();
}

TEST_F(RedisRefill, GivesAllOfItWhereTheLogHasNothingBehindIt) {
    keep_in_sqlite(300);
    first_ = 301;
    *last_ = 300;
    ASSERT_TRUE(run_to(*sink(with_sqlite()), 300));
    EXPECT_TRUE(has_all(300));
    EXPECT_TRUE(gaps().empty()) << gaps().front();
}

TEST_F(RedisRefill, EndsWhereItMayNotAskHowMuchMemoryIsUsed) {
    ASSERT_EQ(redis_->ask({"ACL", "SETUSER", "default", "-info"}), "OK");
    keep_in_sqlite(120);
    first_ = 100;
    *last_ = 150;
    auto o = with_sqlite();
    o.place.timeouts = {seconds(60), seconds(60)};  // a slow machine is no failure
    o.upkeep_every = o.memory_every = millis(1);
    o.batch_rows = 1;  // so that the rows alone take longer than that
    const auto s = sink(o);
    ASSERT_TRUE(run_to(*s, 150, 60)) << error_log();
    EXPECT_TRUE(has_all(150));
    EXPECT_TRUE(s->following());
    EXPECT_TRUE(errors_mention("1 x nobody is told when its memory fills up; mend: ACL "))
        << error_log();
    EXPECT_EQ(segment_->core().redis_errors.load(), 0U) << error_log();
}

TEST_F(RedisRefill, BelievesTheLogWhereItStillHasARow) {
    keep_in_sqlite(300);
    change("UPDATE orders SET avg_price = avg_price + 1048576 WHERE seq > 200");
    first_ = 150;
    *last_ = 300;
    ASSERT_TRUE(run_to(*sink(with_sqlite()), 300));
    EXPECT_TRUE(has_all(300));
}

TEST_F(RedisRefill, BeginsAgainWhenItIsKilledInTheMiddle) {
    keep_in_sqlite(1'150);
    first_ = 700;
    *last_ = 1'200;
    auto o = with_sqlite();
    o.batch_rows = 5;
    for (std::uint64_t round = 0; round < 8; ++round) {
        int fed[2];  // the child tells that it has written so many rows, and goes on
        ASSERT_EQ(::pipe2(fed, O_CLOEXEC), 0);
        const auto s = sink(o);
        const pid_t child = ::fork();
        if (child == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
            for (bool told = false;;) {
                s->step(Nanos{monotonic_ns()});
                if (!told && (s->rows_written() >= 60 * round || s->following())) {
                    told = ::write(fed[1], "", 1) == 1;
                }
            }
        }
        ::close(fed[1]);
        char told = 0;
        EXPECT_EQ(::read(fed[0], &told, 1), 1);
        ::close(fed[0]);
        ::kill(child, SIGKILL);
        ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    }
    ASSERT_TRUE(run_to(*sink(o), 1'200));
    EXPECT_TRUE(has_all(1'200));
    EXPECT_TRUE(gaps().empty()) << gaps().front();
}

TEST_F(RedisRefill, BeginsAgainOnAServerThatHasLostThePartThatItWasFed) {
    keep_in_sqlite(1'150);
    first_ = 700;
    *last_ = 1'200;
    auto o = with_sqlite();
    o.batch_rows = 5;
    auto s = sink(o);
    const auto fed = [&] { return s->rows_written() > 200; };
    ASSERT_TRUE(run_until(*s, fed)) << error_log();
    ASSERT_FALSE(s->following());
    redis_->kill();
    redis_->start();
    (void)redis_->ask({"DEL", "millrace:test:g1:DEF:S:3"});  // was not on its disk yet, say
    ASSERT_TRUE(run_to(*s, 1'200));
    EXPECT_EQ(s->generation(), 2U);
    EXPECT_TRUE(has_all(1'200));
    EXPECT_TRUE(gaps().empty()) << gaps().front();
}

TEST_F(RedisRefill, MakesAGenerationWholeThatWasFilledWithoutIt) {
    first_ = 150;
    *last_ = 300;
    auto o = with_sqlite();
    o.audit_every = millis(50);
    o.refill_every = millis(100);
    auto s = sink(o);
    ASSERT_TRUE(run_to(*s, 300));
    ASSERT_FALSE(gaps().empty());
    keep_in_sqlite(280, false);
    const std::uint64_t audits = s->audits();
    EXPECT_TRUE(run_until(*s, [&] { return s->audits() > audits + 5; }));
    EXPECT_EQ(s->generation(), 1U) << "one that is not whole itself helps nobody";
    keep_in_sqlite(290);
    ASSERT_TRUE(run_until(*s, [&] { return s->following() && s->generation() == 2; }))
        << error_log();
    EXPECT_TRUE(has_all(300));
    EXPECT_TRUE(gaps().empty()) << gaps().front();
    const std::uint64_t then = s->audits();
    EXPECT_TRUE(run_until(*s, [&] { return s->audits() > then + 5; }));
    EXPECT_EQ(s->generation(), 2U) << "once is enough";
}

TEST_F(RedisRefill, LeavesTheGenerationInUseWhereSqliteCannotBeReadToItsEnd) {
    first_ = 150;
    *last_ = 300;
    auto o = with_sqlite();
    o.audit_every = millis(50);
    o.refill_every = millis(100);
    auto s = sink(o);
    ASSERT_TRUE(run_to(*s, 300));
    const std::string before = dump(*redis_);
    keep_in_sqlite(290);
    // A deal that reads as it was written, and is not stored so.
    change("UPDATE executions SET side = side + 256 WHERE seq = (SELECT max(seq) FROM executions)");
    ASSERT_TRUE(run_until(*s, [&] { return errors_mention("cannot be read to its end"); }));
    const std::uint64_t audits = s->audits();
    ASSERT_TRUE(run_until(*s, [&] { return s->audits() > audits + 3; })) << error_log();
    EXPECT_TRUE(s->following());
    EXPECT_EQ(s->generation(), 1U);
    EXPECT_TRUE(same(dump(*redis_), before));
}

TEST_F(RedisRefill, TakesNothingFromAStoreOfAnotherLog) {
    keep_in_sqlite(300, true, 9);
    first_ = 150;
    *last_ = 300;
    ASSERT_TRUE(run_to(*sink(with_sqlite()), 300));
    EXPECT_TRUE(errors_mention("the SQLite store cannot give now")) << error_log();
    ASSERT_FALSE(gaps().empty());
    EXPECT_TRUE(same(dump(*redis_), expected(300))) << "what the log has, and nothing else";
}

}  // namespace
}  // namespace millrace::redis_test
