// Goal: a pipeline whose effects log is lost, and whose journal retention has cut at its beginning,
// starts, keeps its store and stops clean. Method: the real executable; files taken away between.
#include <csignal>
#include <filesystem>

#include "persist/journal_format.h"
#include "persist/sqlite_files.h"
#include "tests/ops/pipeline_fixture.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;
using test::eventually;
using test::Pipeline;

/// Runs until the store has everything, then stops clean. @return how far the store came.
std::uint64_t run_once(Pipeline& p, const std::string& log) {
    p.up(log);
    EXPECT_TRUE(p.wait_running()) << p.log(log);
    const Segment s = p.attach();
    const CoreCells& core = s.core();
    EXPECT_TRUE(eventually([&] {
        return core.config_hash.load() != 0 && core.replica_applied.load() == core.durable.load() &&
               core.completed.load() == core.durable.load() && core.sqlite_seq.load() != 0;
    })) << p.log(log);
    const std::uint64_t stored = core.sqlite_seq.load();
    ::kill(p.supervisor(), SIGTERM);
    EXPECT_EQ(p.wait_supervisor(), 0) << p.log(log);
    return stored;
}

/// All effects, and the journal files before those of the newest epoch.
void take_away(const std::string& dir) {
    std::uint64_t newest = 0;
    std::vector<std::pair<std::uint64_t, fs::path>> journal;
    std::vector<fs::path> gone;
    for (const auto& entry : fs::directory_iterator{dir}) {
        const std::string name = entry.path().filename().string();
        if (const auto parsed = JournalFileName::parse(name); parsed.ok()) {
            newest = std::max(newest, parsed.value().epoch);
            journal.emplace_back(parsed.value().epoch, entry.path());
        } else if (name.ends_with(".mre")) {
            gone.push_back(entry.path());
        }
    }
    ASSERT_FALSE(gone.empty());
    for (const auto& [epoch, path] : journal) {
        if (epoch < newest) {
            gone.push_back(path);
        }
    }
    ASSERT_GT(gone.size(), 1U);
    for (const fs::path& path : gone) {
        fs::remove(path);
    }
}

TEST(LostEffects, StopNeitherTheReplicaNorACleanStopAndTheStoreIsKept) {
    Pipeline p;
    (void)run_once(p, "first.log");
    const std::uint64_t stored = run_once(p, "second.log");
    ASSERT_NO_FATAL_FAILURE(take_away(p.journal_dir()));
    EXPECT_GE(run_once(p, "third.log"), stored);
    EXPECT_NE(p.log("third.log").find("ALERT effects of records 1 to "), std::string::npos)
        << p.log("third.log");
    EXPECT_FALSE(sqlite_file_exists(p.journal_dir() + "/millrace.db.stale-1"));
}

}  // namespace
}  // namespace millrace
