// Goal: a sink whose store is killed, stopped, slow or locked holds nothing in memory of what the
// store lacks, however much that is; and says at the end that it has everything.
// Method: each sink alone over an effects log on disk that gets 100,000 effects beside each outage,
// while this process, which holds little else, is weighed. The servers are real.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "persist/clickhouse_sink.h"
#include "persist/effects_log_source.h"
#include "persist/redis_sink.h"
#include "persist/sqlite_sink.h"
#include "tests/clickhouse/server.h"
#include "tests/isolation/gate.h"
#include "tests/isolation/own_memory.h"
#include "tests/not_proven.h"
#include "tests/ops/quiet_port.h"
#include "tests/redis/server.h"
#include "tests/shm/error_log.h"
#include "tests/shm/small_segment.h"
#include "tests/shm/temp_dir.h"
#include "tests/sqlite/effects.h"
#include "tools/millrace/backlog.h"

namespace millrace::isolation {
namespace {

constexpr std::uint64_t kEffects = 100'000;  // beside each outage: 17 MiB
constexpr int kTries = 3;                    // of the sink in that time
constexpr std::size_t kSlowBytes = 16'384;   // 1.6 MB a second each way
constexpr std::uint64_t kSilentAfter = 12;   // records without an effect at the log's end

class SinkAlone : public ::testing::Test {
protected:
    void SetUp() override {
        segment_ = test::small_segment(dir_.file("segment"));
        ASSERT_NE(segment_, nullptr);
        std::filesystem::create_directory(log());
        std::string message;
        auto writer = EffectsWriter::open(log(), {4U << 20U}, message);
        ASSERT_TRUE(writer.ok()) << message;
        writer_.emplace(std::move(writer).value());
    }
    [[nodiscard]] std::string log() const { return dir_.file("log"); }

    /// The replica has come further: by so many effects, and records without any behind them.
    void grow(std::uint64_t effects) {
        const std::uint64_t until = writer_->written() + effects;
        for (std::uint64_t silent = 0; writer_->written() < until || silent < kSilentAfter;) {
            LogCursor at;
            at.epoch = 1;
            at.seq = Sequence{++seq_};
            at.chain = sqlite_test::chain_at(seq_);
            const bool full = writer_->written() >= until;
            for (const Effect& e : full ? std::vector<Effect>{} : sqlite_test::effects_of(seq_)) {
                ASSERT_TRUE(writer_->append(e).ok());
            }
            ASSERT_TRUE(writer_->end_of_record(at).ok());
            silent += full ? 1 : 0;
        }
        ASSERT_TRUE(writer_->flush().ok());
        segment_->core().replica_applied = seq_;
    }
    /// On a clock of its own: each step that may try does.
    void step(Stage& sink, Nanos later) {
        now_ = now_ + later;
        (void)sink.step(now_);
    }
    /// Until the store has everything, as the cell says, and so as the supervisor sees it.
    void catch_up(Stage& sink, StageId id) {
        const auto behind = [&] { return has_backlog(*segment_, segment_->stage(id)); };
        for (int i = 0; i < 10'000 && behind(); ++i) {
            step(sink, millis(200));
        }
        ASSERT_FALSE(behind()) << stored(id) << " of " << seq_ << "\n"
                               << test::error_log(*segment_);
        EXPECT_EQ(stored(id), seq_);
    }
    [[nodiscard]] std::uint64_t stored(StageId id) const {
        const CoreCells& core = segment_->core();
        return id == StageId::Sqlite  ? core.sqlite_seq.load()
               : id == StageId::Redis ? core.redis_seq.load()
                                      : core.clickhouse_seq.load();
    }
    /// What is used is there, and was touched.
    void warm_up(Stage& sink, StageId id) {
        grow(kEffects / 4);
        catch_up(sink, id);
    }
    void lives_through(const char* what, Stage& sink, StageId id,
                       const std::function<void()>& begin, const std::function<void()>& end) {
        SCOPED_TRACE(what);
        const std::uint64_t before = own_kib(static_cast<std::uint32_t>(::getpid()));
        const std::uint64_t had = stored(id);
        begin();
        for (int i = 0; i < kTries && !HasFatalFailure(); ++i) {
            grow(kEffects / kTries);
            step(sink, seconds(60));
        }
        const std::uint64_t beside = own_kib(static_cast<std::uint32_t>(::getpid()));
        EXPECT_LE(beside, before + kGrowthKibMax) << "what the store lacks lies in memory";
        EXPECT_GIVEN(stored(id) < seq_ - (seq_ - had) / 2) << "it was not hurt";
        end();
        catch_up(sink, id);
    }

    test::TempDir dir_;
    std::unique_ptr<Segment> segment_;
    std::optional<EffectsWriter> writer_;
    std::uint64_t seq_ = 0;
    Nanos now_ = seconds(1'000);
};

TEST_F(SinkAlone, OfRedisHoldsNothingOfWhatItsServerLacks) {
    test::QuietPort port;
    redis_test::RedisProcess redis{{dir_.file("redis"), port.number(), false,
                                    "appendonly yes\nmaxmemory-policy noeviction\n"}};
    redis.start();
    Gate gate{redis.at().port};
    RedisSinkOptions options;
    options.place.servers = {{"127.0.0.1", gate.port()}};
    options.place.timeouts = {millis(300), millis(300)};
    options.store.prefix = "millrace:test:";
    options.confirm_by_sqlite = false;
    options.audit_every = seconds(100'000);  // of a clock that leaps
    RedisSink sink{*segment_, [this] { return std::make_unique<EffectsLogSource>(log()); },
                   options};
    warm_up(sink, StageId::Redis);
    const auto through = [&](const char* what, const std::function<void()>& begin,
                             const std::function<void()>& end) {
        if (!HasFatalFailure()) {
            lives_through(what, sink, StageId::Redis, begin, end);
        }
    };
    through("killed", [&] { redis.kill(); }, [&] { redis.start(); });
    through("stopped", [&] { redis.stop(); }, [&] { redis.resume(); });
    through("slow", [&] { gate.pace(kSlowBytes); }, [&] { gate.pace(0); });
}

TEST_F(SinkAlone, OfClickHouseHoldsNothingOfWhatItsServerLacks) {
    ::unsetenv("MILLRACE_CLICKHOUSE_URL");  // this one is killed
    clickhouse_test::ClickHouseProcess clickhouse{dir_.file("clickhouse")};
    clickhouse.start();
    Gate gate{clickhouse.port()};
    ClickHouseSinkOptions options;
    options.store.server = clickhouse.at();
    options.store.server.url = "http://127.0.0.1:" + std::to_string(gate.port());
    options.store.server.answer = seconds(1);
    options.store.database = "desk";
    options.batch_rows_max = 5'000;
    ClickHouseSink sink{*segment_, std::make_unique<EffectsLogSource>(log()), options};
    warm_up(sink, StageId::ClickHouse);
    const auto through = [&](const char* what, const std::function<void()>& begin,
                             const std::function<void()>& end) {
        if (!HasFatalFailure()) {
            lives_through(what, sink, StageId::ClickHouse, begin, end);
        }
    };
    through("killed", [&] { clickhouse.kill(); }, [&] { clickhouse.start(); });
    through("stopped", [&] { clickhouse.stop(); }, [&] { clickhouse.resume(); });
    through("slow", [&] { gate.pace(kSlowBytes); }, [&] { gate.pace(0); });
}

TEST_F(SinkAlone, OfSqliteHoldsNothingOfWhatItsFileLacks) {
    SqliteSinkOptions options;
    options.store.path = dir_.file("store.db");
    options.store.busy_ms = 1;
    SqliteSink sink{*segment_, std::make_unique<EffectsLogSource>(log()), options};
    warm_up(sink, StageId::Sqlite);
    SqliteDb other;
    ASSERT_TRUE(other.open(options.store.path, 1'000).ok()) << other.message();
    lives_through(
        "locked", sink, StageId::Sqlite,
        [&] { ASSERT_TRUE(other.exec("BEGIN IMMEDIATE").ok()) << other.message(); },
        [&] { ASSERT_TRUE(other.exec("ROLLBACK").ok()) << other.message(); });
}

}  // namespace
}  // namespace millrace::isolation
