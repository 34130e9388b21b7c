// Goal: the engine is told exactly what the file says, and a name keeps its id for ever. Method:
// records of small configurations, edited between runs.
#include <gtest/gtest.h>

#include <sys/stat.h>

#include "tests/ops/temp_dir.h"
#include "tools/millrace/config_records.h"

namespace millrace {
namespace {

using test::TempDir;

AccountConfig account(const std::string& name, std::uint64_t login) {
    AccountConfig a;
    a.name = name;
    a.login = login;
    return a;
}

MemberConfig member(const std::string& name) {
    MemberConfig m;
    m.account = name;
    return m;
}

Config two_accounts() {
    Config c;
    c.symbols.emplace_back().name = "EURUSD";
    c.symbols.emplace_back().name = "XAUUSD";
    c.accounts = {account("a", 1), account("b", 2)};
    c.groups.emplace_back().name = "g";
    c.groups.back().members = {member("a"), member("b")};
    c.sources = {{.name = "src"}};
    return c;
}

ConfigRecords made(const Config& c, IdBook& ids) {
    std::vector<Mistake> mistakes;
    ConfigRecords r = make_config_records(c, ids, mistakes);
    EXPECT_TRUE(mistakes.empty());
    return r;
}

template <class Body>
std::vector<Body> bodies(const ConfigRecords& r, AdminOp op) {
    std::vector<Body> found;
    for (const AdminRecord& record : r.records) {
        if (record.op == op) {
            found.push_back(record.as<Body>());
        }
    }
    return found;
}

TEST(ConfigRecords, BeginWithRiskAndEndWithCommitOfTheirHash) {
    IdBook ids;
    const ConfigRecords r = made(two_accounts(), ids);
    EXPECT_EQ(r.records.front().op, AdminOp::RiskLimits);
    EXPECT_EQ(r.records.back().op, AdminOp::ConfigCommit);
    EXPECT_EQ(r.records.back().as<ConfigCommit>().config_hash, r.hash);
    EXPECT_EQ(r.records.size(), 1U + 2 * 2 + 1 + 2 * 2 + 2 + 2 + 1)
        << "each symbol, account and group has its limits, if only none";
}

TEST(ConfigRecords, HashChangesWithAnyValueAndOnlyThen) {
    IdBook ids;
    Config c = two_accounts();
    const std::uint64_t before = made(c, ids).hash;
    EXPECT_EQ(made(c, ids).hash, before);
    c.accounts[1].max_lots = 1;
    EXPECT_NE(made(c, ids).hash, before);
}

TEST(ConfigRecords, SayWhoseOrdersLeaveBeforeTheDiskHasThem) {
    IdBook ids;
    Config c = two_accounts();
    c.accounts[1].gate = Durability::Process;
    const auto specs = bodies<AccountSpec>(made(c, ids), AdminOp::DefineAccount);
    ASSERT_EQ(specs.size(), 2U);
    EXPECT_EQ(specs[0].leaves_early, 0);
    EXPECT_EQ(specs[1].leaves_early, 1);
}

TEST(ConfigRecords, CarryLimitsAndTheirEnd) {
    IdBook ids;
    Config c = two_accounts();
    c.accounts[1].limits.max_daily_loss = Money{500 * kScale};
    c.groups[0].limits.max_positions = 7;
    c.symbols[1].limits.max_net_volume = Lots{5 * kScale};
    auto limits = bodies<LimitSpec>(made(c, ids), AdminOp::DefineLimits);
    ASSERT_EQ(limits.size(), 3U);
    EXPECT_EQ(limits[1].id, 1U);
    EXPECT_EQ(limits[1].max_daily_loss, Money{500 * kScale});
    EXPECT_EQ(limits[2].scope, LimitScope::Group);
    EXPECT_EQ(limits[2].max_positions, 7U);
    const auto symbols = bodies<SymbolLimitSpec>(made(c, ids), AdminOp::DefineSymbolLimits);
    ASSERT_EQ(symbols.size(), 2U);
    EXPECT_EQ(symbols[1].id, SymbolId{1});
    EXPECT_EQ(symbols[1].max_net_volume, Lots{5 * kScale});
    c.accounts[1].limits = {};
    limits = bodies<LimitSpec>(made(c, ids), AdminOp::DefineLimits);
    EXPECT_FALSE(limits[1].daily());
}

TEST(ConfigRecords, SwitchOffMemberThatWasRemovedAndKeepItsId) {
    IdBook ids;
    Config c = two_accounts();
    (void)made(c, ids);
    c.accounts.erase(c.accounts.begin());
    c.groups[0].members.erase(c.groups[0].members.begin());
    c.accounts.push_back(account("c", 3));
    const ConfigRecords r = made(c, ids);
    const auto members = bodies<MemberSpec>(r, AdminOp::DefineMember);
    ASSERT_EQ(members.size(), 2U);
    EXPECT_EQ(members[0].account.value, 1U);
    EXPECT_EQ(members[0].enabled, 1);
    EXPECT_EQ(members[1].account.value, 0U);
    EXPECT_EQ(members[1].enabled, 0);
    // "c" must not get the id of "a", which was removed.
    EXPECT_EQ(ids.find(NameKind::Account, "c"), 2U);
}

TEST(ConfigRecords, NameTheAccountThatStandsBy) {
    IdBook ids;
    Config c = two_accounts();
    c.groups[0].members.pop_back();
    c.groups[0].members[0].standby = "b";
    const auto members = bodies<MemberSpec>(made(c, ids), AdminOp::DefineMember);
    ASSERT_EQ(members.size(), 1U);
    EXPECT_EQ(members[0].standby, 2U) << "1 + its number";
    EXPECT_EQ(members[0].standby_after_s, 10U);
}

TEST(ConfigRecords, LeaveACurrencyItsNumberWhereverItStands) {
    IdBook ids;
    Config c = two_accounts();
    c.money.currency = "USD";
    c.money.rates = {{"EUR", "", kScale}, {"GBP", "", kScale}};
    c.accounts[0].currency = "GBP";
    const auto numbers = [&] {
        std::map<std::string, std::uint32_t> found;
        const ConfigRecords r = made(c, ids);
        for (const auto& spec : bodies<CurrencySpec>(r, AdminOp::DefineCurrency)) {
            found[std::string{view(spec.name)}] = spec.index;
        }
        found["of account a"] = bodies<MoneyLimitSpec>(r, AdminOp::DefineMoneyLimits)[0].currency;
        return found;
    };
    using Numbers = std::map<std::string, std::uint32_t>;
    EXPECT_EQ(numbers(), (Numbers{{"USD", 0}, {"EUR", 1}, {"GBP", 2}, {"of account a", 3}}));
    c.money.rates = {{"JPY", "", kScale}, {"GBP", "", kScale}};
    EXPECT_EQ(numbers(), (Numbers{{"USD", 0}, {"JPY", 3}, {"GBP", 2}, {"of account a", 3}}));
    const TempDir dir;
    std::string message;
    ASSERT_TRUE(ids.save(dir / "", message).ok()) << message;
    auto again = IdBook::load(dir / "", message);
    ASSERT_TRUE(again.ok()) << message;
    ids = std::move(again).value();
    c.money.rates = {{"GBP", "", kScale}, {"EUR", "", kScale}, {"USD", "", kScale}};
    c.money.currency = "CHF";
    EXPECT_EQ(numbers(),
              (Numbers{{"CHF", 0}, {"EUR", 1}, {"GBP", 2}, {"USD", 4}, {"of account a", 3}}));
}

TEST(ConfigRecords, AllowEverySymbolOrOnlyThoseNamed) {
    IdBook ids;
    Config c = two_accounts();
    c.groups[0].members[1].symbols = {"XAUUSD"};
    const auto members = bodies<MemberSpec>(made(c, ids), AdminOp::DefineMember);
    EXPECT_EQ(members[0].symbols[3], ~std::uint64_t{0});
    EXPECT_EQ(members[1].symbols[0], std::uint64_t{2});
    EXPECT_EQ(members[1].symbols[3], 0U);
}

TEST(ConfigRecords, ComplainWhenIdsNoLongerFitTheSegment) {
    IdBook ids;
    ids.assign(NameKind::Account, "gone");
    Config c = two_accounts();
    c.accounts_max = 2;
    std::vector<Mistake> mistakes;
    (void)make_config_records(c, ids, mistakes);
    ASSERT_EQ(mistakes.size(), 1U);
    EXPECT_NE(to_string(mistakes[0]).find("gets id 2, the table holds 2"), std::string::npos);
}

TEST(IdBook, SurvivesRestartAndIsPrivate) {
    const TempDir dir;
    IdBook ids;
    (void)made(two_accounts(), ids);
    std::string message;
    ASSERT_TRUE(ids.save(dir.path(), message).ok()) << message;
    const auto loaded = IdBook::load(dir.path(), message);
    ASSERT_TRUE(loaded.ok()) << message;
    EXPECT_EQ(loaded.value(), ids);
    struct stat st{};
    ASSERT_EQ(::stat((dir / "ids.json").c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777U, 0600U);
}

TEST(IdBook, RefusesDamagedFileInsteadOfStartingAnew) {
    const TempDir dir;
    dir.write("ids.json", "{\"accounts\": {\"a\"");
    std::string message;
    EXPECT_EQ(IdBook::load(dir.path(), message).code(), Errc::BadInput);
    EXPECT_NE(message.find("ids.json is damaged"), std::string::npos);
}

TEST(IdBook, SaysWhyItCannotBeSaved) {
    std::string message;
    EXPECT_EQ(IdBook{}.save("/nonexistent", message).code(), Errc::IoError);
    EXPECT_NE(message.find("/nonexistent/ids.json.tmp: No such file"), std::string::npos)
        << message;
}

}  // namespace
}  // namespace millrace
