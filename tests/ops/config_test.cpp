// Goal: a configuration is read exactly, and each mistake is answered with file, line, key and the
// mend. Method: small files with one fault each.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "persist/backup_place.h"
#include "tests/ops/temp_dir.h"
#include "tools/millrace/config.h"
#include "tools/millrace/config_check.h"
#include "tools/millrace/decimal.h"
#include "tools/millrace/second_config.h"
#include "tools/millrace/terminal_config.h"

namespace millrace {
namespace {

using test::TempDir;

constexpr const char* kKey = "00112233445566778899aabbccddeeff";

std::string all(const std::vector<Mistake>& mistakes) {
    std::string text;
    for (const Mistake& m : mistakes) {
        text += to_string(m) + "\n";
    }
    return text;
}

struct Read {
    Config config;
    std::string mistakes;
};
Read read(const TempDir& dir, const std::string& text) {
    std::vector<Mistake> mistakes;
    Config c = read_config(dir.write("c.json", text), mistakes);
    return {std::move(c), all(mistakes)};
}

std::string with_account(const std::string& fields) {
    return R"({"journal": {"dir": "j"},
 "accounts": [
  {"name": "a1", "login": 1, "key": ")" +
           std::string{kKey} + "\"" + fields + "}]}";
}

TEST(Config, ReadsDefaultsFromSmallestFile) {
    const TempDir dir;
    const Read r = read(dir, R"({"journal": {"dir": "j"}})");
    EXPECT_EQ(r.mistakes, "");
    EXPECT_EQ(r.config.journal.dir, dir / "j");
    EXPECT_EQ(r.config.sqlite.path, dir / "j/millrace.db");
    EXPECT_EQ(r.config.risk.collar.value, kScale / 1000);
    EXPECT_EQ(r.config.signals.port, 7401);
}

TEST(Config, NamesFileLineKeyAndNearestKeyOfTypo) {
    const TempDir dir;
    const Read r = read(dir, with_account(",\n   \"max_lot\": 2"));
    EXPECT_EQ(r.mistakes, dir.path() +
                              "/c.json:4: accounts[0].max_lot: is no known key; did you "
                              "mean \"max_lots\"?\n");
}

TEST(Config, ReportsEveryMistakeAtOnce) {
    const TempDir dir;
    const Read r =
        read(dir, with_account(",\n \"rate_burst\": 0,\n \"gate\": \"dsk\",\n \"login\": \"x\""));
    EXPECT_NE(r.mistakes.find(":4: accounts[0].rate_burst: is 0; a whole number from 1 to"),
              std::string::npos)
        << r.mistakes;
    EXPECT_NE(
        r.mistakes.find(":5: accounts[0].gate: is \"dsk\"; allowed: process, disk; did you mean "
                        "\"disk\"?"),
        std::string::npos)
        << r.mistakes;
    EXPECT_NE(r.mistakes.find(":6: login: stands twice"), std::string::npos) << r.mistakes;
}

TEST(Config, NamesWhatIsWrongWithAFixAccount) {
    const TempDir dir;
    const Read r = read(dir, with_account(R"(, "kind": "fix", "fix": {"server": "venue",
 "backup_server": "second", "refusals_max": -1,
 "sender_comp_id": "A", "profile": "mt9", "tls_ca_file": "none.pem"})"));
    for (const char* wrong :
         {"accounts[0].fix.server: is \"venue\"; HOST:PORT",
          "accounts[0].fix.backup_server: is \"second\"; HOST:PORT",
          "accounts[0].fix.refusals_max: is -1; a whole number from 0 to 1000",
          "\"target_comp_id\" is missing",
          "accounts[0].fix.profile: is \"mt9\"; one of generic, ctrader, lmax, fxcm is allowed",
          "accounts[0].fix.tls_ca_file: there is no file"}) {
        EXPECT_NE(r.mistakes.find(wrong), std::string::npos) << wrong << "\n" << r.mistakes;
    }
    const std::string fix = R"(, "kind": "fix", "fix": {"server": "v:1", "sender_comp_id": "A",
 "target_comp_id": "B", "symbols": [{"name": "EURUSD"}]})";
    const std::string later = read(dir, with_account(fix)).mistakes;
    EXPECT_NE(later.find("needs \"margin_mode\": \"netting\""), std::string::npos) << later;
    EXPECT_NE(later.find("EURUSD"), std::string::npos) << later;
    const std::string twice =
        read(dir, with_account(R"(, "kind": "fix", "fix": {"server": "v:1", "backup_server": "v:1",
 "sender_comp_id": "A", "target_comp_id": "B"})"))
            .mistakes;
    EXPECT_NE(twice.find("fix.backup_server: is \"server\" itself"), std::string::npos) << twice;
    const std::string alone = read(dir, with_account(", \"kind\": \"fix\"")).mistakes;
    EXPECT_NE(alone.find("needs an object \"fix\""), std::string::npos) << alone;
}

TEST(Config, ReadsTheTerminalsThatAreToBeStarted) {
    const TempDir dir;
    const Read r = read(dir, with_account(R"(, "terminal": {"command": ["wine", "terminal64.exe"],
 "env": ["WINEPREFIX=/srv/mt5/1001"], "cwd": ".", "at_down": "keep"})"));
    EXPECT_EQ(r.mistakes, "");
    const TerminalsConfig all = terminals_of(r.config);
    ASSERT_EQ(all.terminals.size(), 1U);
    const TerminalConfig& t = all.terminals[0];
    EXPECT_EQ(t.account_name, "a1");
    EXPECT_EQ(t.login, 1U);
    EXPECT_EQ(t.command, (std::vector<std::string>{"wine", "terminal64.exe"}));
    EXPECT_EQ(t.env, std::vector<std::string>{"WINEPREFIX=/srv/mt5/1001"});
    EXPECT_EQ(std::filesystem::path{t.cwd}, std::filesystem::path{dir.path()} / "");
    EXPECT_TRUE(t.keep);
    EXPECT_TRUE(terminals_of(read(dir, with_account("")).config).terminals.empty());
}

TEST(Config, NamesWhatIsWrongWithATerminal) {
    const TempDir dir;
    const auto mistakes = [&dir](const std::string& text) {
        return read(dir, with_account(", \"terminal\": " + text)).mistakes;
    };
    const std::pair<const char*, const char*> wrong[] = {
        {"{}", "\"command\" is missing"},
        {R"({"command": []})", "terminal.command: names no program"},
        {R"({"command": ["x"], "cwd": "nowhere"})", "terminal.cwd: there is no folder "},
        {R"({"command": ["x"], "env": ["=1"]})", "terminal.env: is a list of \"NAME=VALUE\""},
        {R"({"command": ["x\u0000y"]})", "terminal.command: has a zero byte"},
        {R"({"command": ["x"], "stop_s": 61})", "terminal.stop_s: is 61"},
        {R"({"command": ["x"]}, "kind": "fix", "fix": {})", "this account has \"fix\""},
    };
    for (const auto& [text, mistake] : wrong) {
        const std::string told = mistakes(text);
        EXPECT_NE(told.find(mistake), std::string::npos) << text << "\n" << told;
    }
    dir.write("j/accounts.d/late.json",
              R"({"name": "late", "login": 9, "terminal": {"command": ["x"]}, "key": ")" +
                  std::string{kKey} + "\"}");
    EXPECT_NE(read(dir, with_account("")).mistakes.find("stands in the configuration itself"),
              std::string::npos);
}

TEST(Config, RefusesASecondJournalDirectoryThatLiesInTheFirstOrHoldsIt) {
    const TempDir dir;
    const auto with = [&dir](const std::string& second) {
        return read(dir, R"({"journal": {"dir": "a/j", "second_directory": ")" + second + "\"}}");
    };
    for (const char* wrong : {"a/j", "a/j/second", "a", "a/", "a/./j/"}) {
        const std::string told = with(wrong).mistakes;
        EXPECT_NE(told.find("journal.second_directory: is "), std::string::npos) << told;
        EXPECT_NE(told.find("on another disk"), std::string::npos) << told;
    }
    const Read r = with("a/j2");
    EXPECT_EQ(r.mistakes, "");
    EXPECT_EQ(configured_second(r.config).path, dir / "a/j2");
    EXPECT_EQ(configured_second(with("").config).path, "");
}

TEST(Config, RefusesAGroupWhoseResultsNoRingCanTake) {
    const TempDir dir;
    const Read r = read(dir, R"({"journal": {"dir": "j"}, "rings": {"results": 16},
 "accounts": [{"name": "a", "login": 1, "key": "00112233445566778899aabbccddeeff"},
              {"name": "b", "login": 2, "key": "00112233445566778899aabbccddeeff"},
              {"name": "c", "login": 3, "key": "00112233445566778899aabbccddeeff"},
              {"name": "d", "login": 4, "key": "00112233445566778899aabbccddeeff"}],
 "groups": [{"name": "g", "members": [{"account": "a"}, {"account": "b"}, {"account": "c"}]},
            {"name": "h", "members": [{"account": "a"}, {"account": "b"}, {"account": "c"},
                                      {"account": "d"}]}]})");
    EXPECT_EQ(r.mistakes.find("group \"g\""), std::string::npos) << r.mistakes;
    EXPECT_NE(r.mistakes.find("rings.results: is 16; closing a signal of group \"h\" with 4 "
                              "members takes 19"),
              std::string::npos)
        << r.mistakes;
}

TEST(Config, NamesLineOfSyntaxError) {
    const TempDir dir;
    const Read r = read(dir, "{\n \"journal\": {\"dir\": \"j\"},\n \"name\" \"x\"}\n");
    EXPECT_NE(r.mistakes.find("c.json:3: is not JSON"), std::string::npos) << r.mistakes;
}

TEST(Config, CountsLinesRightAfterNumberAtEndOfLine) {
    const TempDir dir;
    const Read r =
        read(dir, "{\"journal\": {\"dir\": \"j\"},\n \"accounts_max\": 0\n,\n \"nam\": 1}");
    EXPECT_NE(r.mistakes.find(":2: accounts_max: is 0"), std::string::npos) << r.mistakes;
    EXPECT_NE(r.mistakes.find(":4: nam: is no known key; did you mean \"name\"?"),
              std::string::npos)
        << r.mistakes;
}

TEST(Config, ReadsDecimalsExactlyAndRefusesNinthDecimal) {
    const TempDir dir;
    EXPECT_EQ(read(dir, with_account(", \"max_lots\": 0.07000001")).config.accounts[0].max_lots,
              7'000'001);
    EXPECT_EQ(read(dir, with_account(", \"max_lots\": 3")).config.accounts[0].max_lots, 3 * kScale);
    const Read r = read(dir, with_account(", \"max_lots\": 0.070000011"));
    EXPECT_NE(r.mistakes.find("0.070000011 has more than 8 decimals"), std::string::npos)
        << r.mistakes;
    const Read e = read(dir, with_account(", \"max_lots\": 1e2"));
    EXPECT_NE(e.mistakes.find("no exponent"), std::string::npos) << e.mistakes;
}

TEST(Config, ReadsLimitsWithTheDayOfTheAccountsClock) {
    const TempDir dir;
    const Read r = read(dir, with_account(R"(, "limits": {"daily_loss": 500, "drawdown_share": 0.1,
 "on_loss": "suspend", "day_begins": "17:00", "utc_offset_min": -300})"));
    EXPECT_EQ(r.mistakes, "");
    const LimitSpec& l = r.config.accounts[0].limits;
    EXPECT_EQ(l.max_daily_loss, Money{500 * kScale});
    EXPECT_EQ(l.max_drawdown_share, Ratio{kScale / 10});
    EXPECT_EQ(l.action, LossAction::Suspend);
    EXPECT_EQ(l.day_start_s, 22U * 3600);
    const Read east = read(dir, with_account(R"(, "limits": {"utc_offset_min": 120})"));
    EXPECT_EQ(east.config.accounts[0].limits.day_start_s, 22U * 3600) << "midnight in UTC+2";
}

TEST(Config, AlertsAFillThreePercentAwayUnlessToldToStopEntries) {
    const TempDir dir;
    const LimitSpec usual = read(dir, with_account("")).config.accounts[0].limits;
    EXPECT_EQ(usual.max_slippage, 3'000'000U);
    EXPECT_EQ(usual.on_slippage, SlippageAction::Alert);
    const Read own = read(dir, with_account(R"(, "limits": {"daily_loss": 5})"));
    EXPECT_EQ(own.config.accounts[0].limits.max_slippage, 3'000'000U) << "what is not named stays";
    const Read r = read(dir, with_account(R"(, "limits": {"max_slippage": 0.005,
 "on_slippage": "suspend"})"));
    EXPECT_EQ(r.config.accounts[0].limits.max_slippage, 500'000U);
    EXPECT_EQ(r.config.accounts[0].limits.on_slippage, SlippageAction::Suspend);
    const Read wrong = read(dir, with_account(R"(, "limits": {"max_slippage": 3})"));
    EXPECT_NE(wrong.mistakes.find("limits.max_slippage"), std::string::npos) << wrong.mistakes;
    const Read word = read(dir, with_account(R"(, "limits": {"on_slippage": "warn"})"));
    EXPECT_NE(word.mistakes.find("limits.on_slippage"), std::string::npos) << word.mistakes;
}

TEST(Config, TellsARepeatedOrderInPlaceOfRefusingItIfAskedTo) {
    const TempDir dir;
    EXPECT_EQ(read(dir, with_account("")).config.accounts[0].on_duplicate, DuplicateAction::Refuse);
    const Read r = read(dir, with_account(R"(, "on_duplicate": "alert")"));
    EXPECT_EQ(r.config.accounts[0].on_duplicate, DuplicateAction::Alert);
    const Read wrong = read(dir, with_account(R"(, "on_duplicate": "warn")"));
    EXPECT_NE(wrong.mistakes.find("on_duplicate"), std::string::npos) << wrong.mistakes;
}

TEST(Config, ReadsWhatBecomesOfFillsThatNobodyAskedFor) {
    const TempDir dir;
    const Config usual = read(dir, with_account("")).config;
    EXPECT_EQ(usual.accounts[0].on_double, DoubleAction::Close);
    const Read told = read(dir, with_account(R"(, "on_duplicate_execution": "alert")"));
    EXPECT_EQ(told.config.accounts[0].on_double, DoubleAction::Alert);
    const Read wrong = read(dir, with_account(R"(, "on_duplicate_execution": "ignore")"));
    EXPECT_NE(wrong.mistakes.find("on_duplicate_execution"), std::string::npos) << wrong.mistakes;
    const Read slips = read(dir, with_account(R"(, "limits": {"on_slippage": "close"})"));
    EXPECT_EQ(slips.config.accounts[0].limits.on_slippage, SlippageAction::Close);
    const Read group = read(dir, R"({"journal": {"dir": "j"},
 "groups": [{"name": "g", "on_partial": "refill"}, {"name": "h", "on_partial": "retry"}]})");
    ASSERT_EQ(group.config.groups.size(), 2U);
    EXPECT_EQ(group.config.groups[0].on_partial, PartialAction::Refill);
    EXPECT_NE(group.mistakes.find("on_partial"), std::string::npos) << group.mistakes;
}

TEST(Config, ReadsWhatAllAccountsMayHoldInASymbol) {
    const TempDir dir;
    const auto with = [&](const char* limits) {
        return read(dir, R"({"journal": {"dir": "j"}, "symbols": [{"name": "EURUSD", "limits": )" +
                             std::string{limits} + "}]}");
    };
    const Read r = with(R"({"max_positions": 3, "max_volume": 2.5, "max_net_volume": 1})");
    EXPECT_EQ(r.mistakes, "");
    const SymbolLimitSpec& l = r.config.symbols[0].limits;
    EXPECT_EQ(l.max_positions, 3U);
    EXPECT_EQ(l.max_volume, Lots{5 * kScale / 2});
    EXPECT_EQ(l.max_net_volume, Lots{kScale});
    const Read wrong = with(R"({"max_net_volume": -1})");
    EXPECT_NE(wrong.mistakes.find("limits.max_net_volume"), std::string::npos) << wrong.mistakes;
}

TEST(Config, NamesATableThatAnEntryForAGroupNeverFits) {
    const TempDir dir;
    std::string accounts;
    std::string members;
    for (int n = 1; n <= 65; ++n) {
        const std::string name = "a" + std::to_string(n);
        accounts += (n > 1 ? ", " : "") + std::string{R"({"name": ")"} + name + R"(", "login": )" +
                    std::to_string(n) + R"(, "key": ")" + kKey + R"("})";
        members += (n > 1 ? ", " : "") + std::string{R"({"account": ")"} + name + R"("})";
    }
    const auto with = [&](const char* orders) {
        return read(dir, R"({"journal": {"dir": "j"}, "capacity": {"orders": )" +
                             std::string{orders} + R"(}, "accounts": [)" + accounts +
                             R"(], "groups": [{"name": "g", "members": [)" + members + "]}]}")
            .mistakes;
    };
    EXPECT_NE(
        with("64").find("capacity.orders: is 64; an entry for group \"g\" takes 65; raise it"),
        std::string::npos)
        << with("64");
    // With nothing kept for closes: tables of a directory that is there cannot be made larger.
    EXPECT_EQ(with("66").find("capacity.orders"), std::string::npos);
}

TEST(Config, WarnsOfATableWhoseKeptPlacesACloseForAGroupDoesNotFit) {
    Config config;
    config.capacity.orders = 1024;  // 128 kept
    config.groups.emplace_back().name = "g";
    config.groups.back().members.resize(64);
    EXPECT_TRUE(config_warnings(config).empty());
    config.groups.back().members.resize(65);
    const auto warnings = config_warnings(config);
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_NE(warnings[0].find("capacity.orders: is 1024; a close for group \"g\" takes up to 130 "
                               "places, which entries leave free"),
              std::string::npos)
        << warnings[0];
    EXPECT_NE(warnings[0].find("with 1040 or more"), std::string::npos) << warnings[0];
    config.capacity.orders = 1040;
    EXPECT_TRUE(config_warnings(config).empty()) << "what it asks for is enough";
    config.capacity.orders = 128;
    EXPECT_NE(config_warnings(config)[0].find("it may be refused (TABLE_FULL)"), std::string::npos);
}

TEST(Config, ShipsTheEffectsLogToBackupsThatLieElsewhereAndWarnsIfThatIsTheSameDisk) {
    const TempDir dir;
    const auto with = [&](const std::string& sqlite) {
        return read(dir, R"({"journal": {"dir": "j"}, "sqlite": {)" + sqlite + "}}");
    };
    EXPECT_EQ(with("").config.sqlite.ship_ms, 0U);
    EXPECT_EQ(with(R"("backup_dir": "b", "backup_s": 0)").config.sqlite.ship_ms, 0U);
    EXPECT_EQ(with(R"("backup_dir": "b", "ship_ms": 0)").config.sqlite.ship_ms, 0U);
    const Read shipping = with(R"("backup_dir": "b")");
    EXPECT_EQ(shipping.config.sqlite.ship_ms, 500U);
    EXPECT_TRUE(config_warnings(shipping.config).empty()) << "nobody knows the disks yet";
    dir.write("j/a", "");
    dir.write("b/a", "");
    const auto warnings = config_warnings(shipping.config);
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_NE(warnings[0].find("lies on the journal's disk"), std::string::npos) << warnings[0];
    std::string why;
    const std::string& folder = shipping.config.sqlite.backup_dir;
    ASSERT_TRUE(claim_backup_place(folder, backup_note(shipping.config.sqlite.path, folder), why));
    std::filesystem::remove(folder + "/place");  // as where its disk is not mounted
    ASSERT_EQ(config_warnings(shipping.config).size(), 2U);
    EXPECT_NE(config_warnings(shipping.config)[1].find("is not the folder"), std::string::npos);
    const Read alone = with(R"("ship_ms": 500)");
    EXPECT_NE(alone.mistakes.find("sqlite.ship_ms: needs backups in a backup_dir of their own"),
              std::string::npos)
        << alone.mistakes;
}

TEST(Config, NamesWrongLimitsAndLossesThatNobodyTells) {
    const TempDir dir;
    const Read r = read(dir, with_account(R"(, "limits": {"day_begins": "24:00"})"));
    EXPECT_NE(r.mistakes.find("limits.day_begins: is \"24:00\"; HH:MM from \"00:00\" to \"23:59\""),
              std::string::npos)
        << r.mistakes;
    const Read fix = read(dir, with_account(R"(, "kind": "fix", "limits": {"daily_loss": 5},
 "fix": {"server": "a:1", "sender_comp_id": "a", "target_comp_id": "b"})"));
    EXPECT_NE(fix.mistakes.find("limits: limits losses, but no equity is asked for"),
              std::string::npos)
        << fix.mistakes;
}

TEST(Config, RefusesKeyFileThatOthersMayRead) {
    const TempDir dir;
    const std::string key = dir.write("a1.key", std::string{kKey} + "\n");
    const std::string text = R"({"journal": {"dir": "j"},
 "accounts": [{"name": "a1", "login": 1, "key_file": "a1.key"}]})";
    ::chmod(key.c_str(), 0644);
    EXPECT_NE(read(dir, text).mistakes.find("mode 0644, others may read it; chmod 600"),
              std::string::npos);
    ::chmod(key.c_str(), 0600);
    const Read r = read(dir, text);
    EXPECT_EQ(r.mistakes, "");
    EXPECT_EQ(r.config.accounts[0].key.size(), 16U);
}

TEST(Config, RefusesMemberAndSymbolThatNothingDefines) {
    const TempDir dir;
    const Read r = read(dir, R"({"journal": {"dir": "j"}, "symbols": [{"name": "EURUSD"}],
 "accounts": [{"name": "alpha", "login": 1, "key": ")" +
                                 std::string{kKey} + R"("}],
 "groups": [{"name": "g", "members": [
   {"account": "alpa", "symbols": ["EURUSB"]}]}]})");
    EXPECT_NE(r.mistakes.find(":4: groups[\"g\"].members: account \"alpa\" is not defined; did you "
                              "mean \"alpha\"?"),
              std::string::npos)
        << r.mistakes;
    EXPECT_NE(r.mistakes.find("symbol \"EURUSB\" is not defined; did you mean \"EURUSD\"?"),
              std::string::npos)
        << r.mistakes;
}

TEST(Config, RefusesTwoAccountsWithOneLogin) {
    const TempDir dir;
    const std::string key = kKey;
    const Read r = read(dir, R"({"journal": {"dir": "j"}, "accounts": [
 {"name": "a", "login": 7, "key": ")" +
                                 key + R"("}, {"name": "b", "login": 7, "key": ")" + key + "\"}]}");
    EXPECT_NE(r.mistakes.find("\"b\" and \"a\" both have login 7"), std::string::npos)
        << r.mistakes;
}

TEST(Config, TakesAccountsAndMembersAddedAtRunTime) {
    const TempDir dir;
    dir.write("j/accounts.d/late.json",
              R"({"name": "late", "login": 9, "key": ")" + std::string{kKey} + "\"}");
    dir.write("j/groups.d/g.json",
              R"({"name": "g", "members": [{"account": "late", "value": 0.5}]})");
    const Read r = read(dir, R"({"journal": {"dir": "j"}, "groups": [{"name": "g"}]})");
    EXPECT_EQ(r.mistakes, "");
    ASSERT_EQ(r.config.accounts.size(), 1U);
    ASSERT_EQ(r.config.groups.size(), 1U);
    ASSERT_EQ(r.config.groups[0].members.size(), 1U);
    EXPECT_EQ(r.config.groups[0].members[0].value, kScale / 2);
}

TEST(Config, SaysThatFileIsMissing) {
    std::vector<Mistake> mistakes;
    const Config ignored = read_config("/nonexistent/c.json", mistakes);
    EXPECT_EQ(all(mistakes), "/nonexistent/c.json: cannot be opened for reading\n");
}

TEST(Config, AnswersGarbageWithAMistakeAndNeverCrashes) {
    const TempDir dir;
    for (const char* text :
         {"", "[", "[]", "\"x\"", "{\"journal\": []}", "{\"accounts\": [1, null]}",
          "{\"journal\":{\"dir\":\"j\"},\"groups\":[{\"members\":{}}]}", "\xff\xfe",
          "{\"listen\":{\"signals\":\"localhost:99999\"},\"journal\":{\"dir\":\"j\"}}"}) {
        EXPECT_NE(read(dir, text).mistakes, "") << text;
    }
}

void schema_keys(const nlohmann::json& schema, const std::string& path,
                 std::set<std::string>& out) {
    if (schema.contains("properties")) {
        for (const auto& [key, value] : schema["properties"].items()) {
            const std::string at = path.empty() ? key : path + "." + key;
            out.insert(at);
            schema_keys(value, at, out);
        }
    } else if (schema.contains("items")) {
        schema_keys(schema["items"], path + "[]", out);
    }
}

TEST(ConfigSchema, KnowsExactlyTheKeysThatTheReaderKnows) {
    const TempDir dir;
    const std::string file = dir.write(
        "c.json", R"({"journal": {"dir": "j"}, "symbols": [{"name": "S", "currency": "USD"}],
 "operators": [{"user": "root", "role": "admin"}],
 "money": {"currency": "USD", "rates": [{"currency": "EUR", "rate": 1}]},
 "accounts": [{"name": "a", "login": 1, "margin_mode": "netting", "kind": "fix",
  "fix": {"server": "h:1", "sender_comp_id": "a", "target_comp_id": "b",
          "symbols": [{"name": "S"}]}, "key": ")" +
                      std::string{kKey} + R"("}],
 "groups": [{"name": "g", "members": [{"account": "a"}]}],
 "ticks": {"distribute": {"consumers": [{"name": "c", "key": ")" +
                      std::string{kKey} + R"("}]}},
 "sources": [{"name": "s", "key": ")" +
                      std::string{kKey} + "\"}]}");
    std::vector<Mistake> mistakes;
    std::set<std::string> known;
    const Config ignored = read_config(file, mistakes, &known);
    EXPECT_EQ(all(mistakes), "");
    std::set<std::string> in_schema;
    schema_keys(nlohmann::json::parse(config_schema()), "", in_schema);
    std::vector<std::string> apart;
    std::set_symmetric_difference(known.begin(), known.end(), in_schema.begin(), in_schema.end(),
                                  std::back_inserter(apart));
    EXPECT_EQ(apart, std::vector<std::string>{}) << "known to one of the two alone";
}

TEST(Decimal, RoundTripsThroughText) {
    for (const char* text : {"0", "1", "-0.5", "0.00000001", "92233720368.54775807", "-123.45"}) {
        const auto value = parse_decimal(text);
        ASSERT_TRUE(value.ok()) << text;
        EXPECT_EQ(format_decimal(value.value()), text);
    }
    for (const char* text : {"", "-", ".5", "1.2.3", "92233720369", "1e5", "NaN", "0x10", " 1"}) {
        EXPECT_FALSE(parse_decimal(text).ok()) << text;
    }
    EXPECT_EQ(parse_decimal("1.230000000000").value(), 123'000'000);
}

}  // namespace
}  // namespace millrace
