// Goal: what comes to nothing without an excuse is told, opening or exit, refused or rejected.
// Method: lives made by hand, each with one end.
#include "tests/chaos/excuses.h"

#include <gtest/gtest.h>

namespace millrace::chaos {
namespace {

using demo::Lives;

SignalRequest send(Lives& lives, SignalAction action, const SignalId& target = {}) {
    SignalRequest r;
    r.id = {lives.all().size() + 1, 7};
    r.target = target;
    r.action = action;
    lives.sent(r, demo::Purpose::Trade, millis(1));
    return r;
}

SignalRequest accepted(Lives& lives, SignalAction action) {
    const SignalRequest r = send(lives, action);
    lives.accepted(r.id, millis(2));
    return r;
}

void end(Lives& lives, const SignalRequest& r, OrdStatus status, Reason reason) {
    SignalResult result;
    result.kind = ResultKind::OrderDone;
    result.signal = r.id;
    result.ord_status = static_cast<std::uint8_t>(status);
    result.reason = static_cast<std::uint16_t>(reason);
    lives.result(result, millis(3));
}

/// What is said of one signal whose order ended so.
std::vector<std::string> of_end(SignalAction action, Reason reason,
                                const std::set<Reason>& of_exits = {}) {
    Lives lives;
    end(lives, accepted(lives, action), OrdStatus::Rejected, reason);
    return without_excuse(lives, of_exits);
}

/// What is said of one signal that was refused so.
std::vector<std::string> of_refusal(SignalAction action, Reason reason,
                                    const std::string& text = "") {
    Lives lives;
    const SignalRequest r = send(lives, action);
    lives.refused(r.id, reason, text, millis(2));
    return without_excuse(lives);
}

using Said = std::vector<std::string>;

TEST(ChaosExcuses, HaveOpeningsForWhatOthersDidAndForNothingElse) {
    for (const Reason reason : {Reason::Expired, Reason::JournalDown, Reason::QueueFull,
                                Reason::PriceCollar, Reason::BrokerReject}) {
        EXPECT_EQ(of_end(SignalAction::Open, reason), Said{}) << to_string(reason);
        EXPECT_EQ(of_refusal(SignalAction::Open, reason), Said{}) << to_string(reason);
    }
    EXPECT_EQ(of_end(SignalAction::Open, Reason::TableFull),
              Said{"1 openings came to nothing, REJECTED: TABLE_FULL"});
    EXPECT_EQ(of_end(SignalAction::Open, Reason::NothingToDo).size(), 1U);
    EXPECT_EQ(of_end(SignalAction::Open, Reason::None).size(), 1U) << "rejected, and no reason";
    EXPECT_EQ(of_refusal(SignalAction::Open, Reason::UnknownGroup),
              Said{"1 openings came to nothing, refused: UNKNOWN_GROUP "});
}

TEST(ChaosExcuses, LetNoCloseOrCancelWaitForJournalOrQueue) {
    for (const SignalAction action : {SignalAction::Close, SignalAction::Cancel}) {
        for (const Reason reason : {Reason::Expired, Reason::NothingToDo, Reason::BrokerReject,
                                    Reason::RetriesExhausted, Reason::Killed}) {
            EXPECT_EQ(of_end(action, reason), Said{}) << to_string(reason);
        }
        for (const Reason reason : {Reason::JournalDown, Reason::QueueFull, Reason::TableFull,
                                    Reason::AccountNotTrading, Reason::NoPrice, Reason::None}) {
            EXPECT_EQ(of_end(action, reason).size(), 1U) << to_string(reason);
            EXPECT_EQ(of_end(action, reason, {reason}), Said{}) << to_string(reason);
        }
        for (const Reason reason : {Reason::JournalDown, Reason::QueueFull, Reason::TableFull}) {
            EXPECT_EQ(of_refusal(action, reason, "only openings").size(), 1U) << to_string(reason);
        }
        EXPECT_EQ(of_refusal(action, Reason::JournalDown,
                             "the engine has not taken its configuration yet: send again"),
                  Said{});
    }
    EXPECT_EQ(of_refusal(SignalAction::Modify, Reason::JournalDown), Said{}) << "it may wait";
}

TEST(ChaosExcuses, TakeAFilledOrderForNoneThatCameToNothing) {
    Lives lives;
    end(lives, accepted(lives, SignalAction::Modify), OrdStatus::Filled, Reason::None);
    EXPECT_EQ(without_excuse(lives), Said{});
}

TEST(ChaosExcuses, LetATargetBeUnknownOnlyWhereItWasNotAccepted) {
    Lives lives;
    const SignalRequest never = send(lives, SignalAction::Open);
    SignalRequest close = send(lives, SignalAction::Close, never.id);
    lives.refused(close.id, Reason::UnknownTarget, "", millis(2));
    EXPECT_EQ(without_excuse(lives), Said{});
    const SignalRequest opened = accepted(lives, SignalAction::Open);
    close = send(lives, SignalAction::Close, opened.id);
    lives.refused(close.id, Reason::UnknownTarget, "", millis(2));
    EXPECT_EQ(without_excuse(lives), Said{"1 closes came to nothing, refused: UNKNOWN_TARGET "});
    lives.refused(opened.id, Reason::StaleSignal, "", millis(3));  // its log was lost
    EXPECT_EQ(without_excuse(lives), Said{});
}

TEST(ChaosExcuses, CountWhatEndedAlikeAndLeaveOutWhatWasSentWrongOnPurpose) {
    Lives lives;
    for (int i = 0; i < 3; ++i) {
        end(lives, accepted(lives, SignalAction::Close), OrdStatus::Rejected, Reason::QueueFull);
    }
    SignalRequest wrong;
    wrong.id = {99, 9};
    lives.sent(wrong, demo::Purpose::RefusedOnPurpose, millis(1));
    lives.refused(wrong.id, Reason::UnknownGroup, "", millis(2));
    EXPECT_EQ(without_excuse(lives), Said{"3 closes came to nothing, REJECTED: QUEUE_FULL"});
}

TEST(ChaosExcuses, OfATimeAreForWhatWasUnderWayThen) {
    Lives lives;  // each is sent at 1 ms; refused at 2 ms, its order ended at 3 ms
    end(lives, accepted(lives, SignalAction::Close), OrdStatus::Rejected, Reason::QueueFull);
    lives.refused(send(lives, SignalAction::Modify).id, Reason::QueueFull, "", millis(2));
    end(lives, accepted(lives, SignalAction::Cancel), OrdStatus::Rejected, Reason::BrokerReject);
    lives.refused(send(lives, SignalAction::Open).id, Reason::QueueFull, "", millis(2));
    const auto outside = [&](const std::vector<HeldUp>& times) {
        return exits_ended_outside(lives, Reason::QueueFull, times);
    };
    EXPECT_EQ(outside({}), 2U);
    EXPECT_EQ(outside({{Nanos{0}, Nanos{999'999}}, {millis(4), millis(9)}}), 2U);
    EXPECT_EQ(outside({{millis(4), millis(9)}, {Nanos{0}, millis(1)}}), 0U) << "was sent then";
    EXPECT_EQ(outside({{Nanos{2'000'001}, millis(3)}}), 1U) << "one had ended";
}

}  // namespace
}  // namespace millrace::chaos
