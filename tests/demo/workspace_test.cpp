// Goal: the demo's configuration files are what both programs accept, and its folder is private and
// gone afterwards. Method: the programs' own readers.
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tools/demo_run/workspace.h"
#include "tools/millrace/config.h"
#include "tools/simbroker/config.h"

namespace millrace::demo {
namespace {

std::vector<market::SymbolInfo> symbols() {
    return {market::infer_symbol("EURUSD", 0), market::infer_symbol("XAUUSD", 0),
            market::infer_symbol("BTCUSDT", 0)};
}

TEST(Workspace, WritesConfigurationsThatBothProgramsAccept) {
    for (const std::uint32_t accounts : {1U, 2U, 8U, 64U}) {
        std::string message;
        auto w = Workspace::create("", message);
        ASSERT_TRUE(w) << message;
        Options options;
        options.accounts = accounts;
        const Plan plan = make_plan(options, symbols());
        ASSERT_TRUE(w.value().write(plan, message)) << message;
        std::vector<Mistake> mistakes;
        const Config c = read_config(w.value().path("millrace.json"), mistakes);
        for (const Mistake& m : mistakes) {
            ADD_FAILURE() << to_string(m);
        }
        EXPECT_EQ(c.accounts.size(), accounts);
        EXPECT_EQ(c.groups.at(0).members.size(), accounts);
        const auto sim = sim::load_config(w.value().path("simbroker.json"));
        const auto* error = std::get_if<sim::ConfigError>(&sim);
        ASSERT_EQ(error, nullptr) << error->message;
        EXPECT_EQ(std::get<sim::SimConfig>(sim).accounts.size(), accounts);
    }
}

TEST(Workspace, GivesHalfTheAccountsEachMarginMode) {
    Options options;
    const Plan plan = make_plan(options, symbols());
    EXPECT_EQ(
        std::count_if(plan.accounts.begin(), plan.accounts.end(),
                      [](const AccountPlan& a) { return a.margin_mode == MarginMode::Hedging; }),
        4);
    EXPECT_NE(plan.signals_port, plan.bridge_port);
}

TEST(Workspace, IsPrivateAndGoneAfterwards) {
    std::string dir;
    {
        std::string message;
        auto w = Workspace::create("", message);
        ASSERT_TRUE(w) << message;
        dir = w.value().dir();
        struct stat st{};
        ASSERT_EQ(::stat(dir.c_str(), &st), 0);
        EXPECT_EQ(st.st_mode & 0777, 0700U);
        std::ofstream{dir + "/something"} << "x";
    }
    EXPECT_FALSE(std::filesystem::exists(dir));
}

TEST(Workspace, RefusesToKeepInFolderThatHoldsSomething) {
    std::string message;
    auto outer = Workspace::create("", message);
    ASSERT_TRUE(outer) << message;
    std::ofstream{outer.value().path("yours")} << "x";
    const auto inner = Workspace::create(outer.value().dir(), message);
    EXPECT_FALSE(inner);
    EXPECT_NE(message.find("must be a new or empty folder"), std::string::npos) << message;
    EXPECT_TRUE(std::filesystem::exists(outer.value().path("yours")));
}

}  // namespace
}  // namespace millrace::demo
