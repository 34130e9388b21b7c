// Goal: credentials are backed up each day while a pipeline runs, a backup that fails is told and
// tried again, and one that hangs holds up nothing. Method: small shells in the place of `millrace
// credential backup`, and a clock that the test moves.
#include "tools/millrace/credential_keeper.h"

#include <gtest/gtest.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "persist/credential_backup.h"
#include "shm/clock.h"
#include "tests/ops/temp_dir.h"
#include "tools/millrace/process.h"

namespace millrace {
namespace {

constexpr std::int64_t kHour = 3'600'000'000'000;

class CredentialsDaily : public ::testing::Test {
protected:
    /// @param script takes the place of the command.
    CredentialKeeper keeper(const std::string& script) const {
        CredentialKeeperOptions o;
        o.command = {"sh", "-c", script, "sh", dir_ / "ran"};
        o.backup_dir = dir_ / "backups";
        return CredentialKeeper{o};
    }
    /// Turns until the child that was started has ended; nothing of the clock moves.
    CredentialKeeper::Told run(CredentialKeeper& k) {
        CredentialKeeper::Told told = k.turn(now_, wall_);
        while (told.info.empty() && told.alert.empty() && k.busy()) {
            told = k.turn(now_, wall_);
        }
        return told;
    }
    /// How often the command has run.
    [[nodiscard]] std::size_t runs() const {
        std::error_code none;
        const auto bytes = std::filesystem::file_size(dir_ / "ran", none);
        return none ? 0 : bytes / 2;
    }
    void make_backup() {
        std::string message;
        const auto key = CredentialKey::create(dir_ / "key", message);
        ASSERT_TRUE(key.ok()) << message;
        const auto store = make_sqlite_credentials(dir_ / "credentials.db");
        ASSERT_TRUE(store->open(CredentialOpen::Create).ok()) << store->message();
        CredentialRow row;
        row.account = "a1";
        row.version = 1;
        ASSERT_TRUE(store->put(row, 0, "added").ok()) << store->message();
        CredentialBackups backups{{{dir_ / "credentials.db", {}}, dir_ / "backups", 30, 60},
                                  key.value()};
        ASSERT_TRUE(backups.make().ok()) << backups.message();
        made_ = backups.newest_ns();
    }

    test::TempDir dir_;
    std::int64_t now_ = kHour;
    std::int64_t wall_ = wall_ns();
    std::int64_t made_ = 0;
};

constexpr const char* kDone = "echo x >>\"$1\"; echo made";

TEST_F(CredentialsDaily, AreBackedUpOnceTheNewestBackupIsADayOld) {
    make_backup();
    CredentialKeeper k = keeper(kDone);
    wall_ = made_ + 24 * kHour - 1;
    (void)run(k);
    EXPECT_EQ(runs(), 0U) << "it is younger than a day";
    wall_ += 1;
    now_ += kHour;
    EXPECT_EQ(run(k).info, "daily backup of credentials: made");
    EXPECT_EQ(runs(), 1U);
    now_ += 23 * kHour;
    (void)run(k);
    EXPECT_EQ(runs(), 1U) << "once a day, whatever the newest one says of its age";
    now_ += kHour;
    (void)run(k);
    EXPECT_EQ(runs(), 2U);
}

TEST_F(CredentialsDaily, AreBackedUpWhereThereIsNoBackupOrOneFromTheFuture) {
    CredentialKeeper k = keeper(kDone);
    (void)run(k);
    EXPECT_EQ(runs(), 1U);
    make_backup();
    wall_ = made_ - 48 * kHour;
    CredentialKeeper later = keeper(kDone);
    (void)run(later);
    EXPECT_EQ(runs(), 2U) << "a clock that was wrong once would end all daily backups";
}

TEST_F(CredentialsDaily, DoNothingWhereNobodyHasStoredAny) {
    CredentialKeeperOptions o;
    o.command = {"sh", "-c", kDone, "sh", dir_ / "ran"};
    o.store = dir_ / "credentials.db";
    CredentialKeeper k{o};
    (void)run(k);
    EXPECT_EQ(runs(), 0U);
    std::ofstream{o.store} << "x";
    now_ += kHour;
    (void)run(k);
    EXPECT_EQ(runs(), 1U);
}

TEST_F(CredentialsDaily, AreLookedAtAtOnceWhereTheirStoreIsGone) {
    make_backup();
    CredentialKeeperOptions o;
    o.command = {"sh", "-c", kDone, "sh", dir_ / "ran"};
    o.store = dir_ / "credentials.db";
    o.backup_dir = dir_ / "backups";
    CredentialKeeper k{o};
    (void)run(k);
    EXPECT_EQ(runs(), 0U) << "a fresh backup";
    std::filesystem::remove(o.store);
    now_ += kHour;
    (void)run(k);
    EXPECT_EQ(runs(), 1U) << "the command tells that the store is gone";
}

TEST_F(CredentialsDaily, AreToldOfWhenTheyFailAndTriedAgainAnHourLater) {
    CredentialKeeper k = keeper("echo x >>\"$1\"; echo PostgreSQL is not there >&2; exit 1");
    const auto told = run(k);
    EXPECT_NE(told.alert.find("not backed up"), std::string::npos) << told.alert;
    EXPECT_NE(told.alert.find("exit status 1"), std::string::npos) << told.alert;
    EXPECT_EQ(told.detail, ": PostgreSQL is not there");
    now_ += kHour - 1;
    EXPECT_TRUE(run(k).alert.empty());
    now_ += 1;
    EXPECT_EQ(run(k).alert, told.alert) << "the same words, so that it is one alert";
    EXPECT_EQ(runs(), 2U);
}

TEST_F(CredentialsDaily, HoldUpNothingWhenTheyHangAndAreKilledWithAllThatTheyStarted) {
    const std::string said = dir_ / "pid";
    CredentialKeeper k = keeper("sleep 1000 & echo $! >'" + said + "'; wait");
    EXPECT_TRUE(k.turn(now_, wall_).alert.empty());
    pid_t grandchild = 0;
    while (!(std::ifstream{said} >> grandchild)) {
        EXPECT_TRUE(k.turn(now_, wall_).alert.empty()) << "each turn returns";
        ASSERT_TRUE(k.busy());
    }
    now_ += seconds(600).value - 1;
    EXPECT_TRUE(k.turn(now_, wall_).alert.empty());
    now_ += 1;
    const auto told = k.turn(now_, wall_);
    EXPECT_NE(told.alert.find("was killed"), std::string::npos) << told.alert;
    while (k.busy()) {
        EXPECT_TRUE(k.turn(now_, wall_).alert.empty()) << "it was told";
    }
    // Ours no longer to reap: it is gone, or a zombie of init's.
    const auto runs_still = [&] {
        std::ifstream stat{"/proc/" + std::to_string(grandchild) + "/stat"};
        std::stringstream text;
        text << stat.rdbuf();
        const std::string s = text.str();
        return !s.empty() && s.find(") Z ") == std::string::npos;
    };
    for (int i = 0; i < 20'000 && runs_still(); ++i) {
        ::usleep(1'000);
    }
    EXPECT_FALSE(runs_still()) << "pg_dump would hang on for ever";
}

TEST_F(CredentialsDaily, EndWithTheirKeeper) {
    const std::string said = dir_ / "pid";
    pid_t child = 0;
    {
        CredentialKeeper k = keeper("echo $$ >'" + said + "'; exec sleep 1000");
        (void)k.turn(now_, wall_);
        while (!(std::ifstream{said} >> child)) {
        }
    }
    int status = 0;
    if (::waitpid(child, &status, 0) == child) {  // else it was reaped at once
        EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
    }
    EXPECT_NE(::kill(child, 0), 0) << "it was not killed";
}

/// Of a child that waits in the kernel for a disk that is gone: no kill ends it.
pid_t never_ends(pid_t, int*, int options) {
    EXPECT_EQ(options, WNOHANG) << "it would stand here for as long as the disk does";
    return 0;
}

TEST_F(CredentialsDaily, HoldUpNothingWhereTheirChildCannotEvenBeKilled) {
    CredentialKeeperOptions o;
    o.command = {"sh", "-c", "echo x >>\"$1\"; exec sleep 1000", "sh", dir_ / "ran"};
    o.backup_dir = dir_ / "backups";
    o.reap = &never_ends;
    {
        CredentialKeeper k{o};
        EXPECT_TRUE(k.turn(now_, wall_).alert.empty());
        while (runs() == 0) {
        }
        now_ += seconds(600).value;
        const auto told = k.turn(now_, wall_);
        EXPECT_NE(told.alert.find("was killed"), std::string::npos) << told.alert;
        now_ += kHour - 1;
        EXPECT_TRUE(k.turn(now_, wall_).alert.empty());
        now_ += 1;
        EXPECT_EQ(k.turn(now_, wall_).alert, told.alert) << "while it stays";
        EXPECT_TRUE(k.busy());
        EXPECT_EQ(runs(), 1U) << "no other beside it";
    }
    EXPECT_GT(::waitpid(-1, nullptr, 0), 0) << "killed, and left to whoever reaps";
}

TEST_F(CredentialsDaily, SayThatTheProgramIsNotThere) {
    CredentialKeeperOptions o;
    o.command = {dir_ / "no-such-program"};
    CredentialKeeper k{o};
    const auto told = run(k);
    EXPECT_NE(told.alert.find("cannot be started"), std::string::npos) << told.alert;
}

}  // namespace
}  // namespace millrace
