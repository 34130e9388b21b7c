// The accounts of kind "fix". Read apart from Config: only an account's executor and those who
// start and check it want this, and a venue's password has no business in every stage.
#pragma once

#include "tools/millrace/config.h"
#include "tools/millrace/config_reader.h"

#include <cstdint>
#include <string>
#include <vector>

namespace millrace {

/// What the venue calls a symbol, and how much a lot of it is there.
struct FixSymbolConfig {
    std::string name;                // canonical, of "symbols"
    std::string venue;               // 55 or 48 at the venue; empty = the name
    std::int64_t units_per_lot = 0;  // venue's units, 1e-8; 0 = the symbol's contract size
};

/// How the executor of one account reaches its venue.
struct FixConfig {
    std::string account_name;  // of the account in Config
    std::string host;
    std::uint16_t port = 0;
    std::string backup_host;  // second access point; empty = there is none
    std::uint16_t backup_port = 0;
    std::string sender_comp_id;
    std::string target_comp_id;
    std::string sender_sub_id;
    std::string target_sub_id;
    std::string username;
    std::string password;  // from password_file
    std::string profile = "generic";
    std::string account;  // Account(1); empty = not sent
    std::uint32_t heartbeat_s = 30;
    std::uint32_t reconnect_s = 3;
    std::uint32_t pause_s = 60;
    std::uint32_t refusals_max = 5;
    std::uint32_t absent_after_ms = 60'000;
    bool denial_is_proof = false;  // the venue's status request knows filled orders, too
    bool quotes = false;
    std::uint32_t collateral_s = 0;  // between two CollateralInquiry; 0 = equity is not asked for
    std::string tls_ca_file;         // empty = no TLS
    std::string tls_name;            // in the venue's certificate; empty = the host
    std::vector<FixSymbolConfig> symbols;
};

/// Reads "kind" and "fix" of one account, for the mistakes in them. @param folder that paths in it
/// are relative to.
void check_fix_keys(ObjectReader& account, const std::string& folder, const LimitSpec& limits);

/// What accounts of kind "fix" have not got, for `config check` to say: a sentence an account.
[[nodiscard]] std::vector<std::string> fix_warnings(const Config& config);

/// The accounts of kind "fix" of a configuration that was read without a mistake.
[[nodiscard]] std::vector<FixConfig> fix_accounts(const Config& config);

}  // namespace millrace
