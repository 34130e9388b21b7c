// Goal: the verdict finds every kind of loss and double, and nothing where all is well. Method:
// synthetic books, results and logs, each with one fault.
#include <gtest/gtest.h>

#include "core/admin.h"
#include "tools/demo_run/verdict.h"
#include "tools/market/text.h"

namespace millrace::demo {
namespace {

constexpr std::uint64_t kTag = RiskSpec{}.magic_tag;
constexpr std::uint64_t kLogin = 700'001;

/// A source, a broker and what they wrote down, with a clock in whole steps of 1 ms.
struct World {
    Lives lives;
    std::vector<AckLogEntry> log;
    Evidence books{kTag};
    Outages outages;
    std::uint64_t next_ticket = 1;
    std::int64_t now_ms = 1000;
    std::map<std::string, std::size_t> groups{{"all", 1}};

    SignalRequest send(SignalAction action = SignalAction::Open, Purpose purpose = Purpose::Trade) {
        SignalRequest r;
        r.id = {0x1122334455667788 + static_cast<std::uint64_t>(now_ms), 0x99aabbccddeeff00};
        r.group = "all";
        r.symbol = "EURUSD";
        r.action = action;
        r.volume = Lots{kScale};
        lives.sent(r, purpose, tick());
        return r;
    }
    void accept(const SignalRequest& r) {
        lives.accepted(r.id, tick());
        AckLogEntry entry;
        entry.kind = AckLogKind::Accepted;
        entry.request = r;
        log.push_back(entry);
    }
    void tell(const SignalRequest& r, std::uint64_t intent, OrdStatus status, Lots volume,
              Reason reason = Reason::None) {
        SignalResult result;
        result.kind = ResultKind::OrderDone;
        result.signal = r.id;
        result.account = AccountId{0};
        result.ord_status = static_cast<std::uint8_t>(status);
        result.reason = static_cast<std::uint16_t>(reason);
        result.cum_volume = volume;
        result.magic = Magic::make(kTag, intent, 0).value;
        lives.result(result, tick());
    }
    void done(const SignalRequest& r, std::uint32_t filled) {
        SignalResult result;
        result.kind = ResultKind::SignalDone;
        result.signal = r.id;
        result.accounts = 1;
        result.filled = filled;
        result.rejected = 1 - filled;
        lives.result(result, tick());
    }
    void execute(const SignalRequest& r, std::uint64_t intent, unsigned attempt = 0,
                 std::uint64_t tag = kTag, std::uint64_t login = kLogin) {
        sim::BookRecord order;
        order.kind = sim::BookKind::Order;
        order.login = login;
        order.magic = Magic::make(tag, intent, attempt).value;
        order.order = next_ticket++;
        order.command = CommandType::Open;
        order.comment = market::to_text<16>(comment_of(r.id));
        books.add(order);
        sim::BookRecord deal = order;
        deal.kind = sim::BookKind::Deal;
        deal.deal = next_ticket++;
        deal.volume = kScale;
        books.add(deal);
    }
    /// The books of a Modify or Cancel.
    void change(const SignalRequest& r, std::uint64_t intent, sim::BookKind kind,
                Price stop_loss = {}) {
        sim::BookRecord changed;
        changed.kind = kind;
        changed.login = kLogin;
        changed.magic = Magic::make(kTag, intent, 0).value;
        changed.command =
            r.action == SignalAction::Cancel ? CommandType::Cancel : CommandType::Modify;
        changed.stop_loss = stop_loss.value;
        books.add(changed);
    }
    /// A pending order comes to work at the broker. @return its ticket.
    std::uint64_t place(const SignalRequest& r, std::uint64_t intent, unsigned attempt = 0) {
        sim::BookRecord order;
        order.kind = sim::BookKind::Order;
        order.login = kLogin;
        order.magic = Magic::make(kTag, intent, attempt).value;
        order.order = next_ticket++;
        order.command = CommandType::Open;
        order.price_kind = PriceKind::Limit;
        order.comment = market::to_text<16>(comment_of(r.id));
        books.add(order);
        return order.order;
    }
    void take_back(std::uint64_t ticket) {
        sim::BookRecord canceled;
        canceled.kind = sim::BookKind::OrderCanceled;
        canceled.login = kLogin;
        canceled.order = ticket;
        books.add(canceled);
    }
    /// The broker's terminal is sent again what it has.
    void repeat(const SignalRequest& r, std::uint64_t intent, std::uint64_t tag = kTag) {
        sim::BookRecord again;
        again.kind = sim::BookKind::Repeated;
        again.login = kLogin;
        again.magic = Magic::make(tag, intent, 0).value;
        again.position_ticket = 7;
        again.command = CommandType::Open;
        again.comment = market::to_text<16>(comment_of(r.id));
        books.add(again);
    }
    /// All of a signal's life, as it should be.
    SignalRequest trade(std::uint64_t intent) {
        const SignalRequest r = send();
        accept(r);
        execute(r, intent);
        tell(r, intent, OrdStatus::Filled, Lots{kScale});
        done(r, 1);
        return r;
    }
    [[nodiscard]] Verdict verdict(bool market_may_refuse = false) const {
        return judge({lives, log, books, outages, {{0, kLogin}}, market_may_refuse, groups});
    }
    Nanos tick() { return millis(++now_ms); }
};

std::string texts(const Verdict& v) {
    std::string all;
    for (const Problem& p : v.problems) {
        all += std::string{to_string(p.wrong)} + ": " + p.text + "\n";
    }
    return all;
}

TEST(Verdict, FindsNothingWhereEverySignalWasFilledOnce) {
    World w;
    w.trade(1);
    w.trade(2);
    const Verdict v = w.verdict();
    EXPECT_TRUE(v.good()) << texts(v);
    EXPECT_EQ(v.untouched, 2U);
    EXPECT_EQ(v.checked_orders, 2U);
    EXPECT_EQ(v.order_ends.at("FILLED"), 2U);
}

TEST(Verdict, CallsExecutionUnknownWhoseSourceWasToldThatItIsRefused) {
    World w;
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
    World w;
    const SignalRequest r = w.send(SignalAction::Open, Purpose::RefusedOnPurpose);
    w.lives.refused(r.id, Reason::BadVolume, "", w.tick());
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
    w.execute(r, 1);
    EXPECT_EQ(w.verdict().count(Wrong::Unknown), 1U) << texts(w.verdict());
}

TEST(Verdict, CallsFillLostThatTheBooksDoNotHave) {
    World w;
    const SignalRequest r = w.send();
    w.accept(r);
    w.tell(r, 1, OrdStatus::Filled, Lots{kScale});
    w.done(r, 1);
    EXPECT_EQ(w.verdict().count(Wrong::Lost), 1U) << texts(w.verdict());
}

TEST(Verdict, CallsExecutionLostThatTheSourceWasToldIsRejected) {
    World w;
    const SignalRequest r = w.send();
    w.accept(r);
    w.execute(r, 1);
    w.tell(r, 1, OrdStatus::Rejected, Lots{0}, Reason::BrokerReject);
    w.done(r, 0);
    EXPECT_EQ(w.verdict().count(Wrong::Lost), 1U) << texts(w.verdict());
}

TEST(Verdict, CallsSignalLostWhoseEndWasNeverTold) {
    World w;
    const SignalRequest r = w.send();
    w.accept(r);
    w.execute(r, 1);
    EXPECT_EQ(w.verdict().count(Wrong::Lost), 1U) << texts(w.verdict());
}

TEST(Verdict, CallsFillLostWhenOnlyTheSumIsKnownAndTheBooksHaveFewer) {
    World w;
    const SignalRequest r = w.send();
    w.accept(r);
    w.done(r, 1);  // the single result was missed
    EXPECT_EQ(w.verdict().count(Wrong::Lost), 1U) << texts(w.verdict());
    w.execute(r, 1);
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
}

TEST(Verdict, CallsIntentDoubledThatTwoAttemptsExecuted) {
    World w;
    const SignalRequest r = w.trade(1);
    w.execute(r, 1, 1);
    EXPECT_EQ(w.verdict().count(Wrong::Doubled), 1U) << texts(w.verdict());
}

TEST(Verdict, CallsOrderDoubledThatOnlyTheTerminalsJournalKeptFromASecondExecution) {
    World w;
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
    World w;
    const SignalRequest r = w.trade(1);
    w.execute(r, 2);
    EXPECT_GE(w.verdict().count(Wrong::Doubled), 1U) << texts(w.verdict());
}

TEST(Verdict, CallsChangeLostThatTheBooksDoNotHave) {
    for (const SignalAction action : {SignalAction::Modify, SignalAction::Cancel}) {
        World w;
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
    World w;
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
    World w;
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
    World w;
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
    World w;
    SignalRequest stranger;
    stranger.id = {1, 2};
    w.execute(stranger, 9);
    EXPECT_EQ(w.verdict().count(Wrong::Unknown), 1U);
}

TEST(Verdict, IgnoresForeignOrdersAndStopsOfTheBroker) {
    World w;
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
    World w;
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
    World w;
    const SignalRequest r = w.send();
    w.accept(r);
    w.tell(r, 1, OrdStatus::Filled, Lots{kScale});
    w.done(r, 1);
    w.outages.add({"broker", millis(900), millis(5000)});
    EXPECT_EQ(w.verdict().count(Wrong::Lost), 1U);
}

TEST(Verdict, DemandsFillOfGeneratedSignalAndLeavesRefusalToRecordedMarket) {
    World w;
    const SignalRequest r = w.send();
    w.accept(r);
    w.tell(r, 1, OrdStatus::Rejected, Lots{0}, Reason::PriceCollar);
    w.done(r, 0);
    EXPECT_EQ(w.verdict().count(Wrong::Unfilled), 1U);
    EXPECT_TRUE(w.verdict(true).good()) << texts(w.verdict(true));
}

TEST(Verdict, DemandsThatAnUntouchedOpeningReachesEveryAccountOfItsGroup) {
    World w;
    w.groups["all"] = 2;
    const SignalRequest r = w.trade(1);  // filled, and it is all that the source was told
    EXPECT_EQ(w.verdict().count(Wrong::Unfilled), 1U);
    EXPECT_NE(texts(w.verdict()).find("group all has 2 accounts: opened on 1, told why not on 0"),
              std::string::npos)
        << texts(w.verdict());
    EXPECT_EQ(w.verdict(true).count(Wrong::Unfilled), 1U) << "no market explains that";
    w.outages.add({"engine", millis(1001), millis(1002)});
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
    w.outages = {};
    w.execute(r, 1, 0, kTag, kLogin + 1);
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
}

TEST(Verdict, TakesARefusalOfTheMarketForAnAnswerOfThatAccount) {
    World w;
    w.groups["all"] = 2;
    const SignalRequest r = w.send();
    w.accept(r);
    w.execute(r, 1, 0, kTag, kLogin + 1);
    w.tell(r, 1, OrdStatus::Rejected, Lots{0}, Reason::PriceCollar);
    w.done(r, 1);
    EXPECT_TRUE(w.verdict(true).good()) << texts(w.verdict(true));
    EXPECT_EQ(w.verdict().count(Wrong::Unfilled), 1U) << "once, by its own reason";
}

TEST(Verdict, DoesNotLeaveQueueOverflowToTheMarket) {
    World w;
    const SignalRequest r = w.send();
    w.accept(r);
    w.tell(r, 1, OrdStatus::Rejected, Lots{0}, Reason::QueueFull);
    w.done(r, 0);
    EXPECT_EQ(w.verdict(true).count(Wrong::Unfilled), 1U);
}

TEST(Verdict, WantsWrongSignalRefused) {
    World w;
    const SignalRequest r = w.send(SignalAction::Open, Purpose::RefusedOnPurpose);
    EXPECT_EQ(w.verdict().count(Wrong::Refusal), 1U);
    w.lives.refused(r.id, Reason::UnknownGroup, "", w.tick());
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
}

TEST(Lives, StayOpenUntilBothTheAckAndTheEndHaveCome) {
    World w;
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
    World w;
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
