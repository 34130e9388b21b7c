// The life of credentials in either store, and what must not open.
#include "tests/postgres/server.h"

#include <fstream>
#include <sstream>

namespace millrace::postgres_test {
namespace {

class Vault : public VaultFixture {};

TEST_P(Vault, GivesBackWhatWasAddedAndRotated) {
    ASSERT_TRUE(one_.vault->add("gold-desk", "5001", secret("hunter2 \xE2\x82\xAC")).ok())
        << one_.vault->message();
    EXPECT_EQ(opened("gold-desk"), "hunter2 \xE2\x82\xAC");
    EXPECT_EQ(one_.vault->add("gold-desk", "5001", secret("x")).code(), Errc::Busy);
    ASSERT_TRUE(one_.vault->rotate("gold-desk", secret("correct horse")).ok());
    EXPECT_EQ(opened("gold-desk"), "correct horse");
    EXPECT_EQ(opened("silver-desk"), "NotFound");
    EXPECT_EQ(one_.vault->rotate("silver-desk", secret("x")).code(), Errc::NotFound);
    EXPECT_EQ(one_.vault->add("empty", "1", Secret{}).code(), Errc::BadInput);
    EXPECT_EQ(one_.vault->add("long", "1", Secret{kSecretBytesMax + 1}).code(), Errc::BadInput);
}

TEST_P(Vault, DoesNotOpenWhatIsLocked) {
    ASSERT_TRUE(one_.vault->add("gold-desk", "5001", secret("hunter2")).ok());
    ASSERT_TRUE(one_.vault->lock("gold-desk", "disabled by the broker").ok());
    EXPECT_EQ(opened("gold-desk"), "NotOwner");
    EXPECT_NE(one_.vault->message().find("disabled by the broker"), std::string::npos);
    ASSERT_TRUE(one_.vault->lock("gold-desk", "again").ok());  // the first reason stays
    ASSERT_TRUE(one_.vault->rotate("gold-desk", secret("other")).ok());
    EXPECT_EQ(opened("gold-desk"), "NotOwner");
    const auto rows = one_.vault->list();
    ASSERT_EQ(rows.value().size(), 1U);
    EXPECT_EQ(rows.value()[0].state, CredentialState::Locked);
    EXPECT_EQ(rows.value()[0].reason, "disabled by the broker");
    EXPECT_FALSE(rows.value()[0].sealed.empty()) << "a misread flag must not destroy them";
    ASSERT_TRUE(one_.vault->unlock("gold-desk").ok());
    EXPECT_EQ(opened("gold-desk"), "other");
}

TEST_P(Vault, LeavesNothingOfWhatIsErased) {
    ASSERT_TRUE(one_.vault->add("gold-desk", "5001", secret("hunter2")).ok());
    ASSERT_TRUE(one_.vault->erase("gold-desk", "account closed").ok()) << one_.vault->message();
    EXPECT_EQ(opened("gold-desk"), "NotFound");
    EXPECT_EQ(one_.vault->unlock("gold-desk").code(), Errc::NotFound);
    const auto rows = one_.vault->list();
    ASSERT_EQ(rows.value().size(), 1U);
    EXPECT_TRUE(rows.value()[0].sealed.empty());
    ASSERT_TRUE(one_.vault->add("gold-desk", "5002", secret("new")).ok());
    EXPECT_EQ(opened("gold-desk"), "new");
}

TEST_P(Vault, NeverStoresASecretInClear) {
    const std::string text = "a-secret-that-is-easy-to-find";
    ASSERT_TRUE(one_.vault->add("gold-desk", "5001", secret(text)).ok());
    const auto row = one_.store->find("gold-desk");
    const auto& sealed = row.value()->sealed;
    const std::string stored{reinterpret_cast<const char*>(sealed.data()), sealed.size()};
    EXPECT_EQ(stored.find(text), std::string::npos);
    if (GetParam() == Kind::Sqlite) {
        std::ifstream in{source().sqlite_path, std::ios::binary};
        std::stringstream file;
        file << in.rdbuf();
        EXPECT_EQ(file.str().find(text), std::string::npos);
        EXPECT_NE(file.str().find("gold-desk"), std::string::npos);
    }
}

TEST_P(Vault, DoesNotOpenARowOfAnotherAccountLoginOrVersion) {
    ASSERT_TRUE(one_.vault->add("gold-desk", "5001", secret("first")).ok());
    ASSERT_TRUE(one_.vault->add("silver-desk", "5002", secret("second")).ok());
    const CredentialRow first = *one_.store->find("gold-desk").value();
    CredentialRow moved = *one_.store->find("silver-desk").value();
    moved.sealed = first.sealed;
    moved.sealed_version = first.sealed_version;
    ASSERT_TRUE(one_.store->put(moved, moved.version, "tampered").ok()) << one_.store->message();
    EXPECT_EQ(opened("silver-desk"), "BadAuth");
    ASSERT_TRUE(one_.vault->rotate("gold-desk", secret("third")).ok());
    CredentialRow old = *one_.store->find("gold-desk").value();
    old.sealed = first.sealed;  // put back from an older copy
    ASSERT_TRUE(one_.store->put(old, old.version, "tampered").ok());
    EXPECT_EQ(opened("gold-desk"), "BadAuth");
    old.sealed_version = first.sealed_version;
    old.login = "6666";
    ASSERT_TRUE(one_.store->put(old, old.version, "tampered").ok());
    EXPECT_EQ(opened("gold-desk"), "BadAuth");
}

TEST_P(Vault, SaysWhenItNeedsAnotherKey) {
    ASSERT_TRUE(one_.vault->add("gold-desk", "5001", secret("first")).ok());
    std::string message;
    auto other = CredentialKey::create(dir_.file("other"), message);
    ASSERT_TRUE(other.ok()) << message;
    CredentialVault wrong{*one_.store, other.value()};
    EXPECT_EQ(wrong.open("gold-desk").code(), Errc::BadVersion);
    EXPECT_NE(other.value().id(), key_->id());
}

TEST_P(Vault, LetsOnlyOneOfTwoWritersChangeAVersion) {
    ASSERT_TRUE(one_.vault->add("gold-desk", "5001", secret("first")).ok());
    Session two = session();
    CredentialRow mine = *one_.store->find("gold-desk").value();
    CredentialRow theirs = *two.store->find("gold-desk").value();
    mine.reason = "mine";
    theirs.reason = "theirs";
    const std::uint64_t expected = mine.version++;
    theirs.version++;
    ASSERT_TRUE(one_.store->put(mine, expected, "mine").ok());
    EXPECT_EQ(two.store->put(theirs, expected, "theirs").code(), Errc::Busy);
    EXPECT_EQ(two.store->find("gold-desk").value()->reason, "mine");
    CredentialRow gone = mine;
    gone.account = "not-there";
    EXPECT_EQ(two.store->put(gone, 3, "x").code(), Errc::Busy);
    EXPECT_FALSE(two.store->find("not-there").value().has_value());
}

TEST_P(Vault, KeepsNamesThatLookLikeStatements) {
    const std::string name = "x'); DROP TABLE credentials; --";
    ASSERT_TRUE(one_.vault->add(name, "1' OR '1'='1", secret("s")).ok()) << one_.vault->message();
    EXPECT_EQ(opened(name), "s");
    EXPECT_EQ(one_.vault->list().value().size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(Stores, Vault, ::testing::Values(Kind::Sqlite, Kind::Postgres),
                         [](const auto& p) {
                             return p.param == Kind::Sqlite ? "Sqlite" : "Postgres";
                         });

}  // namespace
}  // namespace millrace::postgres_test
