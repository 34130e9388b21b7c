// Goal: each source format becomes the signals that its trader gave, no more and no less. Method: a
// few rows of each real format, and the events they must become.
#include "tests/market/temp_file.h"
#include "tools/market/decimal.h"
#include "tools/market/shift.h"
#include "tools/market/text.h"
#include "tools/market/trade_reader.h"

#include <set>

namespace millrace::market {
namespace {

using test::TempFile;
constexpr char kHeader[] =
    "time_ms,account,symbol,side,volume,price,sl,tp,comment,event,ticket,position,profit,"
    "commission,swap,time_src,clock,src_row,magic\n";

TradeFile read(const std::string& rows) {
    const TempFile file{"trades.csv", kHeader + rows};
    auto trades = read_trades(file.path());
    EXPECT_TRUE(trades.ok());
    return trades.ok() ? std::move(trades).value() : TradeFile{};
}

// "open1 close1": actions with their keys, in order.
std::string outline(const TradeFile& file) {
    std::string text;
    for (const TradeEvent& event : file.events) {
        text += (text.empty() ? "" : ", ") + std::string{to_string(event.action)} + " " +
                std::to_string(event.key);
    }
    return text;
}

TEST(Trades, Mt4TesterPartialCloseGoesOnUnderTheNextNumber) {
    const TradeFile file = read(
        "1000,T04,EURUSD,buy,1.00,1.36072,1.35480,0.00000,,open,3,2,,,,,server,22,\n"
        "2000,T04,EURUSD,buy,1.00,1.36072,1.36062,0.00000,,modify,4,2,,,,,server,23,\n"
        "2000,T04,EURUSD,sell,0.30,1.36136,1.36062,0.00000,,close,5,2,19.20,,,,server,24,\n"
        "2000,T04,EURUSD,buy,0.70,1.36072,1.36062,0.00000,,open,6,3,,,,,server,25,\n"
        "3000,T04,EURUSD,sell,0.70,1.36100,1.36062,0.00000,,close,7,3,7.00,,,,server,26,\n");
    EXPECT_EQ(outline(file), "open 1, modify 1, close part 1, close all 1");
    EXPECT_EQ(file.events[2].volume.value, 30'000'000);
    EXPECT_EQ(file.events[2].side, Side::Buy) << "of the position, not of the closing deal";
}

TEST(Trades, ClosesByTheServerAreNoSignals) {
    const TradeFile file = read(
        "1000,T04,EURUSD,buy,1.00,1.36663,1.36294,0,,open,1,1,,,,,server,20,\n"
        "2000,T04,EURUSD,sell,1.00,1.36294,1.36294,0,,close_sl,2,1,-369,,,,server,21,\n"
        "3000,A01,XAUUSD,sell,1.00,5064.31,5103.31,5050.81,#1[tp],open,7,7,,,,,utc,1,\n"
        "4000,A01,XAUUSD,buy,1.00,5050.81,5103.31,5050.81,#1[tp],close,7,7,1,,,,utc,1,\n");
    EXPECT_EQ(outline(file), "open 1, open 2");
    EXPECT_EQ(file.report.by_broker.at("closed at stop loss or take profit"), 2U);
}

TEST(Trades, AStopThatWasMovedUnseenIsDroppedAndItsCloseKept) {
    // A statement holds the last stop loss: trailed below the entry of this short position.
    const TradeFile file = read(
        "1000,A01,XAUUSD,sell,1,5052.53,5052.23,5038.03,x[sl],open,7,7,,,,,utc,1,\n"
        "2000,A01,XAUUSD,buy,1,5052.23,5052.23,5038.03,x[sl],close,7,7,1,,,,utc,1,\n");
    EXPECT_EQ(outline(file), "open 1, close all 1");
    EXPECT_EQ(file.events[0].stop_loss.value, 0);
    EXPECT_EQ(file.events[0].take_profit.value, 503'803'000'000);
}

TEST(Trades, PendingsArePlacedCancelledAndClosedByTheirKeyOnceFilled) {
    const TradeFile file = read(
        "1000,T05,EURUSD,buy limit,0.10,1.08600,0,1.08800,,place,1,1,,,,,server,1,\n"
        "1000,T05,EURUSD,buy limit,0.10,1.08500,0,1.08700,,place,2,2,,,,,server,2,\n"
        "2000,T05,EURUSD,buy,0.10,1.08600,0,1.08800,,open,3,1,,,,,server,3,\n"
        "3000,T05,EURUSD,buy limit,0.10,1.08500,0,1.08700,,delete,4,2,,,,,server,4,\n"
        "4000,T05,EURUSD,sell,0.10,1.08650,0,1.08800,,close_at_end,5,1,5,,,,server,5,\n");
    EXPECT_EQ(outline(file), "place pending 1, place pending 2, cancel pending 2, close all 1");
    EXPECT_EQ(file.events[0].price_kind, PriceKind::Limit);
    EXPECT_EQ(file.report.by_broker.at("pending filled"), 1U);
}

TEST(Trades, Mt5DealsAreJoinedByVolumeAndProfit) {
    const TradeFile file = read(
        "1000,T01,XAUUSD,sell,0.03,0.00,,,a,order_place,4,,,,,,server,1,\n"
        "1000,T01,XAUUSD,sell,0.03,0.00,,,a,order_filled,4,,,,,,server,1,\n"
        "1000,T01,XAUUSD,sell,0.03,2064.05,,,a,deal_in,4,4,0,0,0,,server,2,\n"
        "2000,T01,XAUUSD,sell,0.03,2065.43,,,a,deal_in,5,5,0,0,0,,server,3,\n"
        "3000,T01,XAUUSD,buy,0.03,2069.41,,,,deal_out,8,8,-11.94,0,0,,server,4,\n"
        "3000,T01,XAUUSD,buy,0.03,2069.41,,,,deal_out,9,9,-16.08,0,0,,server,5,\n"
        "4000,T01,XAUUSD,buy,0.03,2069.41,,,,deal_out,10,10,-16.08,0,0,,server,6,\n");
    EXPECT_EQ(outline(file), "open 1, open 2, close all 2, close all 1")
        << "11.94 lost is the second one's, 16.08 the first one's";
    EXPECT_EQ(file.report.left_out.at("close without an open"), 1U);
}

TEST(Trades, Mt5StopOrdersFillAndCloseAtTheirOwnStopByTheServerAlone) {
    const TradeFile file = read(
        "1000,T02,XAUUSD,buy stop,1,4353.36,4331.36,4367.86,R,order_place,2,,,,,,server,1,\n"
        "1000,T02,XAUUSD,buy stop,1,4353.36,4331.36,4366.86,R,order_place,3,,,,,,server,2,\n"
        "1000,T02,XAUUSD,buy stop,1,4353.36,4331.36,4366.86,R,order_place,4,,,,,,server,3,\n"
        "2000,T02,XAUUSD,buy,1,4353.40,,,R,deal_in,2,2,0,0,0,,server,4,\n"
        "2000,T02,XAUUSD,buy,1,4353.40,,,R,deal_in,3,3,0,0,0,,server,5,\n"
        "3000,T02,XAUUSD,sell,1,4331.30,,,sl 4331.36,deal_out,8,8,-2210,0,0,,server,6,\n"
        "3000,T02,XAUUSD,sell,1,4353.89,,,sl 4353.90,deal_out,9,9,49,0,0,,server,7,\n"
        "4000,T02,XAUUSD,buy stop,0,4353.36,,,R,order_canceled,4,,,,,,server,3,\n");
    EXPECT_EQ(outline(file),
              "place pending 1, place pending 2, place pending 3, close all 2, cancel pending 3");
    EXPECT_EQ(file.events[4].volume.value, kScale) << "the source shows what was left: nothing";
}

TEST(Trades, SaysWhatItLeavesOutAndWhy) {
    const TradeFile file = read(
        "1000,A02,,balance,,,,,x,balance,1,,10000,,,,server,1,\n"
        "1000,M01,,buy,0.1,7000,,,x,open,2,2,,,,,server,2,\n"
        "1000,M01,DAX,sell,0.1,7000,,,x,close,3,3,1,,,,server,3,\n"
        "x,M01,DAX,sell,0.1,7000,,,x,close,3,3,1,,,,server,4,\n"
        "1000,M01,DAX,buy,abc,7000,,,x,open,4,4,1,,,,server,4,\n"
        "1000,M01,DAX,buy,0.1,7000,,,x,open,5,5,,,,,server,5,\n"
        "1000,M02,DAX,sell,0.1,7001,,,x,close,5,5,1,,,,server,6,\n"
        "too,few\n");
    EXPECT_EQ(outline(file), "open 1") << "another account's close must not close it";
    EXPECT_EQ(file.report.left_out.at("balance row"), 1U);
    EXPECT_EQ(file.report.left_out.at("no symbol"), 1U);
    EXPECT_EQ(file.report.left_out.at("close without an open"), 2U);
    EXPECT_EQ(file.report.malformed, 3U);
    const TempFile other{"x.csv", "a,b\n"};
    EXPECT_EQ(read_trades(other.path()).code(), Errc::BadInput);
}

PriceIndex ticks_around(const char* symbol, std::int64_t price, std::int64_t start_s) {
    PriceIndex index;
    for (std::int64_t s = 0; s < 86'000; s += 10) {
        index.add(
            {seconds(start_s + s), to_text<16>(symbol), Price{price}, Price{price + 10 * 1'000}});
    }
    return index;
}

TEST(Shift, KeepsTheTimeOfDayAndTheRatioOfPrices) {
    TradeFile file = read(
        "90000000,A,EURUSD,buy,1,1.36000,1.35000,1.37000,,open,1,1,,,,,server,1,\n"  // 01:00
        "93600000,A,EURUSD,buy limit,1,1.35320,0,0,,place,2,2,,,,,server,1,\n"
        "97200000,A,EURUSD,sell,1,1.36500,0,0,,close,1,1,,,,,server,1,\n");
    const std::int64_t day = 20'000;
    const PriceIndex ticks = ticks_around("EURUSD", 108'800'000, day * 86'400);
    const ShiftReport report = shift_onto(file.events, ticks);
    EXPECT_FALSE(report.compressed);
    EXPECT_EQ(report.after.inside, 3U);
    EXPECT_EQ(file.events[0].time, seconds(day * 86'400 + 3'600));
    // 1.35 / 1.36 x 1.08810 (the ask) = 1.08010
    EXPECT_EQ(format_decimal(file.events[0].stop_loss.value), "1.0801");
    EXPECT_LT(file.events[1].price.value, 108'800'000);
    EXPECT_EQ(file.events[1].price.value % 1'000, 0);
}

TEST(Shift, ReplacesSymbolsAndScalesTimesWhenDaysAloneDoNotDo) {
    std::string rows;
    for (int day = 1; day <= 50; ++day) {
        const std::string id = std::to_string(day);
        rows += std::to_string(day * 86'400'000LL) + ",A,DAX,sell,1,7000,7100,6900,,open," + id +
                "," + id + ",,,,,server,1,\n";
    }
    TradeFile file = read(rows);
    const PriceIndex ticks = ticks_around("BTCUSDT", 6'000'000'000'000, 1'000'000);
    EXPECT_EQ(coverage(file.events, ticks).outside_symbols, 50U);
    EXPECT_TRUE(covered_only(file.events, ticks).empty());
    const ShiftReport report = shift_onto(file.events, ticks);
    EXPECT_TRUE(report.compressed);
    EXPECT_EQ(report.substituted.at("DAX"), "BTCUSDT");
    EXPECT_EQ(report.after.inside, 50U);
    for (const TradeEvent& event : file.events) {
        EXPECT_GT(event.stop_loss.value, 6'000'000'000'000);
        EXPECT_LT(event.take_profit.value, 6'000'000'000'000);
    }
}

TEST(Shift, MovesAFewTradesToTheBeginningOfShortTicksAndKeepsTheirDistances) {
    TradeFile file = read(
        "50000000,A,DAX,sell,1,7000,7100,6900,,open,1,1,,,,,server,1,\n"
        "50003000,A,DAX,buy,1,7000,0,0,,close,1,1,,,,,server,1,\n");
    PriceIndex ticks;  // six minutes before midnight
    for (std::int64_t s = 0; s < 350; ++s) {
        ticks.add({seconds(86'050 + s), to_text<16>("BTCUSDT"), Price{6'000'000'000'000},
                   Price{6'000'010'000'000}});
    }
    const ShiftReport report = shift_onto(file.events, ticks);
    EXPECT_TRUE(report.to_begin);
    EXPECT_FALSE(report.compressed) << describe(report);
    EXPECT_EQ(report.after.inside, 2U);
    EXPECT_EQ((file.events[1].time - file.events[0].time).value, seconds(3).value);
    EXPECT_LT(file.events[0].time, seconds(86'060));
    EXPECT_NE(describe(report).find("DAX traded as BTCUSDT"), std::string::npos);
}

TEST(Shift, RandomTradesAreTheSameForOneSeedAndEveryOpeningEnds) {
    const PriceIndex ticks = ticks_around("EURUSD", 108'800'000, 1'000'000);
    const auto trades = random_trades(7, 300, ticks);
    EXPECT_GE(trades.size(), 300U);
    const auto again = random_trades(7, 300, ticks);
    ASSERT_EQ(trades.size(), again.size());
    std::set<std::uint64_t> open;
    for (std::size_t i = 0; i < trades.size(); ++i) {
        EXPECT_EQ(trades[i].time, again[i].time);
        EXPECT_EQ(trades[i].price, again[i].price);
        const bool opens =
            trades[i].action == TradeAction::Open || trades[i].action == TradeAction::PlacePending;
        if (opens) {
            open.insert(trades[i].key);
        } else {
            EXPECT_TRUE(open.contains(trades[i].key)) << "event before its opening";
        }
        if (!opens && trades[i].action != TradeAction::Modify) {
            open.erase(trades[i].key);
        }
    }
    EXPECT_TRUE(open.empty());
}

}  // namespace
}  // namespace millrace::market
