// Goal: whoever closes a position (ours, a second of ours, the broker, a human), what is told of it
// and what the books say are true, and no other position is taken for it.
// Method: records by hand; the order in which they come is the fault.
#include "tests/engine/rig.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace millrace::test {
namespace {

/// A hedging account with a position of signal 1.
struct Closing : testing::Test {
    Closing() {
        rig.world();
        rig.signal(rig.open(1));
        entry = rig.only_order();
        rig.fill(entry);
        rig.take_results();
    }
    /// Signal `n`, a close of signal 1 which is sent at once.
    OrderCommand close(std::uint64_t n, Lots volume = Lots{}) {
        rig.signal(rig.change(n, SignalAction::Close, 1, volume));
        return rig.only_order();
    }
    /// Signal `n`, a close of signal 1 that has to wait.
    void waits(std::uint64_t n) {
        rig.signal(rig.change(n, SignalAction::Close, 1));
        EXPECT_TRUE(rig.orders.empty());
        EXPECT_EQ(rig.count(ResultKind::OrderDone), 0U);
    }
    Rig rig;
    OrderCommand entry;
};

TEST_F(Closing, WaitsForTheCloseThatHasThePositionAndClosesWhatItLeft) {
    const OrderCommand first = close(2);
    waits(3);
    rig.report(rig.outcome(first, retcode::kMarketClosed));
    EXPECT_EQ(rig.reasons(ResultKind::OrderDone), std::vector{Reason::MarketClosed});
    const OrderCommand second = rig.only_order();
    EXPECT_EQ(second.volume, centi(10));
    rig.fill(second);
    EXPECT_EQ(rig.open_volume(), Lots{});
    EXPECT_EQ(rig.engine.orders().live(), 0U);
    EXPECT_EQ(rig.replayed_hash(), rig.engine.state_hash());
}

TEST_F(Closing, OfEverythingWaitsForAPartThatMayYetBeRefused) {
    const OrderCommand part = close(2, centi(5));
    EXPECT_EQ(part.volume, centi(5));
    waits(3);
    rig.report(rig.outcome(part, retcode::kMarketClosed));
    const OrderCommand all = rig.only_order();
    EXPECT_EQ(all.volume, centi(10)) << "0.05 would stay open, and its source be told FILLED";
    rig.fill(all);
    EXPECT_EQ(rig.open_volume(), Lots{});
    EXPECT_EQ(rig.engine.orders().live(), 0U);
    EXPECT_EQ(rig.replayed_hash(), rig.engine.state_hash());
}

TEST_F(Closing, OfEverythingTakesTheRestOfAPartThatWasFilled) {
    const OrderCommand part = close(2, centi(5));
    waits(3);
    rig.fill(part);
    const OrderCommand rest = rig.only_order();
    EXPECT_EQ(rest.volume, centi(5));
    rig.fill(rest);
    EXPECT_EQ(rig.open_volume(), Lots{});
    EXPECT_EQ(rig.reasons(ResultKind::OrderDone), (std::vector{Reason::None, Reason::None}));
}

TEST_F(Closing, OfTwoPartsThatBothFitWaitsForNothing) {
    EXPECT_EQ(close(2, centi(4)).volume, centi(4));
    EXPECT_EQ(close(3, centi(4)).volume, centi(4));
    rig.signal(rig.change(4, SignalAction::Close, 1, centi(4)));
    EXPECT_TRUE(rig.orders.empty()) << "0.02 is free, 0.04 are wanted";
}

TEST_F(Closing, OfTheOtherHalfWaitsForNothing) {
    const OrderCommand first = close(2, centi(5));
    const OrderCommand second = close(3, centi(5));
    EXPECT_EQ(second.volume, centi(5)) << "that the halves are the whole makes none of them more";
    rig.advance(seconds(6));
    ASSERT_EQ(rig.engine.globals().in_doubt, 2U);
    rig.fill(second);
    EXPECT_EQ(rig.open_volume(), centi(5));
    rig.report(rig.outcome(first, retcode::kReject));
    EXPECT_EQ(rig.open_volume(), centi(5));
    rig.take_orders();
    EXPECT_EQ(close(4, centi(5)).volume, centi(5));
}

TEST_F(Closing, OfThreePartsTheLastTakesTheRest) {
    EXPECT_EQ(close(2, centi(4)).volume, centi(4));
    EXPECT_EQ(close(3, centi(4)).volume, centi(4));
    EXPECT_EQ(close(4, centi(2)).volume, centi(2));
}

TEST_F(Closing, OfEverythingGoesOutWhileAPartWaitsForItsNextAttempt) {
    const OrderCommand part = close(2, centi(5));
    waits(3);
    rig.report(rig.outcome(part, retcode::kTooManyRequests));  // again in 1 s
    const OrderCommand all = rig.only_order();
    EXPECT_EQ(all.volume, centi(10)) << "nothing is claimed and nothing at the broker";
    rig.advance(seconds(2));
    EXPECT_TRUE(rig.orders.empty()) << "the part waits in turn";
    rig.fill(all);
    EXPECT_EQ(rig.open_volume(), Lots{});
    EXPECT_EQ(rig.reasons(ResultKind::OrderDone), (std::vector{Reason::None, Reason::NothingToDo}));
    EXPECT_EQ(rig.replayed_hash(), rig.engine.state_hash());
}

TEST_F(Closing, HasNothingToDoOnceTheOtherIsFilled) {
    const OrderCommand first = close(2);
    waits(3);
    waits(4);
    rig.fill(first);
    EXPECT_TRUE(rig.orders.empty());
    EXPECT_EQ(rig.reasons(ResultKind::OrderDone),
              (std::vector{Reason::None, Reason::NothingToDo, Reason::NothingToDo}));
    EXPECT_EQ(rig.engine.orders().live(), 0U);
}

TEST_F(Closing, OneAfterAnotherIfEachIsRefused) {
    OrderCommand sent = close(2);
    for (std::uint64_t n = 3; n < 6; ++n) {
        waits(n);
    }
    for (std::uint64_t n = 3; n < 6; ++n) {
        rig.report(rig.outcome(sent, retcode::kReject));
        sent = rig.only_order();
    }
    rig.fill(sent);
    EXPECT_EQ(rig.open_volume(), Lots{});
    EXPECT_EQ(rig.engine.orders().live(), 0U);
}

TEST_F(Closing, EndsAtOnceWhenTheStopLossWasFasterThanTheOneInDoubt) {
    close(2);
    rig.advance(seconds(6));
    ASSERT_EQ(rig.engine.globals().in_doubt, 1U);
    rig.take_orders();
    waits(3);
    rig.report(rig.exec(entry, ExecKind::ClosedByStopLoss, centi(10)));
    EXPECT_EQ(rig.reasons(ResultKind::OrderDone), std::vector{Reason::NothingToDo});
    EXPECT_EQ(rig.engine.globals().in_doubt, 1U) << "of the first nothing is known yet";
}

TEST_F(Closing, ThatWaitsIsNotSentByASnapshotOrASessionOfItsOwn) {
    const OrderCommand first = close(2);
    waits(3);
    rig.session_down(0);
    rig.link_up(0);
    const OrderCommand query = rig.only_order();
    EXPECT_EQ(query.type, CommandType::Query);
    std::vector<std::byte> image;
    rig.engine.save(image);
    Engine next{Rig::kSmall};
    ASSERT_TRUE(next.load(image.data(), image.size()).ok());
    rig.engine = std::move(next);
    rig.sync_done(0);
    EXPECT_TRUE(rig.orders.empty());
    rig.report(rig.query_answer(first, ReportType::QueryFound, OrdStatus::Filled, centi(10)));
    EXPECT_TRUE(rig.orders.empty());
    EXPECT_EQ(rig.engine.orders().live(), 0U);
}

TEST_F(Closing, LetsAModifyWaitOutItsBackoff) {
    const OrderCommand first = close(2);
    waits(3);
    Signal modify = rig.change(4, SignalAction::Modify, 1);
    modify.stop_loss = points(109'000);
    rig.signal(modify);
    rig.report(rig.outcome(rig.only_order(), retcode::kTooManyRequests));
    rig.report(rig.outcome(first, retcode::kReject));
    EXPECT_EQ(rig.only_order().type, CommandType::Close) << "the modify has a second to wait";
    rig.advance(seconds(2));
    EXPECT_EQ(rig.only_order().type, CommandType::Modify);
}

TEST_F(Closing, OfAPositionThatNobodyKnowsTakesNoOther) {
    // Executed twice: the second position has an id of its own, and a human closes that one.
    AccountSpec told = Rig::account_spec(0);
    told.on_double = DoubleAction::Alert;
    rig.admin(AdminOp::DefineAccount, told);
    Report twice = rig.outcome(entry, retcode::kDone, centi(10));
    twice.deal_ticket = 4711;
    twice.position_id = 4712;
    rig.report(twice);
    ASSERT_EQ(rig.engine.globals().duplicate_executions, 1U);
    told.on_double = DoubleAction::Close;
    rig.admin(AdminOp::DefineAccount, told);
    twice.deal_ticket = 0;
    rig.report(twice);
    EXPECT_TRUE(rig.take_orders().empty()) << "without a deal it is not proven";
    rig.signal(rig.open(5));  // not answered yet: not its door either
    const OrderCommand another = rig.only_order();
    Report end = rig.exec(entry, ExecKind::ClosedManually, centi(10));
    end.position_id = 4712;
    rig.report(end);
    EXPECT_EQ(rig.open_volume(), centi(10));
    EXPECT_EQ(rig.alerts(AlertCode::UnknownReport), 1U);
    rig.fill(another);
    EXPECT_EQ(rig.open_volume(), centi(20));
}

TEST(Positions, OneWithoutAnIdIsFoundByTheOrderThatOpenedIt) {
    Rig rig;
    rig.world();
    OrderCommand entries[2];
    for (std::uint64_t n = 0; n < 2; ++n) {
        rig.signal(rig.open(n + 1, Side::Buy, centi(10 + static_cast<std::int64_t>(n))));
        entries[n] = rig.only_order();
        Report filled = rig.outcome(entries[n], retcode::kDone, entries[n].volume);
        filled.position_id = 0;  // as an operator may have found it
        rig.report(filled);
    }
    Report nobody = rig.exec(entries[0], ExecKind::ClosedManually, centi(1));
    nobody.magic = Magic{};
    nobody.position_id = 0;
    rig.report(nobody);
    EXPECT_EQ(rig.open_volume(), centi(21)) << "the end of none that can be named";
    rig.report(rig.exec(entries[1], ExecKind::ClosedByTakeProfit, centi(11)));
    EXPECT_EQ(rig.find(entries[0].magic)->open_volume, centi(10));
    EXPECT_EQ(rig.open_volume(), centi(10));
    rig.report(rig.exec(entries[0], ExecKind::ClosedByTakeProfit, centi(10)));
    EXPECT_EQ(rig.open_volume(), Lots{});
}

/// Of the rig's records, those that are timers.
std::size_t timers(const Rig& rig) {
    return static_cast<std::size_t>(
        std::count_if(rig.log.begin(), rig.log.end(),
                      [](const JournalRecord& r) { return r.type == InputType::Timer; }));
}

TEST(Positions, OneThatAnOperatorNamedGetsItsIdFromTheDealThatIsToldAfterAll) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    const OrderCommand entry = rig.only_order();
    rig.report(rig.outcome(entry, retcode::kTimeout));
    rig.take_orders();  // the look-up
    ResolveCommand filled;
    filled.magic = entry.magic;
    filled.status = OrdStatus::Filled;
    filled.volume = entry.volume;
    rig.admin(AdminOp::Resolve, filled);
    rig.take_orders();  // told on to the executor
    rig.fill(entry);
    EXPECT_EQ(rig.alerts(AlertCode::DuplicateExecution), 1U);
    EXPECT_TRUE(rig.orders.empty()) << "no proof of a second one: nothing is closed";
    EXPECT_EQ(rig.open_volume(), entry.volume);
    const std::uint64_t id = rig.outcome(entry, retcode::kDone).position_id;
    rig.signal(rig.change(2, SignalAction::Close, 1));
    EXPECT_EQ(rig.only_order().position_ticket, id);
}

TEST(CloseThatWaits, OfTheEnginesOwnGoesOutOnceItsAccountIsNoMoreDisabled) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    const OrderCommand entry = rig.only_order();
    rig.fill(entry);
    const auto told = [&](std::uint8_t permissions) {
        Report r = rig.from(0, ReportType::AccountInfo);
        r.permissions = permissions;
        rig.report(r);
    };
    const auto becomes = [&](AccountState state) {
        rig.admin(AdminOp::SetAccount, AccountCommand{AccountId{0}, state, {}});
        rig.settle();
    };
    told(kAccountPermitted | kAccountAway);
    Report twice = rig.outcome(entry, retcode::kDone, entry.volume);
    twice.deal_ticket = 4711;
    twice.position_id = 4712;
    rig.report(twice);
    becomes(AccountState::Disabled);
    told(kAccountPermitted);
    EXPECT_TRUE(rig.orders.empty());
    becomes(AccountState::Suspended);
    EXPECT_EQ(rig.only_order().position_ticket, 4712U);
}

TEST(CloseThatWaits, WakesNoOtherWhenItsTimeIsOver) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    rig.fill(rig.only_order());
    Signal first = rig.change(2, SignalAction::Close, 1);
    first.ttl_ms = 60'000;
    rig.signal(first);  // has claimed it all; nobody answers
    constexpr std::uint32_t kWaiting = 10;
    for (std::uint32_t n = 0; n < kWaiting; ++n) {
        Signal s = rig.change(3 + n, SignalAction::Close, 1);
        s.ttl_ms = 1000 + 100 * n;
        rig.signal(s);
    }
    const std::size_t before = timers(rig);
    rig.advance(seconds(4));  // before the first close is looked up
    EXPECT_EQ(rig.reasons(ResultKind::OrderDone).size(), 1U + kWaiting);
    EXPECT_EQ(timers(rig) - before, 2 * kWaiting)
        << "each of them looks once more and ends, and that is all";
}

TEST(CloseThatWaits, OfAPositionThatShrankClaimsNothingLessThanNothing) {
    Rig rig;
    rig.world(1, MarginMode::Netting);
    AccountSpec early = Rig::account_spec(0);
    early.margin_mode = MarginMode::Netting;
    early.leaves_early = 1;
    rig.admin(AdminOp::DefineAccount, early);
    SymbolSpec coarse = Rig::eurusd();
    coarse.volume_min = centi(10);
    rig.admin(AdminOp::DefineSymbol, coarse);
    rig.signal(rig.open(1, Side::Buy, centi(50)));
    const OrderCommand entry = rig.only_order();
    rig.fill(entry);
    rig.signal(rig.change(2, SignalAction::Close, 1));
    const OrderCommand first = rig.only_order();
    rig.signal(rig.change(3, SignalAction::Close, 1));  // waits for it
    rig.report(rig.exec(entry, ExecKind::ClosedManually, centi(5)));
    ASSERT_EQ(rig.open_volume(), centi(45));
    rig.input(InputType::Jump, JumpInput{rig.engine.globals().next_intent + 1000});
    StartInput start;
    start.new_segment = 1;
    rig.input(InputType::Start, start);
    rig.settle();
    rig.now = rig.now + seconds(1);
    rig.session_up(0);
    const auto queries = rig.take_orders();
    ASSERT_EQ(queries.size(), 2U);
    const auto rejected = [&rig](const OrderCommand& c) {
        Report no = rig.query_answer(c, ReportType::QueryFound, OrdStatus::Rejected);
        no.retcode = retcode::kReject;
        return no;
    };
    EXPECT_EQ(rig.find(queries[1].magic)->volume, Lots{});
    rig.report(rejected(first));
    rig.report(rig.query_answer(queries[1], ReportType::QueryUnknown));
    rig.take_orders();
    rig.signal(rig.change(4, SignalAction::Close, 1));
    EXPECT_TRUE(rig.orders.empty()) << "the one in doubt may have taken it all";
    rig.report(rejected(queries[1]));
    EXPECT_EQ(rig.only_order().volume, centi(45)) << "more would open the other side";
}

TEST(CloseThatWaits, GoesOutWhileTheOneBeforeItWaitsForItsNextAttempt) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    rig.fill(rig.only_order());
    rig.signal(rig.change(2, SignalAction::Close, 1));
    const OrderCommand sent = rig.only_order();
    rig.signal(rig.change(3, SignalAction::Close, 1));         // waits for it
    rig.report(rig.outcome(sent, retcode::kTooManyRequests));  // again in 1 s
    const OrderCommand other = rig.only_order();
    EXPECT_EQ(other.volume, centi(10));
    rig.admin(AdminOp::SetAccount, AccountCommand{AccountId{0}, AccountState::Suspended, {}});
    rig.take_results();
    rig.advance(seconds(2));
    EXPECT_EQ(rig.count(ResultKind::OrderDone), 0U) << "it waits for the other's fate now";
    rig.report(rig.outcome(other, retcode::kReject));
    EXPECT_EQ(rig.reasons(ResultKind::OrderDone),
              (std::vector{Reason::BrokerReject, Reason::AccountNotTrading}));
}

/// An entry on six accounts, whose group refills; filled on all but the last, which is returned.
OrderCommand last_of_six(Rig& rig) {
    rig.world(6);
    GroupSpec refills{GroupId{0}, 0, text<16>("grp")};
    refills.on_partial = static_cast<std::uint32_t>(PartialAction::Refill);
    rig.admin(AdminOp::DefineGroup, refills);
    rig.signal(rig.open(1));
    const std::vector<OrderCommand> entries = rig.take_orders();
    for (std::size_t n = 0; n + 1 < entries.size(); ++n) {
        rig.fill(entries[n]);
    }
    return entries.back();
}

Signal stop_at(const Rig& rig, std::uint64_t n, Price stop) {
    Signal s = rig.change(n, SignalAction::Modify, 1);
    s.stop_loss = stop;
    return s;
}

/// The rest that came out, and a modify of what it is the rest of: both with `stop`.
void expect_rest_with(Rig& rig, Price stop) {
    std::size_t rests = 0;
    for (const OrderCommand& c : rig.take_orders()) {
        EXPECT_EQ(c.stop_loss, stop) << static_cast<int>(c.type);
        rests += c.type == CommandType::Open && c.volume == centi(6) ? 1U : 0U;
    }
    EXPECT_EQ(rests, 1U);
    EXPECT_EQ(rig.replayed_hash(), rig.engine.state_hash());
}

TEST(Refill, IsMadeWithTheStopOfAModifyThatHasNotComeToItsOrder) {
    Rig rig;
    const OrderCommand last = last_of_six(rig);
    rig.budget = 4;
    rig.input(InputType::Signal, stop_at(rig, 2, points(105'000)));
    for (const OrderCommand& c : rig.take_orders()) {
        EXPECT_NE(c.account, last.account) << "its turn has come already";
    }
    rig.input(InputType::Report, rig.outcome(last, retcode::kDonePartial, centi(4)));
    rig.settle();
    expect_rest_with(rig, points(105'000));
}

TEST(Refill, IsMadeWithTheStopOfTheNewestModifyThatWaitsForTheAnswer) {
    Rig rig;
    const OrderCommand last = last_of_six(rig);
    rig.signal(stop_at(rig, 2, points(104'000)));
    rig.signal(stop_at(rig, 3, points(105'000)));
    rig.take_orders();
    rig.report(rig.outcome(last, retcode::kDonePartial, centi(4)));
    const std::vector<OrderCommand> out = rig.take_orders();
    const auto rest = std::find_if(
        out.begin(), out.end(), [](const OrderCommand& c) { return c.type == CommandType::Open; });
    ASSERT_NE(rest, out.end());
    EXPECT_EQ(rest->volume, centi(6));
    EXPECT_EQ(rest->stop_loss, points(105'000));
    EXPECT_EQ(out.size(), 3U) << "and both modifies of what is filled";
}

TEST(Refill, IsMadeWithoutTheStopOfAModifyThatWasRefusedForItsOrder) {
    Rig rig;
    rig.world(6);
    GroupSpec refills{GroupId{0}, 0, text<16>("grp")};
    refills.on_partial = static_cast<std::uint32_t>(PartialAction::Refill);
    rig.admin(AdminOp::DefineGroup, refills);
    rig.signal(rig.open(1));
    const std::vector<OrderCommand> entries = rig.take_orders();
    for (std::size_t n = 1; n < entries.size(); ++n) {
        rig.fill(entries[n]);
    }
    for (std::uint64_t n = 2; n < 10; ++n) {  // eight wait for the first one's answer
        rig.signal(stop_at(rig, n, points(104'000 + static_cast<std::int64_t>(n))));
        for (const OrderCommand& c : rig.take_orders()) {
            rig.report(rig.outcome(c, retcode::kDone));
        }
    }
    rig.budget = 4;
    rig.input(InputType::Signal, stop_at(rig, 10, points(105'000)));
    ASSERT_EQ(rig.take_orders().size(), 3U) << "its turn is over where it was refused";
    rig.input(InputType::Report, rig.outcome(entries[0], retcode::kDonePartial, centi(4)));
    rig.settle();
    const std::vector<OrderCommand> out = rig.take_orders();
    const auto rest = std::find_if(
        out.begin(), out.end(), [](const OrderCommand& c) { return c.type == CommandType::Open; });
    ASSERT_NE(rest, out.end());
    EXPECT_EQ(rest->stop_loss, points(104'009));
    EXPECT_EQ(rig.replayed_hash(), rig.engine.state_hash());
}

TEST(Refill, IsNotSentWhileACloseThatWasAcceptedIsOnItsWayToIt) {
    Rig rig;
    const OrderCommand last = last_of_six(rig);
    rig.budget = 4;
    rig.input(InputType::Signal, rig.change(2, SignalAction::Close, 1));
    ASSERT_EQ(rig.take_orders().size(), 3U);
    rig.input(InputType::Report, rig.outcome(last, retcode::kDonePartial, centi(4)));
    rig.settle();
    const std::vector<OrderCommand> rest = rig.take_orders();
    ASSERT_EQ(rest.size(), 3U);
    EXPECT_EQ(rest.front().type, CommandType::Close);
    EXPECT_EQ(rest.back().type, CommandType::Close);
    EXPECT_EQ(rest.back().volume, centi(4));
}

}  // namespace
}  // namespace millrace::test
