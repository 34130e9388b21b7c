// Goal: a configuration that somebody broke stops no start, and is never silently replaced. Method:
// files that are changed, cut, emptied and removed.
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <filesystem>

#include "tests/ops/temp_dir.h"
#include "tools/millrace/config_backup.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;
using test::TempDir;

std::string config_named(const std::string& name) {
    return R"({"name": ")" + name + R"(", "journal": {"dir": "j"}})";
}

class ConfigBackups : public ::testing::Test {
protected:
    void write(const std::string& text) { file_ = dir_.write("c.json", text); }
    /// As a pipeline does that is started with the file as it is now.
    [[nodiscard]] std::string back_up() {
        mistakes_.clear();
        return back_up_config(read_config(file_, mistakes_), message_);
    }
    [[nodiscard]] Config read() {
        mistakes_.clear();
        return read_config_or_backup(file_, mistakes_, notice_);
    }
    TempDir dir_;
    std::string file_;
    std::string message_;
    std::string notice_;
    std::vector<Mistake> mistakes_;
};

TEST_F(ConfigBackups, AreMadeWhenTheFileHasChangedAndTheLastFiveStay) {
    for (int i = 1; i <= 7; ++i) {
        write(config_named("n" + std::to_string(i)));
        EXPECT_EQ(back_up(), file_ + ".backup-" + std::to_string(i)) << message_;
        EXPECT_EQ(back_up(), "") << "it has not changed";
    }
    const auto kept = list_config_backups(file_);
    ASSERT_EQ(kept.size(), kConfigBackups);
    EXPECT_EQ(kept.front(), file_ + ".backup-3");
    EXPECT_EQ(kept.back(), file_ + ".backup-7");
    struct stat s{};
    ASSERT_EQ(::stat(kept.back().c_str(), &s), 0);
    EXPECT_EQ(s.st_mode & 0777U, 0600U) << "there may be keys in it";
}

TEST_F(ConfigBackups, AreMadeOfWhatWasStartedNotOfWhatTheFileSaysByNow) {
    write(config_named("started"));
    const Config started = read_config(file_, mistakes_);
    write(config_named("edited"));
    const std::string made = back_up_config(started, message_);
    ASSERT_NE(made, "") << message_;
    EXPECT_EQ(read_config(made, mistakes_).name, "started");
    EXPECT_EQ(broken_config(file_), "");
    write(config_named("edited").substr(0, 20));
    EXPECT_EQ(back_up_config(started, message_), "") << "it was kept";
    EXPECT_NE(broken_config(file_).find("is broken now"), std::string::npos);
}

TEST_F(ConfigBackups, AreNotMadeOfABackup) {
    write(config_named("good"));
    file_ = back_up();
    EXPECT_EQ(back_up(), "");
    EXPECT_EQ(message_, "");
    EXPECT_EQ(list_config_backups(dir_ / "c.json").size(), 1U);
}

TEST_F(ConfigBackups, StandInForABrokenFileTheNewestValidOneFirst) {
    write(config_named("old"));
    ASSERT_NE(back_up(), "");
    write(config_named("good"));
    const std::string good = back_up();
    write(config_named("newer"));
    dir_.write("c.json.backup-3", "{\"journal\": ");
    EXPECT_EQ(read().name, "newer");
    EXPECT_EQ(notice_, "");
    for (const char* broken : {"", "{", R"({"nmae": "x", "journal": {"dir": "j"}})"}) {
        write(broken);
        const Config config = read();
        EXPECT_EQ(config.name, "good") << broken;
        EXPECT_EQ(config.journal.dir, dir_ / "j") << "paths in it mean the same";
        EXPECT_NE(notice_.find("ALERT " + file_ + " is broken: "), std::string::npos) << notice_;
        EXPECT_NE(notice_.find(good), std::string::npos) << notice_;
        EXPECT_FALSE(mistakes_.empty()) << "they are told all the same";
    }
    fs::remove(file_);
    EXPECT_EQ(read().name, "good");
}

TEST_F(ConfigBackups, ThatDoNotExistOrAreBrokenLeaveTheMistakes) {
    write("{");
    (void)read();
    EXPECT_FALSE(mistakes_.empty());
    dir_.write("c.json.backup-1", "{");
    dir_.write("c.json.backup-x", config_named("no backup of ours"));
    (void)read();
    EXPECT_EQ(notice_, "");
    EXPECT_FALSE(mistakes_.empty());
}

}  // namespace
}  // namespace millrace
