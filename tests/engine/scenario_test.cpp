// Goal: tests/scenarios/*.scn hold, line by line (the language: tests/scenarios/README.md).
// Method: a Rig driven by the file; orders and results are matched in the order they come.
#include "tests/engine/rig.h"

#include <gtest/gtest.h>

#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

namespace millrace::test {
namespace {

using Words = std::deque<std::string>;

/// "1.09" in 1e-8; exact.
std::int64_t decimal(std::string text) {
    const bool minus = !text.empty() && text[0] == '-';
    text = minus ? text.substr(1) : text;
    const std::size_t dot = std::min(text.find('.'), text.size());
    std::string fraction = dot < text.size() ? text.substr(dot + 1) : "";
    fraction.resize(8, '0');
    const std::int64_t value = std::stoll(text.substr(0, dot)) * kScale + std::stoll(fraction);
    return minus ? -value : value;
}

class Scenario {
public:
    explicit Scenario(const std::filesystem::path& path) : path_{path} {
        rig_.world();
        rig_.take_results();
    }

    void run() {
        std::ifstream file{path_};
        ASSERT_TRUE(file) << path_;
        std::string text;
        while (std::getline(file, text) && !::testing::Test::HasFailure()) {
            ++line_;
            std::istringstream in{text.substr(0, text.find("# "))};
            Words words{std::istream_iterator<std::string>{in}, {}};
            if (!words.empty()) {
                SCOPED_TRACE(path_.filename().string() + ":" + std::to_string(line_) + ": " + text);
                step(words);
                collect();
            }
        }
        SCOPED_TRACE(path_.filename().string() + ": at its end");
        expect_nothing();
    }

private:
    static std::string take(Words& words) {
        if (words.empty()) {
            throw std::runtime_error("a word is missing");
        }
        std::string word = words.front();
        words.pop_front();
        return word;
    }
    static std::string rest_of(Words& words) {
        std::string text = take(words);
        while (!words.empty()) {
            text += " " + take(words);
        }
        return text;
    }
    const OrderCommand& order(const std::string& name) const {
        return seen_.at(static_cast<std::size_t>(std::stoul(name.substr(1))) - 1);
    }
    static Lots volume_of(Words& words) {
        return words.empty() ? Lots{} : Lots{decimal(take(words))};
    }

    void step(Words& words) {
        const std::string verb = take(words);
        if (verb == "signal") {
            rig_.signal(signal(words));
        } else if (verb == "answer") {
            const OrderCommand c = order(take(words));
            const auto code = static_cast<std::uint32_t>(std::stoul(take(words)));
            rig_.report(rig_.outcome(c, code, volume_of(words)));
        } else if (verb == "event") {
            const OrderCommand c = order(take(words));
            const ExecKind kind = kinds().at(take(words));
            rig_.report(rig_.exec(c, kind, volume_of(words)));
        } else if (verb == "query") {
            query(words);
        } else if (verb == "unsent") {
            Report r = rig_.from(0, ReportType::Unsent);
            r.magic = order(take(words)).magic;
            r.reason = static_cast<std::uint16_t>(unsent_reasons().at(take(words)));
            rig_.report(r);
        } else if (verb == "expect") {
            expect(words);
        } else {
            around(verb, words);
        }
        EXPECT_TRUE(words.empty()) << "left over: " << (words.empty() ? "" : words.front());
    }

    /// What is neither signal nor report nor expectation.
    void around(const std::string& verb, Words& words) {
        const std::string what = take(words);
        if (verb == "wait") {
            rig_.advance(Nanos{decimal(what) * 10});
        } else if (verb == "price") {
            rig_.bid = Price{decimal(what)};
            rig_.ask = Price{decimal(take(words))};
        } else if (verb == "session") {
            what == "down"   ? rig_.session_down(0)
            : what == "link" ? rig_.link_up(0)
            : what == "sync" ? rig_.sync_done(0)
                             : rig_.session_up(0);
        } else if (verb == "kill") {
            rig_.admin(what == "clear" ? AdminOp::ClearKill : AdminOp::Kill, KillCommand{});
        } else if (verb == "group") {
            if (what == "remove") {
                rig_.admin(AdminOp::RemoveGroup, GroupRemoval{GroupId{0}, 0});
            } else {
                const GroupState state = what == "pause" ? GroupState::Paused : GroupState::Active;
                rig_.admin(AdminOp::SetGroup, GroupCommand{GroupId{0}, state, {}});
            }
            rig_.settle();
        } else if (verb == "room") {  // in the source's results ring, beyond what is promised
            rig_.results_room = static_cast<std::uint32_t>(std::stoul(what));
            rig_.settle();
        } else if (verb == "account" && what == "remove") {
            rig_.admin(AdminOp::RemoveAccount, AccountRemoval{AccountId{0}, 0});
        } else if (verb == "account") {
            AccountCommand c;
            c.account = AccountId{0};
            c.state = what == "trade"    ? AccountState::Trading
                      : what == "reduce" ? AccountState::ReduceOnly
                                         : AccountState::Suspended;
            rig_.admin(AdminOp::SetAccount, c);
            rig_.settle();
        } else {
            ADD_FAILURE() << "unknown word " << verb;
        }
    }

    Signal signal(Words& words) {
        const std::uint64_t n = std::stoull(take(words));
        const std::string action = take(words);
        if (action != "open") {
            const std::uint64_t target = std::stoull(take(words));
            const SignalAction a = action == "close"    ? SignalAction::Close
                                   : action == "modify" ? SignalAction::Modify
                                                        : SignalAction::Cancel;
            Signal s = rig_.change(n, a, target, volume_of(words));
            s.stop_loss = a == SignalAction::Modify ? points(105'000) : Price{};
            return s;
        }
        const Side side = take(words) == "buy" ? Side::Buy : Side::Sell;
        Signal s = rig_.open(n, side, Lots{decimal(take(words))});
        while (!words.empty()) {
            option(s, words);
        }
        return s;
    }
    void option(Signal& s, Words& words) {
        const std::string name = take(words);
        const std::string value = take(words);
        if (name == "limit" || name == "stop") {
            s.price_kind = name == "limit" ? PriceKind::Limit : PriceKind::Stop;
            s.price = Price{decimal(value)};
        } else if (name == "ttl") {
            s.ttl_ms = static_cast<std::uint32_t>(std::stoul(value)) * 1000;
        } else if (name == "ref") {
            s.reference_price = Price{decimal(value)};
        } else if (name == "symbol") {
            s.symbol = SymbolId{value == "GBPUSD" ? 1U : 0U};
        } else if (name == "age") {
            s.send_time = s.edge_time = rig_.now - seconds(std::stoll(value));
        } else {
            ADD_FAILURE() << "unknown option " << name;
        }
    }

    void query(Words& words) {
        const OrderCommand c = order(take(words));
        const std::string answer = take(words);
        if (answer != "found") {
            const bool absent = answer == "absent";
            rig_.report(
                rig_.query_answer(c, absent ? ReportType::QueryAbsent : ReportType::QueryUnknown));
            return;
        }
        static const std::map<std::string, OrdStatus> kStatus = {{"filled", OrdStatus::Filled},
                                                                 {"canceled", OrdStatus::Canceled},
                                                                 {"new", OrdStatus::New},
                                                                 {"rejected", OrdStatus::Rejected}};
        const OrdStatus status = kStatus.at(take(words));
        Report r = rig_.query_answer(c, ReportType::QueryFound, status, volume_of(words));
        r.retcode = status == OrdStatus::Rejected ? retcode::kReject : r.retcode;
        rig_.report(r);
    }

    void expect(Words& words) {
        const std::string what = take(words);
        if (what == "nothing") {
            expect_nothing();
        } else if (what == "answer") {  // of the latest admin record
            EXPECT_EQ(to_string(rig_.engine.globals().admin_answer), rest_of(words));
        } else if (what == "position") {
            EXPECT_EQ(rig_.open_volume().value, decimal(take(words)));
        } else if (what == "order") {
            expect_order(words);
        } else {
            expect_result(what, words);
        }
    }
    void expect_nothing() const {
        EXPECT_TRUE(orders_.empty()) << "an order nobody expected";
        EXPECT_TRUE(results_.empty())
            << "a result nobody expected, kind "
            << (results_.empty() ? 0 : static_cast<int>(results_.front().kind));
    }
    void expect_order(Words& words) {
        ASSERT_FALSE(orders_.empty()) << "no order came";
        const OrderCommand c = orders_.front();
        orders_.pop_front();
        static const std::map<std::string, CommandType> kTypes = {{"open", CommandType::Open},
                                                                  {"close", CommandType::Close},
                                                                  {"modify", CommandType::Modify},
                                                                  {"cancel", CommandType::Cancel},
                                                                  {"query", CommandType::Query}};
        EXPECT_EQ(static_cast<int>(c.type), static_cast<int>(kTypes.at(take(words))));
        if (c.type != CommandType::Query) {
            EXPECT_EQ(take(words), c.side == Side::Buy ? "buy" : "sell");
            EXPECT_EQ(c.volume.value, decimal(take(words)));
        }
        if (!words.empty()) {
            EXPECT_EQ(take(words), "attempt");
            EXPECT_EQ(std::to_string(c.magic.attempt()), take(words));
        }
    }
    void expect_result(const std::string& what, Words& words) {
        static const std::map<std::string, ResultKind> kKinds = {
            {"accepted", ResultKind::Accepted},   {"refused", ResultKind::Refused},
            {"duplicate", ResultKind::Duplicate}, {"done", ResultKind::OrderDone},
            {"doubt", ResultKind::OrderInDoubt},  {"signaldone", ResultKind::SignalDone},
            {"working", ResultKind::OrderWorking}};
        ASSERT_FALSE(results_.empty()) << "no result came";
        const SignalResult r = results_.front();
        results_.pop_front();
        ASSERT_EQ(static_cast<int>(r.kind), static_cast<int>(kKinds.at(what)));
        if (what == "done") {
            EXPECT_EQ(to_string(static_cast<OrdStatus>(r.ord_status)), take(words));
        }
        if (!words.empty()) {
            EXPECT_EQ(to_string(static_cast<Reason>(r.reason)), take(words));
        }
    }

    void collect() {
        for (const OrderCommand& c : rig_.take_orders()) {
            seen_.push_back(c);
            orders_.push_back(c);
        }
        for (const SignalResult& r : rig_.take_results()) {
            results_.push_back(r);
        }
    }
    static const std::map<std::string, ExecKind>& kinds() {
        static const std::map<std::string, ExecKind> map = {
            {"filled", ExecKind::PendingFilled},    {"canceled", ExecKind::PendingCanceled},
            {"sl", ExecKind::ClosedByStopLoss},     {"tp", ExecKind::ClosedByTakeProfit},
            {"stopout", ExecKind::ClosedByStopOut}, {"manual", ExecKind::ClosedManually},
            {"kill", ExecKind::ClosedByKill}};
        return map;
    }
    static const std::map<std::string, Reason>& unsent_reasons() {
        static const std::map<std::string, Reason> map = {{"expired", Reason::Expired},
                                                          {"killed", Reason::Killed},
                                                          {"queue", Reason::QueueFull},
                                                          {"stale", Reason::None}};
        return map;
    }

    std::filesystem::path path_;
    int line_ = 0;
    Rig rig_;
    std::vector<OrderCommand> seen_;
    std::deque<OrderCommand> orders_;
    std::deque<SignalResult> results_;
};

class ScenarioTest : public ::testing::TestWithParam<std::string> {};

TEST_P(ScenarioTest, ComesOutAsWritten) {
    const std::filesystem::path path =
        std::filesystem::path{MILLRACE_SCENARIOS} / (GetParam() + ".scn");
    try {
        Scenario{path}.run();
    } catch (const std::exception& e) {
        FAIL() << path << ": not understood: " << e.what();
    }
}

std::vector<std::string> all() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator{MILLRACE_SCENARIOS}) {
        if (entry.path().extension() == ".scn") {
            names.push_back(entry.path().stem().string());
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}
INSTANTIATE_TEST_SUITE_P(Files, ScenarioTest, ::testing::ValuesIn(all()),
                         [](const auto& file) { return file.param; });

TEST(Scenarios, AreAtLeastFifteen) {
    EXPECT_GE(all().size(), 15U);
}

}  // namespace
}  // namespace millrace::test
