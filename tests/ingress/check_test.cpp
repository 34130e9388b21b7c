// Goal: whatever is wrong with a signal is said at the edge: field, value, range, mend.
// Method: one good Submit, broken in one field at a time.
#include "gateway/ingress_check.h"

#include "shm/segment.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <memory>
#include <string>

namespace millrace {
namespace {

using signal_wire::Submit;

constexpr Nanos kNow{1'800'000'000'000'000'000};

class IngressCheck : public ::testing::Test {
protected:
    IngressCheck() : names_{std::make_unique<NameTables>()} {
        define(names_->groups[3], "main");
        define(names_->symbols[5], "EURUSD");
        names_->symbols[6].name = make_text<16>("XAUUSD");  // being written: not ready yet
        good_.id_lo = 1;
        std::memcpy(good_.group, "main", 4);
        std::memcpy(good_.symbol, "EURUSD", 6);
        good_.action = 1;
        good_.volume = kScale;
        good_.send_time_ns = kNow.value - 1'000'000;
    }

    static void define(NameEntry& entry, std::string_view name) {
        entry.name = make_text<16>(name);
        entry.ready.store(1, std::memory_order_release);  // pairs with find_name()
    }
    bool taken(const Submit& s) { return resolve_signal(s, *names_, kNow, signal_, why_); }

    /// Breaks one field and expects `reason`, and each of `words` in the text.
    void expect_refused(Submit s, Reason reason, std::initializer_list<const char*> words) {
        why_ = {};
        EXPECT_FALSE(taken(s)) << *words.begin();
        EXPECT_EQ(why_.reason, reason) << why_.text;
        EXPECT_FALSE(why_.retry);
        for (const char* word : words) {
            EXPECT_NE(std::string{why_.text}.find(word), std::string::npos)
                << "\"" << word << "\" is missing in: " << why_.text;
        }
        EXPECT_LT(std::strlen(why_.text), sizeof why_.text - 1) << "cut: " << why_.text;
    }

    std::unique_ptr<NameTables> names_;
    Submit good_{};
    Signal signal_;
    Refusal why_;
};

TEST_F(IngressCheck, TranslatesNamesIntoIdsAndKeepsEveryNumber) {
    good_.price_kind = 1;
    good_.price = 110'000'000;
    good_.stop_loss = 109'000'000;
    good_.take_profit = 112'000'000;
    good_.reference_price = 110'500'000;
    good_.ttl_ms = 5'000;
    good_.side = 1;
    ASSERT_TRUE(taken(good_)) << why_.text;
    EXPECT_EQ(signal_.group, GroupId{3});
    EXPECT_EQ(signal_.symbol, SymbolId{5});
    EXPECT_EQ(signal_.side, Side::Sell);
    EXPECT_EQ(signal_.price_kind, PriceKind::Limit);
    EXPECT_EQ(signal_.price, Price{110'000'000});
    EXPECT_EQ(signal_.stop_loss, Price{109'000'000});
    EXPECT_EQ(signal_.take_profit, Price{112'000'000});
    EXPECT_EQ(signal_.reference_price, Price{110'500'000});
    EXPECT_EQ(signal_.ttl_ms, 5'000U);
    EXPECT_EQ(signal_.edge_time, kNow);
}

TEST_F(IngressCheck, RefusesNamesThatAreUnknownEmptyOrNotReadyYet) {
    Submit s = good_;
    std::memcpy(s.group, "mains", 5);
    expect_refused(s, Reason::UnknownGroup, {"\"mains\"", "configuration"});
    s = good_;
    std::memset(s.group, 0, sizeof s.group);
    expect_refused(s, Reason::UnknownGroup, {"\"\""});
    s = good_;
    std::memcpy(s.symbol, "XAUUSD", 6);
    expect_refused(s, Reason::UnknownSymbol, {"\"XAUUSD\"", "configuration"});
    s = good_;
    std::memset(s.symbol, 'W', sizeof s.symbol);
    std::memset(s.group, 'W', sizeof s.group);
    expect_refused(s, Reason::UnknownGroup, {"WWWWWWWWWWWWWWWW"});
}

TEST_F(IngressCheck, IgnoresBytesBehindTheEndOfAName) {
    good_.symbol[8] = 'x';
    EXPECT_TRUE(taken(good_)) << why_.text;
}

TEST_F(IngressCheck, KeepsControlBytesOfANameOutOfTheAnswer) {
    std::memcpy(good_.group, "\x1b[2Jx", 5);
    EXPECT_FALSE(taken(good_));
    EXPECT_EQ(std::string{why_.text}.find('\x1b'), std::string::npos);
}

TEST_F(IngressCheck, RefusesUnknownKindsFlagsAndIds) {
    for (const int action : {0, 5, 255}) {
        Submit s = good_;
        s.action = static_cast<std::uint8_t>(action);
        expect_refused(s, Reason::BadSignal, {"action", std::to_string(action).c_str(), "1 open"});
    }
    Submit s = good_;
    s.side = 2;
    expect_refused(s, Reason::BadSignal, {"side 2", "0 buy, 1 sell"});
    s = good_;
    s.price_kind = 3;
    expect_refused(s, Reason::BadSignal, {"price_kind 3", "2 stop"});
    s = good_;
    s.flags = 3;
    expect_refused(s, Reason::BadSignal, {"flags 3", "0, or 1 to be held"});
    s.flags = 1;
    EXPECT_TRUE(taken(s)) << why_.text;
    s = good_;
    s.id_lo = 0;
    expect_refused(s, Reason::BadSignal, {"id 0", "UUID"});
}

TEST_F(IngressCheck, RefusesCloseModifyAndCancelWithoutATarget) {
    for (const int action : {2, 3, 4}) {
        Submit s = good_;
        s.action = static_cast<std::uint8_t>(action);
        expect_refused(s, Reason::UnknownTarget, {"target 0", "opening signal's id"});
        s.target_lo = 9;
        s.volume = 0;
        EXPECT_TRUE(taken(s)) << why_.text;
    }
}

TEST_F(IngressCheck, RefusesVolumesOutsideTheirRange) {
    for (const std::int64_t volume :
         {std::int64_t{0}, std::int64_t{-1}, kVolumeMax + 1,
          std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
        Submit s = good_;
        s.volume = volume;
        expect_refused(s, Reason::BadVolume, {"volume", std::to_string(volume).c_str(), "1e14"});
    }
    good_.volume = kVolumeMax;
    EXPECT_TRUE(taken(good_)) << why_.text;
    good_.volume = 1;
    EXPECT_TRUE(taken(good_)) << why_.text;
}

TEST_F(IngressCheck, RefusesPricesOutsideTheirRangeInEveryField) {
    const std::pair<const char*, std::int64_t Submit::*> fields[] = {
        {"price ", &Submit::price},
        {"stop_loss ", &Submit::stop_loss},
        {"take_profit ", &Submit::take_profit},
        {"reference_price ", &Submit::reference_price}};
    for (const auto& [name, field] : fields) {
        for (const std::int64_t value :
             {std::int64_t{-1}, kPriceMax + 1, std::numeric_limits<std::int64_t>::min()}) {
            Submit s = good_;
            s.*field = value;
            expect_refused(s, Reason::BadPrice, {name, std::to_string(value).c_str(), "1e17"});
        }
    }
    Submit s = good_;
    s.price_kind = 2;
    expect_refused(s, Reason::BadPrice, {"price 0", "stop"});
}

TEST_F(IngressCheck, RefusesATtlBeyondADay) {
    good_.ttl_ms = kTtlMsMax;
    EXPECT_TRUE(taken(good_)) << why_.text;
    good_.ttl_ms = kTtlMsMax + 1;
    expect_refused(good_, Reason::BadSignal, {"ttl_ms 86400001", "0..86400000"});
}

TEST_F(IngressCheck, RefusesSendStampsThatTheLedgerCannotVouchFor) {
    good_.send_time_ns = kNow.value - kSendTimeAgeMax.value;
    EXPECT_TRUE(taken(good_)) << why_.text;
    good_.send_time_ns -= 1;
    expect_refused(good_, Reason::StaleSignal, {"send_time", "7 days old"});
    good_.send_time_ns = kNow.value / 1'000'000;  // milliseconds, the usual mistake
    expect_refused(good_, Reason::StaleSignal, {"ns since 1970"});
    good_.send_time_ns = -5;
    expect_refused(good_, Reason::StaleSignal, {"send_time -5"});
    good_.send_time_ns = std::numeric_limits<std::int64_t>::max();
    expect_refused(good_, Reason::BadSignal, {"7 days ahead"});
    good_.send_time_ns = 0;
    EXPECT_TRUE(taken(good_)) << why_.text;
}

TEST_F(IngressCheck, TakesReceiptInPlaceOfASendStampThatIsAheadOfTheClock) {
    Signal s;
    s.send_time = kNow + kSendTimeAheadMax;
    EXPECT_FALSE(clamp_send_time(s, kNow)) << "five seconds are tolerated as they are";
    s.send_time = kNow + seconds(3 * 3600);  // broker time in place of UTC
    EXPECT_TRUE(clamp_send_time(s, kNow));
    EXPECT_EQ(s.send_time.value, 0);
}

}  // namespace
}  // namespace millrace
