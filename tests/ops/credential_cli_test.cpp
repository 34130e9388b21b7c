// Goal: what an operator and a running pipeline do with broker credentials, as the executable does
// it: locked with a disabled account, backed up each day, brought back when their store is lost.
// Method: the real executable, credentials in SQLite (tests/postgres has both stores).
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include <algorithm>
#include <array>

#include "gateway/bridge_wire.h"
#include "persist/credential_cipher.h"
#include "persist/credential_secret.h"
#include "persist/sqlite_db.h"
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
        const Finished added = add("a1");
        ASSERT_EQ(added.status, 0) << added.output;
    }
    Finished add(const std::string& account) {
        return p_.run({"credential", "add", account, "--login", "1001", "--secret-file",
                       p_.dir() / "secret"});
    }
    [[nodiscard]] Finished list() { return p_.run({"credential", "list"}); }
    [[nodiscard]] std::string store() const { return p_.journal_dir() + "/credentials.db"; }
    [[nodiscard]] std::string backups() const { return p_.journal_dir() + "/credential-backups"; }
    [[nodiscard]] std::size_t count() const {
        std::error_code none;
        return static_cast<std::size_t>(
            std::count_if(fs::directory_iterator{backups(), none}, fs::directory_iterator{},
                          [](const auto& e) { return e.path().extension() == ".mrcb"; }));
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
    EXPECT_EQ(p_.run({"account", "disable", "a1"}).status, 0);
    EXPECT_EQ(count(), 2U) << "what is locked already is no change";
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

TEST_F(Credentials, ThatAreGoneAreNotCalledLocked) {
    start();
    fs::remove(store());
    const Finished disabled = p_.run({"account", "disable", "a1"});
    EXPECT_EQ(disabled.status, 1) << disabled.output;
    EXPECT_SAYS(disabled, "ALERT disabled, but the credentials are not locked");
    EXPECT_FALSE(fs::exists(store()));
    EXPECT_EQ(add("a2").status, 1) << "a store begun anew, which lacks a1";
    const Finished again = p_.run({"account", "disable", "a1"});
    EXPECT_EQ(again.status, 1) << again.output;
    EXPECT_SAYS(again, "a1 is not in the store, but in ");
    EXPECT_EQ(p_.run({"credential", "restore"}).status, 0);
    EXPECT_EQ(p_.run({"account", "disable", "a1"}).status, 0);
    EXPECT_SAYS(list(), "LOCKED");
}

TEST_F(Credentials, AreNotPassedOverInSilenceWhereTheConfigurationIsNotNamed) {
    start();
    const Finished disabled =
        p_.run({"account", "disable", "a1", "--segment", p_.segment_path()}, false);
    EXPECT_EQ(disabled.status, 1) << disabled.output;
    EXPECT_SAYS(disabled, "run it again with --config FILE");
    EXPECT_SAYS(p_.run({"account", "list"}), "DISABLED");
    // The pipeline knows its configuration, and looks who is disabled.
    EXPECT_TRUE(eventually([&] { return list().output.find("LOCKED") != std::string::npos; }))
        << p_.log();
    EXPECT_SAYS(list(), "the account was disabled");
}

TEST_F(Credentials, OfAnAccountThatTradesAreNotLockedAsADisabledOnes) {
    start();
    const Finished asked = p_.run({"account", "lock-disabled", "a1"});
    EXPECT_EQ(asked.status, 0) << asked.output;
    EXPECT_SAYS(asked, "a1 is not disabled");
    p_.attach().session(AccountId{0}).permissions = bridge::kInfoBrokerForbids;
    EXPECT_SAYS(p_.run({"account", "lock-disabled", "a1", "--dry-run"}), "would be LOCKED");
    EXPECT_SAYS(list(), "ACTIVE");
}

TEST_F(Credentials, ThatWereLockedWithAnAccountAreUnlockedWhenItIsResumed) {
    start();
    ASSERT_EQ(p_.run({"account", "disable", "a1"}).status, 0);
    EXPECT_SAYS(list(), "LOCKED");
    const Finished resumed = p_.run({"account", "resume", "a1"});
    EXPECT_EQ(resumed.status, 0) << resumed.output;
    EXPECT_SAYS(resumed, "a1: credentials unlocked");
    EXPECT_SAYS(list(), "ACTIVE");
    EXPECT_EQ(count(), 3U) << "each change is backed up";
    ASSERT_EQ(p_.run({"credential", "lock", "a1"}).status, 0);
    EXPECT_EQ(p_.run({"account", "resume", "a1"}).status, 0);
    EXPECT_SAYS(list(), "LOCKED");  // not by the account's state
}

TEST_F(Credentials, OfAnAccountThatItsBrokerDisablesAreLockedUntilItIsResumed) {
    p_.write_config(R"(, "credentials": {"key_file": "key", "lock_after_s": 1})");
    start();
    const Segment segment = p_.attach();
    AtomicU32& permissions = segment.session(AccountId{0}).permissions;
    permissions = bridge::kInfoBrokerForbids;
    ASSERT_TRUE(eventually([&] {
        return p_.log().find("credentials of a1 are LOCKED") != std::string::npos;
    })) << p_.log();
    EXPECT_SAYS(list(), "the broker disabled the account");
    const Finished early = p_.run({"account", "resume", "a1"});
    EXPECT_EQ(early.status, 0) << early.output;
    EXPECT_SAYS(early, "its broker lets it not trade: locked credentials stay LOCKED");
    EXPECT_SAYS(list(), "LOCKED");
    permissions = bridge::kInfoMayTrade;
    EXPECT_TRUE(eventually([&] {
        return p_.log().find("trade again, and they are LOCKED still") != std::string::npos;
    })) << p_.log();
    EXPECT_SAYS(p_.run({"account", "resume", "a1"}), "a1: credentials unlocked");
    EXPECT_SAYS(list(), "ACTIVE");
}

/// As systemd gives it to a service: a folder of its own, and a file that nobody may write.
TEST_F(Credentials, OpenByAKeyThatSystemdGives) {
    fs::create_directory(p_.dir() / "given");
    fs::copy_file(p_.dir() / "key", p_.dir() / "given/millrace.key");
    fs::permissions(p_.dir() / "given/millrace.key", fs::perms::owner_read);
    fs::remove(p_.dir() / "key");
    p_.write_config(R"(, "credentials": {"key_credential": "millrace.key"})");
    const Finished unset = list();
    EXPECT_EQ(unset.status, 1);
    EXPECT_SAYS(unset, "CREDENTIALS_DIRECTORY is not set");
    EXPECT_SAYS(p_.run({"credential", "init"}), "systemd gives the key");
    ::setenv("CREDENTIALS_DIRECTORY", (p_.dir() / "given").c_str(), 1);
    EXPECT_SAYS(list(), "ACTIVE");
    start();
    // Without a configuration: whoever locks is a child of the pipeline.
    (void)p_.run({"account", "disable", "a1", "--segment", p_.segment_path()}, false);
    EXPECT_TRUE(eventually([&] { return list().output.find("LOCKED") != std::string::npos; }))
        << p_.log();
    ::unsetenv("CREDENTIALS_DIRECTORY");
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
    EXPECT_FALSE(fs::exists(store())) << "an empty one in its place";
    const Finished restored = p_.run({"credential", "restore"});
    EXPECT_EQ(restored.status, 0) << restored.output;
    EXPECT_SAYS(restored, "restored, read back and compared");
    EXPECT_SAYS(list(), "LOCKED");
}

TEST_F(Credentials, ThatWereLostAreNotTakenForNoneByAnyCommandAndStayInTheirBackups) {
    fs::remove(store());
    const std::vector<std::vector<std::string>> looks = {
        {"list"},
        {"lock", "a1"},
        {"unlock", "a1"},
        {"rotate", "a1", "--secret-file", p_.dir() / "secret"},
        {"backup"},
        {"backup", "--dry-run"},
        {"erase", "a1", "--yes"}};
    for (std::vector<std::string> words : looks) {
        words.insert(words.begin(), "credential");
        const Finished looked = p_.run(words);
        EXPECT_EQ(looked.status, 1) << words[1];
        EXPECT_SAYS(looked, "`millrace credential restore`");
        EXPECT_FALSE(fs::exists(store())) << words[1];
    }
    const Finished dry = p_.run({"credential", "add", "a2", "--login", "1002", "--dry-run"});
    EXPECT_EQ(dry.status, 0) << dry.output;
    EXPECT_SAYS(dry, "a2 would be ACTIVE with login 1002 in a new store");
    EXPECT_FALSE(fs::exists(store()));
    EXPECT_EQ(count(), 1U);
    const Finished restored = p_.run({"credential", "restore"});
    EXPECT_EQ(restored.status, 0) << restored.output;
    EXPECT_SAYS(list(), "ACTIVE");
}

TEST_F(Credentials, ComeBackAllThoughTheStoreWasBegunAnewAndBackedUpMeanwhile) {
    fs::remove(store());
    const Finished added = add("a2");
    EXPECT_EQ(added.status, 1) << added.output;
    EXPECT_SAYS(added, "ALERT the store lacks what backups hold: a1 (in ");
    const Finished again = p_.run({"credential", "backup"});
    EXPECT_EQ(again.status, 1) << "each day, for the supervisor to tell";
    EXPECT_SAYS(again, "ALERT the store lacks");
    const Finished restored = p_.run({"credential", "restore"});
    EXPECT_EQ(restored.status, 0) << restored.output;
    EXPECT_SAYS(restored, ": lacks a1 (in ");
    EXPECT_SAYS(list(), "a1 ");
    EXPECT_SAYS(list(), "a2 ");
}

/// What earlier builds made of a store that was lost: a good backup, of nobody.
void write_backup_of_nobody(const std::string& folder, const std::string& key_file) {
    SqliteDb db;
    ASSERT_TRUE(db.open(folder + "/none.db", 0, SqliteOpen::Create).ok());
    ASSERT_TRUE(db.exec("CREATE TABLE credentials (account TEXT PRIMARY KEY, login, state, "
                        "version, sealed_version, sealed, reason, created_ns, changed_ns) WITHOUT "
                        "ROWID; PRAGMA application_id = 1297236818;")
                    .ok());
    db.close();
    std::ifstream in{folder + "/none.db", std::ios::binary};
    const std::string dump{std::istreambuf_iterator<char>{in}, {}};
    fs::remove(folder + "/none.db");
    std::string message;
    const auto key = CredentialKey::load(key_file, message);
    ASSERT_TRUE(key.ok()) << message;
    const std::string header = "kind=sqlite\ncreated_ns=1\nkey=" + key.value().id() + "\n";
    const auto length = static_cast<std::uint32_t>(header.size());
    const std::string head =
        "MRCB0001" + std::string{reinterpret_cast<const char*>(&length), sizeof length} + header;
    const std::string nonce(kGcmNonceBytes, '7');
    const auto bytes = [](const std::string& text) { return std::as_bytes(std::span{text}); };
    constexpr char kPurpose[9] = "mrbackup";
    const Secret derived = key.value().derived(kPurpose);
    const auto sealed = gcm_seal(derived.bytes(), bytes(nonce), bytes(head), bytes(dump));
    std::ofstream out{folder + "/credentials-21000101T000000Z-000000000.mrcb", std::ios::binary};
    out << head << nonce;
    out.write(reinterpret_cast<const char*>(sealed.data()),
              static_cast<std::streamsize>(sealed.size()));
}

TEST_F(Credentials, DoNotComeBackFromABackupOfNobody) {
    ASSERT_NO_FATAL_FAILURE(write_backup_of_nobody(backups(), p_.dir() / "key"));
    fs::remove(store());
    const Finished tested = p_.run({"credential", "restore-test"});
    EXPECT_EQ(tested.status, 1);
    EXPECT_SAYS(tested, "restores: 0 accounts");
    const std::string nobody = backups() + "/credentials-21000101T000000Z-000000000.mrcb";
    const Finished named = p_.run({"credential", "restore", nobody});
    EXPECT_EQ(named.status, 1) << named.output;
    EXPECT_SAYS(named, "holds no account");
    EXPECT_FALSE(fs::exists(store()));
    const Finished restored = p_.run({"credential", "restore"});
    EXPECT_EQ(restored.status, 0) << restored.output;
    EXPECT_SAYS(restored, "passed over: " + nobody + ": holds no account");
    EXPECT_SAYS(list(), "a1 ");
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
        first = std::max(first, e.path().string());  // the other one is the folder's .lock
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
    EXPECT_SAYS(p_.run({"credential", "init", "--dry-run"}), "is there already");
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
