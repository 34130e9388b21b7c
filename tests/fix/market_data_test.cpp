// Goal: quotes are taken from snapshots and updates, and never from what is deleted or malformed;
// and a book put back from its states goes on as if nothing had happened.
#include "gateway/fix/market_data.h"
#include "gateway/fix/collateral.h"
#include "tests/fix/fix_rig.h"

namespace millrace::fix::test {
namespace {

/// bid/ask after the message, and who was asked for.
struct Taken {
    Quote quote;
    std::string asked;
};
Taken take(std::string_view fields, Quote before = {}) {
    const std::string bytes = seal(fields);
    const auto message = Message::parse(bytes);
    Taken taken{before, ""};
    EXPECT_TRUE(message.ok());
    take_quotes(message.value(), [&](std::string_view id, std::string_view symbol) {
        taken.asked = std::string{id} + "/" + std::string{symbol};
        return &taken.quote;
    });
    return taken;
}

TEST(FixQuotes, AreTakenFromASnapshot) {
    const Taken taken =
        take("35=W|34=1|262=Q0|55=EUR/USD|268=2|269=0|270=1.1|271=5|269=1|270=1.1002|");
    EXPECT_EQ(taken.quote.bid, 110'000'000);
    EXPECT_EQ(taken.quote.ask, 110'020'000);
    EXPECT_EQ(taken.asked, "Q0/EUR/USD");
}

TEST(FixQuotes, OfOneSideLeaveTheOtherAndADeletedOneIsUnknown) {
    const Quote before{1, 2};
    const Taken changed = take("35=X|34=1|262=Q0|268=1|279=1|269=1|270=1.2|", before);
    EXPECT_EQ(changed.quote.bid, 1);
    EXPECT_EQ(changed.quote.ask, 120'000'000);
    const Taken gone = take("35=X|34=1|262=Q0|268=1|279=2|269=0|55=EUR/USD|", before);
    EXPECT_EQ(gone.quote.bid, 0);
    EXPECT_FALSE(gone.quote.is_whole());
    EXPECT_EQ(take("35=W|34=1|268=1|269=0|270=x|", before).quote.bid, 0);
    EXPECT_EQ(take("35=W|34=1|268=1|269=2|270=1.3|", before).quote.ask, 2);  // a trade
}

TEST(FixQuotes, AreAskedForByWhatTheVenueCallsTheSymbol) {
    const Venue venue{*find_profile("lmax"), kInstruments[1], "", Nanos{}};
    Body body;
    EXPECT_EQ(market_data_request("Q1", venue, body), 0U);
    EXPECT_EQ(readable(body.fields()), "262=Q1|263=1|264=1|265=0|267=2|269=0|269=1|146=1|48=41|");
}

Result<Collateral> worth(std::string_view fields, std::string_view account = "") {
    const std::string bytes = seal(fields);
    const auto message = Message::parse(bytes);
    EXPECT_TRUE(message.ok());
    return take_collateral(message.value(), account);
}

TEST(FixCollateral, IsWhatTheVenueSaysAndNothingElse) {
    const auto told = worth("35=BA|34=1|909=C1|1=A|900=-12.5|901=1000000.37|", "A");
    ASSERT_TRUE(told.ok());
    EXPECT_EQ(told.value().equity, -1'250'000'000);
    EXPECT_EQ(told.value().balance, 100'000'037'000'000);
    EXPECT_EQ(worth("35=BA|34=1|900=7|").value().balance, 700'000'000);
    EXPECT_EQ(worth("35=BA|34=1|1=B|900=7|", "A").code(), Errc::NotFound);
    EXPECT_EQ(worth("35=BA|34=1|901=7|").code(), Errc::BadInput) << "a balance is no equity";
    EXPECT_EQ(worth("35=BA|34=1|900=7|900=8|").code(), Errc::BadInput);
    EXPECT_EQ(worth("35=BA|34=1|900=7|901=x|").code(), Errc::BadInput);
    EXPECT_EQ(worth("35=W|34=1|900=7|").code(), Errc::NotFound);
    Body body;
    EXPECT_EQ(collateral_inquiry("C1", "A", body), 0U);
    EXPECT_EQ(readable(body.fields()), "909=C1|1=A|263=0|");
}

TEST(FixBookState, WhatAPersonHasFoundCountsOnceAndNeverLessThanTheVenueTold) {
    FixRig rig;
    rig.market(1);
    rig.report(1, 'F', '1', 4'000);
    rig.book.resolve(magic(1), true, Lots{kScale / 50}, Price{110'000'000});
    EXPECT_TRUE(rig.book.state(magic(1))->over);
    EXPECT_EQ(rig.book.state(magic(1))->booked, 4'000 * kScale) << "two hundredths are less";
    rig.market(2);
    rig.book.resolve(magic(2), true, kTenth, Price{110'000'000});
    rig.book.resolve(magic(2), true, Lots{2 * kTenth.value}, Price{110'000'000});
    EXPECT_EQ(rig.book.state(magic(2))->booked, 10'000 * kScale);
    rig.report(2, 'F', '2', 10'000);
    EXPECT_EQ(rig.last.count, 0U) << "the very fill that a person saw";
    rig.market(3);
    rig.book.resolve(magic(3), false, Lots{}, Price{});
    rig.report(3, 'F', '2', 10'000);
    EXPECT_EQ(rig.last.note, Note::Late);
    EXPECT_EQ(rig.last.count, 1U);
    EXPECT_EQ(rig.book.state(magic(3))->booked, 10'000 * kScale);
}

TEST(FixBookState, ACancelOrReplaceThatAPersonFoundDoneMovesItsOrder) {
    FixRig rig;
    rig.limit(1);
    rig.report(1, '0', '0');
    rig.modify(2, 1);
    rig.book.resolve(magic(2), true, Lots{}, Price{});
    EXPECT_EQ(rig.book.reference(magic(1)).value().magic, magic(2)) << "its name at the venue";
    EXPECT_FALSE(rig.book.state(magic(1))->over);
    rig.cancel(3, 1);
    rig.book.resolve(magic(3), false, Lots{}, Price{});
    EXPECT_FALSE(rig.book.state(magic(1))->over);
    EXPECT_EQ(rig.book.state(magic(1))->child, 0U);
    rig.cancel(4, 1);
    rig.book.resolve(magic(4), true, Lots{}, Price{});
    EXPECT_TRUE(rig.book.state(magic(1))->over);
}

TEST(FixBookState, ABookPutBackGoesOnWhereItWas) {
    FixRig first;
    first.limit(1);
    first.report(1, '0', '0');
    first.report(1, 'F', '1', 4000, "32=4000|31=1.1|17=X1|");
    first.cancel(2, 1);
    FixRig second;
    for (const std::uint64_t intent : {1U, 2U}) {
        ASSERT_TRUE(second.book.restore(*first.book.state(magic(intent))).ok());
    }
    EXPECT_EQ(second.book.alive(), std::vector<Magic>{magic(1)});
    EXPECT_EQ(second.report(1, 'F', '1', 4000, "32=4000|31=1.1|17=X1|"), "| Repeat");
    EXPECT_EQ(second.report(1, 'F', '1', 6000, "32=2000|31=1.2|17=X2|"),
              first.report(1, 'F', '1', 6000, "32=2000|31=1.2|17=X2|"));
    const std::string answer =
        second.report(1, '4', '4', 6000, "11=" + id(magic(2)) + "|41=" + id(magic(1)) + "|17=X3|");
    EXPECT_NE(answer.find("Outcome#2 10009"), std::string::npos) << answer;
    EXPECT_TRUE(second.book.alive().empty());
}

TEST(FixBookState, AChangesOwnRecordSaysWhetherItsOrderWaitsForIt) {
    FixRig first;
    first.limit(1);
    first.report(1, '0', '0');
    const OrderState before = *first.book.state(magic(1));
    first.cancel(2, 1);
    FixRig second;
    ASSERT_TRUE(second.book.restore(before).ok());
    OrderState change = *first.book.state(magic(2));
    ASSERT_TRUE(second.book.restore(change).ok());
    EXPECT_EQ(second.book.state(magic(1))->child, magic(2).value);
    change.over = 1;
    ASSERT_TRUE(second.book.restore(change).ok());
    EXPECT_EQ(second.book.state(magic(1))->child, 0U);
}

TEST(FixBookState, AStatusThatSaysPendingIsNoWordAgainstTheChange) {
    FixRig rig;
    rig.limit(1);
    rig.report(1, '0', '0');
    rig.modify(2, 1);
    rig.report(1, 'I', '0');
    EXPECT_EQ(rig.last.note, Note::Status);
    rig.report(1, 'I', 'E');
    EXPECT_EQ(rig.last.note, Note::Pending);
}

TEST(FixBookState, AnUnknownOrderIsToldByTheNameThatWasAskedFor) {
    FixRig rig;
    rig.limit(1);
    rig.report(1, '0', '0');
    rig.modify(2, 1);
    rig.report(2, '8', '8', 0, "103=5|");
    EXPECT_EQ(rig.last.note, Note::VenueKnowsNot);
    EXPECT_EQ(rig.last.magic, magic(2));
    rig.report(1, '8', '8', 0, "103=5|");
    EXPECT_EQ(rig.last.magic, magic(1));
}

TEST(FixBookState, WhatHasNotLeftIsOver) {
    FixRig rig;
    rig.market(1);
    rig.book.close(magic(1));
    EXPECT_TRUE(rig.book.alive().empty());
    EXPECT_TRUE(rig.book.state(magic(1))->over);
    EXPECT_FALSE(rig.book.state(magic(9)).has_value());
}

}  // namespace
}  // namespace millrace::fix::test
