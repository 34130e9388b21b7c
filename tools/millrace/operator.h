// What an operator may do to a running pipeline. Each function is one command: it prints what it
// did, or on standard error what is wrong and how to mend it, and returns the exit status.
#pragma once

#include "core/admin.h"
#include "tools/millrace/locate.h"

#include <string>
#include <vector>

namespace millrace {

/// `account pause|resume|reduce-only|disable NAME...`
[[nodiscard]] int set_accounts(const Target& target, AccountState state,
                               const std::vector<std::string>& names);
/// `account list`
[[nodiscard]] int list_accounts(const Target& target);
/// `account add FILE|-`: one account's JSON object. Needs --config.
[[nodiscard]] int add_account(const Target& target, const std::string& file);

/// `account remove NAME...`: for good. Needs --config and a running engine, which refuses while an
/// order or position of it lives. Can be repeated after a crash at any point.
[[nodiscard]] int remove_accounts(const Target& target, const std::vector<std::string>& names);

struct MemberChange {
    std::string group;
    std::string account;
    std::string sizing = "multiplier";
    std::string value = "1";
    std::vector<std::string> symbols;
    bool remove = false;
};
/// `group add NAME`, `group member GROUP ACCOUNT`. Needs --config.
[[nodiscard]] int add_group(const Target& target, const std::string& name);
[[nodiscard]] int change_member(const Target& target, const MemberChange& change);
/// `group list`
[[nodiscard]] int list_groups(const Target& target);
/// `group pause|resume NAME...`
[[nodiscard]] int set_groups(const Target& target, GroupState state,
                             const std::vector<std::string>& names);
/// `group remove NAME...`: as remove_accounts().
[[nodiscard]] int remove_groups(const Target& target, const std::vector<std::string>& names);

struct KillRequest {
    std::string account;
    std::string group;
    std::string symbol;
    std::string source;
    bool all = false;
    bool cancel = false;
    bool flatten = false;
    bool clear = false;  // `unkill`
};
/// `kill`, `unkill`. The broker stage is told first: nothing stands before it.
[[nodiscard]] int kill_switch(const Target& target, const KillRequest& request);

struct ResolveRequest {
    std::string magic;
    std::string filled;  // VOLUME@PRICE; empty = not asked for
    bool rejected = false;
    /// Of which the executor is told although the engine has no such order in doubt; empty = none.
    std::string account;
};
/// `resolve MAGIC --filled V@P | --rejected`
[[nodiscard]] int resolve_order(const Target& target, const ResolveRequest& request);
/// `recover --skip SEQ`: takes a record that kills the engine out of the log.
[[nodiscard]] int recover_skip(const Target& target, std::uint64_t seq);
/// `down`
[[nodiscard]] int stop_pipeline(const Target& target);

}  // namespace millrace
