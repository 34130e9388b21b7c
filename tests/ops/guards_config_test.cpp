// Goal: limits in money, hours, collars and who stands by are read exactly, become the records that
// the engine goes by, and each mistake is answered with file, line, key and the mend. Method: small
// files.
#include <gtest/gtest.h>

#include "tests/ops/temp_dir.h"
#include "tools/millrace/config.h"
#include "tools/millrace/config_records.h"

namespace millrace {
namespace {

using test::TempDir;

struct Read {
    Config config;
    std::string mistakes;
};
Read read(const TempDir& dir, const std::string& fields) {
    std::vector<Mistake> mistakes;
    const std::string file =
        dir.write("c.json", "{\"journal\": {\"dir\": \"j\"},\n" + fields + "}");
    Config c = read_config(file, mistakes);
    std::string text;
    for (const Mistake& m : mistakes) {
        text += to_string(m) + "\n";
    }
    return {std::move(c), text};
}

std::string account(const std::string& fields) {
    return R"("accounts": [{"name": "a1", "login": 1, "key": "00112233445566778899aabbccddeeff")" +
           fields + "}]";
}

#define EXPECT_SAYS(read_, text) \
    EXPECT_NE((read_).mistakes.find(text), std::string::npos) << (read_).mistakes

template <class Body>
std::vector<Body> bodies(const Config& c, AdminOp op) {
    IdBook ids;
    std::vector<Mistake> mistakes;
    std::vector<Body> out;
    for (const AdminRecord& r : make_config_records(c, ids, mistakes).records) {
        if (r.op == op) {
            out.push_back(r.as<Body>());
        }
    }
    EXPECT_TRUE(mistakes.empty());
    return out;
}

constexpr const char* kMoney = R"("money": {"currency": "USD", "rates": [
  {"currency": "EUR", "symbol": "EURUSD"},
  {"currency": "JPY", "symbol": "USDJPY", "rate": 0.0067}]},
 "symbols": [{"name": "EURUSD"}, {"name": "USDJPY"}, {"name": "GER40", "currency": "EUR"}])";

TEST(GuardsConfig, MakesCurrenciesAndWhatIsPricedInThem) {
    const TempDir dir;
    const Read r = read(dir, kMoney);
    EXPECT_EQ(r.mistakes, "");
    const auto currencies = bodies<CurrencySpec>(r.config, AdminOp::DefineCurrency);
    ASSERT_EQ(currencies.size(), 3U);
    EXPECT_EQ(currencies[0].cross, SymbolId{kNoId});
    EXPECT_EQ(currencies[1].cross, SymbolId{0});
    EXPECT_EQ(currencies[1].inverse, 0) << "EURUSD is in the common one";
    EXPECT_EQ(currencies[2].cross, SymbolId{1});
    EXPECT_EQ(currencies[2].inverse, 1) << "USDJPY is in yen";
    EXPECT_EQ(currencies[2].rate, Ratio{670'000});
    const auto symbols = bodies<SymbolGuardSpec>(r.config, AdminOp::DefineSymbolGuard);
    ASSERT_EQ(symbols.size(), 3U);
    EXPECT_EQ(symbols[0].currency, 1) << "by its name";
    EXPECT_EQ(symbols[1].currency, 3);
    EXPECT_EQ(symbols[2].currency, 2) << "as it says";
}

TEST(GuardsConfig, ReadsLimitsInMoney) {
    const TempDir dir;
    const Read r = read(dir, std::string{kMoney} + ",\n" + account(R"(, "currency": "EUR",
  "limits": {"max_order_notional": 100, "max_notional": 200.5, "max_order_leverage": 3,
   "max_leverage": 10, "margin_check": true, "changes_per_minute": 7})") +
                                 R"(, "groups": [{"name": "g", "members": [{"account": "a1"}],
  "limits": {"max_notional": 1000, "max_net_notional": 500, "max_net_volume": 2.5}}])");
    EXPECT_EQ(r.mistakes, "");
    const auto money = bodies<MoneyLimitSpec>(r.config, AdminOp::DefineMoneyLimits);
    ASSERT_EQ(money.size(), 2U);
    EXPECT_EQ(money[0].currency, 2);
    EXPECT_EQ(money[0].max_order_notional, Money{100 * kScale});
    EXPECT_EQ(money[0].max_notional, Money{401 * kScale / 2});
    EXPECT_EQ(money[0].max_order_leverage, Ratio{3 * kScale});
    EXPECT_EQ(money[0].max_leverage, Ratio{10 * kScale});
    EXPECT_EQ(money[0].margin_check, 1);
    EXPECT_EQ(money[0].changes_per_minute, 7U);
    EXPECT_EQ(money[1].scope, LimitScope::Group);
    EXPECT_EQ(money[1].max_notional, Money{1000 * kScale});
    EXPECT_EQ(money[1].max_net_notional, Money{500 * kScale});
    EXPECT_EQ(money[1].max_net_volume, Lots{5 * kScale / 2});
}

TEST(GuardsConfig, NamesWhatMoneyIsNotKnownFor) {
    const TempDir dir;
    const Read none = read(dir, account(R"(, "limits": {"max_notional": 5})"));
    EXPECT_SAYS(none, "c.json:2:");
    EXPECT_SAYS(none, "accounts[\"a1\"].limits");
    EXPECT_SAYS(none, "name a common currency");
    const Read unknown = read(dir, std::string{kMoney} + ",\n" + account(R"(, "currency": "GBP")"));
    EXPECT_SAYS(unknown, "accounts[\"a1\"].currency: \"GBP\" is none of the file's");
    const Read symbol =
        read(dir, R"("money": {"currency": "USD"}, "symbols": [{"name": "GER40"}])");
    EXPECT_SAYS(symbol, "symbols[\"GER40\"].currency: is missing");
    const Read neither = read(dir, R"("money": {"currency": "USD",
 "rates": [{"currency": "CHF"}]})");
    EXPECT_SAYS(neither, "\"CHF\" has neither \"symbol\" nor \"rate\"");
    const Read wrong = read(dir, R"("money": {"currency": "USD",
 "rates": [{"currency": "JPY", "symbol": "X"}, {"currency": "EUR", "symbol": "CHFJPY"},
 {"currency": "EUR", "rate": 1}]}, "symbols": [{"name": "CHFJPY"}])");
    EXPECT_SAYS(wrong, "c.json:3:");
    EXPECT_SAYS(wrong, "money.rates[\"JPY\"].symbol: \"X\" is not defined");
    EXPECT_SAYS(wrong, "\"CHFJPY\" is priced in \"JPY\"");
    EXPECT_SAYS(wrong, "money.rates[\"EUR\"]: is there twice");
}

TEST(GuardsConfig, ReadsHoursAndTheWeeksEnd) {
    const TempDir dir;
    const Read r = read(dir, R"("symbols": [{"name": "EURUSD", "hours": ["Sun 22:05-Fri 21:55"],
  "collar_points": 20, "collar_spreads": 2.5}],
)" + account(R"(, "hours": ["Mon-Tue 08:00-17:30", "Fri-Mon 22:00-02:00", "Sun 00:00-24:00"],
  "limits": {"hold_over_weekend": false, "flat_before_min": 90, "week_closes": "Fri 21:00"})"));
    EXPECT_EQ(r.mistakes, "");
    const auto hours = bodies<HoursSpec>(r.config, AdminOp::DefineHours);
    ASSERT_EQ(hours.size(), 2U);
    EXPECT_EQ(hours[0].scope, HoursScope::Symbol);
    EXPECT_EQ(hours[0].windows[0].from, 6 * 1440 + 22 * 60 + 5);
    EXPECT_EQ(hours[0].windows[0].to, 4 * 1440 + 21 * 60 + 55);
    EXPECT_EQ(hours[0].flat_before_min, 0);
    ASSERT_EQ(hours[1].count, 7);
    EXPECT_EQ(hours[1].windows[1].from, 1440 + 480);
    EXPECT_EQ(hours[1].windows[1].to, 1440 + 1050);
    EXPECT_EQ(hours[1].windows[4].from, 6 * 1440 + 1320) << "Sunday";
    EXPECT_EQ(hours[1].windows[4].to, 120) << "over the week's end";
    EXPECT_EQ(hours[1].windows[6].from, 6 * 1440);
    EXPECT_EQ(hours[1].windows[6].to, 0);
    EXPECT_EQ(hours[1].week_closes, 4 * 1440 + 1260);
    EXPECT_EQ(hours[1].week_opens, 6 * 1440 + 1320);
    EXPECT_EQ(hours[1].flat_before_min, 90);
    const auto guards = bodies<SymbolGuardSpec>(r.config, AdminOp::DefineSymbolGuard);
    ASSERT_EQ(guards.size(), 1U);
    EXPECT_EQ(guards[0].collar_points, 20U);
    EXPECT_EQ(guards[0].collar_spreads, Ratio{5 * kScale / 2});
}

TEST(GuardsConfig, NamesHoursThatAreNone) {
    const TempDir dir;
    for (const char* line :
         {"Mon", "Mon 08:00", "Mon 8:00-17:00", "mon 08:00-17:00", "Mon 08:00-25:00",
          "Mon 08:00-08:00", "Mon-Fri 08:00-Tue 09:00", "Mon 08:00-Mon 08:00", ""}) {
        const Read r = read(dir, account(R"(, "hours": [")" + std::string{line} + R"("])"));
        EXPECT_SAYS(r, "hours") << line;
    }
    const Read many = read(dir, account(R"(, "hours": ["Mon-Sun 01:00-02:00", "Mon-Sun 03:00-04:00",
 "Mon-Sun 05:00-06:00"])"));
    EXPECT_SAYS(many, "more than 16 windows");
    const Read closes = read(dir, account(R"(, "limits": {"week_closes": "Friday"})"));
    EXPECT_SAYS(closes, "limits.week_closes: is \"Friday\"; a day and a time in UTC");
    const Read same = read(dir, account(R"(, "limits": {"week_closes": "Sun 22:00"})"));
    EXPECT_SAYS(same, "limits.week_opens: is when the week closes");
}

TEST(GuardsConfig, MakesNoRecordsOfWhatIsNotSet) {
    const TempDir dir;
    const Read r = read(dir, R"("symbols": [{"name": "EURUSD"}], )" + account(""));
    EXPECT_EQ(r.mistakes, "");
    EXPECT_TRUE(bodies<CurrencySpec>(r.config, AdminOp::DefineCurrency).empty());
    EXPECT_TRUE(bodies<MoneyLimitSpec>(r.config, AdminOp::DefineMoneyLimits).empty());
    EXPECT_TRUE(bodies<HoursSpec>(r.config, AdminOp::DefineHours).empty());
    EXPECT_TRUE(bodies<SymbolGuardSpec>(r.config, AdminOp::DefineSymbolGuard).empty());
}

TEST(StandbyConfig, NamesWhoStandsByAndRefusesWhoWouldTakeASignalTwice) {
    const TempDir dir;
    const auto with = [&](const std::string& members) {
        std::string accounts;
        for (const char* name : {"a", "b", "c"}) {
            accounts += (accounts.empty() ? "" : ", ") + std::string{R"({"name": ")"} + name +
                        R"(", "login": )" + std::to_string(accounts.size() + 1) +
                        R"(, "key": "00112233445566778899aabbccddeeff"})";
        }
        return read(dir, R"("accounts": [)" + accounts +
                             R"(], "groups": [{"name": "g", "members": [)" + members + "]}]");
    };
    const Read r =
        with(R"({"account": "a", "standby": "c", "standby_after_s": 3}, {"account": "b"})");
    EXPECT_EQ(r.mistakes, "");
    EXPECT_EQ(r.config.groups[0].members[0].standby, "c");
    EXPECT_EQ(r.config.groups[0].members[0].standby_after_s, 3U);
    EXPECT_EQ(r.config.groups[0].members[1].standby, "");
    EXPECT_SAYS(with("{\"account\": \"a\", \"standby\": \"c\"},\n"
                     "{\"account\": \"b\", \"standby\": \"c\"}"),
                R"(:3: groups["g"].members["b"].standby: "c" is the standby of "a" already)");
    EXPECT_SAYS(with(R"({"account": "a", "standby": "b"}, {"account": "b"})"),
                "is a member of this group itself");
    EXPECT_SAYS(with(R"({"account": "a", "standby": "d"})"), "account \"d\" is not defined");
    EXPECT_SAYS(with(R"({"account": "a", "standby_after_s": 3601})"), "standby_after_s");
}

TEST(GuardsConfig, ReadsWhatAnAccountHasToBeAtItsBroker) {
    const TempDir dir;
    const Read r = read(dir, account(R"(, "leverage": 30, "trade_mode": "demo")"));
    EXPECT_EQ(r.mistakes, "");
    EXPECT_EQ(r.config.accounts[0].leverage, 30U);
    EXPECT_EQ(r.config.accounts[0].kind, AccountKind::Demo);
    EXPECT_EQ(read(dir, account("")).config.accounts[0].kind, AccountKind::Any);
    EXPECT_SAYS(read(dir, account(R"(, "trade_mode": "paper")")), "trade_mode");
    const std::string fix = R"(, "kind": "fix",
 "fix": {"server": "a:1", "sender_comp_id": "a", "target_comp_id": "b"})";
    EXPECT_SAYS(read(dir, account(R"(, "trade_mode": "real")" + fix)),
                "trade_mode: is told by terminals alone");
    EXPECT_SAYS(read(dir, account(R"(, "leverage": 30)" + fix)),
                "leverage: is told by terminals alone");
}

}  // namespace
}  // namespace millrace
