// Goal: the demo itself ends as it promises, in every mode. Method: the real executable, its real
// processes, and the JSON that it prints.
#include "tests/demo/demo_process.h"

namespace millrace::demo {
namespace {

class DemoRun : public ::testing::Test {
protected:
    /// Runs the demo with `options`; its report, null if it printed none.
    nlohmann::json run(const std::string& options) {
        DemoProcess process{folder_, "run", options};
        nlohmann::json report = process.finish();
        status_ = process.status();
        said_ = process.said();
        return report;
    }
    nlohmann::json run_clean(const std::string& options) {
        return DemoProcess{folder_, "run", options}.finish_clean();
    }

    DemoFolder folder_;
    std::string status_;
    std::string said_;
};

TEST_F(DemoRun, EndsCleanWithoutKills) {
    const auto report = run_clean("--no-chaos --seconds 4");
    ASSERT_FALSE(report.empty());
    EXPECT_TRUE(report.at("kills").empty());
    EXPECT_GT(report.at("signals").at("accepted"), 0);
    EXPECT_TRUE(report.at("warnings").empty()) << report.at("warnings").dump(1);
    // Each signal that the engine took went from source to edge once.
    const auto& latency = report.at("latency");
    EXPECT_EQ(latency.at("source_to_edge").at("count"), latency.at("edge_to_engine").at("count"));
}

TEST_F(DemoRun, LosesAndDoublesNothingWhileEveryStageIsKilledOnce) {
    const auto report = run_clean("--seconds 16");
    ASSERT_FALSE(report.empty());
    EXPECT_EQ(report.at("kills").size(), 8U);
    for (const auto& kill : report.at("kills")) {
        EXPECT_TRUE(kill.at("running_ns").is_number()) << kill.dump();
    }
}

TEST_F(DemoRun, RunsStagesAsThreads) {
    EXPECT_EQ(run_clean("--threads --no-chaos --seconds 4").value("mode", ""), "threads");
}

TEST_F(DemoRun, LosesAndDoublesNothingWhileTheProcessOfAllStagesIsKilled) {
    const auto report = run_clean("--threads --accounts 4 --seconds 8");
    ASSERT_FALSE(report.empty());
    EXPECT_EQ(report.at("mode"), "threads");
    ASSERT_EQ(report.at("kills").size(), 2U) << report.at("kills").dump();
    EXPECT_EQ(report.at("kills")[0].at("stage"), "pipeline");
    EXPECT_EQ(report.at("kills")[1].at("stage"), "simbroker");
}

TEST_F(DemoRun, ReplaysTradesOverTicksAndCountsWhatItLeftOut) {
    {
        std::ofstream ticks{folder_.path("ticks.csv")};
        ticks << "time_ms,symbol,bid,ask,bid_vol,ask_vol\n";
        for (int i = 0; i < 1200; ++i) {
            ticks << 1'700'000'000'000 + i * 10 << ",EURUSD,1.1000" << i % 7 << ",1.1001" << i % 7
                  << ",,\n";
        }
        std::ofstream trades{folder_.path("trades.csv")};
        trades << "time_ms,account,symbol,side,volume,price,sl,tp,comment,event,ticket,position,"
                  "profit,commission,swap,time_src,clock,src_row,magic\n";
        for (int i = 0; i < 10; ++i) {
            const auto row = [&](int ms, const char* side, const char* event) {
                trades << 1'700'000'000'000 + ms << ",A,EURUSD," << side << ",0.10,1.1,0,0,,"
                       << event << ',' << i + 1 << ",,,,,,utc," << i * 2 + 1 << ",\n";
            };
            row(2000 + i * 400, "buy", "open");
            row(6000 + i * 400, "sell", "close");
        }
        trades << "1800000000000,A,EURUSD,buy,0.10,1.1,0,0,,open,99,,,,,,utc,99,\n";
    }
    // At twice the speed a signal lives 15 s: longer than a disk stands still.
    const auto report = run_clean("--ticks " + folder_.path("ticks.csv") + " --signals " +
                                  folder_.path("trades.csv") + " --speed 2");
    ASSERT_FALSE(report.empty());
    EXPECT_EQ(report.at("signals").at("sent"), 20);
    EXPECT_EQ(report.at("input").at("skipped").at("trades outside the ticks' time"), 1);
}

TEST_F(DemoRun, NamesFileThatItCannotPlayAndPrintsNoReport) {
    std::ofstream{folder_.path("noise.csv")} << "hello\n";
    const auto report = run("--ticks " + folder_.path("noise.csv"));
    EXPECT_FALSE(report.is_object());
    EXPECT_EQ(status_, "exit status 2");
    EXPECT_NE(said_.find("noise.csv"), std::string::npos) << said_;
}

}  // namespace
}  // namespace millrace::demo
