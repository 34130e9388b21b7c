// Goal: a login that was added at run time is known as soon as its files can be read. Method: an
// accounts.d with one account in it, and a book of ids that is broken first.
#include "tools/millrace/account_table.h"

#include <gtest/gtest.h>

#include "tests/ops/temp_dir.h"

namespace millrace {
namespace {

TEST(AccountTable, KnowsAnAddedLoginOnceTheBookOfIdsIsPutBack) {
    const test::TempDir dir;
    Config config;
    config.journal.dir = dir.path();
    AccountTable table{config, IdBook{}};
    dir.write("accounts.d/late.json",
              R"({"name": "late", "login": 9, "key": "00112233445566778899aabbccddeeff"})");
    IdBook ids;
    ids.assign(NameKind::Account, "other");
    ids.assign(NameKind::Account, "late");
    dir.write("ids.json", "{");
    TerminalAccount found;
    EXPECT_FALSE(table.find(9, found));
    EXPECT_FALSE(table.find(9, found));
    std::string message;
    ASSERT_TRUE(ids.save(dir.path(), message)) << message;
    ASSERT_TRUE(table.find(9, found)) << "nothing in accounts.d has changed since";
    EXPECT_EQ(found.account, AccountId{1});
    EXPECT_FALSE(table.find(10, found));
}

TEST(AccountTable, ExpectsAnAccountInItsOwnCurrencyElseInTheCommonOne) {
    const test::TempDir dir;
    Config config;
    config.journal.dir = dir.path();
    config.money.currency = "USD";
    config.accounts.resize(2);
    config.accounts[0].name = "common";
    config.accounts[0].login = 1;
    config.accounts[1].name = "own";
    config.accounts[1].login = 2;
    config.accounts[1].currency = "EUR";
    config.accounts[1].leverage = 30;
    config.accounts[1].kind = AccountKind::Demo;
    IdBook ids;
    ids.assign(NameKind::Account, "common");
    ids.assign(NameKind::Account, "own");
    AccountTable table{config, ids};
    TerminalAccount found;
    ASSERT_TRUE(table.find(1, found));
    EXPECT_EQ(found.facts.currency, make_text<8>("USD"));
    EXPECT_EQ(found.facts.leverage, 0U);
    EXPECT_EQ(found.facts.kind, AccountFacts::Kind::Any);
    ASSERT_TRUE(table.find(2, found));
    EXPECT_EQ(found.facts.currency, make_text<8>("EUR"));
    EXPECT_EQ(found.facts.leverage, 30U);
    EXPECT_EQ(found.facts.kind, AccountFacts::Kind::Demo);
}

}  // namespace
}  // namespace millrace
