// Goal: what the simulated broker is told to do wrong it does: every return code, late answers,
// parts, lost events and acknowledgements. Method: the real process against a scripted broker
// stage; the oracle is the broker's own books.
#include "core/retcode.h"
#include "tests/simbroker/terminal_fixture.h"

#include <gtest/gtest.h>

#include <set>

namespace millrace::sim::test {
namespace {

// Longer than any machine stands still; waited out only by a test that fails.
constexpr int kLongMs = 60'000;

/// The books agree with what was asked for: what is `executed` has one deal, the rest none.
class Knobs : public Terminal {
protected:
    void expect_executed(const std::set<std::uint64_t>& executed, std::uint64_t intents) const {
        for (std::uint64_t intent = 1; intent <= intents; ++intent) {
            EXPECT_EQ(executions(dir, intent), executed.count(intent)) << "intent " << intent;
        }
    }
    /// The next answer, which has to be the Outcome of `intent`.
    bridge::Event outcome(std::uint64_t intent) {
        const auto event = stage.next_event(kLongMs);
        if (!event) {
            ADD_FAILURE() << "no answer to intent " << intent;
            return {};
        }
        last_event_ = event->first;
        EXPECT_EQ(type_of(event->second), ReportType::Outcome);
        EXPECT_EQ(event->second.magic, open_command(intent).magic);
        return event->second;
    }

    std::uint64_t last_event_ = 0;
};

TEST_F(Knobs, AnswerEveryReturnCodeOnDemandWithTheOrderDoneOrNot) {
    SimProcess sim{dir, stage.port(), {.balance = "100000000"}};
    sim.quote("1.10000", "1.10010");
    stage.open({});
    std::uint64_t intent = 0;
    std::set<std::uint64_t> executed;
    for (const RetcodeRow& row : retcode_rows()) {
        for (const bool done : {false, true}) {
            SCOPED_TRACE(testing::Message() << row.code << ' ' << row.name << " done " << done);
            sim.control(
                {{"cmd", "fault"}, {"kind", "retcode"}, {"code", row.code}, {"executed", done}});
            ++intent;
            stage.send_command(intent, open_command(intent));
            const bridge::Event event = outcome(intent);
            EXPECT_EQ(event.retcode, row.code);
            EXPECT_EQ(event.deal_ticket, 0U) << "nobody says so even if it is done";
            if (done) {
                executed.insert(intent);
            }
        }
    }
    // Each struck once.
    ++intent;
    stage.send_command(intent, open_command(intent));
    EXPECT_EQ(outcome(intent).retcode, retcode::kDone);
    executed.insert(intent);
    expect_executed(executed, intent);
    EXPECT_EQ(executed.size(), retcode_rows().size() + 1);
}

TEST_F(Knobs, FillAPartOfAMarketOrder) {
    SimProcess sim{dir, stage.port()};
    sim.quote("1.10000", "1.10010");
    sim.control({{"cmd", "fault"}, {"kind", "partial_fill"}, {"share", "0.3"}});
    stage.open({});
    stage.send_command(1, open_command(1));
    const bridge::Event part = outcome(1);
    EXPECT_EQ(part.retcode, retcode::kDonePartial);
    EXPECT_EQ(part.volume, kScale / 10 * 3 / 10);
    EXPECT_EQ(part.requested, kScale / 10);
}

class LatencyKnob : public Knobs, public testing::WithParamInterface<const char*> {};

TEST_P(LatencyKnob, LetsTheAnswerComeBehindASecondCommandsAnswer) {
    SimProcess sim{dir, stage.port()};
    sim.quote("1.10000", "1.10010");
    sim.control({{"cmd", "fault"}, {"kind", "latency"}, {GetParam(), 50}});
    stage.open({});
    // In one write: both are taken before any time passes for the simulated broker.
    stage.send_commands(1, {open_command(1), open_command(2)});
    const bridge::Event second = outcome(2);
    const bridge::Event first = outcome(1);
    EXPECT_EQ(first.retcode, retcode::kDone);
    EXPECT_EQ(second.retcode, retcode::kDone);
    expect_executed({1, 2}, 2);
}

INSTANTIATE_TEST_SUITE_P(OfTheRequestOrOfTheAnswer, LatencyKnob,
                         testing::Values("fixed_ms", "answer_ms"),
                         [](const auto& late) { return std::string{late.param}; });

TEST_F(Knobs, HoldBackTheAnswerAloneOfWhatIsDone) {
    SimProcess sim{dir, stage.port()};
    sim.quote("1.10000", "1.10010");
    sim.control({{"cmd", "fault"}, {"kind", "latency"}, {"answer_ms", 600'000}});
    stage.open({});
    stage.send_command(1, open_command(1));
    const nlohmann::json ask = {{"cmd", "positions"}, {"login", kLogin}};
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds{kLongMs};
    while (sim.control(ask).at("positions").empty() && std::chrono::steady_clock::now() < until) {
    }
    expect_executed({1}, 1);
    stage.send_command(2, open_command(2));
    EXPECT_EQ(outcome(2).retcode, retcode::kDone) << "the first thing that is said";
}

TEST_F(Knobs, DropAnEventWhichComesAgainInTheNextSession) {
    SimProcess sim{dir, stage.port()};
    sim.quote("1.10000", "1.10010");
    stage.open({});
    // The account's own news goes first and is told once, as nobody acknowledges it: the next
    // event is the one that is lost.
    stage.send_command(1, open_command(1));
    outcome(1);
    const std::uint64_t told = last_event_;
    sim.control({{"cmd", "fault"}, {"kind", "drop_event"}});
    stage.send_command(2, open_command(2));
    EXPECT_FALSE(stage.next_event(kLongMs)) << "it was to be lost";
    EXPECT_TRUE(stage.wait_closed(kLongMs)) << "bytes are lost with their connection only";
    const bridge::Hello hello =
        stage.open({.generation = 2, .next_command_seq = 3, .event_seq = told});
    EXPECT_EQ(hello.command_seq, 2U) << "the command was taken";
    EXPECT_EQ(outcome(2).retcode, retcode::kDone);
    EXPECT_EQ(last_event_, told + 1) << "under its number";
    expect_executed({1, 2}, 2);
}

TEST_F(Knobs, DropAnAcknowledgementWhichIsRepeatedWithTheCommand) {
    SimProcess sim{dir, stage.port()};
    sim.quote("1.10000", "1.10010");
    sim.control({{"cmd", "fault"}, {"kind", "drop_rx_ack"}});
    stage.open({});
    stage.send_command(1, open_command(1));
    EXPECT_EQ(outcome(1).retcode, retcode::kDone);
    EXPECT_EQ(stage.acknowledged_command(), 0U) << "it stands before the answer, or nowhere";
    stage.send_command(1, open_command(1));
    EXPECT_TRUE(stage.wait_rx_ack(1));
    stage.send_command(2, open_command(2));
    EXPECT_EQ(outcome(2).retcode, retcode::kDone);
    EXPECT_EQ(stage.acknowledged_command(), 2U);
    expect_executed({1, 2}, 2);
    EXPECT_EQ(repeats(dir), 1U) << "sent twice, by hand";
}

/// Of the reference terminal alone: the Expert Advisor cannot write into a broker's books.
TEST_F(Knobs, TellTheBooksOfEachRepeatWhateverItsNumberAndWhoeverDiesThen) {
    {
        SimProcess sim{dir, stage.port()};
        sim.quote("1.10000", "1.10010");
        stage.open({});
        stage.send_command(1, open_command(1));
        ASSERT_TRUE(stage.next_event());
        stage.send_command(2, query_command(open_command(1).magic));  // a question is no order
        ASSERT_TRUE(stage.next_event());
        EXPECT_EQ(repeats(dir), 0U);
        stage.send_command(1, open_command(1));
        stage.send_command(3, open_command(1));
        ASSERT_TRUE(stage.next_event());
        sim.control({{"cmd", "fault"}, {"kind", "crash_on_receive"}});
        stage.send_command(4, open_command(2));
        sim.wait_death();
    }
    SimProcess sim{dir, stage.port()};
    const auto audit = audit_books(dir.path("books"), kTag);
    ASSERT_TRUE(audit.ok());
    EXPECT_EQ(audit.value().repeated(), 2U) << audit_table(audit.value());
    EXPECT_EQ(audit.value().intents.at(0).repeated, 2U);
    EXPECT_EQ(audit.value().doubled(), 0U);
    EXPECT_NE(audit_table(audit.value()).find("REPEATED  account"), std::string::npos);
}

TEST_F(Knobs, HandACommandOverTwiceWhichTheBooksShow) {
    SimProcess sim{dir, stage.port()};
    sim.quote("1.10000", "1.10010");
    sim.control({{"cmd", "fault"}, {"kind", "duplicate_command"}});
    stage.open({});
    stage.send_command(1, open_command(1));
    EXPECT_EQ(outcome(1).retcode, retcode::kDone);
    stage.send_command(2, open_command(2));
    EXPECT_EQ(outcome(2).retcode, retcode::kDone);
    expect_executed({1, 2}, 2);
    EXPECT_EQ(repeats(dir), 1U);
}

}  // namespace
}  // namespace millrace::sim::test
