// Goal: every recorded file at hand is read to its end, and the counts are printed. Method: the
// directory named by MILLRACE_SHARED, or ../shared beside the sources; skipped where there is none.
#include "tools/market/shift.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>

namespace millrace::market {
namespace {

std::vector<std::string> files_in(const char* folder) {
    const char* shared = std::getenv("MILLRACE_SHARED");
    const std::filesystem::path root =
        shared != nullptr ? std::filesystem::path{shared}
                          : std::filesystem::path{MILLRACE_SOURCE_DIR} / ".." / "shared";
    std::vector<std::string> paths;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator{root / "data" / folder, error}) {
        paths.push_back(entry.path().string());
    }
    std::sort(paths.begin(), paths.end());
    return paths;
}

TEST(RealFiles, EveryTickFileIsReadToItsEndWithoutAMalformedLine) {
    const auto paths = files_in("ticks");
    if (paths.empty()) {
        GTEST_SKIP() << "no recorded data here";
    }
    for (const std::string& path : paths) {
        const auto info = inspect_ticks(path);
        ASSERT_TRUE(info.ok()) << path << ": " << info.error().what;
        EXPECT_GT(info.value().defects.ticks, 0U) << path;
        EXPECT_EQ(info.value().defects.malformed, 0U) << path;
        EXPECT_EQ(info.value().defects.out_of_order, 0U) << path;
        std::cout << path << ": " << describe(info.value().defects) << "\n";
    }
}

TEST(RealFiles, EveryTradeFileBecomesSignalsThatReferToOpenings) {
    const auto paths = files_in("trades");
    if (paths.empty()) {
        GTEST_SKIP() << "no recorded data here";
    }
    for (const std::string& path : paths) {
        const auto file = read_trades(path);
        ASSERT_TRUE(file.ok()) << path << ": " << file.error().what;
        EXPECT_GT(file.value().events.size(), 0U) << path;
        EXPECT_EQ(file.value().report.malformed, 0U) << path;
        std::vector<bool> opened(file.value().events.size() + 1);
        for (const TradeEvent& event : file.value().events) {
            ASSERT_GT(event.key, 0U);
            const bool opens =
                event.action == TradeAction::Open || event.action == TradeAction::PlacePending;
            EXPECT_NE(opened.at(event.key), opens) << path << " line " << event.line;
            opened[event.key] = true;
        }
        std::cout << path << "\n" << describe(file.value().report);
    }
}

TEST(RealFiles, AnyPairMeetsOnceItIsShifted) {
    const auto ticks = files_in("ticks");
    const auto trades = files_in("trades");
    if (ticks.empty() || trades.empty()) {
        GTEST_SKIP() << "no recorded data here";
    }
    for (const std::string& tick_path : ticks) {
        std::string about;
        const auto index = PriceIndex::read({tick_path}, about);
        ASSERT_TRUE(index.ok()) << about;
        for (const std::string& path : trades) {
            auto events = read_trades(path).value().events;
            const ShiftReport report = shift_onto(events, index.value());
            // Moved by whole days while most of it meets; what lies beyond the ticks is counted.
            // On the first and the last of the files all of it meets.
            const bool whole = tick_path == ticks.front() || tick_path == ticks.back();
            EXPECT_GE(report.after.inside * 5, events.size() * (whole ? 5 : 4))
                << path << " on " << tick_path;
        }
    }
}

}  // namespace
}  // namespace millrace::market
