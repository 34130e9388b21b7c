// Goal: the verdict finds every kind of loss and double, and nothing where all is well. Method:
// synthetic books, results and logs, each with one fault. (Of closes, modifies and cancels that
// did nothing, or too much: verdict_acted_test.cpp.)
#include "tests/demo/witnesses.h"

namespace millrace::demo {
namespace {

TEST(Verdict, FindsNothingWhereEverySignalWasFilledOnce) {
    Witnesses w;
    w.trade(1);
    w.trade(2);
    const Verdict v = w.verdict();
    EXPECT_TRUE(v.good()) << texts(v);
    EXPECT_EQ(v.untouched, 2U);
    EXPECT_EQ(v.checked_orders, 2U);
    EXPECT_EQ(v.order_ends.at("FILLED"), 2U);
}

TEST(Verdict, CallsExecutionUnknownWhoseSourceWasToldThatItIsRefused) {
    Witnesses w;
    w.trade(1);
    const SignalRequest r = w.send();
    w.lives.refused(r.id, Reason::PriceCollar, "", w.tick());
    EXPECT_EQ(w.verdict(true).count(Wrong::Unknown), 0U) << texts(w.verdict(true));
    w.execute(r, 2);
    EXPECT_EQ(w.verdict(true).count(Wrong::Unknown), 1U) << texts(w.verdict(true));
    w.accept(r);  // the second of two copies, after all
    EXPECT_EQ(w.verdict(true).count(Wrong::Unknown), 0U) << texts(w.verdict(true));
}

TEST(Verdict, CallsExecutionUnknownThatWasSentToBeRefused) {
    Witnesses w;
    const SignalRequest r = w.send(SignalAction::Open, Purpose::RefusedOnPurpose);
    w.lives.refused(r.id, Reason::BadVolume, "", w.tick());
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
    w.execute(r, 1);
    EXPECT_EQ(w.verdict().count(Wrong::Unknown), 1U) << texts(w.verdict());
}

TEST(Verdict, CallsFillLostThatTheBooksDoNotHave) {
    Witnesses w;
    const SignalRequest r = w.send();
    w.accept(r);
    w.tell(r, 1, OrdStatus::Filled, Lots{kScale});
    w.done(r, 1);
    EXPECT_EQ(w.verdict().count(Wrong::Lost), 1U) << texts(w.verdict());
}

TEST(Verdict, CallsExecutionLostThatTheSourceWasToldIsRejected) {
    Witnesses w;
    const SignalRequest r = w.send();
    w.accept(r);
    w.execute(r, 1);
    w.tell(r, 1, OrdStatus::Rejected, Lots{0}, Reason::BrokerReject);
    w.done(r, 0);
    EXPECT_EQ(w.verdict().count(Wrong::Lost), 1U) << texts(w.verdict());
}

TEST(Verdict, CallsSignalLostWhoseEndWasNeverTold) {
    Witnesses w;
    const SignalRequest r = w.send();
    w.accept(r);
    w.execute(r, 1);
    EXPECT_EQ(w.verdict().count(Wrong::Lost), 1U) << texts(w.verdict());
}

TEST(Verdict, CallsFillLostWhenOnlyTheSumIsKnownAndTheBooksHaveFewer) {
    Witnesses w;
    const SignalRequest r = w.send();
    w.accept(r);
    w.done(r, 1);  // the single result was missed
    EXPECT_EQ(w.verdict().count(Wrong::Lost), 1U) << texts(w.verdict());
    w.execute(r, 1);
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
}

TEST(Verdict, CallsIntentDoubledThatTwoAttemptsExecuted) {
    Witnesses w;
    const SignalRequest r = w.trade(1);
    w.execute(r, 1, 1);
    EXPECT_EQ(w.verdict().count(Wrong::Doubled), 1U) << texts(w.verdict());
}

TEST(Verdict, CallsOrderDoubledThatOnlyTheTerminalsJournalKeptFromASecondExecution) {
    Witnesses w;
    const SignalRequest r = w.trade(1);
    w.repeat(r, 1, 123);
    EXPECT_TRUE(w.verdict().good()) << "another program's: " << texts(w.verdict());
    w.repeat(r, 1);
    const Verdict v = w.verdict();
    ASSERT_EQ(v.problems.size(), 1U) << texts(v);
    EXPECT_EQ(v.problems[0].wrong, Wrong::Doubled);
    EXPECT_EQ(v.problems[0].signal, r.id);
    EXPECT_EQ(v.problems[0].text,
              "login 700001, intent 1: sent twice, again as number 7; only the terminal's journal "
              "kept it from being executed");
}

TEST(Verdict, CallsSignalDoubledThatTwoIntentsOpenedOnOneAccount) {
    Witnesses w;
    const SignalRequest r = w.trade(1);
    w.execute(r, 2);
    EXPECT_GE(w.verdict().count(Wrong::Doubled), 1U) << texts(w.verdict());
}

TEST(Verdict, CallsChangeLostThatTheBooksDoNotHave) {
    for (const SignalAction action : {SignalAction::Modify, SignalAction::Cancel}) {
        Witnesses w;
        const SignalRequest r = w.send(action);
        w.accept(r);
        w.tell(r, 1, OrdStatus::Filled, Lots{0});
        w.done(r, 1);
        EXPECT_EQ(w.verdict().count(Wrong::Lost), 1U) << texts(w.verdict());
        const bool cancels = action == SignalAction::Cancel;
        w.change(r, 2, cancels ? sim::BookKind::OrderCanceled : sim::BookKind::PositionModified);
        EXPECT_EQ(w.verdict().count(Wrong::Lost), 1U) << "another intent's";
        w.change(r, 1, cancels ? sim::BookKind::OrderCanceled : sim::BookKind::PositionModified);
        EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
        EXPECT_EQ(w.verdict().checked_orders, 1U);
    }
}

TEST(Verdict, CallsChangeLostThatTheSourceWasToldIsNotMadeOrIsMadeOtherwise) {
    Witnesses w;
    const SignalRequest r = w.send(SignalAction::Modify);
    w.accept(r);
    w.change(r, 1, sim::BookKind::PositionModified);
    w.tell(r, 1, OrdStatus::Rejected, Lots{0}, Reason::BrokerReject);
    w.done(r, 0);
    EXPECT_EQ(w.verdict(true).count(Wrong::Lost), 1U) << texts(w.verdict(true));
    w.tell(r, 1, OrdStatus::Filled, Lots{0});
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
    w.change(r, 1, sim::BookKind::PositionModified, Price{110'000'000});
    EXPECT_EQ(w.verdict().count(Wrong::Lost), 1U) << texts(w.verdict());
    EXPECT_NE(texts(w.verdict()).find("told FILLED, the books have price 0, SL 1.1, TP 0"),
              std::string::npos)
        << texts(w.verdict());
}

TEST(Verdict, CallsPendingOrderLostThatWorksOnWhereItIsToldToBeOver) {
    Witnesses w;
    const SignalRequest r = w.send();
    w.accept(r);
    const std::uint64_t ticket = w.place(r, 1);
    w.tell(r, 1, OrdStatus::Canceled, Lots{0}, Reason::CanceledByUser);
    w.done(r, 0);
    EXPECT_EQ(w.verdict().count(Wrong::Lost), 1U) << texts(w.verdict());
    w.take_back(ticket);
    EXPECT_EQ(w.verdict().count(Wrong::Lost), 0U) << texts(w.verdict());
}

TEST(Verdict, CallsPendingOrderDoubledThatWasPlacedTwiceAndNeverFilled) {
    Witnesses w;
    const SignalRequest r = w.send();
    w.accept(r);
    w.take_back(w.place(r, 1));
    w.tell(r, 1, OrdStatus::Canceled, Lots{0}, Reason::CanceledByUser);
    w.done(r, 0);
    EXPECT_EQ(w.verdict().count(Wrong::Doubled), 0U) << texts(w.verdict());
    w.take_back(w.place(r, 1, 1));
    EXPECT_EQ(w.verdict().count(Wrong::Doubled), 1U) << texts(w.verdict());
}

TEST(Verdict, NamesExecutionOfSignalThatWasNeverSent) {
    Witnesses w;
    SignalRequest stranger;
    stranger.id = {1, 2};
    w.execute(stranger, 9);
    EXPECT_EQ(w.verdict().count(Wrong::Unknown), 1U);
}

TEST(Verdict, IgnoresForeignOrdersAndStopsOfTheBroker) {
    Witnesses w;
    const SignalRequest r = w.trade(1);
    w.execute(r, 77, 0, 123);  // another program's tag
    sim::BookRecord stop;
    stop.kind = sim::BookKind::Deal;
    stop.login = kLogin;
    stop.magic = Magic::make(kTag, 1, 0).value;
    stop.order = 99;
    stop.reason = ExecKind::ClosedByStopLoss;
    stop.volume = kScale;
    w.books.add(stop);
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
}

TEST(Verdict, ForgivesExpiryOnlyToSignalThatAnOutageTouched) {
    Witnesses w;
    const SignalRequest r = w.send();
    w.accept(r);
    w.tell(r, 1, OrdStatus::Expired, Lots{0}, Reason::Expired);
    w.done(r, 0);
    EXPECT_EQ(w.verdict().count(Wrong::Expired), 1U);
    w.outages.add({"broker", millis(900), millis(1001)});
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
    EXPECT_EQ(w.verdict().untouched, 0U);
}

TEST(Verdict, DoesNotForgiveLossToSignalThatAnOutageTouched) {
    Witnesses w;
    const SignalRequest r = w.send();
    w.accept(r);
    w.tell(r, 1, OrdStatus::Filled, Lots{kScale});
    w.done(r, 1);
    w.outages.add({"broker", millis(900), millis(5000)});
    EXPECT_EQ(w.verdict().count(Wrong::Lost), 1U);
}

TEST(Verdict, DemandsFillOfGeneratedSignalAndLeavesRefusalToRecordedMarket) {
    Witnesses w;
    const SignalRequest r = w.send();
    w.accept(r);
    w.tell(r, 1, OrdStatus::Rejected, Lots{0}, Reason::PriceCollar);
    w.done(r, 0);
    EXPECT_EQ(w.verdict().count(Wrong::Unfilled), 1U);
    EXPECT_TRUE(w.verdict(true).good()) << texts(w.verdict(true));
}

TEST(Verdict, DemandsThatAnUntouchedOpeningReachesEveryAccountOfItsGroup) {
    Witnesses w;
    w.groups["all"] = 2;
    const SignalRequest r = w.send();
    w.accept(r);
    w.execute(r, 1);
    w.tell(r, 1, OrdStatus::Filled, Lots{kScale});
    w.done(r, 1, 2);
    EXPECT_EQ(w.verdict().count(Wrong::Unfilled), 1U);
    EXPECT_NE(texts(w.verdict()).find("group all has 2 accounts: opened on 1, told why not on 0"),
              std::string::npos)
        << texts(w.verdict());
    EXPECT_EQ(w.verdict(true).count(Wrong::Unfilled), 1U) << "no market explains that";
    w.outages.add({"engine", millis(1001), millis(1002)});
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
    w.outages = {};
    w.execute(r, 1, 0, kTag, kLogin + 1);
    w.done(r, 2, 2);
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
}

TEST(Verdict, CallsOpeningLostThatMadeNoOrderForAnAccountOfItsGroupWhateverDiedMeanwhile) {
    Witnesses w;
    w.groups["all"] = 2;
    w.outages.add({"engine", millis(900), Nanos{}});
    const SignalRequest r = w.trade(1);  // filled on one, and that is all it says
    ASSERT_EQ(w.verdict().count(Wrong::Lost), 1U) << texts(w.verdict());
    EXPECT_NE(texts(w.verdict()).find("group all has 2 accounts, and it ended with orders on 1"),
              std::string::npos)
        << texts(w.verdict());
    w.groups.clear();  // its members came and went: nobody counts
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
    w.groups["all"] = 2;
    w.done(r, 1, 2);  // the other was told why not: that is a result which was missed
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
    w.done(r, 0, 0);
    EXPECT_EQ(w.verdict().count(Wrong::Lost), 1U) << "on none at all";
}

TEST(Verdict, CallsSignalLostThatWasAcceptedAndIsUnknownWhenItIsSentAgain) {
    Witnesses w;
    w.outages.add({"engine", millis(900), Nanos{}});
    const SignalRequest r = w.send();
    w.accept(r);
    w.lives.refused(r.id, Reason::StaleSignal, "", w.tick());
    EXPECT_EQ(w.verdict().count(Wrong::Lost), 1U) << texts(w.verdict());
    w.log_was_lost = true;
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
}

TEST(Verdict, TakesARefusalOfTheMarketForAnAnswerOfThatAccount) {
    Witnesses w;
    w.groups["all"] = 2;
    const SignalRequest r = w.send();
    w.accept(r);
    w.execute(r, 1, 0, kTag, kLogin + 1);
    w.tell(r, 1, OrdStatus::Rejected, Lots{0}, Reason::PriceCollar);
    w.done(r, 1, 2);
    EXPECT_TRUE(w.verdict(true).good()) << texts(w.verdict(true));
    EXPECT_EQ(w.verdict().count(Wrong::Unfilled), 1U) << "once, by its own reason";
}

TEST(Verdict, LeavesNoRefusalOfOurOwnToTheMarket) {
    for (const Reason reason :
         {Reason::QueueFull, Reason::NoPrice, Reason::MaxLots, Reason::MaxOpenOrders,
          Reason::SymbolFiltered, Reason::ReduceOnly, Reason::RetriesExhausted}) {
        Witnesses w;
        const SignalRequest r = w.send();
        w.accept(r);
        w.tell(r, 1, OrdStatus::Rejected, Lots{0}, reason);
        w.done(r, 0);
        EXPECT_EQ(w.verdict(true).count(Wrong::Unfilled), 1U) << to_string(reason);
        const SignalRequest refused = w.send();
        w.lives.refused(refused.id, reason, "", w.tick());
        EXPECT_EQ(w.verdict(true).count(Wrong::Unfilled), 2U) << to_string(reason);
    }
}

TEST(Verdict, WantsWrongSignalRefused) {
    Witnesses w;
    const SignalRequest r = w.send(SignalAction::Open, Purpose::RefusedOnPurpose);
    EXPECT_EQ(w.verdict().count(Wrong::Refusal), 1U);
    w.lives.refused(r.id, Reason::UnknownGroup, "", w.tick());
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
}

TEST(Lives, StayOpenUntilBothTheAckAndTheEndHaveCome) {
    Witnesses w;
    const SignalRequest r = w.send();
    w.done(r, 1);  // the ack waits for the disk, the end does not
    EXPECT_EQ(w.lives.open_count(), 1U);
    w.accept(r);
    EXPECT_EQ(w.lives.open_count(), 0U);
    w.done(r, 1);  // told again
    EXPECT_EQ(w.lives.open_count(), 0U);
    const SignalRequest wrong = w.send();
    w.lives.refused(wrong.id, Reason::BadVolume, "", w.tick());
    EXPECT_EQ(w.lives.open_count(), 0U);
}

TEST(Verdict, CountsUnansweredSignalAsUnfilled) {
    Witnesses w;
    (void)w.send();
    EXPECT_EQ(w.verdict().count(Wrong::Unfilled), 1U);
}

TEST(Evidence, WritesCommentAsBase32OfFirstEightyBits) {
    // RFC 4648: "foobarbazq" is mzxw6ytbojrgc6tr.
    const SignalId id{0x666f6f6261726261, 0x7a71000000000000};
    EXPECT_EQ(comment_of(id), "mzxw6ytbojrgc6tr");
}

}  // namespace
}  // namespace millrace::demo
