// Of Scenario: what must come out.
#include "tests/scenarios/scenario.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>

namespace millrace::test {
namespace {

std::string rest_of(Words& words) {
    std::string text = take(words);
    while (!words.empty()) {
        text += " " + take(words);
    }
    return text;
}

AlertCode alert_of(const std::string& name) {
    static const std::map<std::string, AlertCode> codes = {
        {"IN_DOUBT", AlertCode::OrderInDoubt},
        {"DUPLICATE", AlertCode::DuplicateExecution},
        {"SUSPENDED", AlertCode::AccountSuspended},
        {"LINK_DOWN", AlertCode::LinkDown},
        {"KILLED", AlertCode::Killed},
        {"LOSS_LIMIT", AlertCode::LossLimit},
        {"WEEK_END", AlertCode::WeekEnd},
        {"RATE_PAUSED", AlertCode::RatePaused},
        {"NO_MONEY", AlertCode::NoMoney},
        {"SLIPPAGE", AlertCode::Slippage},
        {"MARKET_CLOSED", AlertCode::MarketClosed},
        {"TABLE_FULL", AlertCode::TableFull},
        {"FOREIGN", AlertCode::ForeignTrade},
        {"SYMBOL_BLOCKED", AlertCode::SymbolBlocked},
        {"PARTIAL_FILL", AlertCode::PartialFill},
        {"OWN_CLOSE_FAILED", AlertCode::OwnCloseFailed},
        {"LATE_CLOSE", AlertCode::LateClose},
        {"STANDBY_TOOK", AlertCode::StandbyTook},
        {"BROKER_LIMIT", AlertCode::BrokerLimit},
        {"JOURNAL_LOST", AlertCode::ExecutorJournalLost},
        {"UNKNOWN_REPORT", AlertCode::UnknownReport}};
    return codes.at(name);
}

}  // namespace

void Scenario::expect(Words& words) {
    const auto then = std::find(words.begin(), words.end(), "then");
    if (std::isdigit(static_cast<unsigned char>(words.at(0)[0])) != 0) {  // so many times
        const std::uint64_t times = std::stoull(take(words));
        for (std::uint64_t n = 0; n < times && !::testing::Test::HasFailure(); ++n) {
            Words one = words;
            expect(one);
            EXPECT_TRUE(one.empty()) << "left over: " << (one.empty() ? "" : one.front());
        }
        words.clear();
        return;
    }
    if (then != words.end()) {
        Words first{words.begin(), then};
        Words second{then + 1, words.end()};
        expect(first);
        expect(second);
        EXPECT_TRUE(first.empty() && second.empty()) << "left over";
        words.clear();
        return;
    }
    const std::string what = take(words);
    if (what == "nothing") {
        expect_nothing();
    } else if (what == "order") {
        expect_order(words);
    } else if (!expect_state(what, words)) {
        expect_result(what, words);
    }
}

/// What the engine holds, or has told in all. @return false if `what` is no such word.
bool Scenario::expect_state(const std::string& what, Words& words) {
    if (what == "answer") {  // of the latest admin record
        EXPECT_EQ(to_string(rig().engine.globals().admin_answer), rest_of(words));
    } else if (what == "position") {
        const std::int64_t volume = decimal(take(words));
        EXPECT_EQ(rig().open_volume(account_of(words)).value, volume);
    } else if (what == "state") {
        const std::string state = take(words);
        EXPECT_EQ(to_string(rig().engine.account(AccountId{account_of(words)}).state), state);
    } else if (what == "doubts") {
        EXPECT_EQ(rig().engine.globals().in_doubt, std::stoul(take(words)));
    } else if (what == "live") {  // orders that are not final
        EXPECT_EQ(rig().engine.globals().live_orders, std::stoul(take(words)));
    } else if (what == "executions") {  // deals told to the stores
        EXPECT_EQ(executions(), std::stoul(take(words)));
    } else if (what == "alerts") {
        const AlertCode code = alert_of(take(words));
        EXPECT_EQ(rig().alerts(code), std::stoul(take(words)));
    } else if (what == "simulated") {  // that it happened at all
        static const std::map<std::string, std::uint64_t sim::Summary::*> counts = {
            {"orders", &sim::Summary::orders},
            {"executions", &sim::Summary::executions},
            {"doubts", &sim::Summary::in_doubt},
            {"engine_crashes", &sim::Summary::engine_crashes},
            {"host_crashes", &sim::Summary::host_crashes},
            {"doubled_signals", &sim::Summary::doubled_signals}};
        EXPECT_GT(simulated_.*counts.at(take(words)), 0U);
    } else {
        return false;
    }
    return true;
}

std::size_t Scenario::executions() const {
    return static_cast<std::size_t>(
        std::count_if(rig_->effects.begin(), rig_->effects.end(),
                      [](const Effect& e) { return e.kind == EffectKind::Execution; }));
}

void Scenario::expect_nothing() const {
    EXPECT_TRUE(orders_.empty()) << "an order nobody expected, type "
                                 << (orders_.empty() ? 0 : static_cast<int>(orders_[0].type));
    EXPECT_TRUE(results_.empty()) << "a result nobody expected, kind "
                                  << (results_.empty() ? 0 : static_cast<int>(results_[0].kind));
}

/// expect order TYPE [SIDE VOLUME] [attempt N] [of #1] [ticket N] [account N]
void Scenario::expect_order(Words& words) {
    static const std::map<std::string, CommandType> types = {{"open", CommandType::Open},
                                                             {"close", CommandType::Close},
                                                             {"modify", CommandType::Modify},
                                                             {"cancel", CommandType::Cancel},
                                                             {"query", CommandType::Query}};
    ASSERT_FALSE(orders_.empty()) << "no order came";
    const OrderCommand c = orders_.front();
    orders_.pop_front();
    ++covered_.orders;
    EXPECT_EQ(static_cast<int>(c.type), static_cast<int>(types.at(take(words))));
    if (c.type != CommandType::Query) {
        EXPECT_EQ(take(words), c.side == Side::Buy ? "buy" : "sell");
        EXPECT_EQ(c.volume.value, decimal(take(words)));
    }
    while (!words.empty()) {
        const std::string what = take(words);
        const std::string value = take(words);
        if (what == "attempt") {
            EXPECT_EQ(std::to_string(c.magic.attempt()), value);
        } else if (what == "account") {
            EXPECT_EQ(std::to_string(c.account.value), value);
        } else if (what == "ticket") {
            EXPECT_EQ(std::to_string(c.position_ticket), value);
        } else if (what == "of" && c.type == CommandType::Query) {  // about the same order
            EXPECT_EQ(c.magic.value, order(value).magic.value);
        } else if (what == "of") {  // the ticket of the position or order that it acts on
            const std::uint64_t ticket =
                c.position_ticket != 0 ? c.position_ticket : c.order_ticket;
            EXPECT_EQ(ticket, 1'000'000 + order(value).magic.intent());
        } else {
            FAIL() << "unknown word " << what;
        }
    }
}

void Scenario::expect_result(const std::string& what, Words& words) {
    static const std::map<std::string, ResultKind> kinds = {
        {"accepted", ResultKind::Accepted},   {"refused", ResultKind::Refused},
        {"duplicate", ResultKind::Duplicate}, {"done", ResultKind::OrderDone},
        {"doubt", ResultKind::OrderInDoubt},  {"signaldone", ResultKind::SignalDone},
        {"working", ResultKind::OrderWorking}};
    ASSERT_FALSE(results_.empty()) << "no result came";
    const SignalResult r = results_.front();
    results_.pop_front();
    ++covered_.results;
    ASSERT_EQ(static_cast<int>(r.kind), static_cast<int>(kinds.at(what)));
    if (what == "done") {
        EXPECT_EQ(to_string(static_cast<OrdStatus>(r.ord_status)), take(words));
    }
    if (!words.empty()) {
        EXPECT_EQ(to_string(static_cast<Reason>(r.reason)), take(words));
    }
}

}  // namespace millrace::test
