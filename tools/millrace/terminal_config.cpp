#include "tools/millrace/terminal_config.h"

#include <algorithm>
#include <filesystem>

namespace millrace {
namespace {

namespace fs = std::filesystem;

bool is_assignment(const std::string& text) {
    const std::size_t at = text.find('=');
    return at != std::string::npos && at > 0;
}

/// What execve() and the kernel's limits would refuse later, without a line number.
bool has_zero(const std::vector<std::string>& texts) {
    return std::any_of(texts.begin(), texts.end(), [](const std::string& text) {
        return text.find('\0') != std::string::npos;
    });
}

void read_object(ObjectReader& o, const std::string& folder, bool there, TerminalConfig& t) {
    if (there) {
        o.require("command");
    }
    o.texts("command", t.command);
    if (o.has("command") && (t.command.empty() || t.command[0].empty())) {
        o.complain("command", "names no program");
    }
    o.text("cwd", t.cwd, {1, 4096});
    t.cwd = fs::absolute(fs::path{folder} / t.cwd).lexically_normal();
    std::error_code none;
    if (o.has("cwd") && !fs::is_directory(t.cwd, none)) {
        o.complain("cwd", "there is no folder " + t.cwd);
    }
    o.texts("env", t.env);
    if (!std::all_of(t.env.begin(), t.env.end(), is_assignment)) {
        o.complain("env", "is a list of \"NAME=VALUE\"; one item is none");
    }
    if (has_zero(t.command) || has_zero(t.env)) {
        o.complain(has_zero(t.command) ? "command" : "env", "has a zero byte in it");
    }
    o.integer("ready_s", t.ready_s, {1, 3600});
    o.integer("stop_s", t.stop_s, {0, kTerminalStopSMax});
    o.integer("retry_s", t.retry_s, {0, 86'400});
    o.choice("at_down", t.keep, {{"stop", false}, {"keep", true}});
}

/// @return false if the account has none that Millrace starts.
bool read_terminal(ObjectReader& account, const std::string& folder, TerminalConfig& t) {
    const bool there = account.has("terminal");
    account.object("terminal", [&](ObjectReader& o) { read_object(o, folder, there, t); });
    if (there && account.has("fix")) {
        account.complain("terminal", "is of kind \"terminal\"; this account has \"fix\"");
    }
    if (there && account.path().empty()) {
        account.complain("terminal",
                         "such an account stands in the configuration itself, for `millrace up` to "
                         "have its terminal started");
    }
    return there;
}

void read_terminals(ObjectReader& document, TerminalsConfig& c) {
    document.object("terminals", [&c](ObjectReader& o) {
        o.integer("starting_max", c.starting_max, {1, 1000});
    });
}

}  // namespace

void check_terminal_keys(ObjectReader& account, const std::string& folder) {
    TerminalConfig unused;
    static_cast<void>(read_terminal(account, folder, unused));
}

void check_terminals_keys(ObjectReader& document) {
    TerminalsConfig unused;
    read_terminals(document, unused);
}

TerminalsConfig terminals_of(const Config& config) {
    TerminalsConfig all;
    ReadLog log{config.file};  // of mistakes there are none: read_config() has told them
    const auto doc = parse_json(config.text, config.file, log.mistakes);
    if (!doc) {
        return all;
    }
    const std::string folder = fs::absolute(config.file).parent_path().string();
    ObjectReader document{*doc, "", log};
    read_terminals(document, all);
    document.list("accounts", [&](ObjectReader& account) {
        TerminalConfig t;
        std::int64_t login = 0;
        account.name("name", t.account_name);
        account.integer("login", login, {1, INT64_MAX});
        t.login = static_cast<std::uint64_t>(login);
        if (read_terminal(account, folder, t)) {
            all.terminals.push_back(std::move(t));
        }
    });
    return all;
}

}  // namespace millrace
