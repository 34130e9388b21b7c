// Goal: recorded trades become signals in scaled recorded time, joined to their opening, and what
// cannot be played is counted by its reason. Method: small files with known content.
#include <gtest/gtest.h>

#include <fstream>

#include "tools/demo_run/input.h"
#include "tools/demo_run/options.h"
#include "tools/demo_run/recorded.h"
#include "tools/demo_run/workspace.h"
#include "tools/market/text.h"

namespace millrace::demo {
namespace {

market::TradeEvent event(std::int64_t second, market::TradeAction action, std::uint64_t key) {
    market::TradeEvent e;
    e.time = seconds(1000 + second);
    e.action = action;
    e.key = key;
    e.symbol = market::to_text<16>("EURUSD");
    e.volume = Lots{kScale};
    e.price = Price{110'000'000};
    e.price_kind =
        action == market::TradeAction::PlacePending ? PriceKind::Limit : PriceKind::Market;
    return e;
}

RecordedOptions options(double speed) {
    RecordedOptions o;
    o.events = {
        event(0, market::TradeAction::Open, 1), event(10, market::TradeAction::PlacePending, 2),
        event(20, market::TradeAction::ClosePart, 1), event(30, market::TradeAction::CloseAll, 1)};
    o.speed = speed;
    o.origin = seconds(990);
    return o;
}

TEST(RecordedScript, PlaysEventsAtTheirScaledTimes) {
    RecordedScript script{options(10.0)};
    EXPECT_FALSE(script.next(millis(999)));
    EXPECT_TRUE(script.next(millis(1000)));
    EXPECT_FALSE(script.next(millis(1999)));
    EXPECT_TRUE(script.next(millis(2000)));
    EXPECT_FALSE(script.finished());
    EXPECT_EQ(script.left(), 2U);
}

TEST(RecordedScript, JoinsClosesToTheirOpeningAndKeepsVolumes) {
    RecordedScript script{options(1000.0)};
    std::vector<Planned> all;
    while (auto p = script.next(seconds(10))) {
        all.push_back(*p);
    }
    ASSERT_EQ(all.size(), 4U);
    EXPECT_TRUE(script.finished());
    EXPECT_EQ(script.left(), 0U);
    EXPECT_EQ(all[0].request.price.value, 0);  // a market order: its price is history
    EXPECT_EQ(all[1].request.price.value, 110'000'000);
    EXPECT_EQ(all[2].request.target, all[0].request.id);
    EXPECT_EQ(all[2].request.volume.value, kScale);
    EXPECT_EQ(all[3].request.target, all[0].request.id);
    EXPECT_EQ(all[3].request.volume.value, 0);  // all of it
}

TEST(RecordedScript, ChangesAPendingWhereItStandsAndStillCancelsItAtTheEnd) {
    RecordedOptions o = options(1000.0);
    o.events = {event(0, market::TradeAction::PlacePending, 2),
                event(10, market::TradeAction::Modify, 2)};
    o.events[1].price = Price{109'000'000};
    o.events[1].stop_loss = Price{108'000'000};
    RecordedScript script{std::move(o)};
    const auto placed = script.next(seconds(10));
    const auto changed = script.next(seconds(10));
    ASSERT_TRUE(placed && changed);
    EXPECT_EQ(changed->request.action, SignalAction::Modify);
    EXPECT_EQ(changed->request.target, placed->request.id);
    EXPECT_EQ(changed->request.price.value, 109'000'000);
    EXPECT_EQ(changed->request.stop_loss.value, 108'000'000);
    ASSERT_EQ(script.tidy_up().size(), 1U);
}

TEST(DemoOptions, KillNothingWithFilesOrAtAnotherSpeedUnlessAsked) {
    const auto kills = [](std::vector<std::string> words) {
        words.insert(words.begin(), "millrace-demo");
        std::vector<char*> argv;
        for (std::string& word : words) {
            argv.push_back(word.data());
        }
        Options o;
        int exit_status = -1;
        EXPECT_TRUE(parse_options(static_cast<int>(argv.size()), argv.data(), o, exit_status));
        return o.chaos;
    };
    const std::string file = "/proc/self/exe";  // one that is there; nobody reads it
    EXPECT_TRUE(kills({}));
    EXPECT_FALSE(kills({"--no-chaos"}));
    EXPECT_FALSE(kills({"--speed", "2"}));
    EXPECT_FALSE(kills({"--ticks", file}));
    EXPECT_FALSE(kills({"--ticks", file, "--signals", file}));
    EXPECT_TRUE(kills({"--speed", "2", "--chaos"}));
    EXPECT_TRUE(kills({"--ticks", file, "--signals", file, "--speed", "10", "--chaos"}));
}

TEST(RecordedScript, CancelsAtTheEndThePendingThatStillWorks) {
    RecordedScript script{options(1000.0)};
    SignalId placed;
    while (auto p = script.next(seconds(10))) {
        placed = p->request.price_kind == PriceKind::Limit ? p->request.id : placed;
    }
    const auto cancels = script.tidy_up();
    ASSERT_EQ(cancels.size(), 1U);
    EXPECT_EQ(cancels[0].request.target, placed);
}

class FilesTest : public ::testing::Test {
protected:
    FilesTest() {
        std::string message;
        auto made = Workspace::create("", message);
        EXPECT_TRUE(made) << message;
        folder_ = std::move(made.value());
        std::ofstream ticks{folder_.path("ticks.csv")};
        ticks << "time_ms,symbol,bid,ask,bid_vol,ask_vol\n";
        for (int i = 0; i < 600; ++i) {
            ticks << 1'700'000'000'000 + i * 100 << ",EURUSD,1.1000,1.1001,,\n";
        }
        ticks << "1700000060000,EURUSD,1.1002,1.1001,,\n";  // crossed
        options_.ticks = {folder_.path("ticks.csv")};
    }
    void trades(const std::string& rows) {
        std::ofstream{folder_.path("trades.csv")}
            << "time_ms,account,symbol,side,volume,price,sl,tp,comment,event,ticket,position,"
               "profit,commission,swap,time_src,clock,src_row,magic\n"
            << rows;
        options_.signals = folder_.path("trades.csv");
    }
    Workspace folder_;
    Options options_;
    Input input_;
    std::string message_;
};

TEST_F(FilesTest, NamesTheDefectsOfTheTicksAndTheirSymbols) {
    ASSERT_TRUE(prepare_input(options_, input_, message_)) << message_;
    ASSERT_EQ(input_.symbols.size(), 1U);
    EXPECT_EQ(input_.symbols[0].name, "EURUSD");
    bool crossed = false;
    for (const auto& [what, count] : input_.note.defects) {
        crossed = crossed || (what == "ticks.csv: crossed quotes (bid above ask)" && count == 1);
    }
    EXPECT_TRUE(crossed);
}

TEST_F(FilesTest, SaysThatNoTradeMeetsATickAndWhatMendsIt) {
    trades("1600000000000,A,EURUSD,buy,1,1.1,,,,open,1,,,,,,utc,1,\n");
    EXPECT_FALSE(prepare_input(options_, input_, message_));
    EXPECT_NE(message_.find("--shift-signals moves it there"), std::string::npos) << message_;
}

TEST_F(FilesTest, MovesTradesOntoTheTicksWhenAsked) {
    trades(
        "1600000000000,A,EURUSD,buy,1,1.1,,,,open,1,,,,,,utc,1,\n"
        "1600000005000,A,EURUSD,sell,1,1.1,,,,close,1,,,,,,utc,2,\n");
    options_.shift_signals = true;
    ASSERT_TRUE(prepare_input(options_, input_, message_)) << message_;
}

TEST_F(FilesTest, ScalesTheLifeOfSignalsButNeverBelowTwoSeconds) {
    trades("1700000010000,A,EURUSD,buy,1,1.1,,,,open,1,,,,,,utc,1,\n");
    options_.speed = 3;
    ASSERT_TRUE(prepare_input(options_, input_, message_)) << message_;
    EXPECT_EQ(input_.ttl_ms, 10'000U);
    options_.speed = 1000;
    Input faster;
    ASSERT_TRUE(prepare_input(options_, faster, message_)) << message_;
    EXPECT_EQ(faster.ttl_ms, 2'000U);
}

TEST_F(FilesTest, NamesFileThatIsNeitherTicksNorTrades) {
    std::ofstream{folder_.path("noise.csv")} << "hello\n";
    options_.ticks = {folder_.path("noise.csv")};
    EXPECT_FALSE(prepare_input(options_, input_, message_));
    EXPECT_NE(message_.find("noise.csv"), std::string::npos) << message_;
}

}  // namespace
}  // namespace millrace::demo
