// A real PostgreSQL server on a loopback port of its own, dead with the test; and what tests of
// both credential stores share.
#pragma once

#include "persist/credential_backup.h"
#include "persist/credential_vault.h"
#include "tests/ops/quiet_port.h"
#include "tests/shm/temp_dir.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/types.h>

#include <memory>
#include <string>

namespace millrace::postgres_test {

/// Threads: all calls from the thread that made it (the child dies with that thread).
class PostgresProcess {
public:
    explicit PostgresProcess(std::string directory);
    ~PostgresProcess();
    PostgresProcess(const PostgresProcess&) = delete;
    PostgresProcess& operator=(const PostgresProcess&) = delete;

    /// Starts it and waits until it answers.
    void start();
    /// SIGQUIT: ends at once, as after a crash, with all its children; and reaps it.
    void crash();
    /// SIGSTOP, SIGCONT to it and all its children.
    void signal_all(int number) const;
    [[nodiscard]] PostgresPlace place() const;

private:
    void init() const;
    [[nodiscard]] pid_t spawn(const std::vector<std::string>& words) const;
    std::string directory_;
    test::QuietPort quiet_;  // of a server that is killed and comes back: nobody takes it meanwhile
    std::uint16_t port_ = 0;
    pid_t pid_ = -1;
};

enum class Kind { Sqlite, Postgres };

/// A store of either kind, a key, and a vault over them.
class VaultFixture : public ::testing::TestWithParam<Kind> {
protected:
    void SetUp() override;
    [[nodiscard]] CredentialSource source() const;
    /// A vault with a connection of its own.
    struct Session {
        std::unique_ptr<CredentialStore> store;
        std::unique_ptr<CredentialVault> vault;
    };
    [[nodiscard]] Session session();
    /// The file is gone; the schema was dropped. The next session() begins it anew.
    void lose_the_store();
    static Secret secret(std::string text) { return Secret::taken_from(text); }
    /// The secret of `account` as text; the error's name if it does not open.
    [[nodiscard]] std::string opened(const std::string& account);

    test::TempDir dir_;
    std::unique_ptr<PostgresProcess> server_;
    std::unique_ptr<CredentialKey> key_;
    Session one_;
};

}  // namespace millrace::postgres_test
