// Goal: a backup counts only if it comes back as the store was; a lost store is made again from the
// newest that will do, and the log. Method: every fault put between writing and reading back; a log
// that begins so late that only a backup can hold what was before.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <thread>

#include "core/crash_point.h"
#include "persist/sqlite_files.h"
#include "persist/sqlite_restore.h"
#include "tests/seed.h"
#include "tests/sqlite/effects.h"

namespace millrace::sqlite_test {
namespace {

namespace fs = std::filesystem;

void overwrite(const std::string& path, std::uint64_t at, std::size_t bytes) {
    std::fstream file{path, std::ios::in | std::ios::out | std::ios::binary};
    file.seekp(static_cast<std::streamoff>(at));
    file << std::string(bytes, '\xA5');
    ASSERT_TRUE(file.good());
}

/// The whole file behind its first page: no read of a table misses that.
void spoil(const std::string& path) {
    SqliteDb db;
    ASSERT_TRUE(db.open(path, 1'000).ok());
    ASSERT_TRUE(db.number("PRAGMA wal_checkpoint(TRUNCATE)").ok());
    db.close();
    overwrite(path, 4'096, fs::file_size(path) - 4'096);
}

class SqliteBackups : public SqliteFixture {
protected:
    [[nodiscard]] SqliteBackupOptions backup_options() const {
        SqliteBackupOptions o;
        o.store = path_;
        o.dir = dir_ + "/backups";
        return o;
    }
    void store(std::uint64_t last, std::uint64_t salt = 0) {
        ASSERT_TRUE(run_to(*sink(last, salt), last)) << error_log();
    }
    SqliteBackup back_up() {
        std::string message;
        auto made = make_sqlite_backup(backup_options(), message);
        EXPECT_TRUE(made.ok()) << message;
        return made.ok() ? made.value() : SqliteBackup{};
    }
    [[nodiscard]] Errc restoring(const std::string& path) {
        std::string message;
        const std::string to = dir_ + "/restored.db";
        const Status done = restore_sqlite_backup(path, to, {}, message);
        EXPECT_EQ(sqlite_file_exists(to), done.ok()) << message;
        EXPECT_EQ(message.empty(), done.ok());
        (void)sqlite_remove(to);
        return done.code();
    }
    [[nodiscard]] std::string dump_of(const SqliteBackup& backup) {
        const std::string to = dir_ + "/shown.db";
        std::string message;
        EXPECT_TRUE(restore_sqlite_backup(backup.path, to, {}, message).ok()) << message;
        std::string text = dump(to);
        EXPECT_TRUE(sqlite_remove(to).ok());
        return text;
    }
    [[nodiscard]] std::vector<SqliteBackup> backups() const {
        return list_sqlite_backups(dir_ + "/backups");
    }
    [[nodiscard]] std::size_t files_in_backup_dir() const {
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator{dir_ + "/backups"}, fs::directory_iterator{}));
    }
    /// A sink that has backups to go back to, over the log of records first .. last.
    std::unique_ptr<SqliteSink> restoring_sink(std::uint64_t first, std::uint64_t last,
                                               Nanos look_every = seconds(3600)) {
        auto log = std::make_unique<MemoryLog>(last);
        log->set_first(first);
        log_ = log.get();
        SqliteSinkOptions o = options();
        o.keeper.dir = dir_ + "/backups";
        o.keeper.look_every = look_every;
        o.keeper.nice = 0;  // a busy machine would let it starve
        return std::make_unique<SqliteSink>(*segment_, std::move(log), o);
    }
    /// Steps `s` until `done`. Its keeper works in a thread of its own, as fast as it may.
    template <class Done>
    [[nodiscard]] bool step_until(SqliteSink& s, Done done) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{240};
        while (!done() && std::chrono::steady_clock::now() < deadline) {
            now_ = now_ + millis(1);
            s.step(now_);
            std::this_thread::yield();
        }
        return done();
    }
    MemoryLog* log_ = nullptr;
};

TEST_F(SqliteBackups, RestoreToEveryRowAndTheCursor) {
    store(500);
    const SqliteBackup made = back_up();
    EXPECT_EQ(made.seq.value, 500U);
    EXPECT_EQ(dump_of(made), expected_dump(dir_, 500));
    std::string message;
    const auto header = read_sqlite_backup(made.path, message);
    ASSERT_TRUE(header.ok()) << message;
    EXPECT_EQ(header.value().cursor(), cursor_at(500));
    EXPECT_EQ(files_in_backup_dir(), 2U) << "the backup and the lock";
}

TEST_F(SqliteBackups, AreOfOneMomentWhileTheStoreIsWrittenTo) {
    auto s = sink(5'000);
    ASSERT_FALSE(run_to(*s, 5'000, 20));
    const std::uint64_t before = s->stored().seq.value;
    ASSERT_GT(before, 0U);
    SqliteBackupOptions o = backup_options();
    o.progress = [&](const char*, std::uint64_t, std::uint64_t) {
        (void)run_to(*s, 5'000, 10);
        return true;
    };
    std::string message;
    const auto made = make_sqlite_backup(o, message);
    ASSERT_TRUE(made.ok()) << message;
    EXPECT_GT(s->stored().seq.value, before) << "nothing was written meanwhile";
    EXPECT_EQ(made.value().seq.value, before);
    EXPECT_EQ(dump_of(made.value()), expected_dump(dir_, before));
}

TEST_F(SqliteBackups, CountOnlyIfTheyComeBackFromTheDiskAsTheyWere) {
    store(500);
    SqliteBackupOptions o = backup_options();
    o.progress = [&](const char* what, std::uint64_t done, std::uint64_t) {
        if (std::string_view{what} == "unpack" && done == 0) {
            overwrite(o.dir + "/making.mrb", sizeof(BackupHeader) + 20, 1);
        }
        return true;
    };
    std::string message;
    EXPECT_EQ(make_sqlite_backup(o, message).code(), Errc::BadChecksum);
    EXPECT_NE(message.find("making.mrb"), std::string::npos) << message;
    EXPECT_TRUE(backups().empty());
    EXPECT_EQ(files_in_backup_dir(), 1U) << "the lock";
}

TEST_F(SqliteBackups, DoNotCountIfTheyAreSoundAndLackARow) {
    store(200);
    SqliteBackupOptions o = backup_options();
    o.progress = [&](const char* what, std::uint64_t, std::uint64_t) {
        if (std::string_view{what} == "check") {
            SqliteDb scratch;
            EXPECT_TRUE(scratch.open(o.dir + "/checking.db", 1'000).ok());
            EXPECT_TRUE(scratch.exec("DELETE FROM executions WHERE seq > 190").ok());
        }
        return true;
    };
    std::string message;
    EXPECT_EQ(make_sqlite_backup(o, message).code(), Errc::BadChecksum);
    EXPECT_NE(message.find("table executions"), std::string::npos) << message;
    EXPECT_TRUE(backups().empty());
}

TEST_F(SqliteBackups, AreRefusedAfterAnyDamageAndAnyCut) {
    store(60);
    const SqliteBackup made = back_up();
    const std::uint64_t bytes = fs::file_size(made.path);
    const std::string copy = dir_ + "/copy.mrb";
    const std::uint64_t stride = bytes / 47 + 1;
    for (std::uint64_t at = 0; at < bytes; at += at < sizeof(BackupHeader) ? 5 : stride) {
        fs::copy_file(made.path, copy, fs::copy_options::overwrite_existing);
        std::fstream file{copy, std::ios::in | std::ios::out | std::ios::binary};
        file.seekg(static_cast<std::streamoff>(at));
        const auto was = static_cast<char>(file.get());
        file.seekp(static_cast<std::streamoff>(at));
        file.put(static_cast<char>(was ^ 0x10));
        file.close();
        EXPECT_NE(restoring(copy), Errc::Ok) << "bit flipped in byte " << at;
    }
    for (std::uint64_t cut = 1; cut <= bytes; cut += cut < 8 ? 1 : stride) {
        fs::copy_file(made.path, copy, fs::copy_options::overwrite_existing);
        fs::resize_file(copy, bytes - cut);
        EXPECT_NE(restoring(copy), Errc::Ok) << cut << " bytes cut off";
    }
    std::ofstream{made.path, std::ios::app | std::ios::binary} << 'x';
    EXPECT_NE(restoring(made.path), Errc::Ok) << "a byte too many";
}

TEST_F(SqliteBackups, KeepTheNewestAndCountUp) {
    for (std::uint64_t last = 10; last <= 60; last += 10) {
        store(last);
        SqliteBackupOptions o = backup_options();
        o.keep = 3;
        std::string message;
        ASSERT_TRUE(make_sqlite_backup(o, message).ok()) << message;
    }
    const auto left = backups();
    ASSERT_EQ(left.size(), 3U);
    EXPECT_EQ(left.front().number, 4U);
    EXPECT_EQ(left.back().number, 6U);
    EXPECT_EQ(left.back().seq.value, 60U);
}

TEST_F(SqliteBackups, AreMadeOneAtATimeAndOnlyOfAStoreThatIsThere) {
    std::string message;
    EXPECT_EQ(make_sqlite_backup(backup_options(), message).code(), Errc::NotFound);
    store(20);
    const int lock = ::open((dir_ + "/backups/lock").c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_EQ(::flock(lock, LOCK_EX), 0);
    EXPECT_EQ(make_sqlite_backup(backup_options(), message).code(), Errc::Busy);
    ::close(lock);
    back_up();
}

TEST_F(SqliteBackups, OfADamagedStoreDoNotPushOutGoodOnes) {
    store(2'000);
    back_up();
    spoil(path_);
    std::string message;
    SqliteBackupOptions o = backup_options();
    o.keep = 1;
    EXPECT_EQ(make_sqlite_backup(o, message).code(), Errc::BadChecksum) << message;
    ASSERT_EQ(backups().size(), 1U);
    EXPECT_EQ(dump_of(backups().front()), expected_dump(dir_, 2'000));
}

TEST_F(SqliteBackups, LeaveNothingHalfMadeBehindAFullDisk) {
    store(2'000);
    back_up();
    store(2'500);
    std::string message;
    {
        const FileSizeLimit full{fs::file_size(backups().front().path) / 2};
        EXPECT_FALSE(make_sqlite_backup(backup_options(), message).ok());
        EXPECT_NE(message, "");
    }
    EXPECT_EQ(files_in_backup_dir(), 2U) << "one backup and the lock";
    EXPECT_EQ(back_up().seq.value, 2'500U);
}

TEST_F(SqliteBackups, ThatAreListedAreWholeWhoeverIsKilledWhile) {
    store(1'000);
    const unsigned seed = test::first_seed();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random{seed};
    for (int round = 0; round < 12; ++round) {
        const pid_t child = ::fork();
        if (child == 0) {
            ::setsid();
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (std::string message;;) {
                (void)make_sqlite_backup(backup_options(), message);
            }
        }
        std::this_thread::sleep_for(std::chrono::microseconds{random() % 40'000});
        ::kill(child, SIGKILL);
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        for (const SqliteBackup& backup : backups()) {
            EXPECT_EQ(restoring(backup.path), Errc::Ok) << backup.path;
        }
    }
    back_up();
    EXPECT_EQ(files_in_backup_dir(), backups().size() + 1) << "leftovers are removed";
}

TEST_F(SqliteBackups, ThatAreListedAreWholeAfterADeathAtEachStep) {
    store(100);
    for (const char* point : {"sqlite-backup-packed", "sqlite-backup-counts"}) {
        const pid_t child = ::fork();
        if (child == 0) {
            ::setsid();
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            arm_crash_point(point);
            std::string message;
            ::_exit(make_sqlite_backup(backup_options(), message).ok() ? 1 : 2);
        }
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << point;
        for (const SqliteBackup& backup : backups()) {
            EXPECT_EQ(restoring(backup.path), Errc::Ok) << point;
        }
        back_up();
        EXPECT_EQ(files_in_backup_dir(), backups().size() + 1)
            << "leftovers are removed: " << point;
    }
}

TEST_F(SqliteBackups, MakeADamagedStoreAgainWithWhatTheLogNoLongerHolds) {
    store(200);
    const SqliteBackup made = back_up();
    store(300);
    spoil(path_);
    auto s = restoring_sink(150, 320);
    ASSERT_TRUE(run_to(*s, 320)) << error_log();
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 320)));
    EXPECT_TRUE(errors_mention("is being rebuilt: it was damaged")) << error_log();
    EXPECT_TRUE(errors_mention("ALERT restored from " + made.path)) << error_log();
    EXPECT_TRUE(sqlite_file_exists(path_ + ".stale-1"));
}

TEST_F(SqliteBackups, MakeAStoreAgainThatIsGone) {
    store(200);
    back_up();
    ASSERT_TRUE(sqlite_remove(path_).ok());
    ASSERT_TRUE(run_to(*restoring_sink(150, 260), 260)) << error_log();
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 260)));
    EXPECT_TRUE(errors_mention("it is gone")) << error_log();
    SqliteDb db;
    ASSERT_TRUE(db.open(path_, 100).ok());
    EXPECT_EQ(db.number("SELECT whole FROM cursor").value(), 1) << "as its backup was";
}

TEST_F(SqliteBackups, AreRestoredAgainByWhoFollowsOneThatDiedBeforeItsStoreWasInPlace) {
    store(200);
    back_up();
    spoil(path_);
    const pid_t child = ::fork();
    if (child == 0) {
        ::setsid();
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        arm_crash_point("sqlite-restored");
        ::_exit(run_to(*restoring_sink(150, 260), 260) ? 1 : 2);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "it never came by";
    ASSERT_TRUE(run_to(*restoring_sink(150, 260), 260)) << error_log();
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 260)));
}

TEST_F(SqliteBackups, ThatAreDamagedOrOfAnotherLogArePassedOverForOlderOnes) {
    store(200);
    back_up();
    store(220);
    overwrite(back_up().path, 300, 40);
    ASSERT_TRUE(sqlite_remove(path_).ok());
    store(230, 7);
    back_up();
    ASSERT_TRUE(sqlite_remove(path_).ok());
    ASSERT_TRUE(run_to(*restoring_sink(150, 260), 260)) << error_log();
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 260)));
    EXPECT_TRUE(errors_mention("does not go on from record 230")) << error_log();
    EXPECT_TRUE(errors_mention("is damaged")) << error_log();
}

TEST_F(SqliteBackups, ThatWillNotDoLeaveTheLogAlone) {
    store(230, 7);
    back_up();
    ASSERT_TRUE(sqlite_remove(path_).ok());
    replica_is_at(100);
    ASSERT_TRUE(run_to(*restoring_sink(1, 100), 100)) << error_log();
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 100)));
    EXPECT_TRUE(errors_mention("does not go on from record 230")) << error_log();
}

TEST_F(SqliteBackups, AreNotPassedOverWhileTheReplicaMayStillWriteTheLogUpToThem) {
    store(200);
    back_up();
    ASSERT_TRUE(sqlite_remove(path_).ok());
    auto s = restoring_sink(150, 160);  // of a log that a power cut has shortened
    EXPECT_FALSE(run_to(*s, 200, 1'000)) << "it is given time";
    segment_->core().durable = 260;
    segment_->core().replica_applied = 160;
    EXPECT_FALSE(run_to(*s, 200, 30'000)) << "the replica is on its way";
    EXPECT_FALSE(sqlite_file_exists(path_)) << "begun anew, without what only the backup holds";
    log_->set_last(260);
    ASSERT_TRUE(run_to(*s, 260)) << error_log();
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 260)));
    EXPECT_FALSE(errors_mention("passed over")) << error_log();
}

TEST_F(SqliteBackups, OfAStoreThatBeganAgainDoNotPushOutTheLastOneOfWhatItWas) {
    store(2'000);
    const SqliteBackup large = back_up();
    ASSERT_TRUE(sqlite_remove(path_).ok());
    SqliteBackupOptions o = backup_options();
    o.keep = 2;
    std::string message;
    for (std::uint64_t last = 10; last <= 50; last += 10) {
        store(last, 7);
        ASSERT_TRUE(make_sqlite_backup(o, message).ok()) << message;
    }
    ASSERT_EQ(backups().size(), 3U);
    EXPECT_EQ(backups().front().path, large.path);
    store(2'500, 7);
    ASSERT_TRUE(make_sqlite_backup(o, message).ok()) << message;
    EXPECT_EQ(backups().size(), 2U) << "one as large is there";
}

TEST_F(SqliteBackups, AreRestoredWithASignOfLifeNowAndThen) {
    store(2'000);
    back_up();
    ASSERT_TRUE(sqlite_remove(path_).ok());
    auto s = restoring_sink(1'900, 2'000);
    s->step(now_);  // no runner is here: it counts what the sink counts itself
    // The supervisor takes a stage that stands still for one that hangs.
    EXPECT_GT(segment_->stage(StageId::Sqlite).duty_cycles.load(), 3U);
}

TEST_F(SqliteBackups, ShowLifeInACheckAndAFlushThoughNeitherSaysAnythingItself) {
    store(200);
    const SqliteBackup made = back_up();
    SqliteBackupOptions o = backup_options();
    std::set<std::string> shown;
    o.progress = [&, self = std::this_thread::get_id()](const char* what, std::uint64_t,
                                                        std::uint64_t) {
        if (std::this_thread::get_id() != self) {
            shown.insert(what);
        }
        return true;
    };
    std::string message;
    ASSERT_TRUE(restore_sqlite_backup(made.path, dir_ + "/again.db", o, message)) << message;
    EXPECT_EQ(shown, (std::set<std::string>{"checking", "flush"}));
    o.progress = [](const char* what, std::uint64_t, std::uint64_t) {
        return std::string_view{what} != "checking";
    };
    EXPECT_EQ(restore_sqlite_backup(made.path, dir_ + "/third.db", o, message).code(),
              Errc::Timeout);
    EXPECT_FALSE(fs::exists(dir_ + "/third.db"));
}

TEST_F(SqliteBackups, WaitForRoomRatherThanDoWithoutWhatOnlyTheyHold) {
    store(2'000);
    back_up();
    ASSERT_TRUE(sqlite_remove(path_).ok());
    auto s = restoring_sink(1'900, 2'100);
    {
        const FileSizeLimit full{20'000};
        EXPECT_FALSE(run_to(*s, 2'100, 2'000));
        EXPECT_TRUE(s->failing());
    }
    ASSERT_TRUE(run_to(*s, 2'100)) << error_log();
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 2'100)));
}

TEST_F(SqliteBackups, AreMadeByTheSinksKeeperByItself) {
    auto log = std::make_unique<MemoryLog>(400);
    SqliteSinkOptions o = options();
    o.keeper.dir = dir_ + "/backups";
    o.keeper.look_every = Nanos{1};
    o.keeper.every = Nanos{1};
    o.keeper.nice = 0;
    SqliteSink s{*segment_, std::move(log), o};
    ASSERT_TRUE(step_until(s, [&] {
        return !backups().empty() && backups().back().seq.value == 400U;
    })) << error_log();
    EXPECT_EQ(dump_of(backups().back()), expected_dump(dir_, 400));
    EXPECT_EQ(errors(), 0U) << error_log();
}

TEST_F(SqliteBackups, MakeAStoreAgainWhoseDamageTheKeeperSaw) {
    store(2'000);
    back_up();
    auto s = restoring_sink(1'900, 2'000, Nanos{1});
    ASSERT_TRUE(run_to(*s, 2'000)) << error_log();
    spoil(path_);
    ASSERT_TRUE(step_until(*s, [&] {
        return sqlite_file_exists(path_ + ".stale-1") && s->stored().seq.value == 2'000U &&
               !s->rebuilding();
    })) << error_log();
    log_->set_last(2'050);
    ASSERT_TRUE(step_until(*s, [&] { return s->stored().seq.value == 2'050U; })) << error_log();
    s.reset();
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 2'050)));
    EXPECT_TRUE(errors_mention("ALERT restored from ")) << error_log();
}

TEST_F(SqliteBackups, MakeAStoreAgainThatIsTakenAwayWhileItIsWrittenTo) {
    store(300);
    back_up();
    auto s = restoring_sink(250, 300, Nanos{1});
    ASSERT_TRUE(run_to(*s, 300)) << error_log();
    ASSERT_TRUE(sqlite_remove(path_).ok());
    ASSERT_TRUE(step_until(*s, [&] { return sqlite_file_exists(path_); })) << error_log();
    log_->set_last(350);
    ASSERT_TRUE(step_until(*s, [&] { return s->stored().seq.value == 350U && !s->rebuilding(); }))
        << error_log();
    s.reset();
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 350)));
}

}  // namespace
}  // namespace millrace::sqlite_test
