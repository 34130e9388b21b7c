// Goal: the demo plays recorded trades over recorded ticks as they are published: gzip, fractions
// of a millisecond, crossed quotes, repeats, gaps; opens, closes, parts of them, pendings placed
// and deleted; and names what is wrong with the files. Method: the real executable on the data
// under MILLRACE_SHARED, or under ../shared beside the project, if it is there, else on a small
// stand-in of the same kind; it says which.
//
// From each trade file a piece is cut in which much happens, and its minutes are pressed together:
// so a run is short at a speed at which a signal still lives 10 s, longer than a disk stands still.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <set>
#include <vector>

#include "tests/demo/demo_process.h"
#include "tools/simbroker/append_file.h"
#include "tools/simbroker/books.h"

namespace millrace::demo {
namespace {

std::string data() {
    const char* shared = std::getenv("MILLRACE_SHARED");
    return (shared != nullptr ? std::string{shared} : MILLRACE_SOURCE_DIR "/../shared") + "/data";
}
const std::string kData = data();

constexpr std::size_t kBeside = 3;

/// What signals did at the broker, by its books.
enum Act : std::size_t { kOpened, kClosed, kClosedInPart, kModified, kDeleted, kActs };
constexpr const char* kActNames[kActs] = {"opened", "closed", "closed in part", "modified",
                                          "deleted"};

/// Events of a trade file between two moments, and the ticks that they are played over.
struct Replay {
    const char* name;
    std::vector<std::string> ticks;
    const char* trades;
    const char* from_ms;
    const char* to_ms;
    int pressed;  // what was a second becomes one of this many parts of a second
    bool shifted;
    /// As data/README.md counts them in the first file of ticks.
    std::vector<std::pair<const char*, std::uint64_t>> defects;
    std::vector<Act> acts;            // each of which is carried out at least once
    std::uint64_t without_ticks = 0;  // trades in symbols of which there are no ticks
    const char* said = "";            // a note of the report has this in it
};

const std::vector<Replay> kReplays = {
    {"baskets of stop orders in gold",
     {"xauusd_oanda_2014-05-02_2014-05-05.csv.gz"},
     "mt5_tester_T02_xauusd_2026.csv.gz",
     "1767972757000",
     "1767972777000",
     1,
     true,
     {{"gaps of more than 60 s", 27}},
     {kOpened, kClosed}},
    {"an account's own days",
     {"eurusd_dukascopy_2026-03-18_2026-03-20.csv.gz"},
     "mt4_account_A01_2026-03_2026-05.csv",
     "1773792000000",
     "1774051199000",
     20'000,
     false,
     {{"gaps of more than 60 s", 12}},
     {kOpened, kClosed},
     26},
    {"a day of that account's pendings in gold, over a wild day of the euro",
     {"eurusd_dukascopy_2026-03-23.csv.gz"},
     "mt4_account_A01_2026-03_2026-05.csv",
     "1778032801000",
     "1778110202000",
     8000,
     true,
     {{"gaps of more than 60 s", 6}},
     {kOpened, kDeleted},
     0,
     "XAUUSD traded as EURUSD"},
    {"an account's busiest day, eleven symbols over one",
     {"nzdusd_fxcm_2014-05-01_2014-05-06.csv.gz"},
     "mt4_account_A02_2015q4.csv",
     "1447394400000",
     "1447459199000",
     6000,
     true,
     {{"crossed quotes (bid above ask)", 7925}},
     {kOpened, kClosed}},
    {"an account's orders, deals and pendings of five days",
     {"eurusd_dukascopy_2025-10-10.csv.gz"},
     "mt5_account_A03_2016-08.csv",
     "1470371765000",
     "1470724924000",
     40'000,
     true,
     {{"gaps of more than 60 s", 1}},
     {kOpened, kClosed, kDeleted}},
    {"an hour of hedge baskets in gold, over a fall of oil",
     {"xtiusd_dukascopy_2026-03-09.csv.gz"},
     "mt5_tester_T01_xauusd_2024-01_2024-02.csv.gz",
     "1704380400000",
     "1704383999000",
     400,
     true,
     {{"gaps of more than 60 s", 2}},
     {kOpened, kClosed},
     0,
     "XAUUSD traded as XTIUSD"},
    {"three accounts at two brokers",
     {"eurusd_dukascopy_2019-02-04.csv.gz"},
     "multi_account_2013_M01_M02_M03.csv.gz",
     "1361816000000",
     "1361850000000",
     4000,
     true,
     {{"gaps of more than 60 s", 3}},
     {kOpened, kClosed}},
    {"pendings over crossed quotes",
     {"eurusd_fxcm_2014-05-01_2014-05-09.csv.gz"},
     "mt4_tester_T05_eurusd_pendings.csv",
     "1453383120000",
     "1453383180000",
     6,
     true,
     {{"crossed quotes (bid above ask)", 69'354}, {"locked quotes (bid equals ask)", 82'118}},
     {kOpened, kDeleted}},
    {"partial closes over repeats",
     {"eurusd_oanda_2014-05-01_2014-05-09.csv.gz"},
     "mt4_tester_T04_eurusd_partial_closes.csv",
     "1436200000000",
     "1442500000000",
     300'000,
     true,
     {{"exact repeats of the row before", 1}, {"time stamp of the row before", 2848}},
     {kOpened, kClosed, kClosedInPart, kModified}},
    {"an account's five days of francs and euros, over six minutes of two coins",
     {"btcusdt_binance_usdm_2024-08-08.csv.gz", "ethusdt_binance_spot_2024-08-08.csv.gz"},
     "mt5_account_A03_2016-08.csv",
     "1470371765000",
     "1470724924000",
     40'000,
     true,
     {{"time stamp of the row before", 31'843}},
     {kOpened, kClosed, kDeleted},
     0,
     "traded as ETHUSDT"},
};

/// Its files of ticks, `before` each, with `between` them.
std::string ticks_of(const Replay& r, const std::string& before, const char* between) {
    std::string all;
    for (const std::string& file : r.ticks) {
        all += (all.empty() ? "" : between) + before + file;
    }
    return all;
}
std::string trades_path(const Replay& r) {
    return kData + "/trades/" + r.trades;
}

/// The first recorded file that is not there; empty if all are.
std::string missing() {
    for (const Replay& r : kReplays) {
        std::vector<std::string> files{trades_path(r)};
        for (const std::string& ticks : r.ticks) {
            files.push_back(kData + "/ticks/" + ticks);
        }
        for (const std::string& file : files) {
            if (!std::filesystem::exists(file)) {
                return file;
            }
        }
    }
    return {};
}

/// Where a run leaves its files.
std::string kept(const DemoFolder& folder, std::size_t number) {
    return folder.path("kept" + std::to_string(number));
}

/// The rows of `trades` between the two moments, as a file of the same kind.
std::string cut(const DemoFolder& folder, const Replay& r, std::size_t number) {
    const bool packed = std::string{r.trades}.ends_with(".gz");
    const std::string out =
        folder.path("trades" + std::to_string(number) + (packed ? ".csv.gz" : ".csv"));
    EXPECT_TRUE(folder.shell("gzip -dcf " + trades_path(r) + " | awk -F, -v OFS=, -v a=" +
                             r.from_ms + " -v b=" + r.to_ms + " -v p=" + std::to_string(r.pressed) +
                             " 'NR == 1 { print } NR > 1 && $1 >= a && $1 <= b "
                             "{ $1 = sprintf(\"%.0f\", a + ($1 - a) / p); print }'" +
                             (packed ? " | gzip" : "") + " >" + out))
        << folder.text("shell.log");
    return out;
}

using Done = std::array<std::uint64_t, kActs>;

Done done_in(const std::string& books) {
    Done done{};
    std::set<std::uint64_t> hedging;  // logins: there a position is of one opening alone
    const auto count = [&](const sim::BookRecord& r) {
        const bool ours = r.reason == ExecKind::None;
        switch (r.kind) {
            case sim::BookKind::Account:
                if (static_cast<MarginMode>(r.price_kind) == MarginMode::Hedging) {
                    hedging.insert(r.login);
                }
                return;
            case sim::BookKind::Deal:
                if (r.command == CommandType::Open) {
                    ++done[kOpened];
                } else if (ours && r.command == CommandType::Close) {
                    ++done[kClosed];
                    done[kClosedInPart] += r.position_volume != 0 && hedging.contains(r.login);
                }
                return;
            case sim::BookKind::OrderModified:
            case sim::BookKind::PositionModified: done[kModified] += ours && r.retcode == 0; return;
            case sim::BookKind::OrderCanceled:
                done[kDeleted] += ours && r.command == CommandType::Cancel;
                return;
            default: return;
        }
    };
    const auto bytes = sim::read_file(books);
    EXPECT_TRUE(bytes && sim::scan_books(bytes.value(), count)) << books;
    return done;
}

std::string text_of(const Done& done) {
    std::string text;
    for (std::size_t i = 0; i < kActs; ++i) {
        text += (i == 0 ? "" : ", ") + std::to_string(done[i]) + " " + kActNames[i];
    }
    return text;
}

std::string options_of(const std::string& ticks, const std::string& trades, bool shifted) {
    return "--accounts 2 --speed 3 --seconds 20 --ticks " + ticks + " --signals " + trades +
           (shifted ? " --shift-signals" : "");
}

TEST(DemoFiles, ReplaysRecordedTradesOverRecordedTicksAndNamesTheirDefects) {
    if (const std::string file = missing(); !file.empty()) {
        GTEST_SKIP() << "SKIPPED: " << file << " is not there; the stand-in is played";
    }
    const DemoFolder folder;
    std::vector<std::unique_ptr<DemoProcess>> runs;
    for (std::size_t i = 0; i < kReplays.size(); ++i) {
        // Side by side: mostly they wait; more of them would wait for one another's disk.
        for (std::size_t k = runs.size(); k < std::min(i + kBeside, kReplays.size()); ++k) {
            const Replay& next = kReplays[k];
            runs.push_back(
                std::make_unique<DemoProcess>(folder, "run" + std::to_string(k),
                                              options_of(ticks_of(next, kData + "/ticks/", " "),
                                                         cut(folder, next, k), next.shifted) +
                                                  " --keep " + kept(folder, k)));
        }
        const Replay& r = kReplays[i];
        SCOPED_TRACE(r.name);
        const nlohmann::json report = runs[i]->finish_clean();
        ASSERT_TRUE(report.contains("signals"));
        EXPECT_EQ(report.at("input").at("ticks"), ticks_of(r, "", ", "));
        EXPECT_NE(report.at("input").at("notes").dump().find(r.said), std::string::npos)
            << report.at("input").at("notes").dump(1);
        EXPECT_GT(report.at("signals").at("sent"), 0);
        EXPECT_GT(report.at("orders").at("filled"), 0);
        EXPECT_FALSE(report.at("input").at("skipped").contains(
            "events that were not due yet when sending ended"));
        const Done done = done_in(kept(folder, i) + "/broker/books");
        for (const Act act : r.acts) {
            EXPECT_GT(done[act], 0U) << "none " << kActNames[act];
        }
        EXPECT_EQ(report.at("input").at("skipped").value("trades in symbols without ticks", 0U),
                  r.without_ticks);
        const nlohmann::json& defects = report.at("input").at("defects");
        for (const auto& [what, count] : r.defects) {
            const std::string key = r.ticks.front() + ": " + what;
            ASSERT_TRUE(defects.contains(key)) << key << "\n" << defects.dump(1);
            EXPECT_EQ(defects.at(key), count) << key;
        }
        std::printf("recorded files (%s): %s, %s: %s signals, %s orders filled; %s\n", r.name,
                    ticks_of(r, "", ", ").c_str(), r.trades,
                    report.at("signals").at("sent").dump().c_str(),
                    report.at("orders").at("filled").dump().c_str(), text_of(done).c_str());
    }
}

/// Ten seconds of quotes with a fraction of a millisecond in each time, one crossed, one repeated,
/// and a gap behind them.
std::string stand_in_ticks() {
    std::string text = "time_ms,symbol,bid,ask,bid_vol,ask_vol\n";
    const auto row = [&text](const std::string& time, const char* quote) {
        text += time + ",XAUUSD," + quote + ",,\n";
    };
    for (int i = 0; i < 4000; ++i) {
        const std::string time = std::to_string(1'400'000'000'000 + i * 10) + ".25";
        row(time, i == 700     ? "1300.60,1300.40"
                  : i % 2 == 0 ? "1300.10,1300.40"
                               : "1300.20,1300.50");
        if (i == 800) {
            row(time, "1300.10,1300.40");
        }
    }
    row("1400000200000.5", "1300.10,1300.40");
    return text;
}

/// Positions opened and closed, pendings placed and deleted, 100 days after the ticks.
std::string stand_in_trades() {
    std::string text =
        "time_ms,account,symbol,side,volume,price,sl,tp,comment,event,ticket,position,profit,"
        "commission,swap,time_src,clock,src_row,magic\n";
    int row = 0;
    const auto add = [&](int ms, const char* what, const char* event, int ticket) {
        text += std::to_string(1'408'640'020'000 + ms) + ",A,XAUUSD," + what + ",0,0,," + event +
                "," + std::to_string(ticket) + ",,,,,,utc," + std::to_string(++row) + ",\n";
    };
    for (int i = 0; i < 6; ++i) {
        add(i * 1000, "buy,0.20,1250", "open", i + 1);
        add(i * 1000 + 500, "buy limit,0.10,1240", "place", i + 101);
        add(i * 1000 + 4000, "sell,0.20,1250", "close", i + 1);
        add(i * 1000 + 4500, "buy limit,0.10,1240", "cancel", i + 101);
    }
    return text;
}

TEST(DemoFiles, ReplaysAStandInWhereThereAreNoRecordedFiles) {
    const std::string file = missing();
    if (file.empty()) {
        GTEST_SKIP() << "the recorded files of " << kData << " are played instead";
    }
    std::printf("NOT the recorded files: %s is not there; ticks and trades are generated\n",
                file.c_str());
    const DemoFolder folder;
    folder.write("ticks.csv", stand_in_ticks());
    folder.write("trades.csv", stand_in_trades());
    ASSERT_TRUE(folder.shell("gzip " + folder.path("ticks.csv")));
    DemoProcess run{folder, "run",
                    options_of(folder.path("ticks.csv.gz"), folder.path("trades.csv"), true)};
    const nlohmann::json report = run.finish_clean();
    ASSERT_TRUE(report.contains("signals"));
    EXPECT_EQ(report.at("signals").at("sent"), 24);
    const nlohmann::json& defects = report.at("input").at("defects");
    EXPECT_EQ(defects.at("ticks.csv.gz: crossed quotes (bid above ask)"), 1);
    EXPECT_EQ(defects.at("ticks.csv.gz: gaps of more than 60 s"), 1);
}

}  // namespace
}  // namespace millrace::demo
