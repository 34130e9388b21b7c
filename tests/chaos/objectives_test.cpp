// Goal: what the documents ask of each component's return (their tables of RTO and RPO, 000 section
// 3 and 001 section 2) is measured, row by row, and printed beside what they ask; and whatever the
// times were, nothing was lost or done twice.
// Method: one pipeline under load with ClickHouse, and a Redis primary, two replicas and three
// Sentinels of the files that tools/redis ships; each component is taken away once, and the clock
// runs until its work is seen again from outside. What was acknowledged before and is not there
// then is the row's RPO: by the store's own content where the row is a store, else by the broker's
// books and the source's own record, which judge at the end. It is asserted to be zero in every
// row. The times are the machine's too: what is asserted of them is two minutes, and what
// they were is printed.
//
// MILLRACE_LONG: ten failovers of Redis.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>

#include "persist/sqlite_db.h"
#include "shm/clock.h"
#include "tests/chaos/ladder.h"
#include "tests/chaos/rtrs.h"
#include "tests/clickhouse/server.h"
#include "tests/covers.h"
#include "tests/not_proven.h"
#include "tests/redis/shipped.h"

namespace millrace::chaos {
namespace {

namespace fs = std::filesystem;

constexpr Nanos kRowMax = seconds(120);  // no measure: beyond it something does not come back

/// What a disk may do to the head of a file.
void damage(const std::string& path) {
    std::fstream file{path, std::ios::in | std::ios::out | std::ios::binary};
    file << std::string(8192, '\x5A');
    ASSERT_TRUE(file.flush().good()) << path;
}

class ChaosObjectives : public Ladder {
protected:
    /// Signals whose results a store shows: all are over.
    using Results = std::set<SignalId>;

    void SetUp() override {
        ::unsetenv("MILLRACE_CLICKHOUSE_URL");  // a server of our own: this one is killed
        clickhouse_ =
            std::make_unique<clickhouse_test::ClickHouseProcess>(dir_.path() + "/clickhouse");
        clickhouse_->start();
        cluster_ = std::make_unique<redis_test::RedisCluster>(dir_.path() + "/cluster",
                                                              redis_test::shipped_cluster());
        std::string sentinels;
        for (const RedisEndpoint& s : cluster_->place().sentinels) {
            sentinels += (sentinels.empty() ? "\"" : ", \"") + s.text() + "\"";
        }
        begin({{"\"accounts_max\"",
                clickhouse_->configured("desk") + ", \"redis\": {\"sentinels\": [" + sentinels +
                    R"(], "primary": "mymaster", "prefix": "millrace:test:"}, "accounts_max")"}});
    }
    void TearDown() override {
        std::printf("%-34s %-12s %10s %10s  %s\n", "row", "documents", "RTO", "RPO", "until");
        for (const Row& r : rows_) {
            std::printf("%-34s %-12s %8.2f s %8.2f s  %s\n", r.what, r.asked, in_s(r.back),
                        in_s(r.lost), r.until);
        }
    }

    /// Takes something away, waits for `back`; the row is printed at the end.
    /// @param asked "5 s / 0": the documents' RTO and RPO.
    /// @param results for a row that is a store: what it shows once it is back.
    template <class Strike, class Back>
    void row(const char* what, const char* asked, const char* until, Strike strike, Back back,
             const std::function<Results()>& results = {}) {
        const std::int64_t at = monotonic_ns();
        struck_ = world().source().now();
        strike();
        ASSERT_TRUE(world().turn_until([&] { return back(); }, kRowMax)) << what << "\n"
                                                                         << world().log();
        rows_.push_back({what, asked, until, struck_, Nanos{monotonic_ns() - at}, {}, !results});
        if (results) {
            rows_.back().lost = age_of_oldest_not_in(results());
        }
        test::covered("rows of the documents' tables");
        // The next row begins with everything at work.
        ASSERT_TRUE(world().turn_until([this] { return all_trade(); }, kLong)) << world().log();
    }
    /// The oldest signal whose result was told before the strike and is not among `shown`: how long
    /// before. 0 = all are.
    [[nodiscard]] Nanos age_of_oldest_not_in(const Results& shown) {
        Nanos age;
        std::size_t told = 0;
        for (const auto& [id, life] : world().source().lives().all()) {
            const bool before = std::max(life.acked, life.ended) < struck_;
            if (life.over() && life.answer == demo::Answer::Accepted && before) {
                ++told;
                age = shown.contains(id) ? age : std::max(age, struck_ - life.ended);
            }
        }
        EXPECT_GIVEN(told > 0) << "nothing was told";
        return age;
    }
    /// What the judge misses is the loss of the row that came next after its acknowledgement.
    void add_losses(const demo::Verdict& verdict) {
        for (const demo::Problem& p : verdict.problems) {
            const demo::Life* life = world().source().lives().find(p.signal);
            const auto next = std::find_if(rows_.begin(), rows_.end(), [&](const Row& r) {
                return life != nullptr && r.by_books && r.struck > life->acked;
            });
            if (p.wrong == demo::Wrong::Lost && next != rows_.end()) {
                next->lost = std::max(next->lost, next->struck - life->acked);
            }
        }
    }

    // ---- what the stores show ------------------------------------------------------------------

    [[nodiscard]] Results in_redis() {
        Results shown;
        RedisLink link;  // a Sentinel that stalls has not lost anything
        EXPECT_TRUE(world().turn_until([&] { return (link = primary()).is_open(); }, kLong));
        for (const auto& [id, of] : published(std::move(link), "millrace:test:RTRS")) {
            if (of.has("DONE")) {
                shown.insert(id);
            }
        }
        return shown;
    }
    [[nodiscard]] Results in_clickhouse() const {
        return of_lines(clickhouse_->ask(
            "SELECT DISTINCT toString(signal) FROM desk.effects WHERE kind = 2 AND done = 1"));
    }
    [[nodiscard]] Results in_sqlite() const {
        SqliteDb db;
        EXPECT_TRUE(db.open(sqlite(), 5'000, SqliteOpen::ReadOnly).ok());
        const auto ids = db.text("SELECT group_concat(id, char(10)) FROM v_signals WHERE done = 1");
        EXPECT_TRUE(ids.ok());
        return of_lines(ids.ok() ? ids.value() : "");
    }
    static Results of_lines(const std::string& text) {
        Results shown;
        std::istringstream lines{text};
        for (std::string line; std::getline(lines, line);) {
            SignalId id;
            EXPECT_TRUE(parse_uuid(line, id)) << line;
            shown.insert(id);
        }
        return shown;
    }
    /// A connection to who is the primary now, which says so.
    [[nodiscard]] RedisLink primary() {
        RedisLink link;
        (void)RedisPrimary{cluster_->place({seconds(5), seconds(5)})}.connect(link);
        return link;
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

    /// By the cursor that the primary holds, not by our own word.
    [[nodiscard]] bool redis_has(std::uint64_t stood) {
        RedisLink link = primary();
        named_ = link.is_open() && named_ < struck_ ? world().source().now() : named_;
        const auto seq = link.call({"HGET", "millrace:test:g1:CURSOR", "seq"});
        return seq.ok() && static_cast<std::uint64_t>(seq.value().integer()) >= stood;
    }
    /// `n` orders of the account of group `single` are on their way: its terminal reads nothing.
    void fill_the_way_to(const demo::AccountPlan& account, std::size_t n) {
        ASSERT_TRUE(world()
                        .control({{"cmd", "busy"},
                                  {"login", account.login},
                                  {"ms", 60'000},
                                  {"announced", false}})
                        .value("ok", false));
        std::vector<SignalId> sent;
        for (std::size_t i = 0; i < n; ++i) {
            demo::Planned p;
            p.request.id = demo::random_id(random_);
            p.request.group = "single";
            p.request.symbol = "EURUSD";
            p.request.volume = Lots{kScale / 10};
            ASSERT_TRUE(world().turn_until([&] { return world().source().send(p).ok(); }, kLong));
            sent.push_back(p.request.id);
        }
        const auto on_its_way = [&](const SignalId& id) {
            const demo::Life& life = *world().source().lives().find(id);
            return life.answer == demo::Answer::Accepted && !life.over();
        };
        ASSERT_GIVEN(world().turn_until(
            [&] { return std::all_of(sent.begin(), sent.end(), on_its_way); }, kLong))
            << "some have an end already";
    }

    static double in_s(Nanos time) { return static_cast<double>(time.value) / 1e9; }

    struct Row {
        const char* what;
        const char* asked;
        const char* until;
        Nanos struck;   // by the source's clock
        Nanos back;     // so long it took
        Nanos lost;     // how old the oldest is that was told before and is not there
        bool by_books;  // no store: judged at the end
    };
    redis_test::TempDir dir_;
    std::unique_ptr<clickhouse_test::ClickHouseProcess> clickhouse_;
    std::unique_ptr<redis_test::RedisCluster> cluster_;
    std::vector<Row> rows_;
    Nanos struck_;  // the row under way
    Nanos named_;   // since when the Sentinels name a primary that is there
    Nanos from_;
    market::Random random_{2301};
};

TEST_F(ChaosObjectives, AreMeasuredForEachRowOfTheDocumentsTables) {
    trade(60);
    await_stored(world().segment().core().redis_seq);
    await_stored(world().segment().core().clickhouse_seq);
    std::string said;
    ASSERT_EQ(world().command({"backup"}, kLong, &said), 0) << said;
    demo::Pipeline& pipeline = world().pipeline();
    std::uint64_t stood = 0;
    const auto fills = [&] { return filled_after(struck_); };
    const auto kills = [&](StageId stage) {
        return [&, stage] {
            stood = now_completed();
            ASSERT_TRUE(world().kill_stage(stage));
        };
    };
    const auto has_come = [&](const AtomicU64& cell) {
        return [&] { return cell.load(std::memory_order_relaxed) >= stood; };
    };

    row("trade engine", "3 s / 0", "a signal sent after it is filled", kills(StageId::Engine),
        fills);
    row("backend (signal ingress)", "3 s / 0", "a signal sent after it is accepted",
        kills(StageId::Ingress), [&] { return accepted_after(struck_); });
    const auto& account = pipeline.plan().accounts.front();
    fill_the_way_to(account, 100);
    row(
        "MT5 connection, 100 in flight", "5 s / 0", "its account fills a signal sent after it",
        [&] {
            ASSERT_TRUE(world()
                            .control({{"cmd", "disconnect"}, {"login", account.login}})
                            .value("ok", false));
        },
        [&] { return filled_after(struck_, 0); });
    row(
        "broker", "5 s / 0", "a signal sent after it is filled; started again at once",
        [&] {
            pipeline.broker().signal(SIGKILL);
            ASSERT_TRUE(world().turn_until([&] { return !pipeline.broker().running(); }, kLong));
            ASSERT_EQ(pipeline.start_broker(), "");
        },
        fills);
    const int failovers = std::getenv("MILLRACE_LONG") == nullptr ? 1 : 10;
    for (int i = 0; i < failovers; ++i) {
        const std::size_t old = cluster_->primary();
        row(
            "Redis (Sentinel fails over)", "1 s / 0",
            "the new primary has state and results of all before",
            [&] {
                stood = now_completed();
                cluster_->node(old).kill();
            },
            [&] { return redis_has(stood); }, [&] { return in_redis(); });
        std::printf("The Sentinels named another primary after %.2f s; it had all after %.2f s\n",
                    in_s(named_ - struck_), in_s(rows_.back().back));
        if (i + 1 < failovers) {  // a Sentinel takes 10 s to make a replica of it
            cluster_->node(old).start();
            cluster_->await_replicas(2);
        }
    }
    row("trade results: to their source", "1 s / 0",
        "ingress killed; a signal sent after it has its result", kills(StageId::Ingress), [&] {
            for (const auto& [id, life] : world().source().lives().all()) {
                if (life.sent > struck_ && life.over() && life.filled > 0) {
                    return true;
                }
            }
            return false;
        });
    row(
        "trade results: in Redis (RTRS)", "1 s / 0", "our sink killed; all of before is there",
        kills(StageId::Redis), [&] { return redis_has(stood); }, [&] { return in_redis(); });
    row("trade results: in SQLite", "1 s / 0", "its stage killed; all of before is there",
        kills(StageId::Sqlite), has_come(world().segment().core().sqlite_seq),
        [&] { return in_sqlite(); });
    row(
        "trade results: in ClickHouse", "1 s / 0",
        "the server killed, started at once; all of before is there",
        [&] {
            stood = now_completed();
            clickhouse_->kill();
            clickhouse_->start();
        },
        has_come(world().segment().core().clickhouse_seq), [&] { return in_clickhouse(); });
    row(
        "SQLite store (DuckDB's place)", "5 s / 0.5 s", "damaged; it has all of before again",
        [&] {
            stood = now_completed();
            damage(sqlite());
            damage(sqlite() + "-wal");  // or the first page is taken from there
            ASSERT_TRUE(world().kill_stage(StageId::Sqlite));
        },
        [&] {
            return world().segment().core().sqlite_seq.load(std::memory_order_relaxed) >= stood &&
                   fs::exists(sqlite() + ".stale-1");
        },
        [&] { return in_sqlite(); });
    row(
        "MT5 instance state (host down)", "1 s / 0", "every account fills again, of the journal",
        [&] {
            world().kill_everything();
            ASSERT_TRUE(fs::remove(pipeline.segment_path()));
            ASSERT_EQ(world().start_again(), "") << world().log();
        },
        [&] {
            for (std::uint32_t a = 0; a < pipeline.plan().accounts.size(); ++a) {
                if (!filled_after(struck_, a)) {
                    return false;
                }
            }
            return true;
        });

    const Judgement judgement = world().finish();
    add_losses(judgement.verdict);
    for (const Row& r : rows_) {
        EXPECT_EQ(r.lost, Nanos{}) << r.what << ": " << in_s(r.lost) << " s";
    }
    EXPECT_TRUE(judgement.good()) << describe(judgement, world());
    EXPECT_GT(judgement.book_executions, 0U);
}

}  // namespace
}  // namespace millrace::chaos
