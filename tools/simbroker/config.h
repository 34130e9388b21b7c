// The simulated broker's configuration file, and the fault objects it shares with the control line.
#pragma once

#include "tools/simbroker/faults.h"
#include "tools/simbroker/fix/fix_session.h"
#include "tools/simbroker/trade_server.h"

#include <nlohmann/json.hpp>

#include <string>
#include <variant>
#include <vector>

namespace millrace::sim {

struct AccountEntry {
    AccountConfig account;
    std::vector<std::byte> key;  // HMAC key, 1..64 bytes
    std::string symbol_prefix;
    std::string symbol_suffix;
    FixAccount fix;  // traded over FIX instead of through a terminal
    [[nodiscard]] bool is_fix() const noexcept { return !fix.sender_comp_id.empty(); }
};

struct SimConfig {
    std::vector<AccountEntry> accounts;       // at least one, logins distinct
    std::vector<market::SymbolInfo> symbols;  // empty: those of the ticks
    std::vector<Fault> faults;
};

/// What went wrong, for a human: the file, the key, what is allowed.
struct ConfigError {
    std::string message;
};
template <class T>
using Parsed = std::variant<T, ConfigError>;

/// Reads a config file:
///     {"accounts": [{"login": 1001, "key": "hex", "margin_mode": "hedging", "balance": 10000,
///                    "currency": "USD", "leverage": 100, "stop_out_percent": 50,
///                    "symbol_prefix": "", "symbol_suffix": ""},
///                   {"login": 9001, "balance": 10000, "fix": {"sender_comp_id": "VENUE",
///                    "target_comp_id": "DESK", "username": "", "password": "",
///                    "duplicates": "execute"}}],
///      "symbols": ["EURUSD", {"name": "XAUUSD", "digits": 3, "contract_size": 100,
///                             "volume_min": 0.01, "volume_max": 100, "volume_step": 0.01}],
///      "faults": [{"kind": "retcode", "code": 10019, "count": 2}]}
/// An account with "fix" has no terminal and no key, is netting, and names symbols as the books do:
/// its client logs on at --fix-listen, with these CompIDs the other way round. "duplicates" says
/// what becomes of a ClOrdID that comes again: "execute" (a double becomes visible in the books)
/// or "refuse" (as most venues do).
[[nodiscard]] Parsed<SimConfig> load_config(const std::string& path);

/// One fault: kind, name (what `stats` counts it as; default: the kind), login (0 = all), command
/// (open, close, modify, cancel, query; none = all), count or probability (default: count 1), code,
/// executed, share, fixed_ms, jitter_ms, answer_ms.
[[nodiscard]] Parsed<Fault> parse_fault(const nlohmann::json& object);

}  // namespace millrace::sim
