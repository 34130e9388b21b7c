// Comparing ClickHouse with the SQLite store: what it finds, what it mends, when it does not.
#include "persist/sqlite_files.h"
#include "tests/clickhouse/sink_fixture.h"

namespace millrace::clickhouse_test {
namespace {

class ClickHouseVerifyTest : public ClickHouseFixture {
protected:
    void fill(std::uint64_t last) {
        auto s = sink(options(), last);
        ASSERT_TRUE(run_to(*s, last));
    }
    /// Copies the rows that `where` picks with another `column`, over themselves.
    void change(const std::string& column, const std::string& value, const std::string& where) {
        server_->ask("CREATE TABLE " + database_ + ".copy AS " + database_ + ".effects");
        std::string columns;
        for (const ClickHouseColumn& c : clickhouse_columns()) {
            columns += (columns.empty() ? "" : ", ") + (c.name == column ? value : c.name);
        }
        server_->ask("INSERT INTO " + database_ + ".copy SELECT " + columns + " FROM " + database_ +
                     ".effects WHERE " + where);
        server_->ask("INSERT INTO " + database_ + ".effects SELECT * FROM " + database_ + ".copy");
        server_->ask("DROP TABLE " + database_ + ".copy");
    }
    /// Removes the rows that `where` picks.
    void lose(const std::string& where) {
        server_->ask("CREATE TABLE " + database_ + ".kept AS " + database_ + ".effects");
        server_->ask("INSERT INTO " + database_ + ".kept SELECT * FROM " + database_ +
                     ".effects WHERE NOT (" + where + ")");
        server_->ask("DROP TABLE " + database_ + ".effects");
        server_->ask("RENAME TABLE " + database_ + ".kept TO " + database_ + ".effects");
    }
    /// The SQLite store after record 240, in which `sql` has changed something.
    std::string damaged_sqlite(const std::string& sql) {
        std::string path = sqlite_upto(240);
        SqliteDb db;
        EXPECT_TRUE(db.open(path, 1'000).ok());
        EXPECT_TRUE(db.exec(sql).ok()) << db.message();
        return path;
    }
};

constexpr const char* kOtherPrice = "UPDATE executions SET price = price + 1048576 WHERE seq = 38";

TEST_F(ClickHouseVerifyTest, FindsTwoEqualStoresEqual) {
    fill(600);
    const ClickHouseFindings f = compared(sqlite_upto(600));
    EXPECT_TRUE(f.clean()) << f.first;
    EXPECT_EQ(f.ranges, 0U);
    EXPECT_EQ(f.extra, 0U);
    EXPECT_EQ(f.upto, 600U);
    EXPECT_GT(f.rows, 200U);
}

TEST_F(ClickHouseVerifyTest, ComparesAsOfTheRecordThatSqliteHasComeTo) {
    fill(600);
    for (const std::uint64_t upto : {300U, 302U, 303U}) {
        const ClickHouseFindings f = compared(sqlite_upto(upto));
        EXPECT_TRUE(f.clean()) << f.first;
        EXPECT_EQ(f.extra, 0U);
    }
}

TEST_F(ClickHouseVerifyTest, WaitsForAClickHouseThatIsBehind) {
    fill(60);
    ClickHouseStore store{options().store};
    ASSERT_TRUE(store.open().ok());
    ClickHouseVerify verify{store, sqlite_upto(120), false};
    EXPECT_EQ(verify.begin().code(), Errc::Busy);
    EXPECT_NE(verify.message().find("SQLite to 120"), std::string::npos) << verify.message();
}

TEST_F(ClickHouseVerifyTest, RefusesToCompareDifferentLogs) {
    fill(60);
    ClickHouseStore store{options().store};
    ASSERT_TRUE(store.open().ok());
    ClickHouseVerify verify{store, sqlite_upto(60, 1), false};
    EXPECT_EQ(verify.begin().code(), Errc::BadChain);
}

TEST_F(ClickHouseVerifyTest, FindsAndMendsARowThatWasChanged) {
    fill(240);
    const std::string sqlite = sqlite_upto(240);
    change("price", "price + 1", "kind = 4 AND seq = 38");
    const ClickHouseFindings found = compared(sqlite, true);
    EXPECT_EQ(found.changed, 1U);
    EXPECT_EQ(found.missing, 0U);
    EXPECT_EQ(found.mended, 1U);
    EXPECT_EQ(found.first, "the execution of record 38.2 was changed");
    const ClickHouseFindings after = compared(sqlite);
    EXPECT_TRUE(after.clean()) << after.first;
    EXPECT_TRUE(holds(240));
}

TEST_F(ClickHouseVerifyTest, DoesNotMakeARightRowWrongAfterABitOfSqlitesWasFlipped) {
    fill(240);
    const ClickHouseFindings found = compared(damaged_sqlite(kOtherPrice), true);
    EXPECT_EQ(found.changed, 1U);
    EXPECT_EQ(found.sqlite_wrong, 1U);
    EXPECT_EQ(found.mended, 0U);
    EXPECT_FALSE(found.clean()) << "somebody has to be told";
    const ClickHouseFindings right = compared(sqlite_upto(239));
    EXPECT_TRUE(right.clean()) << "ClickHouse has what the log says: " << right.first;
}

TEST_F(ClickHouseVerifyTest, FindsWhatSqliteHoldsAsWhatItIsNotAndCopiesNoneOfIt) {
    fill(240);
    for (const char* damage : {"UPDATE positions SET signal = CAST(signal AS TEXT) WHERE seq = 38",
                               "UPDATE definitions SET name = CAST(name AS BLOB) WHERE id = 3",
                               "UPDATE orders SET side = side + 256 WHERE intent = 9"}) {
        for (const std::uint64_t log_from : {1U, 200U}) {
            const ClickHouseFindings found = compared(damaged_sqlite(damage), true, log_from);
            EXPECT_EQ(found.changed, 1U) << damage;
            EXPECT_EQ(found.sqlite_wrong, 1U) << damage;
            EXPECT_EQ(found.undecided, 0U) << damage;
            EXPECT_EQ(found.mended, 0U) << damage;
        }
        ASSERT_TRUE(sqlite_remove(dir_.file("store-240.db")).ok());
    }
    lose("kind = 5 AND seq = 38");
    const ClickHouseFindings found = compared(
        damaged_sqlite("UPDATE positions SET signal = CAST(signal AS TEXT) WHERE seq = 38"), true,
        200);
    EXPECT_EQ(found.missing, 1U);
    EXPECT_EQ(found.sqlite_wrong, 1U);
    EXPECT_EQ(found.mended, 0U) << "what else a bit has changed in that row nobody knows";
}

TEST_F(ClickHouseVerifyTest, TakesNoRowFromSqliteThatTheLogDoesNotKnow) {
    fill(240);
    const ClickHouseFindings found =
        compared(damaged_sqlite("UPDATE orders SET seq = seq + 1 WHERE intent = 9"), true);
    EXPECT_EQ(found.missing, 1U);
    EXPECT_EQ(found.sqlite_wrong, 1U);
    EXPECT_EQ(found.mended, 0U);
    EXPECT_TRUE(holds(240));
}

TEST_F(ClickHouseVerifyTest, IsNotDoneAgainBeforeTheHourWhereThereWasNothingToMend) {
    auto o = options();
    o.sqlite_path = damaged_sqlite(kOtherPrice);
    o.ask_log = log_of(240);
    auto s = sink(o, 240);
    ASSERT_TRUE(run_to(*s, 240));
    ASSERT_TRUE(run_until(*s, [&] { return s->verifications() == 1; })) << errors();
    EXPECT_EQ(s->last_findings().sqlite_wrong, 1U) << errors();
    const Nanos before = now_;
    ASSERT_TRUE(run_until(*s, [&] { return s->verifications() == 2; }, 4'000)) << errors();
    EXPECT_GE((now_ - before).value, seconds(3'590).value);
}

TEST_F(ClickHouseVerifyTest, LeavesWhatIsChangedAloneWhereTheLogHasItNoMore) {
    fill(240);
    const std::string sqlite = sqlite_upto(240);
    change("price", "price + 1", "kind = 4 AND seq = 38");
    const ClickHouseFindings found = compared(sqlite, true, 100);
    EXPECT_EQ(found.changed, 1U);
    EXPECT_EQ(found.undecided, 1U);
    EXPECT_EQ(found.mended, 0U);
    EXPECT_EQ(compared(sqlite, true).mended, 1U) << "the log decides where it can";
    EXPECT_TRUE(compared(sqlite).clean());
}

TEST_F(ClickHouseVerifyTest, FindsAndMendsRowsThatAreMissing) {
    fill(240);
    const std::string sqlite = sqlite_upto(240);
    // Signals that ended, and orders: their newest rows go, older ones stay.
    lose("kind IN (2, 3) AND seq BETWEEN 24 AND 60");
    const ClickHouseFindings found = compared(sqlite, true);
    EXPECT_EQ(found.missing, 9U);  // three signals, six orders
    EXPECT_EQ(found.mended, 9U);
    EXPECT_TRUE(compared(sqlite).clean());
}

TEST_F(ClickHouseVerifyTest, KeepsWhatOnlyClickHouseStillHas) {
    fill(240);
    const ClickHouseFindings found =
        compared(damaged_sqlite("DELETE FROM executions WHERE seq < 60"), true);
    EXPECT_TRUE(found.clean());
    EXPECT_EQ(found.extra, 10U);
    EXPECT_TRUE(holds(240));
}

TEST_F(ClickHouseVerifyTest, IsDoneByTheSinkEachHourAndMends) {
    auto o = options();
    o.sqlite_path = sqlite_upto(240);
    o.ask_log = log_of(240);
    auto s = sink(o, 240);
    ASSERT_TRUE(run_to(*s, 240));
    EXPECT_TRUE(run_until(*s, [&] { return s->verifications() == 1; }))
        << "a new table is compared";
    EXPECT_EQ(cells().clickhouse_verified.load(), 240U);
    change("volume", "volume * 2", "kind = 3 AND seq = 26");
    const Nanos before = now_;
    EXPECT_TRUE(run_until(*s, [&] { return s->verifications() == 2; }, 4'000)) << errors();
    EXPECT_GE((now_ - before).value, seconds(3'590).value);
    EXPECT_EQ(s->last_findings().changed, 1U) << errors();
    EXPECT_EQ(cells().clickhouse_differences.load(), 1U);
    EXPECT_TRUE(run_until(*s, [&] { return s->verifications() == 3; }, 70));
    EXPECT_TRUE(s->last_findings().clean()) << s->last_findings().first;
    EXPECT_EQ(cells().clickhouse_differences.load(), 0U);
}

TEST_F(ClickHouseVerifyTest, FillsFromSqliteWhatTheLogHasNoMore) {
    auto o = options();
    o.sqlite_path = sqlite_upto(240);
    auto s = sink(o, 240);
    log_->set_first(121);
    ASSERT_TRUE(run_to(*s, 240));
    EXPECT_TRUE(run_until(
        *s, [&] { return s->verifications() >= 2 && s->last_findings().clean(); }, 120))
        << errors();
    const ClickHouseFindings after = compared(o.sqlite_path);
    EXPECT_TRUE(after.clean()) << after.first;
    EXPECT_EQ(server_->ask("SELECT count() FROM " + database_ + ".executions"), "40");
}

}  // namespace
}  // namespace millrace::clickhouse_test
