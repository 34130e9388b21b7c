// Goal: of several stores the one that has come furthest is taken, never half a state unasked, and
// never one of two that follow different logs. Method: rungs by hand; a store with a hole in it.
#include "tools/millrace/recover_rungs.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <utility>

#include "persist/backup_place.h"
#include "persist/log_shipper.h"
#include "persist/reservation.h"
#include "persist/sqlite_backup.h"
#include "persist/sqlite_db.h"
#include "persist/sqlite_files.h"
#include "persist/sqlite_schema.h"
#include "persist/sqlite_store.h"
#include "shm/clock.h"
#include "shm/role.h"
#include "tests/ops/temp_dir.h"
#include "tests/sqlite/effects.h"
#include "tools/millrace/lost_journal.h"
#include "tools/millrace/recover_files.h"
#include "tools/millrace/recover_ladder.h"
#include "tools/millrace/recover_store.h"
#include "tools/millrace/stages.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

/// A process of its own, for what one process cannot do to itself: take a lock that it has.
struct Child {
    template <class Work>
    explicit Child(Work work) : pid{::fork()} {
        if (pid == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            work();
            ::_exit(0);
        }
    }
    ~Child() {
        if (pid > 0) {
            ::kill(pid, SIGKILL);
            ::waitpid(pid, nullptr, 0);
        }
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    int exit_status() {
        int status = 0;
        ::waitpid(std::exchange(pid, 0), &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    pid_t pid;
};

StoreRung rung(const char* name, std::uint64_t seq, std::uint32_t instance = 7) {
    StoreRung r;
    r.name = name;
    r.state.emplace();
    r.state->instance = instance;
    r.state->cursor = {1, Sequence{seq}, 1, seq};
    return r;
}

StoreRung none(const char* name) {
    StoreRung r;
    r.name = name;
    r.why = "is gone";
    r.code = Errc::NotFound;
    return r;
}

StoreRung silent(const char* name, Errc code) {
    StoreRung r;
    r.name = name;
    r.why = "does not answer";
    r.code = code;
    return r;
}

TEST(RecoverRungs, TakeTheOneThatHasComeFurthestAndOfEqualOnesTheHigher) {
    std::string why;
    std::vector<StoreRung> rungs{rung("redis", 10), rung("sqlite", 12), rung("clickhouse", 12)};
    EXPECT_EQ(best_rung(rungs, why), &rungs[1]);
    rungs[0].state->cursor.epoch = 2;
    EXPECT_EQ(best_rung(rungs, why), &rungs[0]) << "records of a later epoch";
    rungs[0] = none("redis");
    EXPECT_EQ(best_rung(rungs, why), &rungs[1]);
    rungs[1].state->gaps.emplace_back("the order of position 3");
    EXPECT_EQ(best_rung(rungs, why), &rungs[2]) << "half a state is not taken unasked";
}

TEST(RecoverRungs, AreLeftToAnOperatorIfTheyFollowDifferentLogsOrNoneIsWhole) {
    std::string why;
    std::vector<StoreRung> rungs{rung("redis", 10), rung("sqlite", 12, 8)};
    EXPECT_EQ(best_rung(rungs, why), nullptr);
    EXPECT_NE(why.find("redis and sqlite follow different journals"), std::string::npos) << why;
    rungs[1] = rung("sqlite", 10);
    rungs[1].state->cursor.chain = 99;
    EXPECT_EQ(best_rung(rungs, why), nullptr) << "one record, two histories";
    rungs = {none("redis"), none("sqlite")};
    EXPECT_EQ(best_rung(rungs, why), nullptr);
    EXPECT_NE(why.find("sqlite: is gone"), std::string::npos) << why;
}

TEST(RecoverRungs, WaitForOneThatCannotBeReadNowAndMayHaveComeFurther) {
    for (const Errc code : {Errc::Busy, Errc::Timeout, Errc::IoError, Errc::BadAuth}) {
        std::string why;
        const std::vector rungs{silent("redis", code), rung("sqlite", 12), none("clickhouse")};
        EXPECT_EQ(best_rung(rungs, why), nullptr) << to_string(code);
        EXPECT_NE(why.find("redis cannot be read now"), std::string::npos) << why;
        EXPECT_NE(why.find("recover --from sqlite"), std::string::npos) << why;
    }
    std::string why;
    for (const Errc code : {Errc::NotFound, Errc::BadChecksum, Errc::BadVersion}) {
        const std::vector rungs{silent("redis", code), rung("sqlite", 12)};
        EXPECT_EQ(best_rung(rungs, why), &rungs[1]) << "there is nothing to wait for";
    }
    const std::vector rungs{silent("redis", Errc::Timeout), none("sqlite")};
    EXPECT_EQ(best_rung(rungs, why), nullptr);
    EXPECT_NE(why.find("redis cannot be read now"), std::string::npos) << why;
}

TEST(RecoverRungs, AreLeftToAnOperatorWhereABackupThatWasHeldBackHasComeFurther) {
    std::vector<StoreRung> rungs{rung("redis", 5), rung("sqlite", 12)};
    rungs[1].state->gaps.emplace_back("the order of position 3");
    rungs[1].held = HeldBackup{EffectCursor{1, Sequence{9}, 1, 9}, "--take-backup goes back to it"};
    std::string why;
    EXPECT_EQ(best_rung(rungs, why), nullptr) << "four records more are to be had";
    EXPECT_NE(why.find("sqlite: --take-backup goes back to it"), std::string::npos) << why;
    EXPECT_NE(why.find("`--from redis`"), std::string::npos) << why;
    for (const std::uint64_t seq : {9U, 10U}) {
        rungs[0] = rung("redis", seq);
        EXPECT_EQ(best_rung(rungs, why), &rungs[0]) << "the backup gives no more: " << why;
    }
    rungs[0] = rung("redis", 10, 8);
    EXPECT_EQ(best_rung(rungs, why), nullptr) << "of another log, its numbers say nothing";
    rungs[0] = rung("redis", 20);
    rungs[1].held = HeldBackup{std::nullopt, "there is no room"};
    EXPECT_EQ(best_rung(rungs, why), nullptr) << "with what was shipped it may be beyond the store";
}

class RecoverGaps : public ::testing::Test {
protected:
    void SetUp() override {
        config_.name = "gaps-" + std::to_string(::getpid());
        config_.journal.dir = dir_ / "journal";
        config_.sqlite.path = dir_ / "store.db";
        config_.sqlite.backup_dir = dir_ / "backups";
        PositionRow position;
        position.account = AccountId{3};
        position.position_id = 42;
        position.magic = Magic::make(0x4D52, 5, 0);
        position.volume = Lots{kScale};
        Effect e = Effect::make(EffectKind::Position, position);
        e.seq = Sequence{9};
        e.k = 1;
        SqliteStore store;
        SqliteStoreOptions o;
        o.path = config_.sqlite.path;
        ASSERT_TRUE(store.open(o).ok()) << store.message();
        store.set_whole(true);
        ASSERT_TRUE(store.store({&e, 1}, {1, Sequence{9}, 1, 5}, Nanos{}).ok());
    }
    /// What `recover` says, on both streams.
    std::string recover(RecoverRequest request, int status) {
        ::testing::internal::CaptureStdout();
        ::testing::internal::CaptureStderr();
        EXPECT_EQ(recover_from_store(config_, request), status);
        return ::testing::internal::GetCapturedStdout() + ::testing::internal::GetCapturedStderr();
    }

    test::TempDir dir_;
    Config config_;
};

TEST_F(RecoverGaps, AreRefusedByNameUnlessTheyAreAccepted) {
    for (const char* from : {"sqlite", "best"}) {
        const std::string said = recover({from, true, false}, kExitError);
        EXPECT_NE(said.find("the order of position 42 of account number 3"), std::string::npos)
            << said;
    }
    const std::string taken = recover({"sqlite", true, true}, kExitOk);
    EXPECT_NE(taken.find("would make a journal"), std::string::npos) << taken;
    const std::string other = recover({"redis", true, false}, kExitError);
    EXPECT_NE(other.find("redis: is not configured"), std::string::npos) << other;
}

TEST_F(RecoverGaps, AreTakenByNobodyWhileAnotherKeepsTheJournal) {
    fs::create_directories(config_.journal.dir);
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const Child keeper{[&] {
        std::string holder;
        const auto lock = RoleLock::try_acquire(config_.journal.dir, "supervisor", holder);
        (void)!::write(ready[1], lock.ok() ? "y" : "n", 1);
        ::pause();
    }};
    char answer = 0;
    ASSERT_EQ(::read(ready[0], &answer, 1), 1);
    ASSERT_EQ(answer, 'y');
    for (const bool dry_run : {true, false}) {
        const std::string said = recover({"sqlite", dry_run, true}, kExitRoleHeld);
        EXPECT_NE(said.find("keeps it: pid " + std::to_string(keeper.pid)), std::string::npos)
            << said;
    }
    EXPECT_EQ(journal_file_in(config_.journal.dir), "");
    ::close(ready[0]);
    ::close(ready[1]);
}

TEST_F(RecoverGaps, KeepStartsOutWhileTheStoresAreRead) {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof at;
    auto* const address = reinterpret_cast<sockaddr*>(&at);
    ASSERT_EQ(::bind(listener, address, sizeof at), 0);
    ASSERT_EQ(::listen(listener, 1), 0);
    ASSERT_EQ(::getsockname(listener, address, &bytes), 0);
    config_.redis.enabled = true;
    config_.redis.servers = {"127.0.0.1:" + std::to_string(::ntohs(at.sin_port))};
    // A Redis that answers nothing, and looks who keeps the journal when it is asked.
    Child redis{[&] {
        const int asked = ::accept(listener, nullptr, nullptr);
        const int holder = RoleLock::holder_pid(config_.journal.dir, "supervisor");
        ::_exit(asked >= 0 && holder == ::getppid() ? 0 : 1);
    }};
    const std::string said = recover({"best", false, true}, kExitError);
    EXPECT_NE(said.find("redis cannot be read now"), std::string::npos) << said;
    EXPECT_EQ(redis.exit_status(), 0) << "the command holds what `up` would need";
    ::close(listener);
}

/// A store that lacks nothing, with a backup of it; then damage in the store itself.
class RecoverBackup : public RecoverGaps {
protected:
    void SetUp() override {
        RecoverGaps::SetUp();
        ASSERT_TRUE(sqlite_remove(config_.sqlite.path).ok());
        AccountRow row;
        row.account = AccountId{3};
        Effect e = Effect::make(EffectKind::Account, row);
        e.seq = Sequence{9};
        e.k = 1;
        store(e);
        back_up();
    }
    void back_up() {
        SqliteBackupOptions o;
        o.store = config_.sqlite.path;
        o.dir = config_.sqlite.backup_dir;
        std::string message;
        ASSERT_TRUE(make_sqlite_backup(o, message).ok()) << message;
    }
    void store(const Effect& effect) {
        SqliteStore store;
        SqliteStoreOptions o;
        o.path = config_.sqlite.path;
        ASSERT_TRUE(store.open(o).ok()) << store.message();
        store.set_whole(true);
        const EffectCursor at{1, effect.seq, 1, effect.seq.value};
        ASSERT_TRUE(store.store({&effect, 1}, at, Nanos{}).ok()) << store.message();
    }
    void change(const std::string& sql) {
        SqliteDb db;
        ASSERT_TRUE(db.open(config_.sqlite.path, 100).ok());
        ASSERT_TRUE(db.exec(sql).ok()) << db.message();
    }
    /// That the backup is named as what a journal would be made of, whoever chooses.
    void expect_taken(const std::string& why) {
        for (const char* from : {"sqlite", "best"}) {
            const std::string said = recover({from, true, false}, kExitOk);
            EXPECT_NE(said.find("in its place " + config_.sqlite.backup_dir), std::string::npos)
                << why << ": " << said;
            EXPECT_NE(said.find(".mrb has followed the log up to record 9"), std::string::npos)
                << why << ": " << said;
        }
    }
    /// That nobody goes back to another store unasked, be it whole.
    void expect_beats_a_whole_store_at_record_5(const std::string& named) {
        const std::vector rungs{rung("redis", 5),
                                read_rung("sqlite", config_, stored_limits(config_))};
        std::string why;
        EXPECT_EQ(best_rung(rungs, why), nullptr);
        EXPECT_NE(why.find(named), std::string::npos) << why;
        EXPECT_NE(why.find("`--from redis`"), std::string::npos) << why;
    }
};

TEST_F(RecoverBackup, IsTakenWhereTheStoresCursorRowIsDamagedOrGone) {
    change("UPDATE cursor SET seq = seq + 1");
    expect_taken("not what was written");
    change("DELETE FROM cursor");
    expect_taken("gone");
}

TEST_F(RecoverBackup, IsTakenWhereItIsWholeAndTheStoreIsNot) {
    EXPECT_NE(recover({"sqlite", true, false}, kExitOk).find("store.db has followed"),
              std::string::npos);
    change("UPDATE accounts SET equity = CAST(equity AS BLOB)");
    expect_taken("an odd value");
    const std::string no_worse = recover({"sqlite", true, true}, kExitOk);
    EXPECT_NE(no_worse.find(".mrb has followed"), std::string::npos) << no_worse;
}

TEST_F(RecoverBackup, IsNotTakenOfAnotherLogNorUnaskedInPlaceOfMore) {
    PositionRow position;  // whose order is not there
    position.account = AccountId{3};
    position.position_id = 42;
    position.magic = Magic::make(0x4D52, 5, 0);
    position.volume = Lots{kScale};
    Effect e = Effect::make(EffectKind::Position, position);
    e.seq = Sequence{12};
    e.k = 1;
    store(e);
    for (const char* from : {"sqlite", "best"}) {
        const std::string both = recover({from, true, false}, kExitError);
        for (const char* part : {"the order of position 42", "--take-backup", "--accept-gaps",
                                 ".mrb, up to record 9 of", "the store, up to record 12 of"}) {
            EXPECT_NE(both.find(part), std::string::npos) << part << " is not in: " << both;
        }
        const std::string asked = recover({from, true, false, true}, kExitOk);
        EXPECT_NE(asked.find(".mrb has followed the log up to record 9"), std::string::npos)
            << asked;
    }
    const std::string accepted = recover({"sqlite", true, true}, kExitOk);
    EXPECT_NE(accepted.find("store.db has followed the log up to record 12"), std::string::npos)
        << accepted;
    expect_beats_a_whole_store_at_record_5("--take-backup");
    ASSERT_TRUE(sqlite_remove(config_.sqlite.path).ok());
    e.seq = Sequence{9};
    SqliteStore other;
    SqliteStoreOptions o;
    o.path = config_.sqlite.path;
    ASSERT_TRUE(other.open(o).ok()) << other.message();
    ASSERT_TRUE(other.store({&e, 1}, {1, Sequence{9}, 1, 77}, Nanos{}).ok()) << other.message();
    other.close();
    const std::string said = recover({"sqlite", true, false}, kExitError);
    EXPECT_NE(said.find("the order of position 42"), std::string::npos) << said;
}

TEST_F(RecoverBackup, IsNoOlderOneWhereThereIsNoRoomForTheNewest) {
    change("CREATE TABLE of_others(x); INSERT INTO of_others VALUES(randomblob(4000000))");
    back_up();
    const std::string newest = list_sqlite_backups(config_.sqlite.backup_dir).back().path;
    {
        change("UPDATE accounts SET equity = CAST(equity AS BLOB)");
        const sqlite_test::FileSizeLimit full{2 << 20};
        expect_beats_a_whole_store_at_record_5("No older one is taken");
    }
    change("DELETE FROM cursor");
    expect_taken("there is room");
    const sqlite_test::FileSizeLimit full{2 << 20};  // the one before is smaller
    for (const char* from : {"sqlite", "best"}) {
        const std::string said = recover({from, true, false}, kExitError);
        EXPECT_NE(said.find(newest), std::string::npos) << said;
        EXPECT_NE(said.find("No older one is taken"), std::string::npos) << said;
        EXPECT_EQ(said.find("copies of other recoveries"), std::string::npos) << said;
    }
    const std::string beside = config_.sqlite.path + ".recover-" + std::to_string(::getppid());
    const std::string in_backups = config_.sqlite.backup_dir + "/recover.db-";
    for (const std::string& path : {beside, in_backups + "77", in_backups + "gone-host-77"}) {
        std::ofstream{path} << std::string(1 << 20, 'x');
    }
    std::string said = recover({"sqlite", true, false}, kExitError);
    EXPECT_NE(said.find(beside + ", 1 MiB"), std::string::npos) << said;
    config_.sqlite.path = dir_ / "gone/store.db";
    said = recover({"sqlite", true, false}, kExitError);
    EXPECT_NE(said.find(in_backups + "77, 1 MiB"), std::string::npos) << said;
    EXPECT_NE(said.find(in_backups + "gone-host-77, 1 MiB"), std::string::npos) << said;
}

TEST_F(RecoverBackup, IsWaitedForWhereItsDiskIsNotMounted) {
    const std::string& folder = config_.sqlite.backup_dir;
    const std::string named = folder + " is not the folder that backups went to";
    std::string message;
    ASSERT_TRUE(claim_backup_place(folder, backup_note(config_.sqlite.path, folder), message).ok())
        << message;
    const auto expect_refused = [&](const char* what) {
        const std::vector rungs{rung("redis", 5),
                                read_rung("sqlite", config_, stored_limits(config_))};
        std::string why;
        EXPECT_EQ(best_rung(rungs, why), nullptr) << what;
        EXPECT_NE(why.find(named), std::string::npos) << what << ": " << why;
        const std::string said = recover({"sqlite", true, false}, kExitError);
        EXPECT_NE(said.find(named), std::string::npos) << what << ": " << said;
    };
    const std::string place = folder + "/place";
    fs::rename(place, dir_ / "place");
    change("UPDATE accounts SET equity = CAST(equity AS BLOB)");
    expect_refused("a store with a gap, and an older backup below the mount point");
    ASSERT_TRUE(sqlite_remove(config_.sqlite.path).ok());
    expect_refused("an older backup alone");
    fs::rename(dir_ / "place", place);
    expect_taken("it is mounted");
    fs::remove_all(folder);
    expect_refused("nothing below the mount point");
}

TEST_F(RecoverBackup, IsUnpackedWhereNoOtherProcessDoes) {
    change("DELETE FROM cursor");
    const std::string stem = config_.sqlite.path + ".recover-";
    Child dead{[] {}};
    const std::string pid = std::to_string(dead.pid);
    const std::string left = stem + pid;
    ASSERT_EQ(dead.exit_status(), 0);
    const std::string others = stem + std::to_string(::getppid());
    for (const std::string& path : {left, others, config_.sqlite.path + ".recover"}) {
        std::ofstream{path} << "a copy";
    }
    expect_taken("gone");
    EXPECT_FALSE(fs::exists(left)) << "of a process that was killed";
    EXPECT_FALSE(fs::exists(stem + std::to_string(::getpid())));
    for (const std::string& path : {others, config_.sqlite.path + ".recover"}) {
        EXPECT_EQ(fs::file_size(path), 6U) << path << " is being unpacked to";
    }
    char host[256] = {};
    ASSERT_EQ(::gethostname(host, sizeof host - 1), 0);
    config_.sqlite.path = dir_ / "gone/store.db";
    const std::string in_backups = config_.sqlite.backup_dir + "/recover.db-";
    for (const std::string& path : {in_backups + host + "-" + pid, in_backups + pid}) {
        std::ofstream{path} << "a copy";
    }
    expect_taken("its folder is gone");
    EXPECT_FALSE(fs::exists(in_backups + host + "-" + pid));
    EXPECT_TRUE(fs::exists(in_backups + pid)) << "it may be of another host";
}

TEST_F(RecoverBackup, IsWhatAStartGoesByWhereTheStoresCursorRowIsDamaged) {
    fs::create_directories(config_.journal.dir);
    std::string message;
    ASSERT_TRUE(Reservation::succeed(config_.journal.dir, {1, 1, 7}, message).ok()) << message;
    change("UPDATE cursor SET instance = 7; " + sqlite_seal(kSqliteCursorSum));
    const std::string older = journal_is_older_copy(config_, Sequence{8});
    EXPECT_NE(older.find("up to record 9"), std::string::npos) << older;
    EXPECT_EQ(journal_is_older_copy(config_, Sequence{9}), "");
    change("UPDATE cursor SET seq = seq + (1 << 40)");
    EXPECT_EQ(journal_is_older_copy(config_, Sequence{9}), "") << "a bit that was flipped";
    fs::remove_all(config_.journal.dir);
    const std::string lost = journal_may_be_lost(config_, {});
    EXPECT_NE(lost.find(".mrb has followed one up to record 9"), std::string::npos) << lost;
    fs::remove_all(config_.sqlite.backup_dir);
    const std::string alone = journal_may_be_lost(config_, {});
    EXPECT_NE(alone.find("cannot be read (the cursor row is not what was"), std::string::npos)
        << alone;
    ASSERT_TRUE(sqlite_remove(config_.sqlite.path).ok());
    EXPECT_EQ(journal_may_be_lost(config_, {}), "");
    const std::string shipped = shipped_folder(config_.sqlite.backup_dir);
    fs::create_directories(shipped);
    std::ofstream{shipped + "/effects-0000000001.mre"} << std::string(200, 'x');
    const std::string of_another = journal_may_be_lost(config_, {});
    EXPECT_NE(of_another.find("no file in it is one of this build's"), std::string::npos)
        << of_another;
    fs::remove_all(config_.sqlite.backup_dir);
    std::ofstream{config_.sqlite.backup_dir} << "no folder";
    const std::string nobody_knows = journal_may_be_lost(config_, {});
    EXPECT_NE(nobody_knows.find("Not a directory"), std::string::npos) << nobody_knows;
}

TEST_F(RecoverGaps, AreShownOnTheLadder) {
    ::testing::internal::CaptureStdout();
    EXPECT_EQ(show_ladder(config_), kExitError);
    const std::string said = ::testing::internal::GetCapturedStdout();
    EXPECT_NE(said.find("NOT WHOLE, it lacks the order of position 42"), std::string::npos) << said;
    EXPECT_NE(said.find("journal is not there"), std::string::npos) << said;
    EXPECT_EQ(said.find("=>"), std::string::npos) << "nothing can be taken: " << said;
}

}  // namespace
}  // namespace millrace
