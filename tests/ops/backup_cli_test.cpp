// Goal: `millrace backup` and `restore` do by hand what the sink does by itself, and never beneath
// a running one. Method: the real executable and a store of a pipeline that ran.
#include <signal.h>

#include <filesystem>

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

}  // namespace
}  // namespace millrace
