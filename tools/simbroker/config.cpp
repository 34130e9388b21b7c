// Exceptions of the JSON library end here: this is start-up and the test's control line, not the
// pipeline.
#include "tools/simbroker/config.h"

#include "tools/market/decimal.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <stdexcept>

namespace millrace::sim {
namespace {

using nlohmann::json;

[[noreturn]] void fail(const std::string& key, const std::string& allowed) {
    throw std::runtime_error("key \"" + key + "\": " + allowed);
}

void allow_keys(const json& object, const std::set<std::string>& keys, const std::string& where) {
    if (!object.is_object()) {
        fail(where, "must be an object");
    }
    for (const auto& [key, value] : object.items()) {
        if (!keys.contains(key)) {
            std::string allowed = "is not known here; allowed:";
            for (const std::string& name : keys) {
                allowed.append(" ").append(name);
            }
            fail(where + "." + key, allowed);
        }
    }
}

// Numbers go through their text, never through a double.
std::int64_t decimal_at(const json& object, const char* key, std::int64_t fallback) {
    if (!object.contains(key)) {
        return fallback;
    }
    const json& value = object.at(key);
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    const auto parsed = market::parse_decimal(text);
    if (!parsed) {
        fail(key, "must be a decimal number with at most 8 places, not " + text);
    }
    return parsed.value();
}

std::uint64_t integer_at(const json& object, const char* key, std::uint64_t fallback,
                         std::uint64_t most) {
    if (!object.contains(key)) {
        return fallback;
    }
    const json& value = object.at(key);
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most) {
        fail(key, "must be an integer from 0 to " + std::to_string(most));
    }
    return value.get<std::uint64_t>();
}

std::string text_at(const json& object, const char* key, const std::string& fallback,
                    std::size_t bytes_max) {
    if (!object.contains(key)) {
        return fallback;
    }
    if (!object.at(key).is_string() || object.at(key).get<std::string>().size() > bytes_max) {
        fail(key, "must be a string of at most " + std::to_string(bytes_max) + " bytes");
    }
    return object.at(key).get<std::string>();
}

std::vector<std::byte> key_of(const json& object) {
    const std::string hex = text_at(object, "key", "", 128);
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        std::size_t used = 0;
        unsigned long value = 256;
        const std::string pair = hex.substr(i, 2);
        if (std::isxdigit(static_cast<unsigned char>(pair[0])) != 0 &&
            std::isxdigit(static_cast<unsigned char>(pair[1])) != 0) {
            value = std::stoul(pair, &used, 16);
        }
        if (value > 255) {
            fail("key", "must be hexadecimal");
        }
        bytes.push_back(std::byte{static_cast<unsigned char>(value)});
    }
    if (bytes.empty() || hex.size() % 2 != 0) {
        fail("key", "must be an even number of hexadecimal digits, 2 to 128");
    }
    return bytes;
}

FixAccount fix_of(const json& object) {
    allow_keys(object, {"sender_comp_id", "target_comp_id", "username", "password", "duplicates"},
               "accounts[].fix");
    FixAccount fix;
    fix.sender_comp_id = text_at(object, "sender_comp_id", "", 64);
    fix.target_comp_id = text_at(object, "target_comp_id", "", 64);
    fix.username = text_at(object, "username", "", 64);
    fix.password = text_at(object, "password", "", 64);
    if (fix.sender_comp_id.empty() || fix.target_comp_id.empty()) {
        fail("accounts[].fix", "needs sender_comp_id (the venue's) and target_comp_id");
    }
    for (const std::string* text :
         {&fix.sender_comp_id, &fix.target_comp_id, &fix.username, &fix.password}) {
        if (text->find_first_of("\x01\n") != std::string::npos) {
            fail("accounts[].fix", "texts must not have the bytes 1 or 10 in them");
        }
    }
    const std::string duplicates = text_at(object, "duplicates", "execute", 16);
    if (duplicates != "execute" && duplicates != "refuse") {
        fail("accounts[].fix.duplicates", "must be \"execute\" or \"refuse\"");
    }
    fix.refuses_duplicates = duplicates == "refuse";
    return fix;
}

AccountEntry account_of(const json& object) {
    allow_keys(object,
               {"login", "key", "margin_mode", "balance", "currency", "leverage",
                "stop_out_percent", "symbol_prefix", "symbol_suffix", "fix"},
               "accounts[]");
    AccountEntry entry;
    entry.account.login = integer_at(object, "login", 0, UINT64_MAX);
    if (entry.account.login == 0) {
        fail("accounts[].login", "is required and must not be 0");
    }
    if (object.contains("fix")) {
        entry.fix = fix_of(object.at("fix"));
    } else {
        entry.key = key_of(object);
    }
    const char* usual = entry.is_fix() ? "netting" : "hedging";
    const std::string mode = text_at(object, "margin_mode", usual, 16);
    if (mode != "netting" && (mode != "hedging" || entry.is_fix())) {
        fail("accounts[].margin_mode",
             "must be \"hedging\" or \"netting\"; of a FIX account \"netting\"");
    }
    entry.account.margin_mode = mode == "netting" ? MarginMode::Netting : MarginMode::Hedging;
    entry.account.balance = Money{decimal_at(object, "balance", 10'000 * kScale)};
    entry.account.currency = text_at(object, "currency", "USD", 8);
    entry.account.leverage =
        static_cast<std::uint32_t>(integer_at(object, "leverage", 100, 10'000));
    entry.account.stop_out_percent =
        static_cast<std::uint32_t>(integer_at(object, "stop_out_percent", 50, 100));
    entry.symbol_prefix = text_at(object, "symbol_prefix", "", 8);
    entry.symbol_suffix = text_at(object, "symbol_suffix", "", 8);
    if (entry.is_fix() && !(entry.symbol_prefix + entry.symbol_suffix).empty()) {
        fail("accounts[].symbol_prefix", "a FIX account names symbols as the books do");
    }
    return entry;
}

market::SymbolInfo symbol_of(const json& value) {
    if (value.is_string()) {
        return market::infer_symbol(value.get<std::string>(), 0);
    }
    allow_keys(
        value,
        {"name", "digits", "tick_size", "contract_size", "volume_min", "volume_max", "volume_step"},
        "symbols[]");
    const std::string name = text_at(value, "name", "", 16);
    if (name.empty()) {
        fail("symbols[].name", "is required");
    }
    market::SymbolInfo info = market::infer_symbol(name, 0);
    info.digits = static_cast<unsigned>(integer_at(value, "digits", info.digits, 8));
    info.tick_size = Price{decimal_at(value, "tick_size", market::power_of_ten(8 - info.digits))};
    info.contract_size = decimal_at(value, "contract_size", info.contract_size);
    info.volume_min = Lots{decimal_at(value, "volume_min", info.volume_min.value)};
    info.volume_max = Lots{decimal_at(value, "volume_max", info.volume_max.value)};
    info.volume_step = Lots{decimal_at(value, "volume_step", info.volume_step.value)};
    if (info.tick_size.value <= 0 || info.volume_step.value <= 0 || info.volume_min.value <= 0 ||
        info.contract_size <= 0 || info.volume_max < info.volume_min) {
        fail("symbols[] " + name,
             "tick_size, contract_size and volumes must be above 0, and "
             "volume_max not below volume_min");
    }
    return info;
}

CommandType command_of(const std::string& name) {
    constexpr std::pair<const char*, CommandType> kNames[] = {{"open", CommandType::Open},
                                                              {"close", CommandType::Close},
                                                              {"modify", CommandType::Modify},
                                                              {"cancel", CommandType::Cancel},
                                                              {"query", CommandType::Query}};
    for (const auto& [text, type] : kNames) {
        if (name == text) {
            return type;
        }
    }
    fail("command", "must be open, close, modify, cancel or query");
}

Fault fault_of(const json& object) {
    allow_keys(object,
               {"cmd", "kind", "name", "login", "command", "count", "probability", "code",
                "executed", "share", "fixed_ms", "jitter_ms", "answer_ms"},
               "fault");
    Fault fault;
    const auto kind = fault_kind(text_at(object, "kind", "", 32));
    if (!kind) {
        fail("fault.kind",
             "must be retcode, latency, partial_fill, disconnect_before, disconnect_after, "
             "drop_rx_ack, drop_event, duplicate_event, duplicate_command, no_intent_journal, "
             "crash_on_receive, crash_before_books, crash_after_books or crash_after_answer");
    }
    fault.kind = *kind;
    fault.name = text_at(object, "name", "", 32);
    fault.login = integer_at(object, "login", 0, UINT64_MAX);
    if (object.contains("command")) {
        fault.command = command_of(text_at(object, "command", "", 16));
    }
    const std::int64_t probability = decimal_at(object, "probability", 0);
    if (probability < 0 || probability > kScale) {
        fail("fault.probability", "must be from 0 to 1");
    }
    fault.probability_ppm = static_cast<std::uint64_t>(probability / 100);
    fault.count = integer_at(object, "count", probability == 0 ? 1 : 0, UINT64_MAX);
    fault.code = static_cast<std::uint32_t>(integer_at(object, "code", 0, 65'535));
    if (fault.kind == FaultKind::Retcode && fault.code == 0) {
        fail("fault.code", "is required for kind retcode");
    }
    fault.executed = object.value("executed", false);
    fault.share = Ratio{decimal_at(object, "share", kScale / 2)};
    fault.fixed = millis(static_cast<std::int64_t>(integer_at(object, "fixed_ms", 0, 600'000)));
    fault.jitter = millis(static_cast<std::int64_t>(integer_at(object, "jitter_ms", 0, 600'000)));
    fault.answer = millis(static_cast<std::int64_t>(integer_at(object, "answer_ms", 0, 600'000)));
    return fault;
}

SimConfig config_of(const json& root) {
    allow_keys(root, {"accounts", "symbols", "faults"}, "config");
    SimConfig config;
    std::set<std::uint64_t> logins;
    std::set<std::pair<std::string, std::string>> sessions;
    for (const json& object : root.value("accounts", json::array())) {
        config.accounts.push_back(account_of(object));
        if (!logins.insert(config.accounts.back().account.login).second) {
            fail("accounts[].login",
                 std::to_string(config.accounts.back().account.login) + " appears twice");
        }
        const FixAccount& fix = config.accounts.back().fix;
        if (!fix.sender_comp_id.empty() &&
            !sessions.insert({fix.sender_comp_id, fix.target_comp_id}).second) {
            fail("accounts[].fix", fix.sender_comp_id + " and " + fix.target_comp_id +
                                       ": another account has these CompIDs");
        }
    }
    if (config.accounts.empty()) {
        fail("accounts", "must hold at least one account");
    }
    for (const json& value : root.value("symbols", json::array())) {
        config.symbols.push_back(symbol_of(value));
    }
    for (const json& value : root.value("faults", json::array())) {
        config.faults.push_back(fault_of(value));
    }
    return config;
}

}  // namespace

Parsed<SimConfig> load_config(const std::string& path) {
    std::ifstream file{path};
    if (!file) {
        return ConfigError{path + ": cannot be opened; name the accounts file with --config"};
    }
    try {
        return config_of(json::parse(file));
    } catch (const std::exception& error) {  // the parser's messages name line and column
        return ConfigError{path + ": " + error.what()};
    }
}

Parsed<Fault> parse_fault(const json& object) {
    try {
        return fault_of(object);
    } catch (const std::exception& error) {
        return ConfigError{error.what()};
    }
}

}  // namespace millrace::sim
