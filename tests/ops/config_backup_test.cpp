// Goal: a configuration that somebody broke stops no start, and is never silently replaced. Method:
// files that are changed, cut, emptied and removed.
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <filesystem>
#include <optional>

#include "tests/ops/temp_dir.h"
#include "tools/millrace/config_backup.h"
#include "tools/millrace/storage_keeper.h"

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

TEST_F(ConfigBackups, AreMadeOfAValidEditAndKeepWhatWasStarted) {
    write(config_named("started"));
    const Config started = read_config(file_, mistakes_);
    const std::string first = back_up_config(started, message_);
    ASSERT_NE(first, "") << message_;
    std::string broken;
    EXPECT_EQ(back_up_edited_config(started, message_, broken), "") << "it was not edited";
    for (int i = 1; i <= 7; ++i) {
        write(config_named("edit-" + std::to_string(i)));
        const std::string made = back_up_edited_config(started, message_, broken);
        ASSERT_NE(made, "") << message_;
        EXPECT_EQ(read_config(made, mistakes_).name, "edit-" + std::to_string(i));
        write(config_named("half").substr(0, 20));
        EXPECT_EQ(back_up_edited_config(started, message_, broken), "");
        EXPECT_NE(broken.find("is broken now"), std::string::npos);
    }
    const auto kept = list_config_backups(file_);
    ASSERT_EQ(kept.size(), kConfigBackups);
    EXPECT_EQ(kept.front(), first) << "a journal may refuse what nobody has started";
    write(config_named("started"));
    const std::string back = back_up_edited_config(started, message_, broken);
    EXPECT_EQ(read_config(back, mistakes_).name, "started") << "it was put back";
    EXPECT_EQ(list_config_backups(file_).size(), kConfigBackups);
}

/// What the supervisor's housekeeper does, by a clock that the test moves.
class ConfigKept : public ConfigBackups {
protected:
    void SetUp() override {
        write(config_named("started"));
        config_ = read_config(file_, mistakes_);
        ASSERT_TRUE(mistakes_.empty());
        fs::create_directories(config_.journal.dir);
        SegmentPlan plan;
        plan.path = dir_ / "segment";
        plan.journal_dir = config_.journal.dir;
        plan.memory.lock = MemoryWish::Off;
        segment_ = Segment::create(plan, message_).value();
        keeper_.emplace(segment_, config_);
    }
    void pass(int s) {
        now_ns_ += s * std::int64_t{1'000'000'000};
        keeper_->turn(now_ns_);
    }
    [[nodiscard]] std::size_t kept() const { return list_config_backups(file_).size(); }
    [[nodiscard]] std::uint64_t told(const std::string& part) const {
        std::uint64_t count = 0;
        for (std::uint32_t i = 0; i < kErrors; ++i) {
            const ErrorEntry& e = segment_.error(i);
            const bool is = std::string{e.text}.find(part) != std::string::npos;
            count += is ? e.count.load() : 0;
        }
        return count;
    }
    Config config_;
    Segment segment_;
    std::optional<StorageKeeper> keeper_;
    std::int64_t now_ns_ = 1'000'000'000'000;
};

TEST_F(ConfigKept, AValidEditWithinFiveMinutesAndABrokenOneIsToldOnceAndNotKept) {
    pass(0);
    EXPECT_EQ(kept(), 1U) << "what the pipeline was started with";
    write(config_named("edited"));
    pass(299);
    EXPECT_EQ(kept(), 1U);
    pass(1);
    ASSERT_EQ(kept(), 2U);
    EXPECT_EQ(read_config(list_config_backups(file_).back(), mistakes_).name, "edited");
    pass(300);
    EXPECT_EQ(kept(), 2U) << "it has not changed";
    write(R"({"nmae": "x", "journal": {"dir": "j"}})");
    for (int i = 0; i < 10; ++i) {
        pass(300);
    }
    EXPECT_EQ(kept(), 2U);
    EXPECT_EQ(told("is broken now"), 1U) << "not each time";
    write(config_named("edited"));
    pass(300);
    write("{");
    pass(300);
    EXPECT_EQ(told("is broken now"), 2U) << "another time";
}

TEST_F(ConfigKept, WhatItWasStartedWithLaterIfTheFirstCopyFails) {
    fs::create_directories(file_ + ".backup-1.making/in the way");
    pass(0);
    EXPECT_EQ(kept(), 0U);
    EXPECT_EQ(told("no backup of the configuration"), 1U);
    write(config_named("edited"));
    fs::remove_all(file_ + ".backup-1.making");
    pass(300);
    ASSERT_EQ(kept(), 2U);
    EXPECT_EQ(read_config(list_config_backups(file_).front(), mistakes_).name, "started");
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
