// Goal: the demo itself ends as it promises, in every mode. Method: the real executable, its real
// processes, and the JSON that it prints.
#include "tests/demo/demo_process.h"

#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <tuple>

#include "tests/inspect/pty.h"
#include "tools/simbroker/append_file.h"
#include "tools/simbroker/books.h"

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

TEST_F(DemoRun, EndsCleanWithoutKillsAndLeavesAConfigurationThatWorks) {
    const auto report =
        run_clean("--no-chaos --seconds 4 --rate 50 --seed 7 --keep " + folder_.path("kept"));
    ASSERT_FALSE(report.empty());
    EXPECT_EQ(report.at("input").at("ticks"), "generated, seed 7");
    EXPECT_EQ(report.at("input").at("signals"), "generated, seed 7, 50 a second");
    EXPECT_TRUE(folder_.shell("$(dirname " MILLRACE_DEMO ")/../millrace/millrace config check " +
                              folder_.path("kept/millrace.json")))
        << folder_.text("shell.log");
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
    EXPECT_GT(report.at("untouched").at("signals"), 100) << "no signal had to be carried out";
    for (const auto& kill : report.at("kills")) {
        EXPECT_TRUE(kill.at("running_ns").is_number()) << kill.dump();
    }
}

/// What is seen without --json: all that issue and README name.
TEST_F(DemoRun, ShowsItsPartsOnATerminalWhileItRunsAndThenItsReport) {
    inspect::Pty terminal{[] {
        ::execl(MILLRACE_DEMO, "millrace-demo", "--threads", "--no-chaos", "--seconds", "4",
                nullptr);
        return 127;
    }};
    terminal.resize(120, 60);
    const auto waits_for = [&](const std::function<bool()>& seen) {
        constexpr int kTries = 12;  // of ten seconds each: a slow machine
        for (int i = 0; i < kTries && !seen(); ++i) {
            (void)terminal.wait_for([&](const inspect::Screen&) { return seen(); });
        }
        return seen();
    };
    for (const char* part : {"STAGE", "RINGS", "DEPTH", "IN/S", "HOP", "P99", "ACCOUNTS", "acc01",
                             "FILLS", "orders"}) {
        EXPECT_TRUE(waits_for([&] { return terminal.screen.has(part); })) << part << "\n"
                                                                          << terminal.screen.text();
    }
    EXPECT_TRUE(waits_for([&] { return terminal.raw.find("RESULT") != std::string::npos; }))
        << terminal.screen.text();
    const int status = terminal.wait_end();
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    for (const char* line :
         {"stages as threads", "ticks      generated, seed 1", "Signals      sent ", "  accepted ",
          "Orders  ", "  filled ", "  rejected ", "  expired ", "  were in doubt ", "p99.9",
          "signal_to_socket", "Kills        none", "lost 0  doubled 0  in doubt 0",
          "RESULT       OK"}) {
        EXPECT_NE(terminal.raw.find(line), std::string::npos) << line << "\n" << terminal.raw;
    }
}

/// The broker says that it refused what it has executed: it executes it a second time when the
/// pipeline, told so, sends it again. Nobody but its books knows.
TEST_F(DemoRun, SaysNoWhenTheBooksShowAnOrderTwice) {
    DemoProcess process{folder_, "run", "--no-chaos --accounts 2 --seconds 4",
                        std::string{"exec env "} + kBrokerFaultsVariable +
                            R"(='[{"kind": "retcode", "code": 10004, "executed": true, )"
                            R"("command": "open", "count": 4}]' )"};  // one of them comes through
    const nlohmann::json report = process.finish();
    EXPECT_EQ(process.status(), "exit status 1") << process.said();
    ASSERT_TRUE(report.is_object());
    EXPECT_EQ(report.at("ok"), false);
    EXPECT_GE(report.at("doubled"), 1) << report.at("problems").dump(1);
    EXPECT_NE(process.said().find("RESULT       NOT OK"), std::string::npos) << process.said();
}

/// A terminal is sent an order that it has. Its journal keeps it from a second execution, so that
/// deals alone would show nothing.
TEST_F(DemoRun, SaysNoWhenATerminalWasSentAnOrderTwice) {
    DemoProcess process{
        folder_, "run", "--no-chaos --accounts 2 --seconds 4",
        std::string{"exec env "} + kBrokerFaultsVariable +
            R"(='[{"kind": "duplicate_command", "command": "open", "count": 1}]' )"};
    const nlohmann::json report = process.finish();
    EXPECT_EQ(process.status(), "exit status 1") << process.said();
    ASSERT_TRUE(report.is_object());
    EXPECT_EQ(report.at("ok"), false);
    EXPECT_EQ(report.at("doubled"), 1) << report.at("problems").dump(1);
    EXPECT_EQ(report.at("problems").size(), 1U) << report.at("problems").dump(1);
    EXPECT_NE(process.said().find("only the terminal's journal kept it from being executed"),
              std::string::npos)
        << process.said();
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
        // Far from the market: it is placed, changed and taken back.
        for (const auto& [ms, price, event] : {std::tuple{2100, "1.05", "place"},
                                               {4100, "1.06", "modify"},
                                               {8100, "1.06", "delete"}}) {
            trades << 1'700'000'000'000 + ms << ",A,EURUSD,buy limit,0.10," << price << ",0,0,,"
                   << event << ",50,,,,,,utc,50,\n";
        }
        trades << "1700000003000,A,DAX,buy,0.10,9000,0,0,,open,60,,,,,,utc,60,\n";
        trades << "1800000000000,A,EURUSD,buy,0.10,1.1,0,0,,open,99,,,,,,utc,99,\n";
    }
    // At twice the speed a signal lives 15 s: longer than a disk stands still.
    const auto report =
        run_clean("--ticks " + folder_.path("ticks.csv") + " --signals " +
                  folder_.path("trades.csv") + " --speed 2 --keep " + folder_.path("kept"));
    ASSERT_FALSE(report.empty());
    EXPECT_EQ(report.at("signals").at("sent"), 23);
    EXPECT_EQ(report.at("input").at("skipped").at("trades outside the ticks' time"), 1);
    EXPECT_EQ(report.at("input").at("skipped").at("trades in symbols without ticks"), 1);
    std::map<sim::BookKind, int> done;
    std::int64_t changed_to = 0;
    const auto books = sim::read_file(folder_.path("kept/broker/books"));
    ASSERT_TRUE(books.ok());
    EXPECT_TRUE(sim::scan_books(books.value(), [&](const sim::BookRecord& r) {
                    ++done[r.kind];
                    changed_to = r.kind == sim::BookKind::OrderModified ? r.price : changed_to;
                }).ok());
    EXPECT_EQ(done[sim::BookKind::OrderModified], 8) << "once an account";
    EXPECT_EQ(done[sim::BookKind::OrderCanceled], 8);
    EXPECT_EQ(changed_to, 106'000'000);
    EXPECT_TRUE(report.at("kills").empty()) << "with files nothing is killed unless asked for";
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
