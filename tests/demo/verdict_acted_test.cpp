// Goal: the verdict finds every close, modify and cancel that did nothing where there was something
// to do, or did it twice, whatever its source was told; and claims nothing where the books leave it
// open. Method: synthetic books, results and logs, each with one fault.
#include "tests/demo/witnesses.h"

namespace millrace::demo {
namespace {

constexpr Lots kAll{};  // of a close: everything

/// Of something that stands: a signal about it, a second later, and what it was told.
SignalRequest change(Witnesses& w, const SignalRequest& opened, SignalAction action,
                     Lots volume = kAll) {
    w.pass();
    const SignalRequest r = w.send(action, Purpose::Trade, opened.id, volume);
    w.accept(r);
    return r;
}

/// A signal that has opened a position, told and in the books.
SignalRequest open(Witnesses& w, std::uint64_t intent, std::uint64_t& position) {
    const SignalRequest r = w.send();
    w.accept(r);
    position = w.execute(r, intent);
    w.tell(r, intent, OrdStatus::Filled, Lots{kScale});
    w.done(r, 1);
    return r;
}

void tell_nothing_to_do(Witnesses& w, const SignalRequest& r, std::uint64_t intent) {
    w.tell(r, intent, OrdStatus::Canceled, Lots{}, Reason::NothingToDo);
    w.done(r, 0);
    w.pass();
}

/// An opening whose pending order works.
SignalRequest place(Witnesses& w, std::uint64_t& ticket) {
    w.price_kind = PriceKind::Limit;
    const SignalRequest r = w.send();
    w.accept(r);
    ticket = w.place(r, 1);
    return r;
}

/// The pending order's end, later, by whomever.
void end_pending(Witnesses& w, const SignalRequest& r, std::uint64_t ticket) {
    w.take_back(ticket);
    w.tell(r, 1, OrdStatus::Canceled, Lots{}, Reason::CanceledByUser);
    w.done(r, 0);
}

TEST(Verdict, FindsNothingWhereACloseHasClosedWhatStoodOpen) {
    Witnesses w;
    std::uint64_t position = 0;
    const SignalRequest opened = open(w, 1, position);
    const SignalRequest part = change(w, opened, SignalAction::Close, Lots{kScale / 2});
    w.close(part, 2, position, Lots{kScale / 2}, Lots{kScale / 2});
    w.tell(part, 2, OrdStatus::Filled, Lots{kScale / 2});
    w.done(part, 1);
    const SignalRequest rest = change(w, opened, SignalAction::Close);
    w.close(rest, 3, position, Lots{kScale / 2}, Lots{});
    w.tell(rest, 3, OrdStatus::Filled, Lots{kScale / 2});
    w.done(rest, 1);
    w.pass();
    const SignalRequest late = change(w, opened, SignalAction::Close);
    tell_nothing_to_do(w, late, 4);
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
    EXPECT_EQ(w.verdict().untouched, 4U);
}

TEST(Verdict, CallsCloseUnfilledThatDidNothingWherePositionStoodOpen) {
    for (const bool told : {false, true}) {
        Witnesses w;
        std::uint64_t position = 0;
        const SignalRequest opened = open(w, 1, position);
        const SignalRequest r = change(w, opened, SignalAction::Close);
        if (told) {
            w.tell(r, 2, OrdStatus::Canceled, Lots{}, Reason::NothingToDo);
        }
        w.done(r, 0, told ? 1 : 0);
        EXPECT_EQ(w.verdict().count(Wrong::Unfilled), 1U) << texts(w.verdict());
        const std::string text = std::string{"login 700001: told "} +
                                 (told ? "CANCELED NOTHING_TO_DO" : "nothing") +
                                 ", and what it is about stood open before and after it";
        EXPECT_NE(texts(w.verdict()).find(text), std::string::npos) << texts(w.verdict());
        EXPECT_EQ(w.verdict(true).count(Wrong::Unfilled), 1U) << "no market explains that";
        w.outages.add({"engine", w.lives.find(r.id)->sent, w.lives.find(r.id)->sent});
        EXPECT_EQ(w.verdict().good(), told) << "no order at all: lost. " << texts(w.verdict());
    }
}

TEST(Verdict, CallsCloseLostThatMadeNoOrderWherePositionStoodWhateverDiedMeanwhile) {
    Witnesses w;
    std::uint64_t position = 0;
    const SignalRequest opened = open(w, 1, position);
    w.outages.add({"engine", millis(w.now_ms + 10), Nanos{}});
    const SignalRequest r = change(w, opened, SignalAction::Close);
    w.done(r, 0, 0);
    w.pass();
    ASSERT_EQ(w.verdict().count(Wrong::Lost), 1U) << texts(w.verdict());
    EXPECT_NE(texts(w.verdict()).find("on 1 accounts, and it ended with orders on 0"),
              std::string::npos)
        << texts(w.verdict());
    w.done(r, 0, 1);  // one that was told why not: that is a result which was missed
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
}

TEST(Verdict, CallsCloseOfAllUnfilledThatClosedAPart) {
    Witnesses w;
    std::uint64_t position = 0;
    const SignalRequest opened = open(w, 1, position);
    const SignalRequest r = change(w, opened, SignalAction::Close);
    w.close(r, 2, position, Lots{kScale / 2}, Lots{kScale / 2});
    w.tell(r, 2, OrdStatus::Filled, Lots{kScale / 2});
    w.done(r, 1);
    EXPECT_EQ(w.verdict().count(Wrong::Unfilled), 1U) << texts(w.verdict());
}

TEST(Verdict, CallsPartialCloseUnfilledThatDidNothingThoughAllWasClosedLater) {
    Witnesses w;
    std::uint64_t position = 0;
    const SignalRequest opened = open(w, 1, position);
    const SignalRequest part = change(w, opened, SignalAction::Close, Lots{kScale / 2});
    tell_nothing_to_do(w, part, 2);
    const SignalRequest rest = change(w, opened, SignalAction::Close);
    w.close(rest, 3, position, Lots{kScale}, Lots{});
    w.tell(rest, 3, OrdStatus::Filled, Lots{kScale});
    w.done(rest, 1);
    EXPECT_EQ(w.verdict().count(Wrong::Unfilled), 1U) << texts(w.verdict());
}

TEST(Verdict, BelievesThatThereWasNothingToCloseWhereAStopWasFirst) {
    Witnesses w;
    std::uint64_t position = 0;
    const SignalRequest opened = open(w, 1, position);
    const SignalRequest r = change(w, opened, SignalAction::Close);
    w.close({}, 1, position, Lots{kScale}, Lots{}, ExecKind::ClosedByStopLoss);
    tell_nothing_to_do(w, r, 2);
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
}

TEST(Verdict, CallsModifyUnfilledThatReachedNobodyWherePositionStoodOpen) {
    Witnesses w;
    std::uint64_t position = 0;
    const SignalRequest opened = open(w, 1, position);
    const SignalRequest r = change(w, opened, SignalAction::Modify);
    w.done(r, 0, 0);
    EXPECT_EQ(w.verdict().count(Wrong::Unfilled), 1U) << texts(w.verdict());
    w.change(r, 2, sim::BookKind::PositionModified);
    w.tell(r, 2, OrdStatus::Filled, Lots{});
    w.done(r, 1);
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
}

TEST(Verdict, CallsCancelAndModifyUnfilledThatDidNothingToAnOrderThatWorked) {
    for (const SignalAction action : {SignalAction::Cancel, SignalAction::Modify}) {
        Witnesses w;
        std::uint64_t ticket = 0;
        const SignalRequest opened = place(w, ticket);
        const SignalRequest r = change(w, opened, action);
        tell_nothing_to_do(w, r, 2);
        end_pending(w, opened, ticket);
        ASSERT_EQ(w.verdict().count(Wrong::Unfilled), 1U) << texts(w.verdict());
        EXPECT_NE(texts(w.verdict()).find("what it is about worked before and after it"),
                  std::string::npos);
    }
}

TEST(Verdict, BelievesThatThereWasNothingToCancelWhereTheOrderHadEnded) {
    Witnesses w;
    std::uint64_t ticket = 0;
    const SignalRequest opened = place(w, ticket);
    const SignalRequest r = change(w, opened, SignalAction::Cancel);
    end_pending(w, opened, ticket);
    tell_nothing_to_do(w, r, 2);
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
}

TEST(Verdict, DoesNotLetAnOpeningHaveNothingToDo) {
    Witnesses w;
    const SignalRequest r = w.send();
    w.accept(r);
    tell_nothing_to_do(w, r, 1);
    EXPECT_EQ(w.verdict(true).count(Wrong::Unfilled), 1U) << texts(w.verdict(true));
}

TEST(Verdict, CallsCloseDoubledThatTwoIntentsExecuted) {
    Witnesses w;
    w.outages.add({"engine", millis(900), Nanos{}});
    std::uint64_t position = 0;
    const SignalRequest opened = open(w, 1, position);
    const SignalRequest r = change(w, opened, SignalAction::Close);
    w.close(r, 2, position, Lots{kScale}, Lots{});
    w.tell(r, 2, OrdStatus::Filled, Lots{kScale});
    w.done(r, 1);
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
    w.close(r, 3, position, Lots{kScale}, Lots{-kScale});  // on a netting account: short now
    w.tell(r, 3, OrdStatus::Filled, Lots{kScale});
    EXPECT_GE(w.verdict().count(Wrong::Doubled), 1U) << texts(w.verdict());
    EXPECT_EQ(w.verdict().count(Wrong::Lost), 0U) << "nothing else sees it: " << texts(w.verdict());
}

TEST(Verdict, CallsCloseLostOfWhichTheSumAloneIsKnownAndTheBooksHaveOtherwise) {
    Witnesses w;
    w.outages.add({"ingress", millis(900), Nanos{}});
    std::uint64_t position = 0;
    const SignalRequest opened = open(w, 1, position);
    const SignalRequest r = change(w, opened, SignalAction::Close);
    w.done(r, 1);  // the single result was missed
    EXPECT_EQ(w.verdict().count(Wrong::Lost), 1U) << texts(w.verdict());
    w.close(r, 2, position, Lots{kScale}, Lots{});
    EXPECT_TRUE(w.verdict().good()) << texts(w.verdict());
    w.done(r, 0);
    EXPECT_EQ(w.verdict().count(Wrong::Lost), 1U) << texts(w.verdict());
}

/// Two openings in one position of a netting account.
struct Netted {
    Witnesses w;
    std::uint64_t position = 0;
    SignalRequest first = open(w, 1, position);
    SignalRequest second = w.send();

    Netted() {
        w.accept(second);
        sim::BookRecord deal;
        deal.kind = sim::BookKind::Order;
        deal.login = kLogin;
        deal.magic = Magic::make(kTag, 2, 0).value;
        deal.order = w.next_ticket++;
        deal.command = CommandType::Open;
        deal.comment = market::to_text<16>(comment_of(second.id));
        w.books.add(deal);
        deal.kind = sim::BookKind::Deal;
        deal.time_ns = w.tick().value;
        deal.position = position;
        deal.volume = kScale;
        deal.position_volume = 2 * kScale;
        w.books.add(deal);
        w.tell(second, 2, OrdStatus::Filled, Lots{kScale});
        w.done(second, 1);
    }
};

TEST(Verdict, TellsOpeningsOfOneNettingPositionApartByTheSignalsThatCloseThem) {
    Netted n;
    const SignalRequest r = change(n.w, n.first, SignalAction::Close);
    n.w.close(r, 3, n.position, Lots{kScale}, Lots{kScale});
    n.w.tell(r, 3, OrdStatus::Filled, Lots{kScale});
    n.w.done(r, 1);
    n.w.pass();
    EXPECT_TRUE(n.w.verdict().good()) << texts(n.w.verdict());
    const SignalRequest nothing = change(n.w, n.second, SignalAction::Close);
    tell_nothing_to_do(n.w, nothing, 4);
    EXPECT_EQ(n.w.verdict().count(Wrong::Unfilled), 1U) << texts(n.w.verdict());
}

TEST(Verdict, ClaimsNothingOfOpeningsOfOneNettingPositionOfWhichSomebodyTookAPart) {
    Netted n;
    n.w.close({}, 1, n.position, Lots{kScale}, Lots{kScale}, ExecKind::ClosedByStopLoss);
    const SignalRequest nothing = change(n.w, n.second, SignalAction::Close);
    tell_nothing_to_do(n.w, nothing, 4);
    EXPECT_TRUE(n.w.verdict().good()) << texts(n.w.verdict());
}

}  // namespace
}  // namespace millrace::demo
