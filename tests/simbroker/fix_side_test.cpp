// Goal: the FIX side of the simulated broker is a FIX 4.4 venue whose books can be trusted, with
// faults that strike where a terminal's do. Method: the real process, a FIX client by hand, and the
// books read by their own verifier.
#include "tests/ops/quiet_port.h"
#include "tests/simbroker/fix_client.h"
#include "tests/simbroker/harness.h"
#include "tools/simbroker/audit.h"

#include <memory>

namespace millrace::sim::test {
namespace {

class FixSide : public testing::Test {
protected:
    void SetUp() override { start(); }
    void start(const std::string& more = "") {
        SimProcess::Options options;
        options.fix = R"({"sender_comp_id":"VENUE","target_comp_id":"DESK")" + more + "}";
        options.arguments = {"--fix-listen", "127.0.0.1:" + std::to_string(port.number())};
        broker.reset();  // its books are locked
        broker = std::make_unique<SimProcess>(dir, 1, options);
        broker->quote("1.1", "1.1001");
    }
    void die_and_come_back() {
        broker->kill9();
        start();
    }
    FixFields expect(const char* type) {
        const auto message = client.next();
        EXPECT_TRUE(message) << "the connection ended";
        const FixFields fields = message.value_or(FixFields{});
        EXPECT_EQ(fields[35], type) << fields[58];
        return fields;
    }
    void log_on(const std::string& more = "") {
        const auto answer = client.log_on(more);
        ASSERT_TRUE(answer && (*answer)[35] == "A") << answer.value_or(FixFields{})[58];
    }
    /// After a death the venue may have counted fewer messages than we sent: what it asks for is
    /// passed over, until it hears us.
    void settle() {
        for (client.send("1", "112=heard|");;) {
            const auto message = client.next_of_any();
            ASSERT_TRUE(message) << "the connection ended";
            if ((*message)[112] == "heard") {
                return;
            }
            if ((*message)[35] == "2") {
                client.send("4", "123=Y|36=" + std::to_string(client.next_out) + "|",
                            static_cast<unsigned>(std::stoul((*message)[7])), "43=Y|");
                client.send("1", "112=heard|");
            }
        }
    }
    /// Until a quote of this type says so: one of before may be under way.
    void expect_quote(const std::string& type, const std::string& bid) {
        std::optional<FixFields> quote;
        do {
            quote = client.next();
            ASSERT_TRUE(quote) << "no " << type << " says " << bid;
        } while ((*quote)[35] != type || (*quote)[270] != bid);
    }
    /// Ids by magic, as these books know orders.
    static std::string id(unsigned intent) {
        std::string text;
        for (std::uint64_t rest = Magic::make(kTag, intent, 0).value; rest != 0; rest /= 36) {
            text.insert(text.begin(), "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[rest % 36]);
        }
        return text;
    }
    static std::string order(unsigned intent, const std::string& kind = "40=1|",
                             const std::string& side = "1") {
        return "11=" + id(intent) + "|55=EURUSD|54=" + side + "|38=10000|" + kind +
               "60=20261123-05:00:00|";
    }
    void ask_status(unsigned intent) { client.send("H", "11=" + id(intent) + "|55=EURUSD|54=1|"); }
    void fault(nlohmann::json fault) {
        fault["cmd"] = "fault";
        broker->control(fault);
    }
    Audit audit() {
        auto read = audit_books(dir.path("books"), kTag);
        EXPECT_TRUE(read.ok());
        return std::move(read).value();
    }
    std::uint64_t deals() { return audit().accounts[kLogin].deals; }

    TempDir dir;
    millrace::test::QuietPort port;
    std::unique_ptr<SimProcess> broker;
    FixClient client{port.number()};
};

TEST_F(FixSide, TellsAMarketOrderFromNewToFilledAndWritesItDown) {
    log_on();
    client.send("D", order(1));
    const auto accepted = expect("8");
    EXPECT_EQ(accepted[150] + accepted[39] + accepted[11], "00" + id(1));
    EXPECT_EQ(accepted[151], "10000");
    const auto filled = expect("8");
    EXPECT_EQ(filled[150] + filled[39], "F2");
    EXPECT_EQ(filled[14] + " " + filled[32] + " " + filled[31], "10000 10000 1.1001");
    client.send("D", order(2, "40=1|", "2"));  // netting: nothing is left
    expect("8");
    EXPECT_EQ(expect("8")[31], "1.1");
    const Audit books = audit();
    EXPECT_TRUE(books.positions.empty());
    ASSERT_EQ(books.intents.size(), 2U);
    const auto& comment = books.intents[0].orders.at(0).comment;
    EXPECT_EQ(std::string(comment.bytes, id(1).size()), id(1)) << "the books have the ClOrdID";
    EXPECT_TRUE(books.inconsistent.empty());
}

TEST_F(FixSide, FollowsAPendingOrderThroughReplaceDeathAndFill) {
    log_on();
    client.send("D", order(1, "40=2|44=1.05|59=1|"));
    EXPECT_EQ(expect("8")[150], "0");
    client.send("G", "11=" + id(2) + "|41=" + id(1) + "|55=EURUSD|54=1|38=10000|40=2|44=1.06|");
    const auto replaced = expect("8");
    EXPECT_EQ(replaced[150] + replaced[39] + replaced[11] + replaced[41], "50" + id(2) + id(1));
    client.send("H", "11=" + id(1) + "|55=EURUSD|54=1|");
    EXPECT_EQ(expect("8")[103], "5") << "by its new name alone";
    die_and_come_back();
    log_on();
    settle();
    client.send("AF", "584=all|585=7|");
    const auto working = expect("8");
    EXPECT_EQ(working[150] + working[11] + working[912], "I" + id(2) + "Y");
    broker->quote("1.0598", "1.0599");
    const auto filled = expect("8");
    EXPECT_EQ(filled[150] + filled[39] + filled[11], "F2" + id(2));
    client.send("F", "11=" + id(3) + "|41=" + id(2) + "|55=EURUSD|54=1|38=10000|");
    const auto late = expect("9");
    EXPECT_EQ(late[102] + late[39] + late[434], "021");
    EXPECT_EQ(deals(), 1U);
}

TEST_F(FixSide, CancelsAPendingOrderAndRefusesWhatItCannotDo) {
    log_on();
    client.send("D", order(1, "40=3|99=1.2|59=1|"));
    EXPECT_EQ(expect("8")[150], "0");
    client.send("F", "11=" + id(2) + "|41=" + id(1) + "|55=EURUSD|54=1|38=10000|");
    const auto canceled = expect("8");
    EXPECT_EQ(canceled[150] + canceled[39] + canceled[11] + canceled[41], "44" + id(2) + id(1));
    client.send("D", order(3, "40=2|44=1.09|59=3|"));  // immediate or cancel, below the market
    const auto missed = expect("8");
    EXPECT_EQ(missed[150] + missed[39] + missed[14], "440");
    client.send("D", "11=mine|55=EURUSD|54=1|38=10000|40=1|");
    EXPECT_NE(expect("8")[58].find("ClOrdID(11)"), std::string::npos);
    client.send("D", "11=" + id(4) + "|55=XYZ|54=1|38=10000|40=1|");
    EXPECT_EQ(expect("8")[103], "1");
    client.send("D", "11=" + id(5) + "|55=EURUSD|54=1|38=10000.5|40=1|");
    EXPECT_EQ(expect("8")[103], "13");
    client.send("D", "11=" + id(6) + "|55=EURUSD|54=1|40=1|");
    EXPECT_EQ(expect("3")[371], "38");
    client.send("x", "320=1|");
    EXPECT_EQ(expect("j")[380], "3");
    EXPECT_EQ(deals(), 0U);
}

TEST_F(FixSide, AsksForWhatItMissesAndSaysAgainWhatWasMissed) {
    log_on();
    fault({{"kind", "drop_event"}});
    client.send("D", order(1));
    const auto filled = expect("8");
    EXPECT_EQ(filled[39] + filled[34], "23") << "the first report had number 2";
    client.send("2", "7=2|16=0|");
    const auto again = expect("8");
    EXPECT_EQ(again[34] + again[43] + again[39], "2Y0");
    EXPECT_EQ(expect("8")[34], "3");
    client.next_out += 2;
    client.send("1", "112=x|");
    const auto asked = expect("2");
    EXPECT_EQ(asked[7], "4");
    client.send("4", "123=Y|36=7|", 4, "43=Y|");
    client.send("1", "112=here|");
    EXPECT_EQ(client.next("0").value_or(FixFields{})[112], "here");
    client.send("D", order(2), 2);
    EXPECT_NE(expect("5")[58].find("expecting 8"), std::string::npos);
    EXPECT_TRUE(client.wait_closed());
    EXPECT_EQ(deals(), 1U);
}

TEST_F(FixSide, KeepsItsNumbersAndReportsOverAKill) {
    log_on();
    fault({{"kind", "crash_after_answer"}});
    client.send("D", order(1));
    EXPECT_FALSE(client.next()) << "it died";
    start();
    log_on();
    settle();
    client.send("2", "7=2|16=3|");
    EXPECT_EQ(expect("8")[39], "0");
    const auto filled = expect("8");
    EXPECT_EQ(filled[39] + filled[43], "2Y") << "said before, kept, said again";
    EXPECT_EQ(deals(), 1U);
}

TEST_F(FixSide, ExecutesWhatADeathKeptItFromTellingOnceAndTellsWhoAsks) {
    log_on();
    fault({{"kind", "crash_after_books"}});
    client.send("D", order(1));
    EXPECT_FALSE(client.next());
    start();
    client.next_out = 1;  // as if we had lost our numbers too
    const auto answer = client.log_on("141=Y|");
    EXPECT_EQ(answer.value_or(FixFields{})[141], "Y");
    ask_status(1);
    const auto status = expect("8");
    EXPECT_EQ(status[150] + status[39] + status[14], "I210000");
    ask_status(2);
    EXPECT_EQ(expect("8")[103], "5");
    EXPECT_EQ(deals(), 1U);
}

TEST_F(FixSide, ForgetsWhatItWasKilledOverBeforeTheBooks) {
    for (const char* kind : {"crash_on_receive", "crash_before_books", "disconnect_before"}) {
        SCOPED_TRACE(kind);
        log_on();
        settle();
        fault({{"kind", kind}});
        client.send("D", order(1));
        EXPECT_FALSE(client.next());
        if (std::string{kind}.starts_with("crash")) {
            start();
        }
    }
    log_on();
    settle();
    ask_status(1);
    EXPECT_EQ(expect("8")[103], "5");
    EXPECT_EQ(deals(), 0U);
}

TEST_F(FixSide, SaysNothingOfAnOrderWhoseAnswerIsLostAndPendingNewOfOneOnItsWay) {
    log_on();
    fault({{"kind", "retcode"}, {"code", 10012}, {"executed", true}});
    client.send("D", order(1));
    ask_status(1);
    const auto status = expect("8");
    EXPECT_EQ(status[150] + status[39], "I2") << "no report before it";
    fault({{"kind", "latency"}, {"fixed_ms", 600'000}});
    client.send("D", order(2));
    ask_status(2);
    EXPECT_EQ(expect("8")[39], "A");
    fault({{"kind", "partial_fill"}, {"share", 0.5}});
    client.send("D", order(3));
    EXPECT_EQ(expect("8")[39], "0");
    EXPECT_EQ(expect("8")[14], "5000");
    const auto rest = expect("8");
    EXPECT_EQ(rest[150] + rest[39] + rest[14], "445000");
    fault({{"kind", "retcode"}, {"code", 10019}});
    client.send("D", order(4));
    const auto refused = expect("8");
    EXPECT_EQ(refused[39] + refused[103], "83");
    EXPECT_EQ(deals(), 2U);
}

TEST_F(FixSide, ShowsADoubleInTheBooksUnlessItRefusesDuplicates) {
    log_on();
    for (int i = 0; i < 2; ++i) {
        client.send("D", order(1));
        expect("8");
        EXPECT_EQ(expect("8")[39], "2");
    }
    EXPECT_EQ(audit().doubled(), 1U);
    EXPECT_EQ(audit().repeated(), 1U);
    start(R"(,"duplicates":"refuse")");
    log_on();
    settle();
    client.send("D", order(1));
    const auto refused = expect("8");
    EXPECT_EQ(refused[39] + refused[103], "86");
    EXPECT_EQ(deals(), 2U);
    EXPECT_EQ(audit().repeated(), 2U);
}

TEST_F(FixSide, LetsNobodyInWithoutTheRightNamesAndPassword) {
    start(R"(,"username":"desk","password":"secret")");
    EXPECT_NE(client.log_on("553=desk|554=wrong|").value_or(FixFields{})[58].find("password"),
              std::string::npos);
    EXPECT_TRUE(client.wait_closed());
    const auto answer = client.log_on("553=desk|554=secret|");
    EXPECT_EQ(answer.value_or(FixFields{})[35], "A");
    client.connect();
    client.send_bytes("GET / HTTP/1.0\r\n\r\n");
    EXPECT_TRUE(client.wait_closed());
    client.connect();
    client.send("D", order(1));
    EXPECT_TRUE(client.wait_closed());
    EXPECT_EQ(deals(), 0U);
}

TEST_F(FixSide, TellsQuotesAsTheyWereAskedFor) {
    log_on();
    client.send("V", "262=q|263=1|264=1|265=1|267=2|269=0|269=1|146=1|55=EURUSD|");
    expect_quote("W", "1.1");
    broker->quote("1.2", "1.2001");
    expect_quote("X", "1.2");
    client.send("V", "262=r|263=1|264=1|265=0|267=2|269=0|269=1|146=2|55=EURUSD|55=NONE|");
    expect_quote("W", "1.2");
    EXPECT_EQ(client.next("Y").value_or(FixFields{})[281], "0");
    broker->quote("1.3", "1.3001");
    expect_quote("W", "1.3");
    client.send("V", "262=r|263=2|264=1|267=2|269=0|269=1|146=1|55=EURUSD|");
    client.send("V", "262=s|263=0|264=1|267=2|269=0|269=1|146=1|55=EURUSD|");
    EXPECT_EQ(client.next("W").value_or(FixFields{})[262], "s") << "the other is over";
}

}  // namespace
}  // namespace millrace::sim::test
