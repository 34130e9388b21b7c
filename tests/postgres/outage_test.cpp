// A PostgreSQL that is not there, stands still, or does not let us in.
#include "tests/postgres/server.h"

namespace millrace::postgres_test {
namespace {

class Outage : public VaultFixture {};

TEST_P(Outage, IsToldAndEndsWithTheServersReturn) {
    ASSERT_TRUE(one_.vault->add("gold-desk", "5001", secret("hunter2")).ok());
    server_->crash();
    EXPECT_EQ(one_.vault->rotate("gold-desk", secret("other")).code(), Errc::IoError);
    EXPECT_FALSE(one_.store->open(CredentialOpen::Existing).ok());
    server_->start();
    ASSERT_TRUE(one_.store->open(CredentialOpen::Existing).ok()) << one_.store->message();
    EXPECT_EQ(opened("gold-desk"), "hunter2") << "what was told to be stored survives a crash";
}

TEST_P(Outage, OfAServerThatStandsStillIsATimeout) {
    ASSERT_TRUE(one_.vault->add("gold-desk", "5001", secret("hunter2")).ok());
    server_->signal_all(SIGSTOP);
    EXPECT_EQ(one_.vault->rotate("gold-desk", secret("other")).code(), Errc::Timeout);
    server_->signal_all(SIGCONT);
    ASSERT_TRUE(one_.store->open(CredentialOpen::Existing).ok()) << one_.store->message();
    EXPECT_EQ(one_.vault->list().value().size(), 1U);
}

TEST_P(Outage, NeverTellsThePassword) {
    PostgresPlace wrong = server_->place();
    wrong.password = "wrong-but-secret";
    const auto store = make_postgres_credentials(wrong);
    EXPECT_EQ(store->open(CredentialOpen::Existing).code(), Errc::BadAuth);
    EXPECT_EQ(store->message().find("wrong-but-secret"), std::string::npos) << store->message();
    EXPECT_NE(store->message().find("desk"), std::string::npos) << store->message();
}

INSTANTIATE_TEST_SUITE_P(Server, Outage, ::testing::Values(Kind::Postgres),
                         [](const auto&) { return "Postgres"; });

}  // namespace
}  // namespace millrace::postgres_test
