// Goal: a pipeline whose effects log is lost, and whose journal retention has cut at its beginning,
// starts, keeps its store and stops clean; one whose whole journal is lost, or was put back from an
// older copy, does not start by itself while its store knows of more. Method: the real executable;
// files taken away between.
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "persist/journal_format.h"
#include "persist/sqlite_files.h"
#include "tests/ops/pipeline_fixture.h"
#include "tests/redis/server.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;
using test::eventually;
using test::Pipeline;

using StoreCell = decltype(CoreCells::sqlite_seq) CoreCells::*;

/// Runs until the store has everything, then stops clean. @return how far the store came.
std::uint64_t run_once(Pipeline& p, const std::string& log,
                       StoreCell stored_up_to = &CoreCells::sqlite_seq) {
    p.up(log);
    EXPECT_TRUE(p.wait_running()) << p.log(log);
    const Segment s = p.attach();
    const CoreCells& core = s.core();
    EXPECT_TRUE(eventually([&] {
        return core.config_hash.load() != 0 && core.replica_applied.load() == core.durable.load() &&
               core.completed.load() == core.durable.load() &&
               (core.*stored_up_to).load() >= core.durable.load();
    })) << p.log(log);
    const std::uint64_t stored = (core.*stored_up_to).load();
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

/// The store lies elsewhere, as on another disk.
void keep_store_elsewhere(Pipeline& p) {
    fs::create_directory(p.dir() / "elsewhere");
    p.write_config(R"(, "sqlite": {"path": "elsewhere/millrace.db"})");
}

/// That `up` ends at once, and what it says.
std::string refused(Pipeline& p, const std::string& log) {
    p.up(log);
    const int status = p.wait_supervisor();
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << status << "\n" << p.log(log);
    return p.log(log);
}

TEST(LostJournal, IsNotBegunAnewUnaskedWhereTheStoreHasFollowedOne) {
    Pipeline p;
    keep_store_elsewhere(p);
    (void)run_once(p, "one.log");
    fs::remove_all(p.journal_dir());
    const std::string said = refused(p, "two.log");
    EXPECT_NE(said.find("has followed one up to record "), std::string::npos) << said;
    EXPECT_NE(said.find("millrace recover --dry-run"), std::string::npos) << said;
    const test::Finished ladder = p.run({"recover", "--dry-run"});
    EXPECT_EQ(ladder.status, 1);
    for (const char* words : {"THE START WOULD BE REFUSED", "has followed one up to record ",
                              "millrace recover --from sqlite"}) {
        EXPECT_NE(ladder.output.find(words), std::string::npos) << ladder.output;
    }
    EXPECT_FALSE(fs::exists(p.journal_dir())) << "something was begun";
    p.up("three.log", {"--begin-anew"});
    EXPECT_TRUE(p.wait_running()) << p.log("three.log");
}

TEST(LostJournal, IsNotBegunAnewBesideASegmentThatNoStartGoesOnIn) {
    Pipeline p;
    keep_store_elsewhere(p);
    (void)run_once(p, "one.log");
    fs::remove_all(p.journal_dir());
    std::ofstream{p.segment_path()} << std::string(4096, 'x');
    fs::permissions(p.segment_path(), fs::perms::owner_read | fs::perms::owner_write);
    const std::string said = refused(p, "two.log");
    EXPECT_NE(said.find("has followed one up to record "), std::string::npos) << said;
    EXPECT_TRUE(fs::exists(p.segment_path())) << "it was put aside for nothing";
    fs::remove(p.segment_path());
}

TEST(LostJournal, IsNotBegunAnewWhereTheStoreCannotBeReadOrItsBackupAloneIsLeft) {
    Pipeline p;
    keep_store_elsewhere(p);
    (void)run_once(p, "one.log");
    const std::string store = p.dir() / "elsewhere/millrace.db";
    const test::Finished backup = p.run({"backup"});
    ASSERT_EQ(backup.status, 0) << backup.output;
    const std::string backups = store + ".backups";
    ASSERT_TRUE(fs::exists(backups)) << backup.output;
    fs::remove_all(p.journal_dir());
    ASSERT_TRUE(sqlite_remove(store).ok());
    EXPECT_NE(refused(p, "two.log").find(backups), std::string::npos) << p.log("two.log");
    fs::remove_all(backups);
    std::ofstream{store} << std::string(8192, 'x');
    const std::string said = refused(p, "three.log");
    EXPECT_NE(said.find("cannot be read"), std::string::npos) << said;
    const test::Finished ladder = p.run({"recover", "--dry-run"});
    EXPECT_EQ(ladder.status, 1);
    EXPECT_NE(ladder.output.find("THE START WOULD BE REFUSED"), std::string::npos) << ladder.output;
    // One that nobody has written to tells of no journal.
    fs::resize_file(store, 0);
    p.up("four.log");
    EXPECT_TRUE(p.wait_running()) << p.log("four.log");
}

/// The directory's copy from before the last run is refused, and the directory is not.
void expect_only_the_newer_one_is_taken(Pipeline& p, StoreCell stored_up_to) {
    (void)run_once(p, "one.log", stored_up_to);
    const std::string older = p.dir() / "older";
    const std::string newer = p.dir() / "newer";
    fs::copy(p.journal_dir(), older, fs::copy_options::recursive);
    const std::uint64_t stored = run_once(p, "two.log", stored_up_to);
    fs::rename(p.journal_dir(), newer);
    fs::copy(older, p.journal_dir(), fs::copy_options::recursive);
    const std::string said = refused(p, "three.log");
    EXPECT_NE(said.find("has followed this very log up to record "), std::string::npos) << said;
    EXPECT_NE(said.find("older copy"), std::string::npos) << said;
    EXPECT_FALSE(fs::exists(p.segment_path()));
    const test::Finished ladder = p.run({"recover", "--dry-run"});
    EXPECT_EQ(ladder.status, 1);
    EXPECT_NE(ladder.output.find("THE START WOULD BE REFUSED"), std::string::npos) << ladder.output;
    EXPECT_NE(ladder.output.find("has followed this very log"), std::string::npos) << ladder.output;
    fs::remove_all(p.journal_dir());
    fs::rename(newer, p.journal_dir());
    EXPECT_GE(run_once(p, "four.log", stored_up_to), stored);
}

TEST(LostJournal, AnOlderCopyOfTheDirectoryIsRefusedAndTheNewerOneIsNot) {
    Pipeline p;
    keep_store_elsewhere(p);
    expect_only_the_newer_one_is_taken(p, &CoreCells::sqlite_seq);
}

TEST(LostJournal, AnOlderCopyIsToldByAServerTooWhereTheSqliteStoreIsAsOldAsIt) {
    const redis_test::TempDir folder;
    test::QuietPort port;
    redis_test::RedisProcess redis{{folder.path(), port.number(), false,
                                    "maxmemory-policy noeviction\nmaxmemory 500mb\nsave \"\"\n"}};
    redis.start();
    Pipeline p;
    p.write_config(R"(, "redis": {"servers": ["127.0.0.1:)" + std::to_string(port.number()) +
                   R"("], "prefix": "millrace:test:"})");
    expect_only_the_newer_one_is_taken(p, &CoreCells::redis_seq);
}

/// With a Redis of its own, which has followed a journal that is lost.
class LostJournalOfRedis : public ::testing::Test {
protected:
    void SetUp() override { redis_.start(); }
    void use_redis(const std::string& more = "") {
        p_.write_config(R"(, "redis": {"servers": ["127.0.0.1:)" + std::to_string(port_.number()) +
                        R"("], "prefix": "millrace:test:"})" + more);
    }
    /// Runs until Redis, too, has followed a record beyond `seq`, and stops.
    void run_beyond(std::uint64_t seq, const std::string& log) {
        p_.up(log);
        ASSERT_TRUE(p_.wait_running()) << p_.log(log);
        {
            const Segment s = p_.attach();
            ASSERT_TRUE(eventually([&] {
                return s.core().redis_seq.load() > seq && s.core().sqlite_seq.load() > seq;
            })) << p_.log(log);
        }
        ::kill(p_.supervisor(), SIGTERM);
        ASSERT_EQ(p_.wait_supervisor(), 0) << p_.log(log);
    }

    const redis_test::TempDir folder_;
    test::QuietPort port_;
    redis_test::RedisProcess redis_{{folder_.path(), port_.number(), false,
                                     "maxmemory-policy noeviction\nmaxmemory 500mb\nsave \"\"\n"}};
    Pipeline p_;
};

TEST_F(LostJournalOfRedis, IsWaitedForWhileRedisIsStillLoadingAndIsNotBegunAnew) {
    use_redis();
    ASSERT_NO_FATAL_FAILURE(run_beyond(0, "one.log"));
    // Keys of others, of more bytes each than it reads between two looks at its clients.
    (void)redis_.ask({"CONFIG", "SET", "rdbcompression", "no"});
    (void)redis_.ask({"EVAL",
                      "for i = 1, 40 do redis.call('SET', 'other:' .. i, string.rep('x', 2000)) "
                      "end",
                      "0"});
    (void)redis_.ask({"SAVE"});
    redis_.kill();
    std::ofstream{folder_.path() + "/redis.conf", std::ios::app}
        << "key-load-delay 50000\nloading-process-events-interval-bytes 1024\n";
    fs::remove_all(p_.journal_dir());  // and with it the SQLite store
    redis_.start();
    const std::string said = refused(p_, "two.log");
    EXPECT_NE(said.find("is empty, and Redis cannot be asked"), std::string::npos)
        << "it was not loading: " << said;
    EXPECT_NE(said.find("LOADING"), std::string::npos) << said;
    EXPECT_NE(said.find("Waiting for it, up to 60 s"), std::string::npos) << said;
    EXPECT_NE(said.find("Redis, keys millrace:test:*, has followed one up to record"),
              std::string::npos)
        << said;
    EXPECT_FALSE(fs::exists(p_.journal_dir())) << "something was begun";
}

TEST_F(LostJournalOfRedis, IsNotBegunUnaskedWhereRedisNeverAnswers) {
    use_redis();
    redis_.stop();
    p_.up("first.log", {"--stores-wait", "1"});
    const int status = p_.wait_supervisor();
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << p_.log("first.log");
    for (const char* words : {"is empty, and Redis cannot be asked", "no answer in time",
                              "first start of all", "`millrace up --begin-anew`, this once"}) {
        EXPECT_NE(p_.log("first.log").find(words), std::string::npos) << p_.log("first.log");
    }
    EXPECT_FALSE(fs::exists(p_.journal_dir())) << "something was begun";
    redis_.kill();  // refuses at once
    const test::Finished ladder = p_.run({"recover", "--dry-run"});
    EXPECT_EQ(ladder.status, 1);
    EXPECT_NE(ladder.output.find("THE START WOULD BE REFUSED"), std::string::npos) << ladder.output;
    p_.up("second.log", {"--begin-anew"});
    ASSERT_TRUE(p_.wait_running()) << p_.log("second.log");
    p_.kill_all();
    p_.up("third.log");
    EXPECT_TRUE(p_.wait_running()) << "the flag is for once: " << p_.log("third.log");
}

TEST_F(LostJournalOfRedis, IsMadeOfSqliteAndRedisOfThatWhateverIsInIt) {
    fs::create_directory(p_.dir() / "elsewhere");
    use_redis(R"(, "sqlite": {"path": "elsewhere/millrace.db"})");
    ASSERT_NO_FATAL_FAILURE(run_beyond(0, "one.log"));
    const auto heir = [&](const std::string& log) {
        const test::Finished made = p_.run({"recover", "--from", "best"});
        ASSERT_EQ(made.status, 0) << made.output;
        EXPECT_NE(made.output.find("not taken: redis: "), std::string::npos) << made.output;
        // The heir's records are far beyond the lost log's.
        ASSERT_NO_FATAL_FAILURE(run_beyond(std::uint64_t{1} << 40U, log));
        const test::Finished ladder = p_.run({"recover", "--dry-run"});
        EXPECT_EQ(ladder.status, 0) << ladder.output;
        const std::size_t redis = ladder.output.find("   redis ");
        ASSERT_NE(redis, std::string::npos) << ladder.output;
        const std::string line =
            ladder.output.substr(redis, ladder.output.find('\n', redis) - redis);
        EXPECT_NE(line.find("read and checked whole"), std::string::npos) << ladder.output;
    };
    fs::remove_all(p_.journal_dir());
    const std::string account = "millrace:test:g1:RIS:0";
    ASSERT_EQ(redis_.ask({"EXISTS", account}), "1") << redis_.ask({"KEYS", "*"});
    (void)redis_.ask({"HSET", account, "state", "damaged"});
    ASSERT_NO_FATAL_FAILURE(heir("damaged.log"));
    fs::remove_all(p_.journal_dir());
    (void)redis_.ask({"FLUSHALL"});
    ASSERT_NO_FATAL_FAILURE(heir("emptied.log"));
}

}  // namespace
}  // namespace millrace
