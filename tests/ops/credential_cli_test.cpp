// Goal: what an operator and a running pipeline do with broker credentials, as the executable does
// it: locked with a disabled account, backed up each day, brought back when their store is lost.
// Method: the real executable, credentials in SQLite (tests/postgres has both stores).
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/ops/pipeline_fixture.h"

namespace millrace::test {
namespace {

namespace fs = std::filesystem;

#define EXPECT_SAYS(finished, text) \
    EXPECT_NE((finished).output.find(text), std::string::npos) << (finished).output

class Credentials : public ::testing::Test {
protected:
    void SetUp() override {
        p_.write_config(R"(, "credentials": {"key_file": "key"})");
        p_.dir().write("secret", "hunter2\n");
        fs::create_directories(p_.journal_dir());
        ASSERT_EQ(p_.run({"credential", "init"}).status, 0);
        const Finished added = p_.run(
            {"credential", "add", "a1", "--login", "1001", "--secret-file", p_.dir() / "secret"});
        ASSERT_EQ(added.status, 0) << added.output;
    }
    [[nodiscard]] Finished list() { return p_.run({"credential", "list"}); }
    [[nodiscard]] std::string store() const { return p_.journal_dir() + "/credentials.db"; }
    [[nodiscard]] std::string backups() const { return p_.journal_dir() + "/credential-backups"; }
    [[nodiscard]] std::size_t count() const {
        std::error_code none;
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator{backups(), none}, fs::directory_iterator{}));
    }
    void start() {
        p_.up();
        ASSERT_TRUE(p_.wait_running()) << p_.log();
    }
    Pipeline p_;
};

TEST_F(Credentials, AreLockedWithTheAccountThatIsDisabled) {
    start();
    const Finished disabled = p_.run({"account", "disable", "a1"});
    EXPECT_EQ(disabled.status, 0) << disabled.output;
    EXPECT_SAYS(p_.run({"account", "list"}), "DISABLED");
    EXPECT_SAYS(list(), "LOCKED");
    EXPECT_SAYS(list(), "the account was disabled");
    EXPECT_EQ(count(), 2U) << "each change is backed up";
}

TEST_F(Credentials, ThatCannotBeLockedAreAnErrorAndTheAccountIsDisabledAllTheSame) {
    start();
    fs::rename(store(), store() + ".away");
    fs::create_directory(store());  // nothing that SQLite opens
    const Finished disabled = p_.run({"account", "disable", "a1"});
    EXPECT_EQ(disabled.status, 1) << disabled.output;
    EXPECT_SAYS(disabled, "ALERT disabled, but the credentials are not locked");
    EXPECT_SAYS(p_.run({"account", "list"}), "DISABLED");
    fs::remove(store());
    fs::rename(store() + ".away", store());
    EXPECT_SAYS(list(), "ACTIVE");
    EXPECT_EQ(p_.run({"account", "disable", "a1"}).status, 0) << "to be run again";
    EXPECT_SAYS(list(), "LOCKED");
}

TEST_F(Credentials, AreNotPassedOverInSilenceWhereTheConfigurationIsNotNamed) {
    start();
    const Finished disabled =
        p_.run({"account", "disable", "a1", "--segment", p_.segment_path()}, false);
    EXPECT_EQ(disabled.status, 1) << disabled.output;
    EXPECT_SAYS(disabled, "run it again with --config FILE");
    EXPECT_SAYS(p_.run({"account", "list"}), "DISABLED");
    EXPECT_SAYS(list(), "ACTIVE");
}

TEST(WithoutCredentials, DisablingAnAccountNeedsNoConfiguration) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    const Finished disabled =
        p.run({"account", "disable", "a1", "--segment", p.segment_path()}, false);
    EXPECT_EQ(disabled.status, 0) << disabled.output;
    EXPECT_SAYS(p.run({"account", "list"}), "DISABLED");
}

TEST_F(Credentials, AreBackedUpByARunningPipelineWhenTheNewestBackupIsTooOld) {
    fs::remove_all(backups());
    start();
    EXPECT_TRUE(eventually([&] {
        return p_.log().find("daily backup of credentials") != std::string::npos;
    })) << p_.log();
    EXPECT_EQ(count(), 1U);
}

TEST_F(Credentials, ComeBackFromABackup) {
    ASSERT_EQ(p_.run({"credential", "lock", "a1", "--why", "a test"}).status, 0);
    fs::remove(store());
    const Finished dry = p_.run({"credential", "restore", "--dry-run"});
    EXPECT_EQ(dry.status, 0) << dry.output;
    EXPECT_SAYS(dry, "LOCKED  version 2: missing");
    EXPECT_SAYS(dry, "nothing was changed");
    EXPECT_EQ(list().output.find("a1"), std::string::npos) << "a dry run is none";
    const Finished restored = p_.run({"credential", "restore"});
    EXPECT_EQ(restored.status, 0) << restored.output;
    EXPECT_SAYS(restored, "restored, read back and compared");
    EXPECT_SAYS(list(), "LOCKED");
}

TEST_F(Credentials, ComeBackFromAnOlderBackupWhereTheNewestIsDamaged) {
    ASSERT_EQ(p_.run({"credential", "lock", "a1"}).status, 0);
    std::string newest;
    for (const auto& e : fs::directory_iterator{backups()}) {
        newest = std::max(newest, e.path().string());
    }
    std::ofstream{newest, std::ios::app} << "more";
    fs::remove(store());
    const Finished restored = p_.run({"credential", "restore"});
    EXPECT_EQ(restored.status, 0) << restored.output;
    EXPECT_SAYS(restored, "passed over: " + newest);
    EXPECT_SAYS(list(), "ACTIVE");
    const Finished named = p_.run({"credential", "restore", newest});
    EXPECT_EQ(named.status, 1);
    EXPECT_SAYS(named, "no backup will do");
}

TEST_F(Credentials, AreNotSetBackWithoutForce) {
    std::string first;
    for (const auto& e : fs::directory_iterator{backups()}) {
        first = e.path().string();
    }
    ASSERT_EQ(p_.run({"credential", "lock", "a1"}).status, 0);
    const Finished refused = p_.run({"credential", "restore", first});
    EXPECT_EQ(refused.status, 1);
    EXPECT_SAYS(refused, "would come undone");
    EXPECT_SAYS(list(), "LOCKED");
    EXPECT_EQ(p_.run({"credential", "restore", first, "--force"}).status, 0);
    EXPECT_SAYS(list(), "ACTIVE");
}

TEST_F(Credentials, SayInADryRunWhatAChangeWouldDo) {
    for (const char* verb : {"rotate", "lock", "unlock", "erase"}) {
        const Finished dry = p_.run({"credential", verb, "a1", "--dry-run"});
        EXPECT_EQ(dry.status, 0) << verb << dry.output;
        EXPECT_SAYS(dry, "a1 is ACTIVE, version 1; would be ");
        const Finished nobody = p_.run({"credential", verb, "nobody", "--dry-run"});
        EXPECT_EQ(nobody.status, 1) << verb;
        EXPECT_SAYS(nobody, "nobody has no credentials");
    }
    EXPECT_SAYS(p_.run({"credential", "backup", "--dry-run"}), "would back up 1 accounts");
    EXPECT_SAYS(list(), "ACTIVE");
    EXPECT_EQ(count(), 1U) << "nothing was changed";
}

TEST_F(Credentials, GiveTheDumpOfABackupToAFileAlsoWithoutTheirStore) {
    fs::remove(store());
    const std::string to = p_.dir() / "dump.db";
    const Finished out = p_.run({"credential", "restore", "--to", to});
    EXPECT_EQ(out.status, 0) << out.output;
    EXPECT_FALSE(fs::exists(store())) << "it is not looked for";
    struct stat st{};
    ASSERT_EQ(::stat(to.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777U, 0600U);
}

}  // namespace
}  // namespace millrace::test
