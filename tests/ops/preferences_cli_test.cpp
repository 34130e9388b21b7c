// Goal: what users prefer is in force in a running pipeline, and a broken file stops nothing.
// Method: the real executable, its file edited and broken.
#include <signal.h>

#include <filesystem>

#include "tests/ops/pipeline_fixture.h"

namespace millrace::test {
namespace {

#define EXPECT_SAYS(finished, text) \
    EXPECT_NE((finished).output.find(text), std::string::npos) << (finished).output

TEST(PreferencesOfAPipeline, ShowInWhatItsCommandsSayAndBrokenOnesChangeNothing) {
    if (!std::filesystem::exists("/usr/share/zoneinfo/Asia/Tokyo")) {
        GTEST_SKIP() << "SKIPPED: no tzdata on this host; NOT TESTED HERE";
    }
    Pipeline p;
    p.dir().write("preferences.json", R"({"display": {"time_zone": "Asia/Tokyo"}})");
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    const std::string in_force = p.journal_dir() + "/preferences.checked.json";
    ASSERT_TRUE(eventually([&] { return std::filesystem::exists(in_force); })) << p.log();
    EXPECT_SAYS(p.run({"orders"}), "+0900");
    EXPECT_EQ(p.run({"orders", "--json"}).output.find("+0900"), std::string::npos);

    p.dir().write("preferences.json", R"({"display": {"time_zone": "Tokyo/Asia"}})");
    EXPECT_TRUE(eventually([&] {
        return p.log().find("the last valid ones stay") != std::string::npos;
    })) << p.log();
    EXPECT_SAYS(p.run({"orders"}), "+0900");
    ::kill(p.supervisor(), SIGTERM);
    ASSERT_EQ(p.wait_supervisor(), 0) << p.log();

    p.up("second.log");
    EXPECT_TRUE(eventually([&] {
        return p.log("second.log").find("GOING ON WITH THE LAST VALID ONES") != std::string::npos;
    })) << p.log("second.log");
    EXPECT_SAYS(p.run({"orders"}), "+0900");
}

}  // namespace
}  // namespace millrace::test
