// Goal: users' preferences are checked before they count, may be changed at any time, are kept in
// copies, and broken ones are told loudly and stop nothing. Method: files that are edited, broken
// and removed; Redis as a text in memory (tests/redis has a real one).
#include "tools/millrace/preference_keeper.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/ops/temp_dir.h"
#include "tools/millrace/config_backup.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

std::string mistakes_of(const std::string& text) {
    std::vector<Mistake> mistakes;
    (void)parse_preferences(text, "p.json", mistakes);
    std::string all;
    for (const Mistake& m : mistakes) {
        all += to_string(m) + "\n";
    }
    return all;
}

TEST(Preferences, OfOneUserStandOverThoseOfAll) {
    std::vector<Mistake> mistakes;
    const Preferences p = parse_preferences(
        R"({"users": [{"name": "anna", "display": {"price_decimals": 3}}],
            "display": {"time_zone": "UTC", "price_decimals": 5, "volume_decimals": 0},
            "alerts": {"disk_warning_percent": 50, "disk_alarm_percent": 99}})",
        "p.json", mistakes);
    ASSERT_TRUE(mistakes.empty()) << to_string(mistakes[0]);
    EXPECT_EQ(p.of("anna").price_decimals, 3U);
    EXPECT_EQ(p.of("anna").volume_decimals, 0U) << "what she does not say is as for all";
    EXPECT_EQ(p.of("bob").price_decimals, 5U);
    EXPECT_FALSE(p.of("bob").money_decimals.has_value());
    EXPECT_EQ(p.disk_warning_percent, 50U);
    EXPECT_EQ(p.disk_alarm_percent, 99U);
}

TEST(Preferences, AnswerAMistakeWithLineKeyAndMend) {
    const struct {
        const char* text;
        const char* said;
    } cases[] = {
        {"{\n\"display\": {\"time_zone\": \"Mars/Olympus\"}}",
         "p.json:2: display.time_zone: \"Mars/Olympus\": there is no /usr/share/zoneinfo/Mars"},
        {R"({"display": {"time_zone": "../../../etc/passwd"}})", "there is no"},
        {R"({"display": {"time_zone": "/etc/localtime"}})", "there is no"},
        {R"({"display": {"price_decimals": 9}})", "is 9; a whole number from 0 to 8 is allowed"},
        {R"({"display": {"price_decimal": 2}})", "did you mean \"price_decimals\"?"},
        {R"({"alerts": {"disk_warning_percent": 85}})", "it must be above disk_warning_percent"},
        {R"({"alerts": {"disk_alarm_percent": 70}})", "it must be above disk_warning_percent"},
        {R"({"alerts": {"disk_warning_percent": 0}})", "a whole number from 1 to 99 is allowed"},
        {R"({"alerts": {"disk_alarm_percent": "90"}})", "must be a number"},
        {R"({"users": [{"display": {}}]})", "\"name\" is missing"},
        {"[]", "must hold one JSON object"},
        {"{", "p.json:1"},
        {"", "p.json"},
    };
    for (const auto& c : cases) {
        EXPECT_NE(mistakes_of(c.text).find(c.said), std::string::npos) << c.text << "\n"
                                                                       << mistakes_of(c.text);
    }
}

class PreferencesKept : public ::testing::Test {
protected:
    PreferenceKeeperOptions options() {
        PreferenceKeeperOptions o;
        o.file = file_;
        o.in_force = dir_ / "in-force.json";
        o.put = [this](const std::string& text, std::string& message) -> Result<bool> {
            if (!redis_up_) {
                message = "nobody listens";
                return Errc::IoError;
            }
            redis_ = text;
            ++puts_;
            return true;
        };
        o.get = [this](std::string&) -> Result<std::string> {
            return redis_up_ && !redis_.empty() ? Result<std::string>{redis_} : Errc::NotFound;
        };
        return o;
    }
    void write(const std::string& text) { dir_.write("p.json", text); }
    static std::string with(unsigned percent) {
        return R"({"alerts": {"disk_warning_percent": )" + std::to_string(percent) + "}}";
    }
    PreferenceKeeper::Told turn(PreferenceKeeper& k) {
        now_ += seconds(1).value;
        auto told = k.turn(now_);
        alerts_.clear();
        for (const std::string& a : told.alerts) {
            alerts_ += a + "\n";
        }
        return told;
    }
    static unsigned level(const PreferenceKeeper& k) {
        return k.preferences().disk_warning_percent;
    }
    [[nodiscard]] std::string in_force() const {
        std::vector<Mistake> mistakes;
        return read_preferences(dir_ / "in-force.json", mistakes).text;
    }

    test::TempDir dir_;
    std::string file_ = dir_ / "p.json";
    std::string redis_;
    std::string alerts_;
    bool redis_up_ = true;
    int puts_ = 0;
    std::int64_t now_ = 0;
};

TEST_F(PreferencesKept, ComeIntoForceWhenTheirFileIsChangedAndAreCopiedOnce) {
    write(with(40));
    PreferenceKeeper k{options()};
    EXPECT_TRUE(turn(k).changed);
    EXPECT_EQ(level(k), 40U);
    EXPECT_EQ(in_force(), with(40));
    EXPECT_EQ(redis_, with(40));
    EXPECT_EQ(list_config_backups(file_).size(), 1U);
    for (int i = 0; i < 700; ++i) {
        EXPECT_FALSE(turn(k).changed);
    }
    EXPECT_EQ(list_config_backups(file_).size(), 1U) << "an unchanged file makes no new copy";
    EXPECT_EQ(puts_, 1);
    for (unsigned percent = 41; percent <= 48; ++percent) {
        write(with(percent));
        EXPECT_TRUE(turn(k).changed);
        EXPECT_EQ(level(k), percent);
    }
    const auto backups = list_config_backups(file_);
    ASSERT_EQ(backups.size(), 5U) << "the last five";
    std::vector<Mistake> none;
    EXPECT_EQ(read_preferences(backups.front(), none).disk_warning_percent, 44U);
    EXPECT_EQ(redis_, with(48));
}

TEST_F(PreferencesKept, ThatAreBrokenWhileAPipelineRunsChangeNothingAndAreToldOnce) {
    write(with(40));
    PreferenceKeeper k{options()};
    (void)turn(k);
    write("{\"alerts\": {\"disk_alarm_percent\": 30}}");
    EXPECT_FALSE(turn(k).changed);
    EXPECT_NE(alerts_.find("it must be above"), std::string::npos) << alerts_;
    EXPECT_NE(alerts_.find("the last valid ones stay"), std::string::npos) << alerts_;
    EXPECT_TRUE(turn(k).alerts.empty()) << "once, not each second";
    EXPECT_EQ(level(k), 40U);
    EXPECT_EQ(in_force(), with(40));
    EXPECT_EQ(list_config_backups(file_).size(), 1U) << "what is broken is not kept";
    EXPECT_EQ(redis_, with(40));
    fs::remove(file_);
    EXPECT_NE(turn(k).alerts.size(), 0U) << "gone is another mistake";
    write(with(40));
    EXPECT_FALSE(turn(k).infos.empty());
    write(with(41));
    EXPECT_TRUE(turn(k).changed);
    EXPECT_EQ(level(k), 41U);
}

TEST_F(PreferencesKept, ThatAreBrokenAtAStartAreTheLastValidOnesWithALoudNotice) {
    write(with(40));
    PreferenceKeeper first{options()};
    (void)turn(first);
    write(with(41));
    (void)turn(first);
    redis_ = with(77);
    for (const char* broken : {"{", "", "{\"alerts\": 3}"}) {
        write(broken);
        PreferenceKeeper k{options()};
        EXPECT_TRUE(turn(k).changed) << broken;
        EXPECT_EQ(level(k), 41U) << broken;
        EXPECT_NE(alerts_.find("GOING ON WITH THE LAST VALID ONES, " + file_ + ".backup-2"),
                  std::string::npos)
            << alerts_;
        EXPECT_EQ(in_force(), with(41));
        EXPECT_EQ(redis_, with(77)) << "nothing is written until the file is valid";
        write(with(43));
        EXPECT_TRUE(turn(k).changed);
        EXPECT_EQ(level(k), 43U);
        fs::remove(list_config_backups(file_).back());
        redis_ = with(77);
    }
}

TEST_F(PreferencesKept, AreTakenFromAnOlderBackupWhereTheNewestIsBroken) {
    write(with(40));
    PreferenceKeeper first{options()};
    (void)turn(first);
    dir_.write("p.json.backup-2", "{\"alerts\"");
    write("{");
    PreferenceKeeper k{options()};
    (void)turn(k);
    EXPECT_EQ(level(k), 40U);
}

TEST_F(PreferencesKept, AreTakenFromRedisWhereNoFileIsLeftAndElseAreTheDefaults) {
    redis_ = with(33);
    PreferenceKeeper k{options()};
    (void)turn(k);
    EXPECT_EQ(level(k), 33U);
    EXPECT_NE(alerts_.find("GOING ON WITH THE COPY IN REDIS"), std::string::npos) << alerts_;
    redis_ = "{\"alerts\": 1}";  // valid as a text, but nothing that may be used
    for (const bool up : {true, false}) {
        redis_up_ = up;
        write("{");
        PreferenceKeeper none{options()};
        (void)turn(none);
        EXPECT_EQ(level(none), 70U);
        EXPECT_NE(alerts_.find("GOING ON WITH THE DEFAULTS"), std::string::npos) << alerts_;
        EXPECT_FALSE(fs::exists(dir_ / "in-force.json"));
    }
}

TEST_F(PreferencesKept, GetIntoRedisOnceItIsBack) {
    redis_up_ = false;
    write(with(40));
    PreferenceKeeper k{options()};
    const auto told = turn(k);
    EXPECT_TRUE(told.changed) << "Redis is not waited for";
    EXPECT_EQ(list_config_backups(file_).size(), 1U);
    redis_up_ = true;
    for (int i = 0; i < 298; ++i) {
        (void)turn(k);
    }
    EXPECT_EQ(puts_, 0) << "each five minutes";
    (void)turn(k);
    (void)turn(k);
    EXPECT_EQ(redis_, with(40));
    EXPECT_EQ(puts_, 1);
}

TEST_F(PreferencesKept, AreNoneWhereNobodyHasEverWrittenAnyAndNothingIsTold) {
    dir_.write("in-force.json", with(20));
    PreferenceKeeper k{options()};
    for (int i = 0; i < 3; ++i) {
        const auto told = turn(k);
        EXPECT_TRUE(told.alerts.empty()) << alerts_;
        EXPECT_FALSE(told.changed);
    }
    EXPECT_FALSE(fs::exists(dir_ / "in-force.json")) << "those of another configuration file";
    write(with(40));
    EXPECT_TRUE(turn(k).changed) << "the first ones";
    EXPECT_EQ(level(k), 40U);
}

}  // namespace
}  // namespace millrace
