// Goal: a configuration file that is edited under a living pipeline, for its next start, puts no
// order out of the kill switch's reach and none on another account. Method: tag and login are
// changed in the file while nothing is open; an operator's command and a start use that file; then
// a signal is traded and the kill switch pulled. The broker's books tell what is open.
#include <gtest/gtest.h>

#include <signal.h>

#include <fstream>
#include <sstream>
#include <string>

#include "tests/chaos/world.h"

namespace millrace::chaos {
namespace {

constexpr Nanos kLong = seconds(180);

std::size_t open_at_broker(World& world) {
    std::size_t sum = 0;
    for (const demo::AccountPlan& account : world.pipeline().plan().accounts) {
        const auto answer = world.control({{"cmd", "positions"}, {"login", account.login}});
        sum += answer.at("positions").size();
    }
    return sum;
}

std::uint64_t all_fills(const World& world) {
    std::uint64_t sum = 0;
    for (const auto& [account, count] : world.fills()) {
        sum += count;
    }
    return sum;
}

class ChaosEditedFile : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_EQ(world_.start(), "") << world_.log();
        world_.hush(true);
        std::stringstream text;
        text << std::ifstream{file()}.rdbuf();
        text_ = text.str();
    }
    std::string file() const { return world_.workspace().path("millrace.json"); }
    void write(const std::string& text) const { std::ofstream{file()} << text; }
    /// Another tag, and another login of the first account.
    void edit() {
        std::string text = text_;
        const std::string login = std::to_string(world_.pipeline().plan().accounts[0].login);
        text.replace(text.find("\"login\": " + login), 9 + login.size(), "\"login\": 799999");
        const std::string_view before = "\"accounts_max\"";
        text.insert(text.find(before), R"("risk": {"magic_tag": 4711}, )");
        write(text);
    }
    void open_one() {
        demo::Planned open;
        open.request.id = demo::random_id(random_);
        open.request.group = world_.pipeline().plan().groups[0].name;
        open.request.symbol = world_.pipeline().plan().symbols[0].name;
        open.request.volume = Lots{kScale / 10};
        EXPECT_TRUE(world_.turn_until([&] { return world_.source().send(open).ok(); }, kLong));
    }
    void expect_the_way_out_is_open() {
        const std::uint64_t before = all_fills(world_);
        // More where there was no fresh price for them.
        EXPECT_TRUE(world_.turn_until(
            [&] {
                if (!world_.source().settled()) {
                    return false;
                }
                const bool enough = all_fills(world_) >= before + 6;
                if (!enough) {
                    open_one();
                }
                return enough;
            },
            kLong))
            << all_fills(world_) << " fills, " << before << " of before";
        EXPECT_GT(open_at_broker(world_), 0U);
        std::string output;
        EXPECT_EQ(world_.command({"kill", "--all", "--cancel", "--flatten"}, kLong, &output), 0)
            << output;
        EXPECT_TRUE(world_.turn_until([&] { return open_at_broker(world_) == 0; }, kLong))
            << open_at_broker(world_) << " positions are open after the kill switch";
        EXPECT_EQ(world_.command({"unkill", "--all"}, kLong, &output), 0) << output;
    }

    World world_{WorldOptions{}};
    market::Random random_{11};
    std::string text_;
};

TEST_F(ChaosEditedFile, IsNotGoneByByCommandsNorByAStartOntoLivingStages) {
    edit();
    std::string output;
    EXPECT_EQ(world_.command({"group", "add", "extra"}, kLong, &output), 0) << output;
    EXPECT_NE(output.find("edited since the start"), std::string::npos) << output;
    expect_the_way_out_is_open();

    world_.pipeline().supervisor().signal(SIGKILL);
    ASSERT_TRUE(world_.pipeline().supervisor().wait(kLong));
    EXPECT_EQ(world_.command({"up"}, kLong, &output), 1) << output;
    EXPECT_NE(output.find("\"risk.magic_tag\" 19794, not 4711, login of account"),
              std::string::npos)
        << output;
    write(text_);
    ASSERT_EQ(world_.heal(), "");
    expect_the_way_out_is_open();
    const Judgement judgement = world_.finish();
    EXPECT_TRUE(judgement.good()) << describe(judgement, world_);
}

}  // namespace
}  // namespace millrace::chaos
