// Goal: each command of the command line has a role, and a user gets the one that "operators" gives
// him.
#include <gtest/gtest.h>
#include <CLI/CLI.hpp>

#include <algorithm>

#include "tests/ops/temp_dir.h"
#include "tools/millrace/all_commands.h"
#include "tools/millrace/config.h"
#include "tools/millrace/roles.h"

namespace millrace::test {
namespace {

using Operators = std::vector<OperatorConfig>;
constexpr std::uint32_t kOwner = 500;

void words_below(const CLI::App& app, const std::string& before, std::vector<std::string>& words) {
    for (const CLI::App* sub : app.get_subcommands({})) {
        const std::string here = before + (before.empty() ? "" : " ") + sub->get_name();
        if (sub->get_subcommands({}).empty()) {
            words.push_back(here);
        } else {
            words_below(*sub, here, words);
        }
    }
}

TEST(Roles, EachCommandNeedsOne) {
    CLI::App app;
    Command command;
    add_all_commands(app, command);
    std::vector<std::string> words;
    words_below(app, "", words);
    ASSERT_GE(words.size(), 55U);
    for (const std::string& w : words) {
        Role role{};
        EXPECT_TRUE(needed_role(w, role)) << w << " is in no row of roles.cpp";
    }
}

TEST(Roles, LookingNeedsNoneAndChangingDoes) {
    const auto of = [](std::string_view words) {
        Role role{};
        EXPECT_TRUE(needed_role(words, role)) << words;
        return role;
    };
    for (const char* looks : {"positions", "query orders", "explain signal", "config check",
                              "account list", "credential list", "terminal list"}) {
        EXPECT_EQ(of(looks), Role::Viewer) << looks;
    }
    EXPECT_EQ(of("kill"), Role::Viewer) << "a red button asks nobody";
    for (const char* trades :
         {"unkill", "resolve", "account pause", "account stop", "group resume", "terminal stop"}) {
        EXPECT_EQ(of(trades), Role::Trader) << trades;
    }
    for (const char* changes :
         {"up", "down", "account add", "account remove", "group member", "recover", "restore",
          "upgrade", "credential add", "credential erase"}) {
        EXPECT_EQ(of(changes), Role::Admin) << changes;
    }
    Role role{};
    EXPECT_FALSE(needed_role("account frobnicate", role));
    EXPECT_FALSE(needed_role("", role));
}

TEST(Roles, AUserHasTheOneThatIsListed) {
    const Operators list{{"alice", Role::Admin}, {"bob", Role::Trader}, {"1007", Role::Trader}};
    EXPECT_EQ(role_of(list, {1001, "alice"}, kOwner), Role::Admin);
    EXPECT_EQ(role_of(list, {1002, "bob"}, kOwner), Role::Trader);
    EXPECT_EQ(role_of(list, {1007, "carol"}, kOwner), Role::Trader) << "by number";
    EXPECT_EQ(role_of(list, {1003, "mallory"}, kOwner), Role::Viewer);
    EXPECT_EQ(role_of(list, {1003, "bobby"}, kOwner), Role::Viewer);
    EXPECT_EQ(role_of(list, {0, "root"}, kOwner), Role::Viewer) << "root is a user as others are";
    EXPECT_EQ(role_of(list, {kOwner, "millrace"}, kOwner), Role::Admin) << "nobody is locked out";
    EXPECT_EQ(role_of({}, {1003, "mallory"}, kOwner), Role::Admin) << "no list, no roles";
}

TEST(Roles, MistakesInTheListAreNamed) {
    const TempDir dir;
    const auto mistakes_of = [&](const std::string& operators) {
        std::vector<Mistake> mistakes;
        std::ignore =
            read_config(dir.write("c.json", R"({"operators": )" + operators + "}"), mistakes);
        std::string all;
        for (const Mistake& m : mistakes) {
            all += to_string(m) + "\n";
        }
        return all;
    };
    const std::string role = mistakes_of(R"([{"user": "alice", "role": "boss"}])");
    EXPECT_NE(role.find("operators[0].role"), std::string::npos) << role;
    EXPECT_NE(role.find("viewer"), std::string::npos) << role;
    const std::string none = mistakes_of(R"([{"user": "alice"}])");
    EXPECT_NE(none.find("operators[0]"), std::string::npos) << none;
    const std::string key = mistakes_of(R"([{"usr": "alice", "role": "admin"}])");
    EXPECT_NE(key.find("usr"), std::string::npos) << key;
}

}  // namespace
}  // namespace millrace::test
