// Goal: `account stop --flatten` leaves the broker's books empty of what is ours, the account
// INACTIVE and no kill behind; it asks first, and shows what it will close.
// Method: the whole pipeline with the simulated broker under load; the other accounts trade on.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/chaos/world.h"

namespace millrace::explain_test {
namespace {

using chaos::World;
using nlohmann::json;

class StopAccount : public ::testing::Test {
protected:
    static chaos::WorldOptions options() {
        chaos::WorldOptions o;
        o.accounts = 4;
        o.rate = 20;
        return o;
    }
    void SetUp() override {
        ASSERT_EQ(world_.start(), "") << world_.log();
        ASSERT_TRUE(world_.turn_until([this] { return open_at_broker() > 0; }, kWait))
            << world_.log();
    }
    /// At the broker, of the account that is stopped.
    std::size_t open_at_broker() {
        const json answer = world_.control({{"cmd", "positions"}, {"login", account().login}});
        return answer.contains("positions") ? answer.at("positions").size() : 0;
    }
    const demo::AccountPlan& account() { return world_.pipeline().plan().accounts.front(); }
    int run(const std::vector<std::string>& words, std::string& output) {
        return world_.command(words, seconds(120), &output);
    }
    std::string cell_of_account(const char* column) {
        std::string output;
        if (run({"accounts", "--account", account().name, "--json"}, output) != 0) {
            return output;
        }
        return json::parse(output).at("rows").at(0).value(column, "");
    }

    static constexpr Nanos kWait = seconds(120);
    World world_{options()};
};

TEST_F(StopAccount, FlattensPausesAndLeavesNoKillBehind) {
    const std::string name = account().name;
    std::string output;
    EXPECT_NE(run({"account", "stop", name}, output), 0) << "--flatten must be said";
    EXPECT_NE(output.find("--flatten"), std::string::npos) << output;
    EXPECT_EQ(run({"account", "stop", name, "--flatten"}, output), 1) << "nobody can be asked";
    EXPECT_NE(output.find("--yes"), std::string::npos) << output;
    EXPECT_NE(output.find("positions"), std::string::npos) << "what it would close: " << output;
    ASSERT_EQ(run({"account", "stop", name, "--flatten", "--dry-run"}, output), 0) << output;
    EXPECT_NE(cell_of_account("state"), "INACTIVE");

    ASSERT_EQ(run({"account", "stop", name, "--flatten", "--yes"}, output), 0)
        << output << world_.log();
    EXPECT_NE(output.find(name + ": flat, INACTIVE"), std::string::npos) << output;
    EXPECT_EQ(cell_of_account("state"), "INACTIVE");
    EXPECT_EQ(cell_of_account("killed"), "-");
    EXPECT_EQ(open_at_broker(), 0U);
    // The others trade on, and nothing new begins on this one.
    const std::size_t before = world_.source().lives().all().size();
    ASSERT_TRUE(world_.turn_until(
        [&] { return world_.source().lives().all().size() > before + 40; }, kWait));
    ASSERT_TRUE(world_.rest(kWait)) << world_.log();
    EXPECT_EQ(open_at_broker(), 0U);

    ASSERT_EQ(run({"kill", "--account", name}, output), 0) << output;
    ASSERT_EQ(run({"account", "stop", name, "--flatten", "--yes"}, output), 0) << output;
    EXPECT_EQ(cell_of_account("killed"), "ACCOUNT") << "somebody else's kill stays";
    EXPECT_NE(output.find("millrace unkill --account " + name), std::string::npos) << output;

    ASSERT_EQ(run({"unkill", "--account", name}, output), 0) << output;
    ASSERT_EQ(run({"account", "resume", name}, output), 0) << output;
    world_.hush(false);
    EXPECT_TRUE(world_.turn_until([this] { return open_at_broker() > 0; }, kWait)) << world_.log();
    EXPECT_EQ(world_.pipeline().stop(), "") << world_.log();
}

}  // namespace
}  // namespace millrace::explain_test
