// Goal: what a venue's profile has not got is refused or said when the configuration is checked,
// not when a loss goes unwatched. Method: small files.
#include <gtest/gtest.h>

#include "tests/ops/temp_dir.h"
#include "tools/millrace/config_check.h"
#include "tools/millrace/fix_config.h"

namespace millrace {
namespace {

using test::TempDir;

struct Read {
    Config config;
    std::string mistakes;
};
/// @param fields of the object "fix" besides those that it must have.
Read read(const TempDir& dir, const std::string& fields, const std::string& of_account = "") {
    std::vector<Mistake> mistakes;
    const std::string file = dir.write("c.json", R"({"journal": {"dir": "j"}, "accounts": [
 {"name": "v", "login": 1, "key": "00112233445566778899aabbccddeeff", "margin_mode": "netting",
  "kind": "fix", "fix": {"server": "v:1", "sender_comp_id": "A", "target_comp_id": "B")" +
                                                     fields + "}" + of_account + "}]}");
    Config c = read_config(file, mistakes);
    std::string text;
    for (const Mistake& m : mistakes) {
        text += to_string(m) + "\n";
    }
    return {std::move(c), text};
}

#define EXPECT_SAYS(text_, part) EXPECT_NE((text_).find(part), std::string::npos) << (text_)

TEST(FixConfig, TakesLimitsOfLossesWhereEquityIsAskedFor) {
    const TempDir dir;
    const std::string limits = R"(, "limits": {"daily_loss": 5, "drawdown_share": 0.1})";
    EXPECT_SAYS(read(dir, "", limits).mistakes,
                "limits: limits losses, but no equity is asked for");
    const Read asked = read(dir, R"(, "collateral_s": 5, "quotes": true)", limits);
    EXPECT_EQ(asked.mistakes, "");
    EXPECT_EQ(fix_accounts(asked.config).at(0).collateral_s, 5U);
    EXPECT_TRUE(config_warnings(asked.config).empty()) << config_warnings(asked.config)[0];
}

TEST(FixConfig, RefusesWhatAVenueOfTheProfileHasNotGot) {
    const TempDir dir;
    for (const char* name : {"ctrader", "lmax"}) {
        const std::string profile = std::string{R"(, "profile": ")"} + name + "\"";
        EXPECT_SAYS(read(dir, profile + R"(, "quotes": true)").mistakes,
                    "fix.quotes: is true, but a venue of profile \"" + std::string{name});
        EXPECT_SAYS(read(dir, profile + R"(, "collateral_s": 5)").mistakes,
                    "tells no equity; take it out");
        EXPECT_EQ(read(dir, profile).mistakes, "");
    }
    EXPECT_SAYS(read(dir, R"(, "profile": "fxcm", "collateral_s": 5)").mistakes, "tells no equity");
    EXPECT_EQ(read(dir, R"(, "profile": "fxcm", "quotes": true)").mistakes, "");
}

TEST(FixConfig, SaysWhatAnAccountLacks) {
    const TempDir dir;
    const auto warning = [&](const std::string& fields) {
        const auto all = config_warnings(read(dir, fields).config);
        return all.size() == 1 ? all[0] : std::to_string(all.size()) + " warnings";
    };
    const std::string lmax = warning(R"(, "profile": "lmax")");
    EXPECT_SAYS(lmax, "\"v\", FIX profile \"lmax\": no equity is told");
    EXPECT_SAYS(lmax, "no limit of losses");
    EXPECT_SAYS(lmax, "no quotes come from it");
    EXPECT_SAYS(lmax, "which is not built");
    const std::string generic = warning("");
    EXPECT_SAYS(generic, "collateral_s, where the venue answers");
    EXPECT_SAYS(generic, "\"quotes\": true");
    const std::string quoted = warning(R"(, "quotes": true)");
    EXPECT_EQ(quoted.find("quotes come"), std::string::npos) << quoted;
}

}  // namespace
}  // namespace millrace
