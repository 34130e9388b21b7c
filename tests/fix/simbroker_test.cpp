// Goal: against the FIX side of the simulated broker, whose books are those behind terminals, a
// whole pipeline doubles nothing and leaves nothing unknown, whatever dies and however answers are
// lost. Method: `millrace up` with an account of kind "fix", a source over TCP, millrace-simbroker
// with its faults; SIGKILL at random for engine, broker stage, executor and broker, links cut; then
// the books' own verifier against every result. MILLRACE_LONG=N makes it N times as long.
#include "tests/fix/pipeline_rig.h"
#include "tests/not_proven.h"
#include "tests/seed.h"
#include "tools/simbroker/audit.h"

#include <cstdlib>
#include <optional>
#include <random>
#include <utility>

namespace millrace::fix::test {
namespace {

class FixSimbroker : public FixPipelineRig {
protected:
    void begin_venue() override {
        other_port = port.number();
        start_broker();
    }
    void start_broker() {
        sim::test::SimProcess::Options options;
        options.fix = R"({"sender_comp_id":"VENUE","target_comp_id":"DESK"})";
        options.arguments = {"--fix-listen", "127.0.0.1:" + std::to_string(port.number())};
        options.balance = "100000000";
        broker.reset();  // its books are locked
        broker.emplace(books, std::uint16_t{1}, options);
    }
    void await_logon() override {
        ASSERT_TRUE(eventually([&] {
            mend();
            const auto stats = broker->try_control({{"cmd", "stats"}});
            return stats && stats->value("up", 0) == 1;
        })) << text("log");
    }
    void quote() override { quote("1.1", "1.1001"); }
    /// A fault may kill it any moment: then mend() says it again.
    void quote(const char* bid, const char* ask) const {
        static_cast<void>(broker->try_control(
            {{"cmd", "tick"}, {"symbol", "EURUSD"}, {"bid", bid}, {"ask", ask}}));
    }
    void mend() override {
        if (broker->dead()) {
            ++deaths;
            struck_before += std::exchange(struck, 0);
            start_broker();
            quote();
        }
    }
    /// Faults that have struck, but those that this life of the broker had not told when it died.
    int count_struck() {
        const auto stats = broker->try_control({{"cmd", "stats"}});
        const auto by_name = stats ? stats->value("struck", nlohmann::json{}) : nlohmann::json{};
        int sum = 0;
        for (const auto& [name, times] : by_name.items()) {
            sum += times.get<int>();
        }
        struck = std::max(struck, sum);
        return struck_before + struck;
    }
    /// Ends the faults, and the pauses of an executor whose every connection was cut: they grow
    /// with each, until one holds for 5 s, and a new process begins anew.
    void calm() {
        mend();
        static_cast<void>(broker->try_control({{"cmd", "clear_faults"}}));
        kill_executor();
    }
    bool settle() {
        bool done = false;
        for (int patience = 0; patience < 3 && !done; ++patience) {
            done = wait_all_done();
        }
        return done;
    }
    sim::Audit audit() const {
        auto read = sim::audit_books(books.path("books"), sim::test::kTag);
        EXPECT_TRUE(read.ok());
        return std::move(read).value();
    }
    /// Each intent at most once, each execution told, each told as it was.
    std::size_t judge(const sim::Audit& found) {
        EXPECT_EQ(found.doubled(), 0U) << sim::audit_table(found);
        EXPECT_EQ(found.repeated(), 0U) << sim::audit_table(found);
        EXPECT_TRUE(found.inconsistent.empty()) << sim::audit_table(found);
        std::map<std::uint64_t, std::int64_t> executed;
        for (const sim::BookedIntent& intent : found.intents) {
            for (const sim::BookedOrder& order : intent.orders) {
                if (order.executed.value > 0) {
                    executed[order.magic.value] = order.executed.value / (kScale / 100'000);
                }
            }
        }
        std::size_t told = 0;
        for (const auto& [id, life] : lives) {
            for (const auto& [magic, units] : life.orders) {
                const auto at = executed.find(magic);
                EXPECT_EQ(at == executed.end() ? 0 : at->second, units) << magic;
                told += at == executed.end() ? 0 : 1;
            }
        }
        EXPECT_EQ(told, executed.size()) << "executions that no result speaks of";
        return executed.size();
    }
    void TearDown() override {
        if (HasFailure()) {
            std::printf("%s%s", text("log").c_str(), text("j/fix/venue/messages.log").c_str());
        }
    }

    sim::test::TempDir books;
    millrace::test::QuietPort port;
    std::optional<sim::test::SimProcess> broker;
    int deaths = 0;
    int struck = 0;  // in this life of the broker
    int struck_before = 0;
};

TEST_F(FixSimbroker, TradesThroughADeathOfTheBrokerWithAPendingOrderThatWasMoved) {
    ASSERT_NO_FATAL_FAILURE(start_pipeline());
    const SignalId opened = entry();
    SignalRequest limit;
    limit.price_kind = PriceKind::Limit;
    limit.price = Price{105'000'000};
    const SignalId pending = signal(limit, SignalAction::Open, kScale / 10);
    ASSERT_TRUE(eventually([&] {
        client->poll(5);
        return audit().accounts[sim::test::kLogin].working_orders == 1;
    }));
    limit = {};
    limit.price = Price{106'000'000};
    const SignalId moved = signal(limit, SignalAction::Modify, 0, pending);
    ASSERT_TRUE(eventually([&] {
        client->poll(5);
        return lives[moved].done;
    }));
    broker->kill9();
    mend();
    await_logon();
    quote("1.0598", "1.0599");  // below the new price, above the old one
    ASSERT_TRUE(settle());
    ASSERT_EQ(lives[pending].orders.size(), 1U);
    EXPECT_EQ(lives[pending].orders.begin()->second, 10'000);
    signal(SignalAction::Close, 0, opened);
    ASSERT_TRUE(settle());
    const sim::Audit found = audit();
    EXPECT_EQ(judge(found), 3U);
    ASSERT_EQ(found.positions.size(), 1U);
    EXPECT_EQ(found.positions[0].volume, kScale / 10);
    up.terminate();
    EXPECT_EQ(up.wait_end(), 0) << text("log");
}

TEST_F(FixSimbroker, DoublesNothingAndLosesNothingUnderFaultsAndKills) {
    const char* const factor = std::getenv("MILLRACE_LONG");
    const unsigned entries =
        16 * static_cast<unsigned>(factor ? std::max(1, std::atoi(factor)) : 1);
    const std::uint64_t seed = millrace::test::first_seed();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    const nlohmann::json faults[] = {
        {{"kind", "retcode"}, {"code", 10019}},
        {{"kind", "retcode"}, {"code", 10012}},  // not done, and not a word
        {{"kind", "retcode"}, {"code", 10012}, {"executed", true}},
        {{"kind", "partial_fill"}, {"share", 0.5}},
        {{"kind", "latency"}, {"fixed_ms", 100}, {"jitter_ms", 900}},   // later than the answer is
        {{"kind", "latency"}, {"fixed_ms", 20}, {"answer_ms", 1'200}},  // waited for
        {{"kind", "disconnect_before"}},
        {{"kind", "disconnect_after"}},
        {{"kind", "drop_event"}},
        {{"kind", "duplicate_event"}},
        {{"kind", "crash_on_receive"}},
        {{"kind", "crash_before_books"}},
        {{"kind", "crash_after_books"}},
        {{"kind", "crash_after_answer"}},
    };
    ASSERT_NO_FATAL_FAILURE(start_pipeline());
    static_cast<void>(entry());
    for (unsigned i = 1; i <= entries; ++i) {
        nlohmann::json fault = faults[random() % std::size(faults)];
        fault["cmd"] = "fault";
        static_cast<void>(broker->try_control(fault));
        if (random() % 3 != 0) {
            await_logon();  // or most orders would be refused, and no fault would strike
        }
        const SignalId opened = signal(SignalAction::Open, kScale / 10);
        client->poll(static_cast<int>(random() % 20));
        if (random() % 3 == 0) {
            signal(SignalAction::Close, 0, opened);  // whatever has become of it by now
        }
        mend();
        static_cast<void>(count_struck());
        if (i % 3 == 0) {
            switch (random() % 5) {
                case 0: kill_executor(); break;
                case 1: kill_stage("broker"); break;
                case 2: kill_stage("engine"); break;
                case 3: broker->kill9(); break;
                default: static_cast<void>(broker->try_control({{"cmd", "disconnect"}})); break;
            }
            mend();
        }
        if (i % 4 == 0) {
            static_cast<void>(wait_all_done());  // what waits in rings has met the faults by then
            static_cast<void>(count_struck());
            calm();
            static_cast<void>(entry());  // while the account cannot trade, all are refused
        }
    }
    calm();
    EXPECT_TRUE(settle()) << "something stays unknown";
    const int faults_struck = count_struck();
    EXPECT_GIVEN(faults_struck + deaths > 0) << "nothing went wrong";
    const std::size_t executed = judge(audit());
    EXPECT_GIVEN(executed > 0) << "nothing was traded";
    std::printf("covers: %zu signals, %zu executed, %d faults struck, %d deaths of the broker\n",
                lives.size(), executed, faults_struck, deaths);
}

}  // namespace
}  // namespace millrace::fix::test
