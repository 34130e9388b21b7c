// Secrets in memory and the key in its file.
#include "tests/postgres/server.h"

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace millrace::postgres_test {
namespace {

TEST(CredentialSecret, WipesTheTextItIsTakenFrom) {
    std::string text(100, 'x');
    const char* const where = text.data();
    const Secret s = Secret::taken_from(text);
    EXPECT_EQ(s.bytes().size(), 100U);
    EXPECT_TRUE(std::all_of(where, where + 100, [](char c) { return c == '\0'; }));
}

TEST(CredentialSecretDeathTest, IsInMemoryThatCannotBeReadOnceItIsGone) {
    EXPECT_DEATH(
        {
            const std::byte* where = nullptr;
            {
                std::string text = "hunter2";
                const Secret s = Secret::taken_from(text);
                where = s.bytes().data();
            }
            volatile const std::byte* const gone = where;
            std::fprintf(stderr, "%d", static_cast<int>(*gone));
        },
        "");
}

TEST(CredentialKey, IsReadFromAFileThatOnlyItsOwnerMayRead) {
    test::TempDir dir;
    std::string message;
    const std::string path = dir.file("key");
    const auto made = CredentialKey::create(path, message);
    ASSERT_TRUE(made.ok()) << message;
    const auto read = CredentialKey::load(path, message);
    ASSERT_TRUE(read.ok()) << message;
    EXPECT_EQ(read.value().id(), made.value().id());
    EXPECT_EQ(CredentialKey::create(path, message).code(), Errc::Busy);
    ::chmod(path.c_str(), 0640);
    EXPECT_EQ(CredentialKey::load(path, message).code(), Errc::BadAuth);
    EXPECT_NE(message.find("chmod 600"), std::string::npos) << message;
    ::chmod(path.c_str(), 0400);  // as systemd lays credentials down
    EXPECT_TRUE(CredentialKey::load(path, message).ok()) << message;
    ASSERT_EQ(::symlink(path.c_str(), dir.file("link").c_str()), 0);
    EXPECT_FALSE(CredentialKey::load(dir.file("link"), message).ok());
    EXPECT_EQ(CredentialKey::load(dir.file("none"), message).code(), Errc::NotFound);
}

/// systemd gives a credential to a unit's user by an access list where it can; a mode of 0440 then
/// shows the list's mask, and no group may read.
TEST(CredentialKey, MayBeGivenByAnAccessListToUsAndToNobodyElse) {
    test::TempDir dir;
    std::string message;
    const std::string path = dir.file("key");
    ASSERT_TRUE(CredentialKey::create(path, message).ok()) << message;
    struct Entry {
        std::uint16_t tag;
        std::uint16_t permissions;
        std::uint32_t id;
    };
    const auto give = [&](std::uint16_t group, std::uint32_t user) {
        const Entry list[] = {
            {1, 4, ~0U}, {2, 4, user}, {4, group, ~0U}, {16, 4, ~0U}, {32, 0, ~0U}};
        std::string bytes{"\2\0\0\0", 4};
        bytes.append(reinterpret_cast<const char*>(list), sizeof list);
        return ::setxattr(path.c_str(), "system.posix_acl_access", bytes.data(), bytes.size(), 0) ==
               0;
    };
    if (!give(0, ::geteuid())) {
        GTEST_SKIP() << "SKIPPED: no access lists on the file system of " << path
                     << "; NOT TESTED HERE";
    }
    struct stat st{};
    ASSERT_EQ(::stat(path.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777U, 0440U);
    EXPECT_TRUE(CredentialKey::load(path, message).ok()) << message;
    ASSERT_TRUE(give(0, ::geteuid() + 12'345));
    EXPECT_EQ(CredentialKey::load(path, message).code(), Errc::BadAuth) << "another user";
    ASSERT_TRUE(give(4, ::geteuid()));
    EXPECT_EQ(CredentialKey::load(path, message).code(), Errc::BadAuth) << "a group";
}

TEST(CredentialKey, IsRefusedIfItIsShortOrNoHex) {
    test::TempDir dir;
    for (const std::string bad : {"", "abcd", "zz",
                                  "not hex but long enough to be taken for a key, "
                                  "as it has 64 of them"}) {
        std::ofstream{dir.file("key")} << bad;
        ::chmod(dir.file("key").c_str(), 0600);
        std::string message;
        EXPECT_EQ(CredentialKey::load(dir.file("key"), message).code(), Errc::BadInput) << bad;
        EXPECT_TRUE(bad.empty() || message.find(bad) == std::string::npos) << message;
    }
}

}  // namespace
}  // namespace millrace::postgres_test
