// A credential store that is gone comes back from a backup; one that went on since then is not set
// back without being asked. Method: both stores for real, lost as they are lost.
#include "persist/credential_restore.h"
#include "persist/credential_scratch.h"
#include "persist/run_tool.h"
#include "persist/sqlite_db.h"
#include "shm/clock.h"
#include "tests/postgres/server.h"

#include <filesystem>
#include <fstream>
#include <iterator>

namespace millrace::postgres_test {
namespace {

class Restore : public VaultFixture {
protected:
    void SetUp() override {
        VaultFixture::SetUp();
        ASSERT_TRUE(one_.vault->add("gold-desk", "5001", secret("hunter2")).ok());
        ASSERT_TRUE(one_.vault->rotate("gold-desk", secret("hunter3")).ok());
        ASSERT_TRUE(one_.vault->add("silver-desk", "5002", secret("correct horse")).ok());
        ASSERT_TRUE(one_.vault->lock("silver-desk", "disabled by the broker").ok());
        backups_ = std::make_unique<CredentialBackups>(
            CredentialBackupOptions{source(), dir_.file("backups"), 30, 60}, *key_);
        const auto made = backups_->make();
        ASSERT_TRUE(made.ok()) << backups_->message();
        path_ = made.value();
        rows_ = backups_->restore_test(path_).value();
    }
    /// Lost, and begun anew, empty.
    void lose_the_store() {
        ASSERT_NO_FATAL_FAILURE(VaultFixture::lose_the_store());
        one_ = session();
    }
    Status restore(bool force = false) {
        const auto stored = one_.store->all();
        EXPECT_TRUE(stored.ok()) << one_.store->message();
        const auto plan = plan_restore(stored.value(), rows_);
        return restore_rows(*one_.store, plan, "restored from a test", force);
    }
    /// What `--to` gives to whoever restores by hand.
    void look_at_the_dump() {
        const std::string to = dir_.file("dump");
        ASSERT_TRUE(backups_->extract(path_, to).ok()) << backups_->message();
        std::ifstream in{to, std::ios::binary};
        const std::string dump{std::istreambuf_iterator<char>{in}, {}};
        EXPECT_TRUE(dump.starts_with(GetParam() == Kind::Sqlite ? "SQLite format 3" : "PGDMP"));
        EXPECT_EQ(dump.find("hunter3"), std::string::npos) << "a secret in clear";
        EXPECT_EQ(backups_->extract(path_, to).code(), Errc::Busy) << "no file is written over";
        if (GetParam() == Kind::Postgres) {
            ScratchDatabase scratch;
            ASSERT_TRUE(scratch.make(server_->place()).ok()) << scratch.message();
            std::string complaint;
            ASSERT_TRUE(run_tool({{"pg_restore", "--exit-on-error", "--no-owner", "-d",
                                   scratch.place().url, to},
                                  {{"PGPASSWORD", server_->place().password}}},
                                 complaint)
                            .ok())
                << complaint;
            const auto store = make_postgres_credentials(scratch.place());
            ASSERT_TRUE(store->open(CredentialOpen::Existing).ok());
            EXPECT_EQ(store->all().value().size(), 2U);
        }
    }
    [[nodiscard]] CredentialRow stored(const std::string& account) {
        return *one_.store->find(account).value();
    }

    std::unique_ptr<CredentialBackups> backups_;
    std::string path_;
    std::vector<CredentialRow> rows_;
};

TEST_P(Restore, OpensTheSecretsOfAStoreThatWasLostAndKeepsWhatWasLocked) {
    const auto nothing_lost = plan_restore(one_.store->all().value(), rows_);
    ASSERT_EQ(nothing_lost.size(), 2U);
    for (const RestoreRow& p : nothing_lost) {
        EXPECT_EQ(p.meets, RestoreMeets::Same) << p.row.account;
    }
    ASSERT_TRUE(restore().ok());
    EXPECT_EQ(stored("gold-desk").version, 2U) << "where nothing was lost nothing is written";
    ASSERT_NO_FATAL_FAILURE(look_at_the_dump());
    ASSERT_NO_FATAL_FAILURE(lose_the_store());
    ASSERT_EQ(opened("gold-desk"), "NotFound") << "it is not lost";
    ASSERT_TRUE(restore().ok()) << one_.store->message();
    EXPECT_EQ(opened("gold-desk"), "hunter3");
    EXPECT_EQ(opened("silver-desk"), "NotOwner") << "LOCKED when it was backed up";
    EXPECT_EQ(stored("silver-desk").reason, "disabled by the broker");
    EXPECT_EQ(stored("gold-desk").version, 2U);
    ASSERT_TRUE(one_.vault->rotate("gold-desk", secret("hunter4")).ok()) << "it goes on from there";
    EXPECT_EQ(opened("gold-desk"), "hunter4");
    const auto again = backups_->make();
    ASSERT_TRUE(again.ok()) << backups_->message();
    if (GetParam() == Kind::Postgres) {
        CredentialBackups elsewhere{{{dir_.file("other.db"), {}}, dir_.file("backups"), 30, 60},
                                    *key_};
        EXPECT_EQ(elsewhere.restore_test(path_).code(), Errc::Unsupported);
        EXPECT_NE(elsewhere.message().find("made of PostgreSQL"), std::string::npos)
            << elsewhere.message();
    }
}

TEST_P(Restore, UndoesWhatWasDoneSinceTheBackupByForceOnly) {
    ASSERT_TRUE(one_.vault->erase("gold-desk", "left us").ok());
    ASSERT_TRUE(one_.vault->unlock("silver-desk").ok());
    EXPECT_EQ(restore().code(), Errc::BadVersion);
    EXPECT_EQ(opened("gold-desk"), "NotFound") << "an erased secret came back";
    EXPECT_EQ(opened("silver-desk"), "correct horse");
    const std::uint64_t erased = stored("gold-desk").version;
    ASSERT_TRUE(restore(true).ok()) << one_.store->message();
    EXPECT_EQ(opened("gold-desk"), "hunter3");
    EXPECT_GT(stored("gold-desk").version, erased) << "versions only grow";
    EXPECT_EQ(opened("silver-desk"), "NotOwner");
}

class RestoreAlone : public Restore {};  // what does not depend on the kind of store

TEST_P(RestoreAlone, TakesAnAccountThatWasAddedAnewForALaterOneAlthoughItsVersionIsLower) {
    ASSERT_NO_FATAL_FAILURE(lose_the_store());
    ASSERT_TRUE(one_.vault->add("gold-desk", "5001", secret("typed in again")).ok());
    ASSERT_TRUE(one_.vault->add("new-desk", "5003", secret("not in the backup")).ok());
    EXPECT_EQ(restore().code(), Errc::BadVersion);
    EXPECT_EQ(opened("gold-desk"), "typed in again");
    EXPECT_EQ(opened("silver-desk"), "NotFound") << "all or nothing";
    ASSERT_TRUE(restore(true).ok());
    EXPECT_EQ(opened("gold-desk"), "hunter3");
    EXPECT_EQ(opened("new-desk"), "not in the backup") << "what only the store has stays";
}

TEST_P(RestoreAlone, StopsAtARowThatAnotherWriterChangesMeanwhile) {
    ASSERT_NO_FATAL_FAILURE(lose_the_store());
    const auto plan = plan_restore(one_.store->all().value(), rows_);
    ASSERT_TRUE(session().vault->add("silver-desk", "5002", secret("of another")).ok());
    EXPECT_EQ(restore_rows(*one_.store, plan, "late", false).code(), Errc::Busy);
    EXPECT_EQ(opened("silver-desk"), "of another");
}

TEST_P(RestoreAlone, IsDatedByItsOwnTimeInTheAuditToo) {
    ASSERT_NO_FATAL_FAILURE(lose_the_store());
    const std::int64_t before = wall_ns();
    ASSERT_TRUE(restore().ok()) << one_.store->message();
    EXPECT_GE(stored("gold-desk").changed_ns, before) << "the day of the backup";
    EXPECT_LT(stored("gold-desk").created_ns, before);
    SqliteDb db;
    ASSERT_TRUE(db.open(source().sqlite_path, 0, SqliteOpen::ReadOnly).ok());
    EXPECT_EQ(db.number("SELECT count(*) FROM credential_events WHERE event = 'restored from a "
                        "test' AND at_ns >= " +
                        std::to_string(before))
                  .value(),
              2);
}

TEST_P(RestoreAlone, MovesFromSqliteToPostgres) {
    CredentialBackups elsewhere{
        {{"", {"postgresql://nobody@127.0.0.1:1/x", ""}}, dir_.file("backups"), 30, 60}, *key_};
    const auto rows = elsewhere.restore_test(path_);
    EXPECT_TRUE(rows.ok()) << elsewhere.message();
}

INSTANTIATE_TEST_SUITE_P(Stores, RestoreAlone, ::testing::Values(Kind::Sqlite));
INSTANTIATE_TEST_SUITE_P(Stores, Restore, ::testing::Values(Kind::Sqlite, Kind::Postgres),
                         [](const auto& p) {
                             return p.param == Kind::Sqlite ? "Sqlite" : "Postgres";
                         });

}  // namespace
}  // namespace millrace::postgres_test
