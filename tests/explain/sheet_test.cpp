// Goal: what is open now is told as the engine has it, in 80 columns, what is in doubt marked.
// Method: logs that the engine made itself, read on while they grow.
#include "tests/explain/logs.h"
#include "tools/explain/halt.h"
#include "tools/explain/open_now.h"
#include "tools/explain/words.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

namespace millrace::explain_test {
namespace {

using explain::OpenNow;
using explain::OpenOf;
using explain::Sheet;

class OpenSheets : public ::testing::Test {
protected:
    Sheet sheet(OpenOf of, std::uint32_t account = kNoId) {
        const explain::Where where = logs_.where();
        std::string message;
        const auto now = OpenNow::open(where, message);
        EXPECT_NE(now, nullptr) << message;
        return now == nullptr ? Sheet{} : now->sheet(of, AccountId{account}, rig().now);
    }
    std::string told(OpenOf of, std::uint32_t account = kNoId) {
        const Sheet s = sheet(of, account);
        EXPECT_EQ(schema_breach("sheet", explain::sheet_json(s, of)), "");
        const std::string text = explain::sheet_text(s, of, 80);
        std::istringstream lines{text};
        for (std::string line; std::getline(lines, line);) {
            EXPECT_LE(line.size(), 80U) << line;
        }
        return text;
    }
    test::Rig& rig() { return logs_.rig; }
    Logs logs_;
};

TEST_F(OpenSheets, ShowPositionsOrdersAndAccountsWithTheirDoubts) {
    rig().signal(rig().open(1));
    const auto sent = rig().take_orders();
    for (std::size_t i = 0; i < 4; ++i) {
        rig().fill(sent[i]);
    }
    rig().session_down(4);
    rig().now = rig().now + seconds(75);
    rig().signal(rig().pending(2, PriceKind::Limit, test::points(100'000)));
    logs_.write();
    expect_golden("open.txt", told(OpenOf::Positions) + "\n" + told(OpenOf::Orders) + "\n" +
                                  told(OpenOf::Accounts));
    EXPECT_EQ(sheet(OpenOf::Positions, 1).rows.size(), 1U);
    EXPECT_EQ(sheet(OpenOf::Positions, 7).rows.size(), 0U);
}

TEST_F(OpenSheets, MarkAPositionWhoseCloseIsInDoubt) {
    rig().signal(rig().open(1));
    const auto sent = rig().take_orders();
    rig().fill(sent[0]);
    rig().signal(rig().change(2, SignalAction::Close, 1));
    rig().session_down(0);
    logs_.write();
    const Sheet s = sheet(OpenOf::Positions);
    ASSERT_EQ(s.rows.size(), 1U);
    EXPECT_TRUE(s.doubted[0]);
}

TEST_F(OpenSheets, CutNamesAndNeverNumbersToFitTheLine) {
    Sheet s;
    s.columns = {"account", "symbol", "side", "volume", "price", "age", "position", "order"};
    s.rows.push_back({std::string{"sixteen-chars-ab"}, std::string{"XAUUSD.micro-pro"},
                      std::string{"BUY"}, std::string{"1000000.00000001"},
                      std::string{"123456.12345678"}, std::string{"365d00h"},
                      std::int64_t{9'000'000'000}, std::int64_t{1}});
    s.doubted.push_back(true);
    s.from = "logs";
    const std::string text = explain::sheet_text(s, OpenOf::Positions, 80);
    EXPECT_NE(text.find("1000000.00000001"), std::string::npos) << text;
    EXPECT_NE(text.find("123456.12345678"), std::string::npos) << text;
    EXPECT_NE(text.find('~'), std::string::npos) << text;
    EXPECT_EQ(text.find('!'), text.find('\n') + 1) << text;
}

TEST_F(OpenSheets, ShowPeopleAsManyDigitsAsTheyWantAndProgramsAll) {
    Sheet s;
    s.columns = {"account", "volume", "price", "equity"};
    s.rows.push_back({std::string{"1.23456"}, std::string{"0.125"}, std::string{"1.234564"},
                      std::string{"-10.005"}});
    s.rows.push_back({std::string{"b"}, std::string{"7"}, std::string{"-"}, std::string{"-0.004"}});
    s.doubted = {false, false};
    s.from = "logs";
    DisplayPreferences wanted;
    const auto shown = [&] { return explain::sheet_text(s, OpenOf::Positions, 80, wanted); };
    const std::string exact = shown();
    for (const char* number : {"0.125", "1.234564", "-10.005", "-0.004"}) {
        EXPECT_NE(exact.find(number), std::string::npos) << exact;
    }
    wanted.volume_decimals = 2;
    wanted.price_decimals = 5;
    wanted.money_decimals = 2;
    EXPECT_EQ(shown().substr(0, shown().find("2 positions")),
              "  account  volume    price  equity\n"
              "  1.23456    0.13  1.23456  -10.01\n"
              "  b          7.00        -    0.00\n");
    wanted.volume_decimals = 0;
    EXPECT_NE(shown().find("  1.23456       0  1.23456"), std::string::npos) << shown();
    EXPECT_NE(explain::sheet_json(s, OpenOf::Positions).find("\"0.125\""), std::string::npos);
}

TEST_F(OpenSheets, TellTimesInTheZoneThatSomebodyWants) {
    if (!std::filesystem::exists("/usr/share/zoneinfo/Europe/Berlin")) {
        GTEST_SKIP() << "SKIPPED: no tzdata on this host; NOT TESTED HERE";
    }
    const Nanos summer = seconds(1'782'907'200) + Nanos{5'000};
    EXPECT_EQ(explain::moment_text(summer), "2026-07-01T12:00:00.000005Z");
    explain::show_times_in("Europe/Berlin");
    EXPECT_EQ(explain::moment_text(summer), "2026-07-01T14:00:00.000005+0200");
    EXPECT_EQ(explain::clock_text(summer), "14:00:00.000005");
    explain::show_times_in("UTC");
    EXPECT_EQ(explain::moment_text(summer), "2026-07-01T12:00:00.000005Z");
}

TEST_F(OpenSheets, NameWhatBrokersHaveOtherwiseThanTheBooks) {
    Sheet s;
    s.columns = {"account"};
    s.from = "logs";
    s.differences = {{AccountId{1}, false, Nanos{}, "account 1: EURUSD position 5: both numbers"},
                     {AccountId{1}, true, Nanos{}, "account 1: EURUSD position 6 is not ours"}};
    const std::string text = explain::sheet_text(s, OpenOf::Positions, 80);
    EXPECT_NE(text.find("DIFFERS since "), std::string::npos) << text;
    EXPECT_NE(text.find(": account 1: EURUSD position 5: both numbers\n"), std::string::npos);
    EXPECT_NE(text.find("foreign since "), std::string::npos) << text;
    EXPECT_EQ(schema_breach("sheet", explain::sheet_json(s, OpenOf::Positions)), "");
}

TEST_F(OpenSheets, SayWhyTheLogsGiveNoState) {
    const std::uint64_t after = rig().engine.seq().value + 1;
    rig().signal(rig().open(1));
    logs_.write(after);  // no snapshot, and the beginning is gone
    std::string message;
    const explain::Where where = logs_.where();
    EXPECT_EQ(OpenNow::open(where, message), nullptr);
    EXPECT_NE(message.find("the journal begins at " + std::to_string(after)), std::string::npos)
        << message;
}

TEST_F(OpenSheets, StandInFrontOfARecordAtWhichTheEngineHalts) {
    rig().signal(rig().open(1));
    const auto sent = rig().take_orders();
    rig().fill(sent[0]);
    const Sequence before = rig().log.back().seq;
    rig().fill(sent[1]);
    logs_.write();
    explain::Where where = logs_.where();
    std::string notice;
    const auto dies = [&](explain::LogState& state, const JournalRecord& r) {
        if (r.seq.value == before.value + 1) {
            std::abort();
        }
        return state.apply(r);
    };
    EXPECT_EQ(explain::last_survived(where, notice), kWholeLog);
    EXPECT_EQ(notice, "");
    where.through = explain::last_survived(where, notice, dies);
    EXPECT_EQ(where.through, before);
    EXPECT_NE(notice.find("halts at record " + std::to_string(before.value + 1) + " (killed by"),
              std::string::npos)
        << notice;
    const auto now = OpenNow::open(where, notice);
    ASSERT_NE(now, nullptr) << notice;
    const Sheet sheet = now->sheet(OpenOf::Positions, AccountId{kNoId}, rig().now);
    EXPECT_EQ(sheet.rows.size(), 1U);
    EXPECT_EQ(sheet.seq, before);
}

}  // namespace
}  // namespace millrace::explain_test
