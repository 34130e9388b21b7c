// Goal: what ClickHouse says of the engine's state is what SQLite says of it, row by row; a history
// that is not whole is known for it. Method: one history in both stores, read by both readers.
#include "persist/sqlite_schema.h"
#include "persist/sqlite_store.h"
#include "persist/stored_state.h"
#include "shm/clock.h"
#include "tests/clickhouse/sink_fixture.h"
#include "tests/seed.h"
#include "tests/sqlite/random_history.h"

namespace millrace::clickhouse_test {
namespace {

constexpr StoredLimits kAll{seconds(7 * 24 * 3600).value, 10'000};

class ClickHouseImport : public ClickHouseFixture {
protected:
    Result<StoredState> read() {
        said_.clear();
        heard_ = {};
        StoredLimits limits = kAll;
        limits.heard = &heard_;
        return read_clickhouse_state(options().store, limits, said_);
    }
    /// Of a history that the sink has written from a log that begins at record `first`.
    std::vector<std::string> gaps_of(std::uint64_t first) {
        auto s = sink(options(), 300, first);  // another salt: another log
        log_->set_first(first);
        EXPECT_TRUE(run_to(*s, 300, first == 1 ? 1 : 2));
        const auto state = read();
        EXPECT_TRUE(state.ok()) << said_;
        return state ? state.value().gaps : std::vector<std::string>{said_};
    }
    std::string said_;
    sqlite_test::RowsHeard heard_;
};

TEST_F(ClickHouseImport, GivesTheStateThatSqliteGives) {
    EXPECT_EQ(read().code(), Errc::NotFound) << said_;
    const std::uint64_t seed = test::first_seed();
    SCOPED_TRACE("seed " + std::to_string(seed));
    auto history = sqlite_test::random_history(seed, Nanos{wall_ns()});
    SignalRow refused = history[20].as<SignalRow>();
    refused.id = {1, 2};
    refused.reason = static_cast<std::uint16_t>(Reason::StaleSignal);
    AlertRow kill;
    kill.code = AlertCode::Killed;
    for (Effect more :
         {Effect::make(EffectKind::Signal, refused), Effect::make(EffectKind::Alert, kill)}) {
        more.seq = Sequence{history.back().seq.value + 1};
        more.k = 1;
        more.time = history.back().time;
        history.push_back(more);
    }
    auto o = options().store;
    o.instance = 77;
    ClickHouseStore store{o};
    ASSERT_TRUE(store.open().ok()) << store.message();
    EXPECT_EQ(read().code(), Errc::NotFound) << "a table, and nothing in it: " << said_;
    store.set_whole(true);
    ASSERT_TRUE(store.store(history, sqlite_test::end_of(history)).ok()) << store.message();
    // As after an answer that was lost: everything may lie there twice.
    ASSERT_TRUE(store.mend(history).ok()) << store.message();

    const std::string path = dir_.file("oracle.db");
    SqliteStore sqlite;
    SqliteStoreOptions so;
    so.path = path;
    so.instance = 77;
    ASSERT_TRUE(sqlite.open(so).ok()) << sqlite.message();
    sqlite.set_whole(true);
    ASSERT_TRUE(sqlite.store(history, sqlite_test::end_of(history), Nanos{}).ok());
    sqlite.close();
    const auto wanted = read_sqlite_state(path, kAll, said_);
    ASSERT_TRUE(wanted.ok()) << said_;
    const auto state = read();
    ASSERT_TRUE(state.ok()) << said_;
    EXPECT_TRUE(sqlite_test::same_state(state.value(), wanted.value()));
    EXPECT_TRUE(state.value().gaps.empty()) << state.value().gaps.front();
    EXPECT_GT(state.value().orders.size(), 20U);
    EXPECT_TRUE(heard_.rises);
    EXPECT_GT(heard_.count, state.value().orders.size() + state.value().signals.size());
}

TEST_F(ClickHouseImport, IsNotWholeOfAHistoryWhoseLogRetentionHadCut) {
    EXPECT_TRUE(gaps_of(1).empty());
    const auto gaps = gaps_of(150);
    ASSERT_FALSE(gaps.empty());
    EXPECT_NE(gaps[0].find("retention"), std::string::npos) << gaps[0];
}

TEST_F(ClickHouseImport, IsWholeOnceNothingDiffersFromASqliteStoreThatIs) {
    auto o = options();
    o.sqlite_path = sqlite_upto(240);
    auto s = sink(o, 240);
    log_->set_first(121);
    ASSERT_TRUE(run_to(*s, 240));
    const auto compare = [&] {
        const std::uint64_t before = s->verifications();
        s->verify_now();
        return run_until(*s,
                         [&] { return s->verifications() > before && s->last_findings().clean(); });
    };
    ASSERT_TRUE(compare()) << errors();
    log_->set_last(252);
    ASSERT_TRUE(run_to(*s, 252));
    ASSERT_TRUE(read().ok()) << said_;
    EXPECT_EQ(read().value().gaps.size(), 1U) << "SQLite itself may lack something";
    SqliteDb db;
    ASSERT_TRUE(db.open(o.sqlite_path, 1'000).ok());
    ASSERT_TRUE(db.exec("UPDATE cursor SET whole = 1;" + sqlite_seal(kSqliteCursorSum)).ok());
    db.close();
    ASSERT_TRUE(compare()) << errors();
    log_->set_last(264);
    ASSERT_TRUE(run_to(*s, 264));
    ASSERT_TRUE(read().ok()) << said_;
    EXPECT_TRUE(read().value().gaps.empty()) << read().value().gaps.front();
    EXPECT_EQ(read().value().cursor.seq.value, 264U);
}

}  // namespace
}  // namespace millrace::clickhouse_test
