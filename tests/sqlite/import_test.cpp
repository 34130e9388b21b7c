// What a store says of the engine's state, for a journal that is made of it.
#include "persist/sqlite_schema.h"
#include "persist/sqlite_store.h"
#include "persist/stored_state.h"
#include "tests/sqlite/effects.h"

#include <fstream>

namespace millrace::sqlite_test {
namespace {

constexpr StoredLimits kAll{seconds(7 * 24 * 3600).value, 1'000};

class StoredStateTest : public SqliteFixture {
protected:
    /// Records 1 .. last, and then `more`.
    void fill(std::uint64_t last, std::vector<Effect> more = {}) {
        SqliteStore store;
        SqliteStoreOptions o;
        o.path = path_;
        o.instance = 77;
        ASSERT_TRUE(store.open(o).ok()) << store.message();
        store.set_whole(true);
        for (std::uint64_t seq = 1; seq <= last; ++seq) {
            ASSERT_TRUE(store.store(effects_of(seq), cursor_at(seq), now_).ok());
        }
        for (std::uint32_t k = 0; k < more.size(); ++k) {
            more[k].seq = Sequence{last + 1};
            more[k].k = k + 1;
        }
        if (!more.empty()) {
            ASSERT_TRUE(store.store(more, cursor_at(last + 1), now_).ok());
        }
    }
    /// A log whose first record is `first`, followed to its end.
    void follow(std::uint64_t first, std::uint64_t last) {
        MemoryLog* log = nullptr;
        auto s = sink(last, 0, &log);
        log->set_first(first);
        ASSERT_TRUE(run_to(*s, last)) << error_log();
    }
    /// As a build has left it that did not say in the cursor's row what it lacks.
    void to_schema_4(const std::string& and_this = "") {
        to_schema(path_, 4);
        SqliteDb db;
        ASSERT_TRUE(db.open(path_, 100).ok());
        ASSERT_TRUE(db.exec(and_this).ok()) << db.message();
    }
    StoredState read(const StoredLimits& limits = kAll) {
        std::string message;
        auto state = read_sqlite_state(path_, limits, message);
        EXPECT_TRUE(state.ok()) << message;
        return state ? std::move(state).value() : StoredState{};
    }
    Errc refused() {
        std::string message;
        const auto state = read_sqlite_state(path_, kAll, message);
        EXPECT_NE(message.find(path_), std::string::npos) << message;
        return state ? Errc::Ok : state.code();
    }
};

TEST_F(StoredStateTest, IsLiveOrdersOpenPositionsAndTheirSignals) {
    fill(26);  // signal 1 has done, of signal 2 the first order is filled and the second is not
    const StoredState s = read();
    EXPECT_EQ(s.cursor, cursor_at(26));
    EXPECT_EQ(s.instance, 77U);
    EXPECT_EQ(s.intent, 5U);
    EXPECT_EQ(s.signals_known, 3U);
    EXPECT_FALSE(s.kill_used);
    EXPECT_EQ(s.definitions.size(), 3U);
    EXPECT_EQ(s.accounts.size(), 1U);
    EXPECT_TRUE(s.gaps.empty());
    ASSERT_EQ(s.signals.size(), 3U);
    EXPECT_EQ(s.signals[2].id.lo, 2U) << "oldest first";
    ASSERT_EQ(s.orders.size(), 6U);
    for (std::uint64_t intent = 0; intent < 6; ++intent) {
        const RestoredOrder& o = s.orders[intent];
        const bool open = intent < 5;
        EXPECT_EQ(o.row.magic.intent(), intent);
        EXPECT_EQ(o.row.status, open ? OrdStatus::Filled : OrdStatus::PendingNew);
        EXPECT_EQ(o.open_volume, open ? Lots{kScale / 10} : Lots{});
        EXPECT_EQ(o.deals[0], open ? intent / 2 * 10 + intent % 2 : 0U);
        EXPECT_EQ(o.row.position_id, open ? intent / 2 * 100 + intent % 2 : 0U);
    }
}

TEST_F(StoredStateTest, LeavesOutWhatHasEndedAndSaysThatAKillWasUsed) {
    PositionRow closed;
    closed.account = AccountId{1};
    closed.position_id = 101;
    closed.magic = Magic::make(0x4D52, 3, 0);
    AlertRow kill;
    kill.code = AlertCode::Killed;
    fill(23, {Effect::make(EffectKind::Position, closed), Effect::make(EffectKind::Alert, kill)});
    const StoredState s = read();
    ASSERT_EQ(s.orders.size(), 3U);
    EXPECT_EQ(s.orders[2].row.magic.intent(), 2U);
    EXPECT_EQ(s.intent, 3U) << "its id is gone for ever";
    EXPECT_EQ(s.signals.size(), 2U) << "they are never done again";
    EXPECT_TRUE(s.kill_used);
}

TEST_F(StoredStateTest, KeepsOfTooManySignalsTheNewestAndThoseThatOrdersNeed) {
    std::vector<Effect> closed;
    for (std::uint64_t n = 1; n < 10; ++n) {  // of signal 0 the positions stay open
        for (std::uint64_t a = 0; a < 2; ++a) {
            PositionRow p;
            p.account = AccountId{static_cast<std::uint32_t>(a)};
            p.position_id = n * 100 + a;
            p.magic = Magic::make(0x4D52, n * 2 + a, 0);
            closed.push_back(Effect::make(EffectKind::Position, p));
        }
    }
    fill(119, closed);
    const StoredState s = read({kAll.window_ns, 3});
    ASSERT_EQ(s.signals.size(), 3U);
    EXPECT_EQ(s.signals[0].id.lo, 0U);
    EXPECT_EQ(s.signals[1].id.lo, 8U);
    EXPECT_EQ(s.signals[2].id.lo, 9U);
    EXPECT_EQ(s.signals_known, 10U);
}

TEST_F(StoredStateTest, CountsWhatASignalClosesOfAnOrderAndOfItsRestOnceForEach) {
    const SignalId opened{0x0123456789ABCDEFULL, 0};
    SignalRow half;
    half.id = {opened.hi, 900};
    half.target = opened;
    half.source = SourceId{1};
    half.group = GroupId{2};
    half.symbol = SymbolId{3};
    half.action = SignalAction::Close;
    half.volume = Lots{kScale / 20};
    const auto order = [](std::uint64_t intent, CommandType type, SignalId signal) {
        OrderRow r;
        r.magic = Magic::make(0x4D52, intent, 0);
        r.signal = signal;
        r.account = AccountId{0};
        r.symbol = SymbolId{3};
        r.type = static_cast<std::uint8_t>(type);
        r.status = OrdStatus::Filled;
        r.attempts = 1;
        r.volume = r.cum_volume = Lots{kScale / 20};
        return Effect::make(EffectKind::Order, r);
    };
    PositionRow rest;
    rest.account = AccountId{0};
    rest.position_id = 950;
    rest.magic = Magic::make(0x4D52, 900, 0);
    rest.signal = opened;
    rest.volume = Lots{kScale / 20};
    fill(26, {order(900, CommandType::Open, opened), Effect::make(EffectKind::Position, rest),
              Effect::make(EffectKind::Signal, half), order(901, CommandType::Close, half.id),
              order(902, CommandType::Close, half.id)});
    std::size_t seen = 0;
    for (const RestoredOrder& o : read().orders) {
        if (o.row.signal == opened && o.row.account == AccountId{0}) {
            EXPECT_EQ(o.close_shares, half.volume) << o.row.magic.intent();
            ++seen;
        }
    }
    EXPECT_EQ(seen, 2U);
}

TEST_F(StoredStateTest, IsNotWholeOfAStoreThatWasSwitchedOnAfterRetentionHadCutTheLog) {
    follow(150, 200);  // what was opened before has no row: nothing else in it tells
    const StoredState s = read();
    ASSERT_FALSE(s.gaps.empty());
    EXPECT_NE(s.gaps[0].find("retention"), std::string::npos) << s.gaps[0];
    follow(150, 260);
    EXPECT_FALSE(read().gaps.empty()) << "whoever goes on in it";
}

TEST_F(StoredStateTest, IsNotWholeAfterARebuildFromWhatRetentionHadLeft) {
    follow(1, 100);
    EXPECT_TRUE(read().gaps.empty()) << read().gaps[0];
    follow(1, 120);
    EXPECT_TRUE(read().gaps.empty()) << read().gaps[0];
    follow(150, 200);
    EXPECT_TRUE(errors_mention("the effects log begins after its cursor")) << error_log();
    ASSERT_FALSE(read().gaps.empty());
    EXPECT_NE(read().gaps[0].find("retention"), std::string::npos);
}

TEST_F(StoredStateTest, OfAnOlderSchemaIsWholeIfItHasTheAlertThatEveryLogBeginsWith) {
    const auto gaps = [&] {
        const std::size_t before = read().gaps.size();
        follow(1, 300);  // which brings the schema up to date
        EXPECT_EQ(read().gaps.size(), before) << "the reader and the step agree";
        return before;
    };
    const std::string alert = "INSERT INTO alerts VALUES (11, NULL, 0, NULL, 1, ";
    follow(1, 300);
    to_schema_4();
    EXPECT_EQ(gaps(), 1U) << "it has the first orders, but ids are drawn: that shows nothing";
    to_schema_4(alert + "150, 9, 0)");
    EXPECT_EQ(gaps(), 1U) << "of a later start";
    to_schema_4(alert + "2, 0, 0); DELETE FROM orders; DELETE FROM positions");
    EXPECT_EQ(gaps(), 0U);
}

TEST_F(StoredStateTest, IsWholeThoughABuildBeforeCouldNotTellAndSaidNo) {
    follow(1, 300);
    SqliteDb db;
    ASSERT_TRUE(db.open(path_, 100).ok());
    ASSERT_TRUE(db.exec("UPDATE cursor SET whole = 0; INSERT INTO alerts VALUES"
                        " (11, NULL, 0, NULL, 1, 2, 0, 0);" +
                        sqlite_seal(kSqliteCursorSum))
                    .ok())
        << db.message();
    EXPECT_TRUE(read().gaps.empty());
    db.close();
    follow(1, 320);
    ASSERT_TRUE(db.open(path_, 100).ok());
    EXPECT_EQ(db.number("SELECT whole FROM cursor").value(), 1);
}

TEST_F(StoredStateTest, IsNotReadWithACursorRowThatIsNotWhatWasWritten) {
    fill(60);
    SqliteDb db;
    ASSERT_TRUE(db.open(path_, 100).ok());
    for (const char* change :
         {"whole = 0", "instance = 76", "epoch = 3", "k = k + 1", "effects = effects + 1"}) {
        ASSERT_TRUE(db.exec(std::string{"UPDATE cursor SET "} + change).ok());
        EXPECT_EQ(refused(), Errc::BadCursor) << change;
        ASSERT_TRUE(db.exec(sqlite_seal(kSqliteCursorSum)).ok());
        EXPECT_TRUE(read().definitions.size() == 3) << change << " by hand, and sealed";
    }
}

TEST_F(StoredStateTest, IsNotWholeWithARowThatIsNotStoredAsItWasWritten) {
    fill(60);
    ASSERT_TRUE(read().gaps.empty());
    SqliteDb db;
    ASSERT_TRUE(db.open(path_, 100).ok());
    ASSERT_TRUE(db.exec("UPDATE positions SET signal = CAST(signal AS TEXT) WHERE seq = 38").ok());
    ASSERT_EQ(read().gaps.size(), 1U);
    EXPECT_NE(read().gaps[0].find("1 rows with values"), std::string::npos) << read().gaps[0];
}

TEST_F(StoredStateTest, IsReadWithAWordOnEachRow) {
    fill(120);
    RowsHeard heard;
    StoredLimits limits = kAll;
    limits.heard = &heard;
    const StoredState s = read(limits);
    EXPECT_TRUE(heard.rises);
    EXPECT_GT(heard.count, s.orders.size() + s.signals.size());
}

TEST_F(StoredStateTest, IsRefusedOfAFileThatIsGoneDamagedOrNotOurs) {
    EXPECT_EQ(refused(), Errc::NotFound);
    fill(60);
    SqliteDb db;
    ASSERT_TRUE(db.open(path_, 100).ok());
    ASSERT_TRUE(db.exec("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA user_version = 99").ok());
    EXPECT_EQ(refused(), Errc::BadVersion);
    ASSERT_TRUE(db.exec("PRAGMA user_version = 6; PRAGMA application_id = 1").ok());
    EXPECT_EQ(refused(), Errc::BadMagic);
    db.close();
    std::ofstream{path_} << std::string(40'000, 'x');
    EXPECT_NE(refused(), Errc::Ok);
}

}  // namespace
}  // namespace millrace::sqlite_test
