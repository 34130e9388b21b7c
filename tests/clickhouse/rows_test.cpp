// The bytes of rows, the checksum that both sides make of them, and the schema on a real server.
#include "persist/clickhouse_rows.h"

#include "persist/clickhouse_schema.h"
#include "tests/clickhouse/sink_fixture.h"

namespace millrace::clickhouse_test {
namespace {

class ClickHouseRows : public ClickHouseFixture {};

/// Every byte of the body set, so that a field that is forgotten or swapped shows.
template <class Row>
Effect filled(EffectKind kind, std::uint64_t seq) {
    Effect e;
    e.kind = kind;
    e.seq = Sequence{seq};
    e.k = 7;
    e.time = Nanos{1'700'000'000'000'000'001};
    for (std::size_t i = 0; i < sizeof(Row); ++i) {
        e.body[i] = static_cast<std::byte>(1 + (i * 37 + seq) % 250);
    }
    return e;
}

Effect definition(std::uint64_t seq) {
    Effect e =
        Effect::make(EffectKind::Definition,
                     DefinitionRow{'S', 3, {}, 0xFFFF'FFFEU, make_text<16>("NAS100.cash-16b")});
    e.seq = Sequence{seq};
    e.k = 1;
    return e;
}

std::vector<Effect> one_of_each() {
    return {definition(1),
            filled<SignalRow>(EffectKind::Signal, 2),
            filled<OrderRow>(EffectKind::Order, 3),
            filled<ExecutionRow>(EffectKind::Execution, 4),
            filled<PositionRow>(EffectKind::Position, 5),
            filled<AccountRow>(EffectKind::Account, 6),
            filled<AlertRow>(EffectKind::Alert, 7)};
}

TEST_F(ClickHouseRows, GiveTheSameChecksumHereAndOnTheServerForEveryKind) {
    ClickHouseStore store{options().store};
    ASSERT_TRUE(store.open().ok()) << store.message();
    const std::vector<Effect> effects = one_of_each();
    ASSERT_TRUE(store.store(effects, {3, Sequence{7}, 7, 99}).ok()) << store.message();
    for (const Effect& e : effects) {
        const std::string kind = std::to_string(static_cast<int>(e.kind));
        EXPECT_EQ(server_->ask("SELECT " + clickhouse_hash_sql(e.kind) + " FROM " + store.table() +
                               " WHERE kind = " + kind),
                  std::to_string(clickhouse_hash(e)))
            << "kind " << kind;
    }
}

TEST_F(ClickHouseRows, ChangeTheirChecksumWithEveryByteOfTheBody) {
    for (const Effect& e : one_of_each()) {
        if (e.kind == EffectKind::Definition) {
            continue;  // text: what lies behind its end is nothing
        }
        // Padding is no column; everything else is.
        std::size_t unseen = 0;
        for (std::size_t i = 0; i < sizeof e.body; ++i) {
            Effect other = e;
            other.body[i] ^= std::byte{0x10};
            unseen += clickhouse_hash(other) == clickhouse_hash(e) ? 1 : 0;
        }
        const std::size_t used = sizeof e.body - unseen;
        const std::size_t wanted = e.kind == EffectKind::Signal      ? sizeof(SignalRow) - 2
                                   : e.kind == EffectKind::Order     ? sizeof(OrderRow) - 4
                                   : e.kind == EffectKind::Execution ? sizeof(ExecutionRow) - 5
                                   : e.kind == EffectKind::Position  ? sizeof(PositionRow) - 7
                                   : e.kind == EffectKind::Account   ? sizeof(AccountRow) - 1
                                                                     : sizeof(AlertRow);
        EXPECT_EQ(used, wanted) << "kind " << static_cast<int>(e.kind);
    }
}

TEST_F(ClickHouseRows, KeepTheCursorThatTheyWereStoredWith) {
    ClickHouseStore store{options().store};
    ASSERT_TRUE(store.open().ok()) << store.message();
    EXPECT_EQ(store.place(), ClickHousePlace{});
    const EffectCursor cursor{~0ULL, Sequence{1ULL << 60U}, ~0U, ~0ULL};
    ASSERT_TRUE(store.store(one_of_each(), cursor).ok()) << store.message();
    ClickHouseStore again{options().store};
    ASSERT_TRUE(again.open().ok()) << again.message();
    EXPECT_EQ(again.place(), (ClickHousePlace{1, cursor}));
}

TEST_F(ClickHouseRows, AreShownWithNamesAndDecimals) {
    auto s = sink(options(), 60);
    ASSERT_TRUE(run_to(*s, 60));
    const std::string db = database_;
    EXPECT_EQ(server_->ask("SELECT account, account_name, symbol_name, status_name, avg_price, "
                           "seq FROM " +
                           db + ".orders WHERE intent = 3"),
              "1\tgold-desk\tXAUUSD\tFILLED\t1234.56\t15");
    EXPECT_EQ(server_->ask("SELECT count() FROM " + db + ".orders_history WHERE intent = 3"), "2");
    EXPECT_EQ(server_->ask("SELECT count(), min(price), max(volume) FROM " + db + ".executions"),
              "10\t1234.56\t0.1");
    for (const ClickHouseView& view : clickhouse_views(db)) {
        EXPECT_FALSE(server_->ask("SELECT count() FROM " + clickhouse_name(db, view.name)).empty());
    }
}

TEST_F(ClickHouseRows, LeaveATableOfAnotherProgramAlone) {
    server_->ask("CREATE DATABASE " + database_);
    server_->ask("CREATE TABLE " + database_ + ".effects (day Date, x UInt8) ENGINE = Log");
    ClickHouseStore store{options().store};
    EXPECT_EQ(store.open().code(), Errc::BadMagic);
    EXPECT_NE(store.message().find("not ours"), std::string::npos) << store.message();
    EXPECT_EQ(server_->ask("SELECT count() FROM system.columns WHERE database = '" + database_ +
                           "' AND table = 'effects'"),
              "2");
}

TEST_F(ClickHouseRows, GetTheColumnsThatAnOlderBuildDidNotHave) {
    std::string sql = clickhouse_create_table(database_, false);
    const std::string newest = ", name String";
    ASSERT_NE(sql.find(newest), std::string::npos);
    sql.erase(sql.find(newest), newest.size());
    server_->ask("CREATE DATABASE " + database_);
    server_->ask(sql);
    auto s = sink(options(), 60);
    ASSERT_TRUE(run_to(*s, 60));
    EXPECT_EQ(server_->ask("SELECT name FROM " + database_ + ".definitions WHERE def_kind = 'S'"),
              "XAUUSD");
}

TEST_F(ClickHouseRows, SayWhatIsWrongWithAPasswordButNotThePassword) {
    ClickHouseStoreOptions o = options().store;
    o.server.password = "wrong-but-secret";
    ClickHouseStore store{o};
    EXPECT_EQ(store.open().code(), Errc::BadAuth);
    EXPECT_EQ(store.message().find("wrong-but-secret"), std::string::npos) << store.message();
    EXPECT_NE(store.message().find("127.0.0.1"), std::string::npos) << store.message();
}

TEST_F(ClickHouseRows, TravelCompressedUnlessToldOtherwise) {
    auto o = options();
    auto s = sink(o, 60);
    ASSERT_TRUE(run_to(*s, 60));
    EXPECT_EQ(proxy_->compressed(), proxy_->inserts());
    EXPECT_GT(proxy_->inserts(), 0);
    o.store.server.compress = false;
    o.store.database += "_plain";
    const int before = proxy_->compressed();
    auto plain = sink(o, 60);
    ASSERT_TRUE(run_to(*plain, 60));
    EXPECT_EQ(proxy_->compressed(), before);
    EXPECT_EQ(server_->ask("SELECT count() FROM " + o.store.database + ".effects"),
              server_->ask("SELECT count() FROM " + database_ + ".effects"));
    server_->ask("DROP DATABASE " + o.store.database);
}

}  // namespace
}  // namespace millrace::clickhouse_test
