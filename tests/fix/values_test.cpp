// Goal: numbers, times and ids go over the wire and back without a change.
// Method: known texts, and round trips of random values.
#include "gateway/fix/values.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <set>
#include <string>

namespace millrace::fix {
namespace {

TEST(FixDecimal, ReadsExactValues) {
    EXPECT_EQ(parse_decimal("95.00000000"), 95 * kScale);
    EXPECT_EQ(parse_decimal("1.1001"), 110'010'000);
    EXPECT_EQ(parse_decimal(".5"), kScale / 2);
    EXPECT_EQ(parse_decimal("5."), 5 * kScale);
    EXPECT_EQ(parse_decimal("-0.00000001"), -1);
    EXPECT_EQ(parse_decimal("00023.23"), 2'323'000'000);
    EXPECT_EQ(parse_decimal("0.1000000000"), kScale / 10) << "zeros beyond the scale";
}

TEST(FixDecimal, RefusesWhatItCannotSayExactly) {
    for (const char* text : {"", "-", ".", "1.2.3", "1e5", "+1", " 1", "1,5", "0.000000001",
                             "92233720369", "99999999999999999999", "--1", "1-"}) {
        EXPECT_FALSE(parse_decimal(text)) << text;
    }
}

TEST(FixDecimal, WritesTheFewestDigits) {
    EXPECT_EQ(decimal_text(110'010'000).view(), "1.1001");
    EXPECT_EQ(decimal_text(10'000 * kScale).view(), "10000");
    EXPECT_EQ(decimal_text(-1).view(), "-0.00000001");
    EXPECT_EQ(decimal_text(0).view(), "0");
    EXPECT_EQ(decimal_text(INT64_MIN).view(), "-92233720368.54775808");
}

TEST(FixDecimal, ComesBackAsItWas) {
    EXPECT_TRUE(rc::check([](std::int64_t value) {
        RC_PRE(value != INT64_MIN);  // its magnitude is no int64
        RC_ASSERT(parse_decimal(decimal_text(value).view()) == value);
    }));
}

TEST(FixTime, ReadsTimestampsOfAnyPrecision) {
    const Nanos base = seconds(1'583'147'676);  // 2020-03-02 11:14:36
    EXPECT_EQ(parse_utc("20200302-11:14:36"), base);
    EXPECT_EQ(parse_utc("20200302-11:14:36.490"), base + millis(490));
    EXPECT_EQ(parse_utc("20200302-11:14:36.490000001"), base + millis(490) + Nanos{1});
    EXPECT_EQ(parse_utc("20161231-23:59:60"), parse_utc("20170101-00:00:00")) << "a leap second";
    for (const char* text : {"", "20200302", "2020030211:14:36", "20200230-11:14:36",
                             "20200302-24:00:00", "20200302-11:60:00", "20200302-11:14:61",
                             "20200302-11:14:36.", "20200302-11:14:36.1234567890",
                             "20200302-11:14:36Z", "2020a302-11:14:36", "-0200302-11:14:36"}) {
        EXPECT_FALSE(parse_utc(text)) << text;
    }
}

TEST(FixTime, ComesBackToTheMillisecond) {
    EXPECT_EQ(utc_text(seconds(1'583'147'676) + millis(7)).view(), "20200302-11:14:36.007");
    EXPECT_TRUE(rc::check([] {
        const auto ms = *rc::gen::inRange<std::int64_t>(0, 4'102'444'800'000);  // up to 2100
        RC_ASSERT(parse_utc(utc_text(millis(ms)).view()) == millis(ms));
    }));
}

TEST(FixIds, FindTheMagicAgainInAtMostThirteenCharacters) {
    EXPECT_EQ(cl_ord_id(Magic{35}).view(), "Z");
    EXPECT_EQ(cl_ord_id(Magic{36}).view(), "10");
    EXPECT_EQ(cl_ord_id(Magic{INT64_MAX}).view(), "1Y2P0IJ32E8E7");
    EXPECT_TRUE(rc::check([] {
        const auto value = *rc::gen::inRange<std::uint64_t>(1, std::uint64_t{INT64_MAX});
        const ShortText text = cl_ord_id(Magic{value});
        RC_ASSERT(text.view().size() <= 13U);
        RC_ASSERT(magic_of(text.view()) == Magic{value});
    }));
}

TEST(FixIds, RefusesIdsThatWeCannotHaveMade) {
    for (const char* text : {"", "0", "01", "abc", "A-B", "IREACH_t182", "1Y2P0IJ32E8E8",
                             "3W5E11264SGSF", "ZZZZZZZZZZZZZZ"}) {
        EXPECT_FALSE(magic_of(text)) << text;
    }
}

TEST(FixIds, GivesTicketsThatAreNeverZeroNegativeOrShared) {
    EXPECT_EQ(ticket_of("4711"), 4711U);
    EXPECT_TRUE(is_own_number(ticket_of("4711")));
    std::set<std::uint64_t> seen;
    int ids = 0;
    for (const std::string& text : {std::string{""}, std::string{"0"}, std::string{"04711"},
                                    std::string{"4611686018427387904"}, std::string{"EURUSD"}}) {
        EXPECT_FALSE(is_own_number(ticket_of(text))) << text;
        seen.insert(ticket_of(text));
        ++ids;
    }
    for (int i = 0; i < 10'000; ++i) {
        seen.insert(ticket_of("UUKO" + std::to_string(i)));
        ++ids;
    }
    EXPECT_EQ(seen.size(), static_cast<std::size_t>(ids));
    EXPECT_GT(*seen.begin(), 0U);
    EXPECT_LE(*seen.rbegin(), static_cast<std::uint64_t>(INT64_MAX)) << "stores keep them signed";
}

}  // namespace
}  // namespace millrace::fix
