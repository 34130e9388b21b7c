// Goal: the demo itself ends as it promises, in every mode. Method: the real executable, its real
// processes, and the JSON that it prints.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <fstream>
#include <sstream>

#include "tools/demo_run/child.h"
#include "tools/demo_run/workspace.h"

namespace millrace::demo {
namespace {

class DemoRun : public ::testing::Test {
protected:
    DemoRun() {
        std::string message;
        auto made = Workspace::create("", message);
        EXPECT_TRUE(made) << message;
        folder_ = std::move(made.value());
    }

    /// Runs the demo with `options`; its report, null if it printed none.
    nlohmann::json run(const std::string& options) {
        std::string message;
        const std::string command = std::string{MILLRACE_DEMO} + " --json " + options + " >" +
                                    folder_.path("json") + " 2>" + folder_.path("err");
        auto child =
            Child::spawn({"/bin/sh", "-c", "exec " + command}, folder_.path("log"), message);
        EXPECT_TRUE(child) << message;
        EXPECT_TRUE(child.value().wait(seconds(150))) << "still running";
        status_ = child.value().how_it_ended();
        return nlohmann::json::parse(text("json"), nullptr, false);
    }
    [[nodiscard]] std::string text(const std::string& name) const {
        std::stringstream all;
        all << std::ifstream{folder_.path(name)}.rdbuf();
        return all.str();
    }
    void expect_clean(const nlohmann::json& report) {
        ASSERT_TRUE(report.is_object()) << status_ << "\n" << text("err");
        EXPECT_EQ(status_, "exit status 0") << text("err");
        EXPECT_EQ(report.at("lost"), 0);
        EXPECT_EQ(report.at("doubled"), 0);
        EXPECT_EQ(report.at("in_doubt"), 0);
        EXPECT_EQ(report.at("ok"), true) << report.at("problems").dump(1) << text("err");
        EXPECT_GT(report.at("books").at("executions"), 0);
    }

    Workspace folder_;
    std::string status_;
};

TEST_F(DemoRun, EndsCleanWithoutKills) {
    const auto report = run("--no-chaos --seconds 4");
    expect_clean(report);
    EXPECT_TRUE(report.at("kills").empty());
    EXPECT_GT(report.at("signals").at("accepted"), 0);
    EXPECT_TRUE(report.at("warnings").empty()) << report.at("warnings").dump(1);
    // Each signal that the engine took went from source to edge once.
    const auto& latency = report.at("latency");
    EXPECT_EQ(latency.at("source_to_edge").at("count"), latency.at("edge_to_engine").at("count"));
}

TEST_F(DemoRun, LosesAndDoublesNothingWhileEveryStageIsKilledOnce) {
    const auto report = run("--seconds 16");
    expect_clean(report);
    EXPECT_EQ(report.at("kills").size(), 8U);
    for (const auto& kill : report.at("kills")) {
        EXPECT_TRUE(kill.at("running_ns").is_number()) << kill.dump();
    }
}

TEST_F(DemoRun, RunsStagesAsThreads) {
    expect_clean(run("--threads --no-chaos --seconds 4"));
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
    const auto report = run("--ticks " + folder_.path("ticks.csv") + " --signals " +
                            folder_.path("trades.csv") + " --speed 2");
    expect_clean(report);
    EXPECT_EQ(report.at("signals").at("sent"), 20);
    EXPECT_EQ(report.at("input").at("skipped").at("trades outside the ticks' time"), 1);
}

TEST_F(DemoRun, NamesFileThatItCannotPlayAndPrintsNoReport) {
    std::ofstream{folder_.path("noise.csv")} << "hello\n";
    const auto report = run("--ticks " + folder_.path("noise.csv"));
    EXPECT_FALSE(report.is_object());
    EXPECT_EQ(status_, "exit status 2");
    EXPECT_NE(text("err").find("noise.csv"), std::string::npos) << text("err");
}

}  // namespace
}  // namespace millrace::demo
