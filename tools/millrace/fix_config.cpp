#include "tools/millrace/fix_config.h"

#include "gateway/fix/profile.h"
#include "tools/millrace/redis_config.h"

#include <filesystem>

namespace millrace {
namespace {

constexpr std::int64_t kUnitsMax = 1'000'000'000;

void read_symbol(ObjectReader& o, FixConfig& f) {
    FixSymbolConfig s;
    o.require("name");
    o.name("name", s.name);
    o.text("venue", s.venue, {1, 32});
    o.decimal("units_per_lot", s.units_per_lot, {1, kUnitsMax * kScale});
    f.symbols.push_back(std::move(s));
}

void check_profile(ObjectReader& o, const FixConfig& f) {
    if (const fix::Profile* profile = fix::find_profile(f.profile); profile != nullptr) {
        if (f.quotes && !profile->quotes) {
            o.complain("quotes", "is true, but a venue of profile \"" + f.profile +
                                     "\" sends no market data on the session of the orders; take "
                                     "it out, and have the prices from another account");
        }
        if (f.collateral_s != 0 && !profile->equity) {
            o.complain("collateral_s", "is set, but a venue of profile \"" + f.profile +
                                           "\" tells no equity; take it out");
        }
        return;
    }
    std::string names;
    for (const fix::Profile& p : fix::profiles()) {
        names += (names.empty() ? "" : ", ") + std::string{p.name};
    }
    o.complain("profile", "is \"" + f.profile + "\"; one of " + names + " is allowed");
}

/// HOST:PORT of an access point; empty if the key is absent.
void read_access_point(ObjectReader& o, const char* key, std::string& host, std::uint16_t& port) {
    std::string server;
    o.text(key, server, {3, 260});
    if (!server.empty() && !parse_host_port(server, host, port)) {
        o.complain(key,
                   "is \"" + server + "\"; HOST:PORT such as \"fix.venue.com:5201\" is allowed");
    }
}

/// @param there the account has it; an absent object is read too, and misses nothing.
void read_object(ObjectReader& o, const std::string& folder, bool there, FixConfig& f) {
    for (const char* key : {"server", "sender_comp_id", "target_comp_id"}) {
        if (there) {
            o.require(key);
        }
    }
    read_access_point(o, "server", f.host, f.port);
    read_access_point(o, "backup_server", f.backup_host, f.backup_port);
    if (!f.backup_host.empty() && f.backup_host == f.host && f.backup_port == f.port) {
        o.complain("backup_server", "is \"server\" itself; give another one, or none");
    }
    o.text("sender_comp_id", f.sender_comp_id, {1, 64});
    o.text("target_comp_id", f.target_comp_id, {1, 64});
    o.text("sender_sub_id", f.sender_sub_id, {1, 64});
    o.text("target_sub_id", f.target_sub_id, {1, 64});
    o.text("username", f.username, {1, 64});
    read_password(o, "password_file", folder, f.password);
    o.text("profile", f.profile, {1, 32});
    o.text("account", f.account, {1, 64});
    o.integer("heartbeat_s", f.heartbeat_s, {1, 300});
    o.integer("reconnect_s", f.reconnect_s, {1, 3600});
    o.integer("pause_s", f.pause_s, {1, 86'400});
    o.integer("refusals_max", f.refusals_max, {0, 1000});
    o.integer("absent_after_ms", f.absent_after_ms, {100, 86'400'000});
    o.boolean("denial_is_proof", f.denial_is_proof);
    o.boolean("quotes", f.quotes);
    o.integer("collateral_s", f.collateral_s, {0, 3600});
    check_profile(o, f);
    o.text("tls_ca_file", f.tls_ca_file, {1, 4096});
    if (!f.tls_ca_file.empty()) {
        f.tls_ca_file = std::filesystem::path{folder} / f.tls_ca_file;
        std::error_code none;
        if (!std::filesystem::is_regular_file(f.tls_ca_file, none)) {
            o.complain("tls_ca_file", "there is no file " + f.tls_ca_file);
        }
    }
    o.text("tls_name", f.tls_name, {1, 253});
    if (!f.tls_name.empty() && f.tls_ca_file.empty()) {
        o.complain("tls_name", "is of TLS, which \"tls_ca_file\" turns on");
    }
    o.list("symbols", [&f](ObjectReader& s) { read_symbol(s, f); });
}

/// @return false if the account is of another kind.
bool read_fix(ObjectReader& account, const std::string& folder, FixConfig& f) {
    bool is_fix = false;
    account.choice("kind", is_fix, {{"terminal", false}, {"fix", true}});
    const bool there = account.has("fix");
    account.object("fix", [&](ObjectReader& o) { read_object(o, folder, there, f); });
    if (is_fix != there) {
        account.complain(is_fix ? "kind" : "fix", is_fix
                                                      ? "is \"fix\", which needs an object \"fix\""
                                                      : "needs \"kind\": \"fix\"");
    }
    if (is_fix && account.path().empty()) {
        account.complain("kind",
                         "is \"fix\": such an account stands in the configuration itself, "
                         "for `millrace up` to start its executor");
    }
    return is_fix;
}

}  // namespace

void check_fix_keys(ObjectReader& account, const std::string& folder, const LimitSpec& limits) {
    FixConfig f;
    if (read_fix(account, folder, f) && f.collateral_s == 0 &&
        (limits.daily() || limits.drawdown())) {
        account.complain("limits",
                         "limits losses, but no equity is asked for, so nothing would stop it; set "
                         "\"collateral_s\" in \"fix\" if the venue answers CollateralInquiry, or "
                         "take \"daily_loss\" and \"drawdown\" out, with their shares");
    }
}

std::vector<std::string> fix_warnings(const Config& config) {
    std::vector<std::string> warnings;
    for (const FixConfig& f : fix_accounts(config)) {
        const fix::Profile* profile = fix::find_profile(f.profile);
        std::string lacks;
        if (f.collateral_s == 0) {
            lacks =
                "no equity is told, so that no limit of losses and no sizing by equity can "
                "hold for it";
            lacks += profile->equity ? " (collateral_s, where the venue answers CollateralInquiry)"
                                     : " (a venue of this profile tells none)";
        }
        if (!f.quotes) {
            lacks += lacks.empty() ? "" : "; ";
            lacks += "no quotes come from it, so that its symbols need another account's";
            lacks += profile->quotes ? " (or \"quotes\": true)"
                                     : " (a venue of this profile has a session of its own for "
                                       "them, which is not built)";
        }
        if (!lacks.empty()) {
            warnings.push_back("accounts: \"" + f.account_name + "\", FIX profile \"" + f.profile +
                               "\": " + lacks);
        }
    }
    return warnings;
}

std::vector<FixConfig> fix_accounts(const Config& config) {
    std::vector<FixConfig> accounts;
    ReadLog log{config.file};  // of mistakes there are none: read_config() has told them
    const auto doc = parse_json(config.text, config.file, log.mistakes);
    if (!doc) {
        return accounts;
    }
    const std::string folder = std::filesystem::path{config.file}.parent_path().string();
    ObjectReader document{*doc, "", log};
    document.list("accounts", [&](ObjectReader& account) {
        FixConfig f;
        account.name("name", f.account_name);
        if (read_fix(account, folder, f)) {
            accounts.push_back(std::move(f));
        }
    });
    return accounts;
}

}  // namespace millrace
