// Goal: a refusal is told with a return code whose class is no more certain than the venue's words.
// Method: every reason code of FIX 4.4 and some beyond, in each of the four messages that refuse.
#include "core/retcode.h"
#include "tests/fix/fix_rig.h"

namespace millrace::fix::test {
namespace {

TEST(FixReject, GivesEachOrderReasonItsReturnCode) {
    struct Case {
        int reason;
        std::uint32_t code;
    };
    for (const Case& c : {Case{0, 10006},
                          {1, 10013},
                          {2, 10018},
                          {3, 10034},
                          {4, 10006},
                          {8, 10006},
                          {9, 10006},
                          {10, 10006},
                          {11, 10035},
                          {12, 10006},
                          {13, 10014},
                          {14, 10014},
                          {15, 10017},
                          {99, 10006},
                          {1234, 10006}}) {
        FixRig rig;
        rig.market(7);
        EXPECT_EQ(rig.report(7, '8', '8', 0, "103=" + std::to_string(c.reason) + "|"),
                  "Outcome#7 " + std::to_string(c.code) + " 8");
        EXPECT_NE(classify(c.code), RetcodeClass::Recon) << c.reason;
    }
}

TEST(FixReject, LeavesADuplicateClOrdIdInDoubt) {
    for (const bool pending : {false, true}) {
        FixRig rig;
        pending ? rig.limit(7) : rig.market(7);
        EXPECT_EQ(rig.report(7, '8', '8', 0, "103=6|58=duplicate ClOrdID|"),
                  "Outcome#7 10011 ? | Ask");
        EXPECT_EQ(classify(10011), RetcodeClass::Recon);
        EXPECT_EQ(rig.report(7, 'F', '2', 10'000, "32=10000|31=1.1|"), "Outcome#7 10009 2 0.1@1.1")
            << "the first one lived";
    }
}

TEST(FixReject, ReadsTheVenuesWordsWhereTheReasonSaysLittle) {
    FixRig rig{"ctrader"};
    rig.market(7);
    EXPECT_EQ(rig.report(7, '8', '8', 0, "103=0|58=NOT_ENOUGH_MONEY:Not enough funds|"),
              "Outcome#7 10019 8");
    rig.market(8);
    EXPECT_EQ(rig.report(8, '8', '8', 0, "103=2|58=NOT_ENOUGH_MONEY|"), "Outcome#8 10018 8")
        << "a reason that says something goes first";
    FixRig generic;
    generic.market(7);
    EXPECT_EQ(generic.report(7, '8', '8', 0, "58=NOT_ENOUGH_MONEY|"), "Outcome#7 10006 8");
}

std::string cancel_reject_line(FixRig& rig, std::uint64_t intent, std::uint64_t of, char status,
                               const std::string& reason) {
    return rig.take("35=9|37=V|11=" + id(magic(intent)) + "|41=" + id(magic(of)) + "|39=" + status +
                    "|434=1|" + reason);
}

TEST(FixCancelReject, GivesEachReasonItsReturnCode) {
    struct Case {
        const char* reason;
        const char* line;
    };
    for (const Case& c : {Case{"102=0|", "Outcome#8 10036 8 | Ask"},
                          {"102=1|", "Outcome#8 10036 8 | Ask"},
                          {"102=2|", "Outcome#8 10006 8"},
                          {"102=3|", "Outcome#8 10028 8"},
                          {"102=5|", "Outcome#8 10006 8"},
                          {"102=6|", "Outcome#8 10011 ? | Ask"},
                          {"102=99|", "Outcome#8 10006 8"},
                          {"", "Outcome#8 10006 8"}}) {
        FixRig rig;
        rig.limit(7);
        rig.report(7, '0', '0');
        rig.cancel(8, 7);
        EXPECT_EQ(cancel_reject_line(rig, 8, 7, '0', c.reason), c.line) << c.reason;
        EXPECT_EQ(rig.report(7, 'F', '2', 10'000, "32=10000|31=1.1|").substr(0, 23),
                  "Exec#7 filled 2 0.1@1.1")
            << "the order lives on";
    }
}

TEST(FixCancelReject, AsksWhenTheVenueCallsAnOrderOverThatWeThinkAlive) {
    FixRig rig;
    rig.limit(7);
    rig.report(7, '0', '0');
    rig.modify(8, 7);
    EXPECT_EQ(cancel_reject_line(rig, 8, 7, '2', "102=2|"), "Outcome#8 10006 8 | Ask");
    EXPECT_EQ(rig.last.magic, magic(7)) << "about the order, not about the replace";
    EXPECT_EQ(cancel_reject_line(rig, 8, 7, '2', "102=2|"), "| Repeat");
    EXPECT_EQ(cancel_reject_line(rig, 55, 7, '2', "102=2|"), "| UnknownOrder");
    EXPECT_EQ(rig.take("35=9|11=THEIRS|39=2|434=1|"), "| Foreign");
}

TEST(FixCancelReject, ComesAsAnExecutionReportFromSomeVenues) {
    FixRig rig;
    rig.limit(7);
    rig.report(7, '0', '0');
    rig.modify(8, 7);
    EXPECT_EQ(rig.report(7, '8', '8', 0, "11=" + id(magic(8)) + "|41=" + id(magic(7)) + "|103=0|"),
              "Outcome#8 10006 8 | Ask")
        << "it refuses the replace; whether the order lives, a status has to say";
    EXPECT_EQ(rig.report(7, 'F', '2', 10'000, "32=10000|31=1.1|"), "Exec#7 filled 2 0.1@1.1");
}

TEST(FixBusinessReject, RefusesTheOrderItNames) {
    struct Case {
        int reason;
        std::uint32_t code;
    };
    for (const Case& c : {Case{0, 10006},
                          {1, 10006},
                          {2, 10013},
                          {3, 10035},
                          {4, 10006},
                          {5, 10013},
                          {6, 10017},
                          {7, 10006},
                          {77, 10006}}) {
        FixRig rig;
        rig.market(7);
        const std::string fields =
            "35=j|45=12|372=D|379=" + id(magic(7)) + "|380=" + std::to_string(c.reason) + "|";
        EXPECT_EQ(rig.take(fields), "Outcome#7 " + std::to_string(c.code) + " 8") << c.reason;
        EXPECT_EQ(rig.take(fields), "| Contradiction") << "again";
    }
}

TEST(FixBusinessReject, IsHowCTraderRefusesOrders) {
    // As such a venue sends it: no RefSeqNum, no RefMsgType.
    FixRig rig{"ctrader"};
    rig.market(7);
    EXPECT_EQ(rig.take("35=j|58=TRADING_BAD_VOLUME:Order volume 1200.00 must be multiple of "
                       "stepVolume=1000.00.|379=" +
                       id(magic(7)) + "|380=0|"),
              "Outcome#7 10014 8");
    rig.market(8);
    rig.book.note_asked(magic(8));
    EXPECT_EQ(rig.take("35=j|58=ORDER_NOT_FOUND:no such order|379=" + id(magic(8)) + "|380=0|"),
              "| VenueKnowsNot")
        << "after a status request it may be about that";
    EXPECT_EQ(rig.take("35=j|58=busy|379=" + id(magic(8)) + "|380=0|"), "| Refused");
}

TEST(FixBusinessReject, OfAStatusRequestRefusesNoOrder) {
    FixRig rig;
    rig.market(7);
    rig.book.note_sequence(magic(7), 12);
    EXPECT_EQ(rig.take("35=j|45=13|372=H|379=" + id(magic(7)) + "|380=1|"), "| VenueKnowsNot");
    EXPECT_EQ(rig.take("35=j|45=13|372=H|379=" + id(magic(7)) + "|380=3|"), "| Refused");
    EXPECT_EQ(rig.take("35=j|45=14|372=AF|380=3|"), "| Refused");
    EXPECT_EQ(rig.take("35=j|45=12|372=D|380=4|"), "Outcome#7 10006 8") << "by number alone";
}

TEST(FixSessionReject, RefusesTheOrderWhoseNumberItNames) {
    FixRig rig;
    rig.market(7);
    rig.limit(8);
    rig.cancel(9, 8);
    rig.book.note_sequence(magic(7), 12);
    rig.book.note_sequence(magic(9), 14);
    EXPECT_EQ(rig.take("35=3|45=11|372=D|373=1|"), "| Refused") << "nothing of ours left under 11";
    EXPECT_EQ(rig.take("35=3|45=12|372=H|373=1|"), "| Refused") << "another message";
    EXPECT_EQ(rig.take("35=3|372=D|373=1|"), "| Refused") << "no number";
    EXPECT_EQ(rig.take("35=3|45=12|372=D|373=1|58=Required tag missing|"), "Outcome#7 10013 8");
    EXPECT_EQ(rig.take("35=3|45=14|373=5|"), "Outcome#9 10013 8");
    EXPECT_EQ(rig.take("35=3|45=12|372=D|373=1|"), "| Contradiction");
}

TEST(FixSessionReject, MeansNothingAfterNumbersBeganAnew) {
    FixRig rig;
    rig.market(7);
    rig.book.note_sequence(magic(7), 12);
    rig.book.forget_sequences();
    EXPECT_EQ(rig.take("35=3|45=12|372=D|373=1|"), "| Refused");
    EXPECT_EQ(rig.report(7, 'F', '2', 10'000, "32=10000|31=1.1|"), "Outcome#7 10009 2 0.1@1.1");
}

TEST(FixReject, OfWhatTheVenueHasExecutedIsAContradiction) {
    FixRig rig;
    rig.market(7);
    rig.book.note_sequence(magic(7), 12);
    rig.report(7, 'F', '1', 4'000, "32=4000|31=1.1|");
    EXPECT_EQ(rig.take("35=3|45=12|372=D|373=1|"), "| Contradiction");
    EXPECT_EQ(rig.take("35=j|372=D|379=" + id(magic(7)) + "|380=0|"), "| Contradiction");
    EXPECT_EQ(rig.report(7, '4', '4', 4'000), "Outcome#7 10010 4 0.04@1.1");
}

}  // namespace
}  // namespace millrace::fix::test
