// Goal: what leaves for a venue says all of the command, or does not leave.
// Method: bodies field by field for every profile; every command that cannot be said.
#include "gateway/fix/outgoing.h"

#include "tests/fix/fix_rig.h"

namespace millrace::fix::test {
namespace {

constexpr Nanos kNow = seconds(1'583'147'676);
constexpr Instrument kEurusd{"EURUSD", "EUR/USD", 100'000 * kScale, 5};
constexpr Instrument kYen{"USDJPY", "USD/JPY", 100'000 * kScale, 3};

Venue at(const char* profile, const Instrument& instrument = kEurusd) {
    return {*find_profile(profile), instrument, "ACC1", kNow};
}

std::string order(const bridge::Command& c, const Venue& venue) {
    Body body;
    const std::uint32_t refusal = new_order(c, venue, body);
    return refusal != 0 ? std::to_string(refusal) : readable(body.fields());
}

bridge::Command market(Side side = Side::Buy) {
    bridge::Command c = FixRig::command(CommandType::Open, 7);
    c.side = static_cast<std::uint8_t>(side);
    return c;
}
bridge::Command pending(PriceKind kind) {
    return FixRig::command(CommandType::Open, 7, kind);
}
bridge::Command collared(Side side) {
    bridge::Command c = market(side);
    c.price = 110'010'000;
    c.deviation_points = 20;
    return c;
}

const std::string kId = id(magic(7));

TEST(FixOutgoing, WritesOrdersInTheGenericDialect) {
    EXPECT_EQ(order(market(), at("generic")),
              "11=" + kId +
                  "|1=ACC1|21=1|55=EUR/USD|54=1|60=20200302-11:14:36.000|38=10000|40=1|"
                  "59=3|");
    EXPECT_EQ(order(pending(PriceKind::Limit), at("generic")),
              "11=" + kId +
                  "|1=ACC1|21=1|55=EUR/USD|54=1|60=20200302-11:14:36.000|38=10000|40=2|"
                  "44=1.1|59=1|");
    EXPECT_EQ(order(pending(PriceKind::Stop), at("generic")),
              "11=" + kId +
                  "|1=ACC1|21=1|55=EUR/USD|54=1|60=20200302-11:14:36.000|38=10000|40=3|"
                  "99=1.1|59=1|");
}

TEST(FixOutgoing, WritesEachVenuesDialect) {
    EXPECT_EQ(order(market(Side::Sell), at("ctrader")),
              "11=" + kId + "|55=EUR/USD|54=2|60=20200302-11:14:36.000|38=10000|40=1|");
    EXPECT_EQ(order(market(), at("lmax")),
              "11=" + kId + "|48=EUR/USD|22=8|54=1|60=20200302-11:14:36.000|38=10000|40=1|59=3|");
    EXPECT_EQ(order(market(), at("fxcm")),
              "11=" + kId +
                  "|1=ACC1|21=1|55=EUR/USD|54=1|60=20200302-11:14:36.000|38=10000|40=1|"
                  "59=3|");
}

TEST(FixOutgoing, SendsTheWorstPriceOrNothing) {
    const std::string head =
        "11=" + kId + "|1=ACC1|21=1|55=EUR/USD|54=1|60=20200302-11:14:36.000|38=10000|";
    EXPECT_EQ(order(collared(Side::Buy), at("generic")), head + "40=2|44=1.1003|59=3|");
    EXPECT_EQ(order(collared(Side::Buy), at("fxcm")), head + "40=4|99=1.1003|59=3|");
    EXPECT_EQ(order(collared(Side::Buy), at("ctrader")), "10035");
    const std::string sell = order(collared(Side::Sell), at("generic"));
    EXPECT_NE(sell.find("|44=1.0999|"), std::string::npos) << sell;
    bridge::Command yen = collared(Side::Buy);
    yen.price = 150 * kScale;
    EXPECT_NE(order(yen, at("generic", kYen)).find("|44=150.02|"), std::string::npos);
    bridge::Command below_zero = collared(Side::Sell);
    below_zero.price = 1'000;
    EXPECT_EQ(order(below_zero, at("generic")), "10015");
    bridge::Command no_price = collared(Side::Buy);
    no_price.price = 0;
    EXPECT_EQ(order(no_price, at("ctrader")), order(market(), at("ctrader")));
}

TEST(FixOutgoing, NamesThePositionItCloses) {
    bridge::Command c = FixRig::command(CommandType::Close, 7);
    c.side = static_cast<std::uint8_t>(Side::Sell);
    c.position_ticket = 4711;
    EXPECT_NE(order(c, at("ctrader")).find("|721=4711|"), std::string::npos);
    EXPECT_NE(order(c, at("fxcm")).find("|9041=4711|"), std::string::npos);
    EXPECT_EQ(order(c, at("generic")).find("4711"), std::string::npos);
    c.position_ticket = ticket_of("EURUSD");
    EXPECT_EQ(order(c, at("ctrader")), "10013") << "not the venue's own number";
    EXPECT_EQ(order(c, at("generic")).substr(0, 3), "11=");
    c.position_ticket = 0;
    EXPECT_EQ(order(c, at("fxcm")), "10013");
}

TEST(FixOutgoing, RefusesWhatTheVenueCannotBeTold) {
    bridge::Command c = market();
    c.stop_loss = 109'000'000;
    EXPECT_EQ(order(c, at("generic")), "10016") << "never without its stop loss";
    c = market();
    c.take_profit = 111'000'000;
    EXPECT_EQ(order(c, at("generic")), "10016");
    c = pending(PriceKind::Limit);
    c.price = 0;
    EXPECT_EQ(order(c, at("generic")), "10015");
    c = market();
    c.price_kind = 9;
    EXPECT_EQ(order(c, at("generic")), "10035");
    for (const std::int64_t volume : {std::int64_t{0}, std::int64_t{-1}, INT64_MAX}) {
        c = market();
        c.volume = volume;
        EXPECT_EQ(order(c, at("generic")), "10014") << volume;
    }
    const Instrument nameless{"EURUSD", "", 100'000 * kScale, 5};
    EXPECT_EQ(order(market(), at("generic", nameless)), "10013");
    const Instrument smuggler{"EURUSD",
                              "X\x01"
                              "38=99",
                              100'000 * kScale, 5};
    EXPECT_EQ(order(market(), at("generic", smuggler)), "10013") << "SOH in a name";
    const std::string endless(Body::kBytesMax, 'X');
    const Instrument longwinded{"EURUSD", endless, 100'000 * kScale, 5};
    EXPECT_EQ(order(market(), at("generic", longwinded)), "10013");
}

TEST(FixOutgoing, ConvertsLotsIntoTheVenuesUnits) {
    EXPECT_EQ(quantity_of(kTenth.value, kEurusd).value(), 10'000 * kScale);
    EXPECT_EQ(lots_of(10'000 * kScale, kEurusd), kTenth);
    const Instrument ounces{"XAUUSD", "41", 100 * kScale, 2};
    EXPECT_EQ(quantity_of(kScale / 100, ounces).value(), kScale);
    const Instrument crumbs{"X", "X", 1, 2};  // a lot of 1e-8 units
    EXPECT_EQ(quantity_of(kScale / 2, crumbs).code(), Errc::BadInput) << "half a 1e-8 unit";
    EXPECT_EQ(lots_of(INT64_MAX, crumbs).value, INT64_MAX);
}

TEST(FixOutgoing, CancelsReplacesAndAsksUnderTheOrdersNewestName) {
    FixRig rig;
    rig.limit(7);
    rig.report(7, '0', '0');
    rig.modify(8, 7);
    rig.report(7, '5', '0', 0, "11=" + id(magic(8)) + "|41=" + kId + "|");
    const Reference reference = rig.book.reference(magic(7)).value();
    Body body;
    bridge::Command c = FixRig::command(CommandType::Cancel, 9);
    ASSERT_EQ(cancel(c, reference, at("ctrader"), body), 0U);
    EXPECT_EQ(body.type(), "F");
    EXPECT_EQ(readable(body.fields()), "41=" + id(magic(8)) + "|11=" + id(magic(9)) +
                                           "|37=V7|55=EUR/USD|54=1|"
                                           "60=20200302-11:14:36.000|38=10000|");
    c = FixRig::command(CommandType::Modify, 9, PriceKind::Limit);
    c.price = 109'000'000;
    ASSERT_EQ(replace(c, reference, at("generic"), body), 0U);
    EXPECT_EQ(body.type(), "G");
    EXPECT_EQ(readable(body.fields()), "41=" + id(magic(8)) + "|11=" + id(magic(9)) +
                                           "|1=ACC1|21=1|55=EUR/USD|54=1|"
                                           "60=20200302-11:14:36.000|38=10000|40=2|44=1.09|59=1|");
    ASSERT_EQ(status_request(reference, at("lmax"), body), 0U);
    EXPECT_EQ(body.type(), "H");
    EXPECT_EQ(readable(body.fields()), "11=" + id(magic(8)) + "|48=EUR/USD|22=8|54=1|");
    ASSERT_EQ(mass_status_request("M1", body), 0U);
    EXPECT_EQ(body.type(), "AF");
    EXPECT_EQ(readable(body.fields()), "584=M1|585=7|");
    EXPECT_EQ(mass_status_request("", body), 10013U);
}

TEST(FixOutgoing, RefusesReplacesThatFixHasNoWordsFor) {
    FixRig rig;
    rig.limit(7);
    rig.market(8);
    const Venue venue = at("generic");
    Body body;
    bridge::Command c = FixRig::command(CommandType::Modify, 9);
    c.price = 109'000'000;
    EXPECT_EQ(replace(c, rig.book.reference(magic(8)).value(), venue, body), 10035U);
    c.stop_loss = 1;
    EXPECT_EQ(replace(c, rig.book.reference(magic(7)).value(), venue, body), 10016U);
    c.stop_loss = 0;
    c.price = 0;
    EXPECT_EQ(replace(c, rig.book.reference(magic(7)).value(), venue, body), 10015U);
}

TEST(FixOutgoing, HasAProfileForEachNameOnce) {
    for (const Profile& profile : profiles()) {
        EXPECT_EQ(find_profile(profile.name), &profile);
    }
    EXPECT_EQ(find_profile("nobody"), nullptr);
}

}  // namespace
}  // namespace millrace::fix::test
