// Goal: `millrace backup` and `restore` do by hand what a pipeline does by itself, and never
// beneath a running sink. Method: the real executable and a store of a pipeline that ran.
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "persist/sqlite_backup.h"
#include "persist/sqlite_db.h"
#include "persist/sqlite_files.h"
#include "tests/ops/pipeline_fixture.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;
using test::Finished;
using test::Pipeline;

#define EXPECT_SAYS(finished, text) \
    EXPECT_NE((finished).output.find(text), std::string::npos) << (finished).output

std::int64_t rows(const std::string& store) {
    SqliteDb db;
    EXPECT_TRUE(db.open(store, 5'000, SqliteOpen::ReadOnly).ok()) << store;
    const auto n = db.number("SELECT count(*) FROM definitions");
    return n.ok() ? n.value() : -1;
}

TEST(BackupCommands, BackUpWhileItRunsAndRestoreWhenItDoesNot) {
    Pipeline p;
    const std::string store = p.journal_dir() + "/millrace.db";
    EXPECT_EQ(p.run({"backup"}).status, 1) << "there is no store yet";
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    const Segment segment = p.attach();
    ASSERT_TRUE(test::eventually([&] {
        const std::uint64_t applied = segment.core().replica_applied.load();
        return applied != 0 && segment.core().sqlite_seq.load() != 0 && rows(store) > 0;
    })) << p.log();
    const Finished made = p.run({"backup"});
    EXPECT_EQ(made.status, 0) << made.output;
    EXPECT_SAYS(made, "backed up, read back and compared");
    EXPECT_SAYS(p.run({"backup", "--dry-run"}), "up to record");
    const Finished refused = p.run({"restore"});
    EXPECT_EQ(refused.status, 1);
    EXPECT_SAYS(refused, "the sqlite stage runs");
    const std::string copy = p.dir() / "copy.db";
    EXPECT_EQ(p.run({"restore", "--to", copy}).status, 0);
    const std::int64_t held = rows(copy);
    EXPECT_GT(held, 0);
    ::kill(p.supervisor(), SIGTERM);
    ASSERT_EQ(p.wait_supervisor(), 0) << p.log();

    ASSERT_TRUE(sqlite_remove(store).ok());
    const Finished dry = p.run({"restore", "--dry-run"});
    EXPECT_EQ(dry.status, 0) << dry.output;
    EXPECT_SAYS(dry, "would take the place of");
    EXPECT_FALSE(sqlite_file_exists(store));
    EXPECT_FALSE(sqlite_file_exists(store + ".restore"));
    fs::copy_file(copy, store + ".rebuild");  // of a sink that was stopped in the middle of it
    const Finished restored = p.run({"restore"});
    EXPECT_EQ(restored.status, 0) << restored.output;
    EXPECT_EQ(rows(store), held);
    EXPECT_FALSE(sqlite_file_exists(store + ".rebuild")) << "it would take the store's place again";
    EXPECT_EQ(p.run({"restore", "--from", p.config()}).status, 1) << "that is no backup";
}

std::string text_of(const std::string& file) {
    std::ifstream in{file, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

TEST(BackupCommands, CopyConfigurationAndPreferencesAndPutACopyBackOnceItIsValid) {
    Pipeline p;
    const std::string preferences = p.dir().write("preferences.json", R"({"display": {}})");
    const std::string first = text_of(p.config());
    const Finished dry = p.run({"backup", "--dry-run"});
    EXPECT_SAYS(dry, "configuration " + p.config() + ": would be copied");
    EXPECT_FALSE(fs::exists(p.config() + ".backup-1"));
    const Finished made = p.run({"backup"});
    EXPECT_SAYS(made, "copied as " + p.config() + ".backup-1");
    EXPECT_SAYS(made, "copied as " + preferences + ".backup-1");
    EXPECT_SAYS(made, "as the file is now");
    EXPECT_EQ(text_of(p.config() + ".backup-1"), first);
    EXPECT_SAYS(p.run({"backup"}), "unchanged since its newest copy");

    // Somebody breaks it: the command that puts a copy back must not need it.
    p.dir().write("c.json", "{\"name\": ");
    EXPECT_SAYS(p.run({"backup"}), "c.json");
    EXPECT_FALSE(fs::exists(p.config() + ".backup-2")) << "a broken one is no backup";
    const Finished would = p.run({"restore", "--from", p.config() + ".backup-1", "--dry-run"});
    EXPECT_EQ(would.status, 0) << would.output;
    EXPECT_SAYS(would, "would take the place of " + p.config());
    EXPECT_EQ(text_of(p.config()), "{\"name\": ");
    const Finished restored = p.run({"restore", "--from", p.config() + ".backup-1"});
    EXPECT_EQ(restored.status, 0) << restored.output;
    EXPECT_SAYS(restored, "the old one is " + p.config() + ".backup-2");
    EXPECT_EQ(text_of(p.config()), first);
    EXPECT_EQ(text_of(p.config() + ".backup-2"), "{\"name\": ");
    EXPECT_SAYS(p.run({"backup", "--dry-run"}), "UNUSABLE");
    const Finished broken = p.run({"restore", "--from", p.config() + ".backup-2"});
    EXPECT_NE(broken.status, 0) << "it is not valid";
    EXPECT_EQ(text_of(p.config()), first);
    EXPECT_SAYS(p.run({"restore", "--from", p.config() + ".backup-1"}), "nothing to do");
    EXPECT_EQ(p.run({"restore", "--from", p.config() + ".backup-9"}).status, 1);

    p.dir().write("preferences.json", R"({"display": {"volume_decimals": 2}})");
    const Finished wanted = p.run({"restore", "--from", preferences + ".backup-1"});
    EXPECT_EQ(wanted.status, 0) << wanted.output;
    EXPECT_EQ(text_of(preferences), R"({"display": {}})");
    EXPECT_EQ(text_of(preferences + ".backup-2"), R"({"display": {"volume_decimals": 2}})");
}

}  // namespace
}  // namespace millrace
