// Goal: what the documents ask of each component's return (their tables of RTO and RPO, 000 section
// 3 and 001 section 2) is measured, row by row, and printed beside what they ask; and whatever the
// times were, nothing was lost or done twice.
// Method: one pipeline under load with a Redis primary, two replicas and three Sentinels; each
// component is taken away once, and the clock runs until its work is seen again from outside. The
// broker's books and the source's own record judge at the end, so what was lost is known for all
// rows together: nothing, or the test fails. The times are the machine's too: what is asserted is
// ten times what the documents ask, and never less than 20 s.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "shm/clock.h"
#include "tests/chaos/ladder.h"
#include "tests/redis/server.h"

namespace millrace::chaos {
namespace {

namespace fs = std::filesystem;

/// What a disk may do to the head of a file.
void damage(const std::string& path) {
    std::fstream file{path, std::ios::in | std::ios::out | std::ios::binary};
    file << std::string(8192, '\x5A');
    ASSERT_TRUE(file.flush().good()) << path;
}

class ChaosObjectives : public Ladder {
protected:
    void SetUp() override {
        cluster_ = std::make_unique<redis_test::RedisCluster>(dir_.path() + "/cluster");
        std::string sentinels;
        for (const RedisEndpoint& s : cluster_->place().sentinels) {
            sentinels += (sentinels.empty() ? "\"" : ", \"") + s.text() + "\"";
        }
        begin({{"\"accounts_max\"",
                "\"redis\": {\"sentinels\": [" + sentinels +
                    R"(], "primary": "desk", "prefix": "millrace:test:"}, "accounts_max")"}});
        std::printf("%-34s %-14s %10s  %s\n", "row", "documents", "measured", "until");
    }

    /// Takes something away, waits for `back`, prints the row.
    /// @param asked "5 s / 0": the documents' RTO and RPO.
    template <class Strike, class Back>
    void row(const char* what, const char* asked, const char* until, Strike strike, Back back) {
        const Nanos limit = std::max(seconds(10 * std::atoi(asked)), seconds(20));
        const std::int64_t at = monotonic_ns();
        strike();
        ASSERT_TRUE(world().turn_until([&] { return back(); }, limit)) << what << "\n"
                                                                       << world().log();
        std::printf("%-34s %-14s %8.2f s  %s\n", what, asked,
                    static_cast<double>(monotonic_ns() - at) / 1e9, until);
        // The next row begins with everything at work.
        ASSERT_TRUE(world().turn_until([this] { return all_trade(); }, kLong)) << world().log();
    }

    /// A signal that was sent after `from` was filled: on `account`, or on any (kNoId).
    [[nodiscard]] bool filled_after(Nanos from, std::uint32_t account = kNoId) {
        for (const auto& [id, life] : world().source().lives().all()) {
            for (const auto& [on, share] : life.shares) {
                if (life.sent > from && (account == kNoId || on == account) && share.done &&
                    share.cum_volume.value > 0) {
                    return true;
                }
            }
        }
        return false;
    }
    [[nodiscard]] bool accepted_after(Nanos from) {
        for (const auto& [id, life] : world().source().lives().all()) {
            if (life.sent > from && life.answer == demo::Answer::Accepted) {
                return true;
            }
        }
        return false;
    }
    /// Every account has filled something that was sent after now.
    [[nodiscard]] bool all_trade() {
        const Nanos from = from_;
        for (std::uint32_t a = 0; a < world().pipeline().plan().accounts.size(); ++a) {
            if (!filled_after(from, a)) {
                return false;
            }
        }
        from_ = world().source().now();
        return true;
    }
    /// How far a follower must come to have what the engine had at this moment.
    [[nodiscard]] std::uint64_t now_completed() {
        // Relaxed: a number that only grows.
        return world().segment().core().completed.load(std::memory_order_relaxed);
    }

    redis_test::TempDir dir_;
    std::unique_ptr<redis_test::RedisCluster> cluster_;
    Nanos from_;
};

TEST_F(ChaosObjectives, AreMeasuredForEachRowOfTheDocumentsTables) {
    trade(60);
    await_stored(world().segment().core().redis_seq);
    std::string said;
    ASSERT_EQ(world().command({"backup"}, kLong, &said), 0) << said;
    demo::Pipeline& pipeline = world().pipeline();
    Nanos struck = world().source().now();
    std::uint64_t stood = 0;
    const auto fills = [&] { return filled_after(struck); };
    const auto strike_with = [&](auto strike) {
        return [&, strike] {
            struck = world().source().now();
            strike();
        };
    };

    row("trade engine", "3 s / 0", "a signal sent after it is filled",
        strike_with([&] { ASSERT_TRUE(world().kill_stage(StageId::Engine)); }), fills);
    row("backend (signal ingress)", "3 s / 0", "a signal sent after it is accepted",
        strike_with([&] { ASSERT_TRUE(world().kill_stage(StageId::Ingress)); }),
        [&] { return accepted_after(struck); });
    const auto& account = pipeline.plan().accounts.front();
    row("MT5 connection", "5 s / 0", "its account fills a signal sent after it", strike_with([&] {
            ASSERT_TRUE(world()
                            .control({{"cmd", "disconnect"}, {"login", account.login}})
                            .value("ok", false));
        }),
        [&] { return filled_after(struck, 0); });
    row("broker", "5 s / 0", "a signal sent after it is filled; started again at once",
        strike_with([&] {
            pipeline.broker().signal(SIGKILL);
            ASSERT_TRUE(world().turn_until([&] { return !pipeline.broker().running(); }, kLong));
            ASSERT_EQ(pipeline.start_broker(), "");
        }),
        fills);
    row("Redis (Sentinel fails over)", "1 s / 0", "the new primary has all of before",
        strike_with([&] {
            stood = now_completed();
            cluster_->node(0).kill();
        }),
        [&] {
            // Not by our own word: by the cursor that the new primary holds.
            const std::size_t named = cluster_->named();
            if (named >= 3 || named == 0) {
                return false;
            }
            RedisLink link;
            if (!link.connect(cluster_->node(named).at(), {}, {})) {
                return false;
            }
            const auto seq = link.call({"HGET", "millrace:test:g1:CURSOR", "seq"});
            return seq.ok() && static_cast<std::uint64_t>(seq.value().integer()) >= stood;
        });
    row("trade results", "1 s / 0", "a signal sent after it has its result",
        strike_with([&] { ASSERT_TRUE(world().kill_stage(StageId::Ingress)); }), [&] {
            for (const auto& [id, life] : world().source().lives().all()) {
                if (life.sent > struck && life.over() && life.filled > 0) {
                    return true;
                }
            }
            return false;
        });
    row("SQLite store (DuckDB's place)", "5 s / 0.5 s", "it has all of before again",
        strike_with([&] {
            stood = now_completed();
            damage(sqlite());
            damage(sqlite() + "-wal");  // or the first page is taken from there
            ASSERT_TRUE(world().kill_stage(StageId::Sqlite));
        }),
        [&] {
            return world().segment().core().sqlite_seq.load(std::memory_order_relaxed) >= stood &&
                   fs::exists(sqlite() + ".stale-1");
        });
    row("MT5 instance state (host down)", "1 s / 0", "every account fills again, of the journal",
        strike_with([&] {
            world().kill_everything();
            ASSERT_TRUE(fs::remove(pipeline.segment_path()));
            ASSERT_EQ(world().start_again(), "") << world().log();
        }),
        [&] {
            for (std::uint32_t a = 0; a < pipeline.plan().accounts.size(); ++a) {
                if (!filled_after(struck, a)) {
                    return false;
                }
            }
            return true;
        });

    const Judgement judgement = world().finish();
    EXPECT_TRUE(judgement.good()) << describe(judgement, world());
    EXPECT_GT(judgement.book_executions, 0U);
}

}  // namespace
}  // namespace millrace::chaos
