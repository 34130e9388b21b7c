// Goal: the report says no when something is wrong and its JSON is whole. Method: reports by hand.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tools/demo_run/report.h"

namespace millrace::demo {
namespace {

Report good_report() {
    Report r;
    r.input.ticks = "generated, seed 1";
    r.view.core.journal_backend = static_cast<std::uint32_t>(JournalBackend::PwriteBuffered);
    r.kills.push_back({"engine", 12, Nanos{5}, 400'000, 3'000'000, -1, 4'000'000});
    for (std::uint32_t i = 0; i < kHops; ++i) {
        r.view.hops[i].name = inspect::hop_name(i);
    }
    return r;
}

TEST(Report, IsGoodOnlyWithoutProblemDoubtFailureAndOpenEnd) {
    EXPECT_TRUE(good_report().good());
    Report r = good_report();
    r.view.core.in_doubt = 1;
    EXPECT_FALSE(r.good());
    r = good_report();
    r.unsettled = 1;
    EXPECT_FALSE(r.good());
    r = good_report();
    r.failures.push_back("millrace up ended with exit status 1");
    EXPECT_FALSE(r.good());
    r = good_report();
    r.verdict.problems.push_back({Wrong::Doubled, {}, "twice"});
    EXPECT_FALSE(r.good());
}

TEST(Report, WarningsAloneDoNotSpoilIt) {
    Report r = good_report();
    r.warnings.push_back("SQLite store has 3 orders, the results 4");
    EXPECT_TRUE(r.good());
}

TEST(Report, NamesTheFallBackOfTheJournal) {
    const std::string text = render_text(good_report(), {});
    EXPECT_NE(text.find("fall-back: io_uring and O_DIRECT are refused here"), std::string::npos)
        << text;
    EXPECT_NE(text.find("RESULT       OK"), std::string::npos) << text;
}

TEST(Report, JsonHasTheKeysThatProgramsReadAndNullWhereNothingWasSeen) {
    const auto json = nlohmann::json::parse(render_report_json(good_report(), {}));
    EXPECT_EQ(json.at("ok"), true);
    EXPECT_EQ(json.at("lost"), 0);
    EXPECT_EQ(json.at("doubled"), 0);
    EXPECT_EQ(json.at("in_doubt"), 0);
    EXPECT_EQ(json.at("kills").at(0).at("running_ns"), 3'000'000);
    EXPECT_TRUE(json.at("kills").at(0).at("first_message_ns").is_null());
    EXPECT_EQ(json.at("latency").size(), kHops);
    EXPECT_EQ(json.at("input").at("ticks"), "generated, seed 1");
}

TEST(Report, ShowsProblemWithSignalAndReason) {
    Report r = good_report();
    r.verdict.problems.push_back({Wrong::Lost, {0xab, 0xcd}, "login 700001: told Filled 1 lots"});
    const std::string text = render_text(r, {});
    EXPECT_NE(text.find("00000000000000ab00000000000000cd login 700001"), std::string::npos)
        << text;
    EXPECT_NE(text.find("RESULT       NOT OK"), std::string::npos) << text;
}

}  // namespace
}  // namespace millrace::demo
