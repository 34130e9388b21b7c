// Goal: what an order of ours goes through at a venue is told once, and in words the engine knows.
// Method: sequences of reports on one book; the events compared as lines.
#include "tests/fix/fix_rig.h"

namespace millrace::fix::test {
namespace {

TEST(FixOrder, TellsAMarketOrderOnceWithAllItsFills) {
    FixRig rig;
    rig.market(7);
    EXPECT_EQ(rig.report(7, '0', '0'), "");
    EXPECT_EQ(rig.report(7, 'F', '1', 6'500, "32=6500|31=1.1|6=1.1|"), "");
    EXPECT_EQ(rig.report(7, 'F', '2', 10'000, "32=3500|31=1.2|6=1.135|"),
              "Outcome#7 10009 2 0.1@1.135");
    const bridge::Event& e = rig.last.events[0];
    EXPECT_EQ(e.order_ticket, magic(7).value) << "the id that a cancel would have to name";
    EXPECT_EQ(e.requested, kTenth.value);
    EXPECT_EQ(e.position_id, ticket_of("EURUSD")) << "one position a symbol on a netting account";
    EXPECT_EQ(std::string_view{e.symbol}, "EURUSD");
}

TEST(FixOrder, SumsUpItselfWhereTheVenueGivesNoAverage) {
    FixRig rig;
    rig.market(7);
    rig.report(7, 'F', '1', 5'000, "32=5000|31=1.1|6=0|");
    EXPECT_EQ(rig.report(7, 'F', '2', 10'000, "32=5000|31=1.2|6=0|"), "Outcome#7 10009 2 0.1@1.15");
}

TEST(FixOrder, TellsEachFillOfAPendingOrder) {
    FixRig rig;
    rig.limit(7);
    EXPECT_EQ(rig.report(7, 'A', 'A'), "| Pending");
    EXPECT_EQ(rig.report(7, '0', '0'), "Outcome#7 10008 0");
    EXPECT_EQ(rig.report(7, 'F', '1', 3'000, "32=3000|31=1.1|"), "Exec#7 filled 1 0.03@1.1");
    const std::uint64_t deal = rig.last.events[0].deal_ticket;
    EXPECT_EQ(rig.report(7, 'F', '2', 10'000, "32=7000|31=1.09|"), "Exec#7 filled 2 0.07@1.09");
    EXPECT_NE(rig.last.events[0].deal_ticket, deal);
}

TEST(FixOrder, BooksWhatALostReportWouldHaveSaid) {
    FixRig rig;
    rig.limit(7);
    rig.report(7, 'F', '1', 2'000, "32=2000|31=1.1|6=1.1|");
    // The fill of 4000 at 1.2 never came: 6 is now (2000 x 1.1 + 4000 x 1.2 + 1000 x 1.3) / 7000.
    EXPECT_EQ(rig.report(7, 'F', '1', 7'000, "32=1000|31=1.3|6=1.18571429|"),
              "Exec#7 filled 1 0.05@1.22");
    EXPECT_EQ(rig.report(7, '4', '4', 9'000, "32=0|31=0|6=1.1|"),
              "Exec#7 filled 1 0.02@0.8; Exec#7 canceled 4")
        << "a cancel tells of fills that were missed, too";
}

TEST(FixOrder, TakesNoReportTwice) {
    FixRig rig;
    rig.limit(7);
    EXPECT_EQ(rig.report(7, 'F', '1', 3'000, "17=X|32=3000|31=1.1|"), "Outcome#7 10009 1 0.03@1.1");
    EXPECT_EQ(rig.report(7, 'F', '1', 3'000, "17=X|32=3000|31=1.1|43=Y|"), "| Repeat");
    EXPECT_EQ(rig.report(7, 'F', '1', 6'000, "17=X|32=3000|31=1.1|"), "| Repeat");
    EXPECT_EQ(rig.report(7, 'F', '1', 6'000, "17=Y|32=3000|31=1.1|"), "Exec#7 filled 1 0.03@1.1");
}

TEST(FixOrder, TakesExecIdZeroForNone) {
    FixRig rig;
    rig.limit(7);
    rig.report(7, 'F', '1', 3'000, "17=0|32=3000|31=1.1|");
    EXPECT_EQ(rig.report(7, 'F', '1', 6'000, "17=0|32=3000|31=1.1|"), "Exec#7 filled 1 0.03@1.1");
    EXPECT_EQ(rig.report(7, 'F', '1', 6'000, "17=0|32=3000|31=1.1|"), "") << "CumQty has not risen";
}

TEST(FixOrder, GivesEqualExecIdsOfTwoOrdersTwoDeals) {
    FixRig rig;
    rig.limit(7);
    rig.limit(8);
    rig.report(7, 'F', '2', 10'000, "17=1|32=10000|31=1.1|");
    const std::uint64_t deal = rig.last.events[0].deal_ticket;
    rig.report(8, 'F', '2', 10'000, "17=1|32=10000|31=1.1|");
    EXPECT_NE(rig.last.events[0].deal_ticket, deal) << "ExecIDs begin anew each day";
}

TEST(FixOrder, TellsLongExecIdsApartByTheirLastCharacter) {
    FixRig rig;
    rig.limit(7);
    const std::string endless(200, 'X');
    rig.report(7, 'F', '1', 3'000, "17=" + endless + "1|32=3000|31=1.1|");
    const std::uint64_t deal = rig.last.events[0].deal_ticket;
    EXPECT_EQ(rig.report(7, 'F', '1', 6'000, "17=" + endless + "2|32=3000|31=1.1|"),
              "Exec#7 filled 1 0.03@1.1");
    EXPECT_NE(rig.last.events[0].deal_ticket, deal);
}

TEST(FixOrder, TakesNothingFromAStaleReport) {
    FixRig rig;
    rig.limit(7);
    rig.report(7, 'F', '1', 6'000, "32=6000|31=1.1|");
    EXPECT_EQ(rig.report(7, 'F', '1', 3'000, "32=3000|31=1.1|"), "| Stale");
    EXPECT_EQ(rig.report(7, '4', '4', 3'000), "Exec#7 canceled 4 | Shrunk") << "final all the same";
}

TEST(FixOrder, KeepsTheHigherCumQtyOfAMarketOrderThatShrankWithoutABust) {
    FixRig rig;
    rig.market(7);
    rig.report(7, 'F', '1', 6'000, "32=6000|31=1.1|6=1.1|");
    EXPECT_EQ(rig.report(7, '4', '4', 3'000), "Outcome#7 10010 4 0.06@1.1 | Shrunk");
}

TEST(FixOrder, AlertsOnABustAndGoesOnFromWhatIsTold) {
    FixRig rig;
    rig.limit(7);
    rig.report(7, 'F', '1', 5'000, "32=5000|31=1.1|");
    EXPECT_EQ(rig.report(7, 'H', '0', 0, "19=E1|"), "| Bust");
    EXPECT_EQ(rig.report(7, 'F', '1', 5'000, "32=5000|31=1.1|"), "") << "the engine has counted it";
    EXPECT_EQ(rig.report(7, 'F', '1', 7'000, "32=2000|31=1.1|"), "Exec#7 filled 1 0.02@1.1");
    EXPECT_EQ(rig.report(7, 'F', '1', 0, "20=1|"), "| Bust") << "as FIX 4.2 says it";
}

TEST(FixOrder, LeavesABustedFillOutOfAnAnswerNotYetGiven) {
    FixRig rig;
    rig.market(7);
    rig.report(7, 'F', '1', 5'000, "32=5000|31=1.1|6=1.1|");
    EXPECT_EQ(rig.report(7, 'H', '1', 2'000, "6=1.1|"), "| Bust");
    EXPECT_EQ(rig.report(7, '4', '4', 2'000, "6=0|"), "Outcome#7 10010 4 0.02@1.1");
}

TEST(FixOrder, CallsAnExecutionAfterTheEndLate) {
    FixRig rig;
    rig.market(7);
    rig.report(7, '4', '4');
    EXPECT_EQ(rig.report(7, 'F', '2', 10'000, "32=10000|31=1.1|"),
              "Exec#7 filled 2 0.1@1.1 | Late");
}

TEST(FixOrder, EndsAnOrderThatTheVenueMadeSmaller) {
    FixRig rig;
    rig.limit(7);
    rig.report(7, '0', '0');
    // OrderQty restated to 6000 (partial decline), then filled: for the engine the rest is gone.
    EXPECT_EQ(rig.take("35=8|11=" + id(magic(7)) + "|17=R|150=D|39=0|54=1|38=6000|14=0|378=5|"),
              "");
    EXPECT_EQ(rig.take("35=8|11=" + id(magic(7)) +
                       "|17=S|150=F|39=2|54=1|38=6000|14=6000|32=6000|31=1.1|"),
              "Exec#7 filled 2 0.06@1.1; Exec#7 canceled 4");
}

TEST(FixCancel, IsAnsweredByTheOrdersEnd) {
    FixRig rig;
    rig.limit(7);
    rig.report(7, '0', '0');
    rig.cancel(8, 7);
    const std::string ids = "11=" + id(magic(8)) + "|41=" + id(magic(7)) + "|";
    EXPECT_EQ(rig.report(7, '6', '6', 0, ids), "| Pending");
    EXPECT_EQ(rig.report(7, 'F', '6', 4'000, ids + "32=4000|31=1.1|"), "Exec#7 filled 1 0.04@1.1");
    EXPECT_EQ(rig.report(7, '4', '4', 4'000, ids), "Outcome#8 10009 2");
    EXPECT_EQ(rig.last.events[0].order_ticket, magic(7).value);
}

TEST(FixCancel, IsAnsweredEvenIfTheVenueNamesOnlyTheOrder) {
    FixRig rig;
    rig.limit(7);
    rig.report(7, '0', '0');
    rig.cancel(8, 7);
    EXPECT_EQ(rig.report(7, '4', '4'), "Exec#7 canceled 4; Outcome#8 10009 2");
}

TEST(FixCancel, FindsNothingToDoWhenTheFillIsQuicker) {
    FixRig rig;
    rig.limit(7);
    rig.report(7, '0', '0');
    rig.cancel(8, 7);
    EXPECT_EQ(rig.report(7, 'F', '2', 10'000, "32=10000|31=1.1|"),
              "Exec#7 filled 2 0.1@1.1; Outcome#8 10036 8");
    EXPECT_EQ(
        rig.take("35=9|37=V|11=" + id(magic(8)) + "|41=" + id(magic(7)) + "|39=2|434=1|102=0|"),
        "| Repeat");
}

TEST(FixReplace, GivesTheOrderANewNameAtTheVenue) {
    FixRig rig;
    rig.limit(7);
    rig.report(7, '0', '0');
    rig.modify(8, 7);
    EXPECT_EQ(rig.book.reference(magic(7)).value().magic, magic(7)) << "not before it is confirmed";
    const std::string ids = "11=" + id(magic(8)) + "|41=" + id(magic(7)) + "|";
    EXPECT_EQ(rig.report(7, 'E', 'E', 0, ids), "| Pending");
    EXPECT_EQ(rig.report(7, '5', '0', 0, ids), "Outcome#8 10009 2");
    EXPECT_EQ(rig.book.reference(magic(7)).value().magic, magic(8));
    EXPECT_EQ(rig.report(7, 'F', '1', 4'000, "11=" + id(magic(8)) + "|32=4000|31=1.1|"),
              "Exec#7 filled 1 0.04@1.1")
        << "fills under the new name are the order's";
    rig.modify(9, 7);
    EXPECT_EQ(rig.report(7, '5', '1', 4'000, "11=" + id(magic(9)) + "|41=" + id(magic(8)) + "|"),
              "Outcome#9 10009 2");
    rig.cancel(10, 7);
    EXPECT_EQ(rig.report(7, '4', '4', 4'000, "11=" + id(magic(10)) + "|41=" + id(magic(9)) + "|"),
              "Outcome#10 10009 2");
}

TEST(FixReplace, IsConfirmedByAStatusUnderItsName) {
    FixRig rig;
    rig.limit(7);
    rig.report(7, '0', '0');
    rig.modify(8, 7);
    EXPECT_EQ(rig.report(7, 'I', 'E', 0, "11=" + id(magic(8)) + "|"), "Found#7 10009 0 | Pending");
    EXPECT_EQ(rig.report(7, 'I', '0', 0, "11=" + id(magic(8)) + "|"),
              "Found#7 10009 0; Outcome#8 10009 2 | Status");
    EXPECT_EQ(rig.book.reference(magic(7)).value().magic, magic(8));
}

TEST(FixStatus, TellsWhatWasMissedAndBooksNothingTwice) {
    FixRig rig;
    rig.limit(7);
    rig.report(7, '0', '0');
    EXPECT_EQ(rig.report(7, 'I', '1', 4'000), "Found#7 10009 1 0.04@1.1 | Status");
    EXPECT_EQ(rig.report(7, 'F', '1', 4'000, "32=4000|31=1.1|"), "") << "the report was only late";
    EXPECT_EQ(rig.report(7, 'F', '2', 10'000, "32=6000|31=1.1|"), "Exec#7 filled 2 0.06@1.1");
}

TEST(FixStatus, OfAnUnknownOrderIsNoRejection) {
    FixRig rig;
    rig.market(7);
    rig.book.note_asked(magic(7));
    EXPECT_EQ(rig.report(7, '8', '8', 0, "103=5|"), "| VenueKnowsNot");
    EXPECT_EQ(rig.last.magic, magic(7));
    EXPECT_EQ(rig.report(7, 'I', '8', 0, "103=5|"), "| VenueKnowsNot");
    EXPECT_EQ(rig.report(7, 'F', '2', 10'000, "32=10000|31=1.1|"), "Outcome#7 10009 2 0.1@1.1")
        << "it was on its way";
}

TEST(FixForeign, TellsDealsOfOthersAndManagesNothing) {
    FixRig rig;
    EXPECT_EQ(rig.take("35=8|11=THEIRS|17=9|150=F|39=2|54=2|55=EUR/USD|38=5000|14=5000|32=5000|"
                       "31=1.1|"),
              "Exec#0 foreign 0.05@1.1 | Foreign");
    EXPECT_EQ(static_cast<Side>(rig.last.events[0].side), Side::Sell);
    EXPECT_EQ(std::string_view{rig.last.events[0].symbol}, "EURUSD");
    EXPECT_EQ(rig.take("35=8|11=THEIRS|17=9|150=0|39=0|54=2|55=EUR/USD|38=5000|14=0|"),
              "| Foreign");
    const std::string other_tag = id(Magic::make(kTag + 1, 7, 0));
    EXPECT_EQ(rig.take("35=8|11=" + other_tag + "|17=9|150=4|39=4|54=2|55=EUR/USD|14=0|"),
              "| Foreign");
    EXPECT_EQ(rig.take("35=8|11=" + id(magic(99)) + "|17=9|150=4|39=4|54=1|55=EUR/USD|14=0|"),
              "| UnknownOrder");
    EXPECT_EQ(rig.last.magic, magic(99));
    EXPECT_EQ(rig.take("35=5|58=bye|"), "| LoggedOut");
    EXPECT_EQ(rig.take("35=0|112=TEST|"), "");
}

TEST(FixBook, NamesThePositionOfAHedgingAccount) {
    FixRig rig{"ctrader"};
    rig.market(7);
    rig.report(7, 'F', '2', 10'000, "32=10000|31=1.1|721=4711|");
    EXPECT_EQ(rig.last.events[0].position_id, 4'711U);
}

TEST(FixBook, RefusesWhatItCouldNotFollow) {
    FixRig rig;
    rig.limit(7);
    EXPECT_EQ(rig.book.add(FixRig::command(CommandType::Open, 7)).code(), Errc::BadInput)
        << "a magic twice";
    bridge::Command c = FixRig::command(CommandType::Open, 8);
    c.magic = Magic::make(kTag + 1, 8, 0).value;
    EXPECT_EQ(rig.book.add(c).code(), Errc::BadInput) << "another deployment's magic";
    c = FixRig::command(CommandType::Open, 8);
    std::memcpy(c.symbol, "USDJPY", 6);
    EXPECT_EQ(rig.book.add(c).code(), Errc::BadInput);
    c = FixRig::command(CommandType::Close, 8);
    c.volume = 0;
    EXPECT_EQ(rig.book.add(c).code(), Errc::BadInput);
    EXPECT_EQ(rig.book.add(FixRig::command(CommandType::Query, 8)).code(), Errc::BadInput);
    c = FixRig::command(CommandType::Cancel, 8);
    c.order_ticket = magic(9).value;
    EXPECT_EQ(rig.book.add(c).code(), Errc::NotFound);
    EXPECT_EQ(rig.book.reference(magic(9)).code(), Errc::NotFound);
}

TEST(FixBook, ForgetsTheOldestThatIsOverAndNeverOneThatLives) {
    FixRig rig{"generic", 4};
    for (std::uint64_t n = 1; n <= 4; ++n) {
        rig.market(n);
    }
    EXPECT_EQ(rig.book.add(FixRig::command(CommandType::Open, 5)).code(), Errc::NoSpace);
    rig.report(3, '4', '4');
    rig.market(5);
    EXPECT_EQ(rig.report(3, 'F', '2', 10'000, "32=10000|31=1.1|"),
              "Exec#3 foreign 0.1@1.1 | UnknownOrder")
        << "forgotten, but a deal of it is told";
    for (const std::uint64_t n : {1U, 2U, 4U, 5U}) {
        EXPECT_EQ(rig.report(n, 'F', '2', 10'000, "32=10000|31=1.1|"),
                  "Outcome#" + std::to_string(n) + " 10009 2 0.1@1.1");
    }
    for (std::uint64_t n = 6; n < 1'000; ++n) {
        rig.market(n);
        rig.report(n, '4', '4');
    }
}

}  // namespace
}  // namespace millrace::fix::test
