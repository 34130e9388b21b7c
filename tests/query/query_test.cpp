// Goal: the history that operators are shown is what the store holds, filtered as they asked, and
// asking never keeps the writer waiting. Method: a store with a known history; the writer is given
// no patience for locks while it is asked from other threads.
#include <algorithm>
#include <atomic>
#include <fstream>
#include <set>
#include <thread>

#include "tests/sqlite/effects.h"
#include "tools/query/print.h"

namespace millrace::sqlite_test {
namespace {

constexpr std::uint64_t kRecords = 599;  // signals 0 to 49 for two accounts
constexpr std::int64_t kSecondNs = 1'000'000'000;

class HistoryTest : public SqliteFixture {
protected:
    void SetUp() override {
        SqliteFixture::SetUp();
        fill(1, kRecords);
    }
    void fill(std::uint64_t from, std::uint64_t to) {
        SqliteStore store;
        ASSERT_TRUE(store.open({path_, false, false, 0}).ok()) << store.message();
        std::vector<Effect> effects;
        for (std::uint64_t seq = from; seq <= to; ++seq) {
            const auto more = effects_of(seq);
            effects.insert(effects.end(), more.begin(), more.end());
        }
        ASSERT_TRUE(store.store(effects, cursor_at(to), Nanos{}).ok()) << store.message();
    }
    History ask(const HistoryQuery& query) {
        std::string message;
        auto history = ask_history(path_, query, message);
        EXPECT_TRUE(history) << message;
        return history.value_or(History{});
    }
    std::string refusal(const HistoryQuery& query, const std::string& path = {}) {
        std::string message;
        EXPECT_FALSE(ask_history(path.empty() ? path_ : path, query, message));
        return message;
    }
};

std::set<std::string> values(const History& h, const std::string& column) {
    const auto at = std::find(h.columns.begin(), h.columns.end(), column) - h.columns.begin();
    std::set<std::string> found;
    for (const auto& row : h.rows) {
        const Cell& c = row.at(static_cast<std::size_t>(at));
        const auto* text = std::get_if<std::string>(&c);
        found.insert(text != nullptr ? *text : std::to_string(std::get<std::int64_t>(c)));
    }
    return found;
}
HistoryQuery of(HistoryOf what) {
    HistoryQuery query;
    query.of = what;
    return query;
}

TEST_F(HistoryTest, ShowsEveryRowOfEachKindAndHowFarTheStoreHasCome) {
    EXPECT_EQ(ask(of(HistoryOf::Orders)).rows.size(), 100U);
    EXPECT_EQ(ask(of(HistoryOf::Executions)).rows.size(), 100U);
    EXPECT_EQ(ask(of(HistoryOf::Positions)).rows.size(), 100U);
    EXPECT_EQ(ask(of(HistoryOf::Signals)).rows.size(), 50U);
    EXPECT_EQ(ask(of(HistoryOf::Accounts)).rows.size(), 1U);
    EXPECT_EQ(ask(of(HistoryOf::Alerts)).rows.size(), 8U);
    EXPECT_EQ(ask(of(HistoryOf::Orders)).stored_seq, kRecords);
}

TEST_F(HistoryTest, ShowsAlertsByAccountTimeSignalAndOrder) {
    AlertRow doubt{AlertCode::OrderInDoubt, AccountId{2}, Magic::make(0x4D52, 9, 1), {1, 2}, 0};
    Effect effect = Effect::make(EffectKind::Alert, doubt);
    effect.seq = Sequence{kRecords + 1};
    effect.k = 1;
    effect.time = seconds(60);
    SqliteStore store;
    ASSERT_TRUE(store.open({path_, false, false, 0}).ok()) << store.message();
    ASSERT_TRUE(store.store({&effect, 1}, cursor_at(kRecords + 1), Nanos{}).ok());
    HistoryQuery query = of(HistoryOf::Alerts);
    query.account = "gold-desk";
    EXPECT_EQ(ask(query).rows.size(), 8U) << "of account 1";
    EXPECT_EQ(values(ask(query), "alert"), std::set<std::string>{"LINK_DOWN"});
    query.account.clear();
    query.since = 59 * kSecondNs;
    const std::string csv = print_history(ask(query), HistoryFormat::Csv);
    EXPECT_NE(csv.find("time,alert,account,magic,signal,detail,seq\r\n"
                       "1970-01-01T00:01:00.000Z,ORDER_IN_DOUBT,2,"),
              std::string::npos)
        << csv;
    query.until = query.since;
    query.since.reset();
    EXPECT_EQ(ask(query).rows.size(), 8U) << "before that";
    query.until.reset();
    query.signal = "00000000-0000-0001-0000-000000000002";
    EXPECT_EQ(ask(query).rows.size(), 1U);
    query.signal.clear();
    query.intent = 9;
    EXPECT_EQ(ask(query).rows.size(), 1U);
    query.intent = 10;
    EXPECT_TRUE(ask(query).rows.empty()) << "none of the others is of an order";
    query.intent = 0;
    query.open_only = true;
    EXPECT_NE(refusal(query).find("only orders and positions"), std::string::npos);
}

TEST_F(HistoryTest, ShowsOneOrderByItsNumberAndWhatIsOpenNow) {
    const History orders = ask(of(HistoryOf::Orders));
    const auto column = [&orders](const char* name) {
        return static_cast<std::size_t>(
            std::find(orders.columns.begin(), orders.columns.end(), name) - orders.columns.begin());
    };
    std::size_t open = 0;
    for (const auto& row : orders.rows) {
        const auto& status = std::get<std::string>(row.at(column("status")));
        open += status != "FILLED" && status != "CANCELED" && status != "REJECTED" &&
                        status != "EXPIRED"
                    ? 1
                    : 0;
    }
    HistoryQuery query = of(HistoryOf::Orders);
    query.open_only = true;
    EXPECT_EQ(ask(query).rows.size(), open);
    query.open_only = false;
    query.intent =
        static_cast<std::uint64_t>(std::get<std::int64_t>(orders.rows.front()[column("intent")]));
    for (const HistoryOf what :
         {HistoryOf::Orders, HistoryOf::Executions, HistoryOf::Positions, HistoryOf::Signals}) {
        query.of = what;
        EXPECT_EQ(ask(query).rows.size(), 1U) << static_cast<int>(what);
    }
    query.of = HistoryOf::Accounts;
    EXPECT_NE(refusal(query).find("not of an order"), std::string::npos);
    query = of(HistoryOf::Signals);
    query.open_only = true;
    EXPECT_NE(refusal(query).find("only orders and positions"), std::string::npos);
}

TEST_F(HistoryTest, FiltersByAccountNameAndByItsNumber) {
    for (const char* account : {"gold-desk", "1"}) {
        for (const HistoryOf what :
             {HistoryOf::Orders, HistoryOf::Executions, HistoryOf::Positions}) {
            HistoryQuery query = of(what);
            query.account = account;
            const History h = ask(query);
            EXPECT_EQ(h.rows.size(), 50U) << account;
            EXPECT_EQ(values(h, "account"), std::set<std::string>{"gold-desk"});
        }
        HistoryQuery signals = of(HistoryOf::Signals);
        signals.account = account;
        EXPECT_EQ(ask(signals).rows.size(), 50U);
    }
}

TEST_F(HistoryTest, GivesANameThatWasGivenAgainToTheNewerAccount) {
    SqliteDb db;
    ASSERT_TRUE(db.open(path_, 0).ok());
    ASSERT_TRUE(
        db.exec("DELETE FROM orders WHERE account = 1; UPDATE orders SET account = 2").ok());
    ASSERT_TRUE(db.exec("INSERT INTO definitions (kind, id, name, seq, k, time_ns) "
                        "SELECT kind, 2, name, seq, k, time_ns FROM definitions "
                        "WHERE kind = 'A' AND id = 1")
                    .ok());
    db.close();
    HistoryQuery query = of(HistoryOf::Orders);
    query.account = "gold-desk";
    EXPECT_EQ(ask(query).rows.size(), 50U) << "the newer one's";
}

TEST_F(HistoryTest, FiltersBySignalWithEveryAttemptOfItsOrders) {
    // A second attempt has another magic; the order's row keeps only the latest.
    SqliteDb db;
    ASSERT_TRUE(db.open(path_, 0).ok());
    ASSERT_TRUE(db.exec("UPDATE orders SET magic = magic + 1").ok());
    db.close();
    const std::string id = *values(ask(of(HistoryOf::Signals)), "id").begin();
    HistoryQuery query = of(HistoryOf::Orders);
    query.signal = id;
    EXPECT_EQ(ask(query).rows.size(), 2U);
    EXPECT_EQ(values(ask(query), "signal"), std::set<std::string>{id});
    query.of = HistoryOf::Executions;
    EXPECT_EQ(ask(query).rows.size(), 2U);
    query.account = "gold-desk";
    EXPECT_EQ(ask(query).rows.size(), 1U);
    query.account.clear();
    query.of = HistoryOf::Signals;
    EXPECT_EQ(ask(query).rows.size(), 1U);
}

TEST_F(HistoryTest, FiltersByTimeFromSinceUpToBeforeUntil) {
    HistoryQuery query = of(HistoryOf::Signals);  // signal n is of second n
    query.since = 10 * kSecondNs;
    query.until = 20 * kSecondNs;
    const History h = ask(query);
    ASSERT_EQ(h.rows.size(), 10U);
    const auto times = values(h, "accepted");
    EXPECT_EQ(*times.begin(), "1970-01-01T00:00:10.000Z");
    EXPECT_EQ(*times.rbegin(), "1970-01-01T00:00:19.000Z");
}

TEST_F(HistoryTest, GivesTheNewestAndSaysThatThereIsMore) {
    HistoryQuery query = of(HistoryOf::Signals);
    query.limit = 3;
    const History h = ask(query);
    EXPECT_TRUE(h.more);
    ASSERT_EQ(h.rows.size(), 3U);
    EXPECT_EQ(*values(h, "accepted").rbegin(), "1970-01-01T00:00:49.000Z");
    query.limit = 50;
    EXPECT_FALSE(ask(query).more);
}

TEST_F(HistoryTest, RefusesWhatItCannotAnswerAndSaysWhy) {
    HistoryQuery query;
    query.account = "silver";
    EXPECT_NE(refusal(query).find("no account silver; the store knows gold-desk"),
              std::string::npos)
        << refusal(query);
    query = {};
    query.signal = "not-a-uuid";
    EXPECT_NE(refusal(query).find("not a signal's id"), std::string::npos);
    query = of(HistoryOf::Accounts);
    query.signal = "00000000-0000-0000-0000-000000000000";
    EXPECT_NE(refusal(query).find("accounts are not of a signal"), std::string::npos);
    query = {};
    query.limit = 0;
    EXPECT_NE(refusal(query).find("limit"), std::string::npos);
    EXPECT_NE(refusal({}, dir_ + "/none.db").find("there is no store"), std::string::npos);
}

TEST_F(HistoryTest, RefusesAFileThatIsNoStore) {
    const std::string text = dir_ + "/text";
    std::ofstream{text} << std::string(8192, 'x');
    EXPECT_NE(refusal({}, text).find("not a database"), std::string::npos) << refusal({}, text);
    SqliteDb other;
    ASSERT_TRUE(other.open(dir_ + "/other.db", 0).ok());
    ASSERT_TRUE(other.exec("CREATE TABLE t (x)").ok());
    other.close();
    EXPECT_NE(refusal({}, dir_ + "/other.db").find("not a store of Millrace"), std::string::npos);
}

TEST_F(HistoryTest, NeverKeepsTheWriterWaiting) {
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> asked{0};
    // As in a pipeline it is there before who asks: the last one to leave a store locks it.
    SqliteStore store;
    // No patience: one lock held against it would be a failure here.
    ASSERT_TRUE(store.open({path_, false, false, 0}).ok()) << store.message();
    std::vector<std::thread> readers;
    for (int i = 0; i < 2; ++i) {
        readers.emplace_back([&] {
            while (!stop.load() || asked.load() < 4) {
                (void)ask(of(HistoryOf::Orders));
                asked.fetch_add(1);
            }
        });
    }
    for (std::uint64_t seq = kRecords + 1; seq <= kRecords + 400; ++seq) {
        ASSERT_TRUE(store.store(effects_of(seq), cursor_at(seq), Nanos{}).ok()) << store.message();
    }
    stop.store(true);
    for (auto& reader : readers) {
        reader.join();
    }
    EXPECT_EQ(ask(of(HistoryOf::Orders)).stored_seq, kRecords + 400);
}

History odd_values() {
    History h;
    h.columns = {"name", "n", "price", "none"};
    h.rows = {{std::string{"a,\"b\"\n"}, std::int64_t{-5}, 1.085, Cell{}},
              {std::string{"\x1b[2J"}, std::int64_t{1} << 60, 0.00000001, Cell{}}};
    return h;
}

TEST(PrintHistory, QuotesCsvAsRfc4180Does) {
    EXPECT_EQ(print_history(odd_values(), HistoryFormat::Csv),
              "name,n,price,none\r\n\"a,\"\"b\"\"\n\",-5,1.085,\r\n"
              "\x1b[2J,1152921504606846976,0.00000001,\r\n");
}

TEST(PrintHistory, AlignsTheTableAndSendsNoControlBytes) {
    EXPECT_EQ(print_history(odd_values(), HistoryFormat::Table),
              "name    n                    price       none\n"
              "a,\"b\"?                   -5       1.085  -\n"
              "?[2J    1152921504606846976  0.00000001  -\n");
}

TEST(PrintHistory, KeepsNumbersAndNullInJson) {
    const std::string text = print_history(odd_values(), HistoryFormat::Json);
    EXPECT_NE(text.find("\"n\": 1152921504606846976"), std::string::npos) << text;
    EXPECT_NE(text.find("\"none\": null"), std::string::npos) << text;
    EXPECT_NE(text.find("\"price\": 1.085"), std::string::npos) << text;
    EXPECT_EQ(print_history({}, HistoryFormat::Json), "[]\n");
}

TEST(ParseMoment, ReadsDatesTimesAndTimesBack) {
    const std::int64_t now = 1'000'000 * kSecondNs;
    EXPECT_EQ(parse_moment("2026-03-18", now), 1'773'792'000 * kSecondNs);
    EXPECT_EQ(parse_moment("2026-03-18T09:30", now), (1'773'792'000 + 34'200) * kSecondNs);
    EXPECT_EQ(parse_moment("2026-03-18T09:30:05.25Z", now),
              (1'773'792'000 + 34'205) * kSecondNs + 250'000'000);
    EXPECT_EQ(parse_moment("15m", now), now - 900 * kSecondNs);
    EXPECT_EQ(parse_moment("2h", now), now - 7200 * kSecondNs);
    EXPECT_EQ(parse_moment("0s", now), now);
    for (const char* bad : {"", "now", "15", "15x", "-3m", "2026-02-30", "2026-3-18", "2026-03-18T",
                            "2026-03-18T25:00", "2026-03-18T09:30Zx", "9999999999999999999d",
                            "2026-03-18T09:30:05."}) {
        EXPECT_FALSE(parse_moment(bad, now)) << bad;
    }
}

TEST(ParseUuid, TakesThirtyTwoDigitsWithOrWithoutDashesInTheirPlaces) {
    EXPECT_EQ(parse_uuid("01234567-89ab-cdef-0000-000000000001")->size(), 16U);
    EXPECT_EQ(parse_uuid("0123456789ABCDEF0000000000000001"),
              parse_uuid("01234567-89ab-cdef-0000-000000000001"));
    for (const char* bad :
         {"", "0123", "0123456789ABCDEF000000000000000g", "0123456-789ab-cdef-0000-000000000001"}) {
        EXPECT_FALSE(parse_uuid(bad)) << bad;
    }
}

}  // namespace
}  // namespace millrace::sqlite_test
