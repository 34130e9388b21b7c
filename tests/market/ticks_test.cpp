// Goal: prices come in exactly or not at all, and every defect of a tick file is counted, named and
// survived. Method: small files with one fault each.
#include "tests/market/temp_file.h"
#include "tools/market/decimal.h"
#include "tools/market/generator.h"
#include "tools/market/text.h"
#include "tools/market/tick_reader.h"

namespace millrace::market {
namespace {

using test::TempFile;
constexpr char kHeader[] = "time_ms,symbol,bid,ask,bid_vol,ask_vol\n";

std::vector<Tick> read_all(TickSource& source) {
    std::vector<Tick> ticks;
    while (const auto tick = source.next()) {
        ticks.push_back(*tick);
    }
    return ticks;
}

TEST(Decimal, IsExactOrRefused) {
    EXPECT_EQ(parse_decimal("1.08000001").value(), 108'000'001);
    EXPECT_EQ(parse_decimal("-0.5").value(), -50'000'000);
    EXPECT_EQ(parse_decimal("2683.80000000").value(), 268'380'000'000);
    EXPECT_EQ(parse_decimal("92233720368.54775807").value(), INT64_MAX);
    EXPECT_EQ(parse_millis_ns("1723161254024.6195687").value(), 1'723'161'254'024'619'568);
    for (const char* bad : {"", ".", "-", "1.2.3", "1e5", "nan", " 1", "1,5", "0.000000001",
                            "92233720368.54775808", "99999999999999999999"}) {
        EXPECT_FALSE(parse_decimal(bad).ok()) << bad;
    }
}

TEST(Decimal, FormatsWhatItParses) {
    for (const char* text : {"0", "1.08", "-0.00000001", "92233720368.54775807", "120"}) {
        EXPECT_EQ(format_decimal(parse_decimal(text).value()), text);
    }
    EXPECT_EQ(format_decimal(INT64_MIN), "-92233720368.54775808");
}

TEST(Ticks, ReadsGzipWithFractionalMilliseconds) {
    const TempFile file{"x.csv.gz",
                        std::string{kHeader} + "1398988800046.2042,XAUUSD,1284.065,1284.405,,\n" +
                            "1398988800049.769,XAUUSD,1284.081,1284.44,,\r\n",
                        true};
    const auto reader = TickReader::open(file.path());
    ASSERT_TRUE(reader.ok());
    const auto ticks = read_all(*reader.value());
    ASSERT_EQ(ticks.size(), 2U);
    EXPECT_EQ(ticks[0].time.value, 1'398'988'800'046'204'200);
    EXPECT_EQ(ticks[1].ask.value, 128'444'000'000);
    EXPECT_EQ(reader.value()->decimals().begin()->second, 3U);
}

TEST(Ticks, CountsEveryDefectAndNamesTheLinesItLeavesOut) {
    const TempFile file{"x.csv", std::string{kHeader} +
                                     "1000,EURUSD,1.1,1.2,,\n"   // 2
                                     "1000,EURUSD,1.1,1.2,,\n"   // repeat
                                     "2000,EURUSD,1.3,1.2,,\n"   // crossed
                                     "3000,EURUSD,1.2,1.2,,\n"   // locked
                                     "2500,EURUSD,1.1,1.2,,\n"   // back in time
                                     "64000,EURUSD,1.1,1.2,,\n"  // gap
                                     "65000,EURUSD,0,1.2,,\n"    // no price
                                     "65000,EURUSD,abc,1.2,,\n"  // no number
                                     "nonsense\n"
                                     "66000,EURUSD,1.1,1.2,,\n"};
    const auto reader = TickReader::open(file.path());
    ASSERT_TRUE(reader.ok());
    EXPECT_EQ(read_all(*reader.value()).size(), 6U);
    const TickDefects& d = reader.value()->defects();
    EXPECT_EQ(d.repeats, 1U);
    EXPECT_EQ(d.same_time, 1U);
    EXPECT_EQ(d.crossed, 1U);
    EXPECT_EQ(d.locked, 1U);
    EXPECT_EQ(d.out_of_order, 1U);
    EXPECT_EQ(d.gaps, 1U);
    EXPECT_EQ(d.bad_price, 1U);
    EXPECT_EQ(d.malformed, 2U);
    ASSERT_EQ(d.examples.size(), 4U);
    EXPECT_EQ(d.examples[2], file.path() + ":9: bid or ask is not a decimal number");
}

TEST(Ticks, ReadsAnMt5ExportWhereEmptyMeansUnchanged) {
    const TempFile file{"EURUSD_202603180000_202603202359.csv",
                        "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>\n"
                        "2026.03.18\t00:00:00.006\t1.15389\t1.15395\t\t\t6\n"
                        "2026.03.18\t00:00:00.112\t1.15391\t\t\t\t2\n"
                        "2026.03.18\t00:00:01.000\t\t1.15394\t\t\t4\n"
                        "2026.13.18\t00:00:01.000\t\t1.15394\t\t\t4\n"};
    const auto reader = TickReader::open(file.path());
    ASSERT_TRUE(reader.ok());
    const auto ticks = read_all(*reader.value());
    ASSERT_EQ(ticks.size(), 3U);
    EXPECT_EQ(view_of(ticks[0].symbol), "EURUSD");
    EXPECT_EQ(ticks[0].time.value, 1'773'792'000'006'000'000);
    EXPECT_EQ(ticks[1].bid.value, 115'391'000);
    EXPECT_EQ(ticks[1].ask.value, 115'395'000);
    EXPECT_EQ(ticks[2].bid.value, 115'391'000);
    EXPECT_EQ(reader.value()->defects().malformed, 1U);
}

TEST(Ticks, RefusesAFileThatIsNone) {
    const TempFile file{"x.csv", "a,b,c\n1,2,3\n"};
    EXPECT_EQ(TickReader::open(file.path()).code(), Errc::BadInput);
    EXPECT_EQ(TickReader::open(file.path() + ".missing").code(), Errc::IoError);
    const TempFile empty{"x.csv", ""};
    EXPECT_EQ(TickReader::open(empty.path()).code(), Errc::BadInput);
}

TEST(Ticks, SaysWhereADamagedGzipFileEnds) {
    std::string text{kHeader};
    for (int i = 0; i < 5'000; ++i) {
        text += std::to_string(1'000 + i) + ",EURUSD,1.1,1." + std::to_string(2'000 + i * 7 % 977) +
                ",,\n";
    }
    const TempFile file{"x.csv.gz", text, true};
    std::filesystem::resize_file(file.path(), std::filesystem::file_size(file.path()) / 2);
    const auto reader = TickReader::open(file.path());
    ASSERT_TRUE(reader.ok());
    const auto ticks = read_all(*reader.value());
    EXPECT_LT(ticks.size(), 5'000U);
    ASSERT_FALSE(reader.value()->defects().examples.empty());
    EXPECT_NE(reader.value()->defects().examples.back().find("damaged"), std::string::npos);
}

TEST(Ticks, MergesFilesByTime) {
    const TempFile a{"a.csv", std::string{kHeader} + "1,A,1,2,,\n3,A,1,2,,\n5,A,1,2,,\n"};
    const TempFile b{"b.csv", std::string{kHeader} + "2,B,1,2,,\n3,B,1,2,,\n"};
    std::vector<std::unique_ptr<TickSource>> sources;
    sources.push_back(std::move(TickReader::open(a.path())).value());
    sources.push_back(std::move(TickReader::open(b.path())).value());
    TickMerge merge{std::move(sources)};
    std::string order;
    for (const Tick& tick : read_all(merge)) {
        order += view_of(tick.symbol);
    }
    EXPECT_EQ(order, "ABABA");
}

TEST(Generator, GivesTheSameTicksForOneSeedAndSaneOnes) {
    GeneratorOptions options;
    options.seed = 42;
    options.start = seconds(1'000'000);
    options.ticks_max = 20'000;
    const std::vector<SymbolInfo> symbols{*find_symbol("EURUSD"), *find_symbol("XAUUSD")};
    TickGenerator first{symbols, options};
    TickGenerator second{symbols, options};
    Nanos last;
    for (int i = 0; i < 20'000; ++i) {
        const auto tick = first.next();
        ASSERT_EQ(tick, second.next());
        ASSERT_TRUE(tick);
        EXPECT_GE(tick->time, last);
        EXPECT_LT(tick->bid, tick->ask);
        EXPECT_EQ(tick->bid.value % find_symbol(view_of(tick->symbol))->tick_size.value, 0);
        last = tick->time;
    }
    EXPECT_FALSE(first.next());
}

}  // namespace
}  // namespace millrace::market
