// Backups of credentials: encrypted, restored before they count, thirty kept, named by an erasure.
#include "tests/postgres/server.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "persist/run_tool.h"
#include "shm/clock.h"

namespace millrace::postgres_test {
namespace {

class Backup : public VaultFixture {
protected:
    void SetUp() override {
        VaultFixture::SetUp();
        ASSERT_TRUE(one_.vault->add("gold-desk", "5001", secret("hunter2")).ok());
        ASSERT_TRUE(one_.vault->add("silver-desk", "5002", secret("correct horse")).ok());
    }
    [[nodiscard]] CredentialBackups backups(std::size_t keep = 30) const {
        return {{source(), dir_.file("backups"), keep, 60}, *key_};
    }
    static std::string content(const std::string& path) {
        std::ifstream in{path, std::ios::binary};
        std::stringstream text;
        text << in.rdbuf();
        return text.str();
    }
};

TEST_P(Backup, RestoresToTheSameRows) {
    CredentialBackups b = backups();
    const auto made = b.make();
    ASSERT_TRUE(made.ok()) << b.message();
    const auto rows = b.restore_test(made.value());
    ASSERT_TRUE(rows.ok()) << b.message();
    ASSERT_EQ(rows.value().size(), 2U);
    const CredentialRow now = *one_.store->find("gold-desk").value();
    EXPECT_EQ(rows.value()[0].account, "gold-desk");
    EXPECT_EQ(rows.value()[0].sealed, now.sealed);
    EXPECT_GT(b.newest_ns(), 0);
    struct stat st{};
    ASSERT_EQ(::stat(made.value().c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777U, 0600U);
    EXPECT_EQ(content(made.value()).find("PGDMP"), std::string::npos) << "not encrypted";
    EXPECT_EQ(content(made.value()).find("SQLite format"), std::string::npos) << "not encrypted";
    for (const auto& e : std::filesystem::directory_iterator{dir_.file("backups")}) {
        EXPECT_TRUE(e.path().extension() == ".mrcb" || e.path().filename() == ".lock")
            << "left over: " << e.path();
    }
}

TEST_P(Backup, TellsWhatItDoesNow) {
    std::vector<std::string> steps;
    CredentialBackupOptions o{source(), dir_.file("backups")};
    o.step = [&](const std::string& step) { steps.push_back(step.substr(0, step.find(' '))); };
    CredentialBackups b{o, *key_};
    const auto made = b.make();
    ASSERT_TRUE(made.ok()) << b.message();
    EXPECT_EQ(steps, (std::vector<std::string>{"dumping", "restoring", "comparing"}));
    ASSERT_TRUE(b.restore_test(made.value()).ok()) << b.message();
    EXPECT_EQ(steps.size(), 4U);
    EXPECT_EQ(steps.back(), "restoring");
}

TEST_P(Backup, IsRefusedWhenAByteOfItWasChangedOrItWasCut) {
    CredentialBackups b = backups();
    const std::string path = b.make().value();
    const std::string good = content(path);
    for (const std::size_t at : {std::size_t{20}, good.size() / 2, good.size() - 1}) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 1);
        std::ofstream{path, std::ios::binary} << bad;
        EXPECT_FALSE(b.restore_test(path).ok()) << at;
    }
    for (const std::size_t bytes : {std::size_t{0}, std::size_t{11}, good.size() - 17}) {
        std::ofstream{path, std::ios::binary} << good.substr(0, bytes);
        EXPECT_FALSE(b.restore_test(path).ok()) << bytes;
    }
    std::ofstream{path, std::ios::binary} << good;
    EXPECT_TRUE(b.restore_test(path).ok()) << b.message();
}

TEST_P(Backup, OpensWithItsOwnKeyOnly) {
    CredentialBackups b = backups();
    const std::string path = b.make().value();
    std::string message;
    const auto other = CredentialKey::create(dir_.file("other"), message);
    CredentialBackups wrong{{source(), dir_.file("backups"), 30, 60}, other.value()};
    EXPECT_EQ(wrong.decrypted(path).code(), Errc::BadAuth);
}

TEST_P(Backup, KeepsTheNewestAndRemovesWhatIsTooOld) {
    CredentialBackups b = backups(3);
    std::vector<std::string> made;
    for (int i = 0; i < 5; ++i) {
        made.push_back(b.make().value());
    }
    EXPECT_EQ(b.list(), (std::vector<std::string>{made[2], made[3], made[4]}));
}

TEST_P(Backup, NamesTheCopiesThatStillHoldWhatWasErased) {
    CredentialBackups b = backups();
    const std::string before = b.make().value();
    ASSERT_TRUE(one_.vault->erase("gold-desk", "closed").ok());
    const std::string after = b.make().value();
    EXPECT_EQ(b.holding("gold-desk"), std::vector<std::string>{before});
    EXPECT_EQ(b.holding("silver-desk"), (std::vector<std::string>{before, after}));
    EXPECT_TRUE(b.holding("nobody").empty());
}

TEST_P(Backup, DoesNotRemoveAnOldOneWhenTheNewOneFails) {
    CredentialBackups b = backups(1);
    const std::string good = b.make().value();
    if (GetParam() == Kind::Postgres) {
        server_->crash();
    } else {
        std::ofstream{source().sqlite_path} << "this is no database at all, but long enough";
    }
    EXPECT_FALSE(b.make().ok());
    EXPECT_EQ(b.list(), std::vector<std::string>{good});
    EXPECT_EQ(b.message().find("servers-own-secret"), std::string::npos) << b.message();
}

TEST_P(Backup, IsMadeOfNoStoreThatIsGoneOrHoldsNobody) {
    CredentialBackups b = backups(1);
    const std::string good = b.make().value();
    ASSERT_NO_FATAL_FAILURE(lose_the_store());
    EXPECT_EQ(b.make().code(), Errc::NotFound) << b.message();
    one_ = session();  // begun anew
    EXPECT_EQ(b.make().code(), Errc::NotFound) << b.message();
    EXPECT_EQ(b.list(), std::vector<std::string>{good}) << "the good one was pushed out";
}

TEST_P(Backup, RemovesWhatOneThatWasKilledLeftBehind) {
    CredentialBackups b = backups();
    const std::string folder = dir_.file("backups") + "/scratch-abcdef";
    std::filesystem::create_directories(folder);
    std::ofstream{folder + "/copy.db"} << "sealed copies of all";
    std::ofstream{dir_.file("backups") + "/credentials-1.mrcb.new"} << "half";
    const std::string young = "millrace_restore_1_" + std::to_string(wall_ns());
    const auto databases = [&](const std::string& sql) {
        const PostgresPlace at = server_->place();
        std::string complaint;
        const auto said = run_tool(
            {{"psql", "-At", "-d", at.url, "-c", sql}, {{"PGPASSWORD", at.password}}}, complaint);
        EXPECT_TRUE(said.ok()) << complaint;
        return said ? std::string{reinterpret_cast<const char*>(said.value().data()),
                                  said.value().size()}
                    : "";
    };
    if (GetParam() == Kind::Postgres) {
        for (const std::string& name : {std::string{"millrace_restore_1_1"}, young}) {
            (void)databases("CREATE DATABASE " + name);
        }
    }
    ASSERT_TRUE(b.make().ok()) << b.message();
    EXPECT_FALSE(std::filesystem::exists(folder));
    EXPECT_FALSE(std::filesystem::exists(dir_.file("backups") + "/credentials-1.mrcb.new"));
    if (GetParam() == Kind::Postgres) {
        EXPECT_EQ(databases("SELECT datname FROM pg_database WHERE datname LIKE 'millrace%'"),
                  young + "\n")
            << "the old one is a dead run's, the young one may be in use";
    }
}

class BackupAlone : public Backup {};  // what does not depend on the kind of store

TEST_P(BackupAlone, StaysHoweverOldWhileItIsTheLastToHoldWhatTheStoreLost) {
    CredentialBackups b = backups(3);
    (void)b.make().value();
    EXPECT_TRUE(b.missing().empty());
    ASSERT_TRUE(one_.vault->erase("silver-desk", "left us").ok());
    const std::string good = b.make().value();
    EXPECT_TRUE(b.missing().empty()) << "what was erased is not lost";
    ASSERT_NO_FATAL_FAILURE(lose_the_store());
    one_ = session();
    ASSERT_TRUE(one_.vault->add("new-desk", "5003", secret("s")).ok());
    std::vector<std::string> kept{good};
    for (int i = 0; i < 3; ++i) {
        kept.push_back(b.make().value());
    }
    EXPECT_EQ(b.list(), kept) << "the oldest of five went, the second stays";
    EXPECT_EQ(b.missing(), (HeldCredentials{{"gold-desk", good}})) << "silver-desk was erased";
    const std::string newest = kept.back();
    EXPECT_EQ(b.held(), (HeldCredentials{{"gold-desk", good}, {"new-desk", newest}}));
}

TEST_P(BackupAlone, IsLeftInPeaceByAnotherThatIsMadeMeanwhile) {
    CredentialBackups b{{source(), dir_.file("backups"), 30, 60, 0}, *key_};
    const std::string good = b.make().value();
    const std::string unfinished = dir_.file("backups") + "/credentials-9.mrcb.new";
    std::ofstream{unfinished} << "half";
    const int other = ::open((dir_.file("backups") + "/.lock").c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_EQ(::flock(other, LOCK_EX | LOCK_NB), 0) << "free between two runs";
    EXPECT_EQ(b.make().code(), Errc::Busy);
    EXPECT_EQ(b.restore_test(good).code(), Errc::Busy) << "its scratch copy would be removed";
    EXPECT_NE(b.message().find("another backup"), std::string::npos) << b.message();
    EXPECT_TRUE(std::filesystem::exists(unfinished)) << "the other's file";
    ::close(other);
    EXPECT_TRUE(b.restore_test(good).ok()) << b.message();
    EXPECT_TRUE(b.make().ok()) << b.message();
    EXPECT_FALSE(std::filesystem::exists(unfinished));
}

INSTANTIATE_TEST_SUITE_P(Stores, BackupAlone, ::testing::Values(Kind::Sqlite));
INSTANTIATE_TEST_SUITE_P(Stores, Backup, ::testing::Values(Kind::Sqlite, Kind::Postgres),
                         [](const auto& p) {
                             return p.param == Kind::Sqlite ? "Sqlite" : "Postgres";
                         });

}  // namespace
}  // namespace millrace::postgres_test
