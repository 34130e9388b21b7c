// The words `account` and `group` of the command line, and what becomes of an account's credentials
// when it is disabled and resumed.
#include <algorithm>
#include <cstdio>
#include <memory>

#include "tools/millrace/commands.h"
#include "tools/millrace/config.h"
#include "tools/millrace/credential_lock.h"
#include "tools/millrace/disabled_lock.h"
#include "tools/millrace/locate.h"
#include "tools/millrace/operator.h"
#include "tools/millrace/stages.h"
#include "tools/millrace/startup.h"

namespace millrace {
namespace {

/// Whether the pipeline at `target`, by the text that it was started with, keeps credentials; true
/// also if that cannot be told.
bool may_keep_credentials(const Target& target) {
    std::string message;
    const auto segment = attach_target(target, message);
    if (!segment) {
        return true;
    }
    std::vector<Mistake> mistakes;  // it is asked for one thing only
    const Config running =
        read_config(checked_config_path(segment.value().header().journal_dir), mistakes);
    return running.text.empty() || running.credentials.enabled;
}

/// What an account gets that was disabled: its credentials are LOCKED (requirement C22).
int lock_disabled(const Target& target, const std::vector<std::string>& names, const char* why) {
    if (target.config.empty()) {
        if (!may_keep_credentials(target)) {
            return kExitOk;
        }
        std::fprintf(stderr,
                     "ALERT disabled, but the credentials are not locked: where they are only a "
                     "configuration tells; run it again with --config FILE\n");
        return 1;
    }
    Config config;
    std::string message;
    if (load_config(target.config, config) && lock_credentials(config, names, why, message)) {
        return kExitOk;
    }
    std::fprintf(stderr,
                 "ALERT disabled, but the credentials are not locked: %s; run it again, or "
                 "`millrace credential lock`\n",
                 message.c_str());
    return 1;
}

/// The same of those that are disabled at this moment: whoever asked may have done so minutes ago.
int lock_if_disabled(const Target& target, const std::vector<std::string>& names) {
    Config config;
    std::string message;
    if (!load_config(target.config, config)) {
        return kExitBadConfig;
    }
    const auto segment = attach_target(target, message);
    if (!segment) {
        std::fprintf(stderr, "millrace: %s\n", message.c_str());
        return kExitError;
    }
    const std::vector<DisabledAccount> disabled = disabled_accounts(segment.value(), config);
    const auto is = [&](const std::string& name, bool by_broker) {
        return std::find(disabled.begin(), disabled.end(), DisabledAccount{name, by_broker}) !=
               disabled.end();
    };
    std::vector<std::string> by_operator;
    std::vector<std::string> by_broker;
    for (const std::string& name : names) {
        if (is(name, true)) {
            by_broker.push_back(name);
        } else if (is(name, false)) {
            by_operator.push_back(name);
        } else {
            std::fprintf(stderr, "%s is not disabled: its credentials stay as they are\n",
                         name.c_str());
        }
    }
    if (target.dry_run) {
        for (const auto* some : {&by_operator, &by_broker}) {
            for (const std::string& name : *some) {
                std::printf("%s: %s; its credentials would be LOCKED\n", name.c_str(),
                            some == &by_broker ? kLockedByBroker : kLockedDisabled);
            }
        }
        return kExitOk;
    }
    const int first =
        by_operator.empty() ? kExitOk : lock_disabled(target, by_operator, kLockedDisabled);
    const int second =
        by_broker.empty() ? kExitOk : lock_disabled(target, by_broker, kLockedByBroker);
    return first != kExitOk ? first : second;
}

/// What an account gets back that is resumed: credentials that were LOCKED with it. Not while its
/// broker lets it not trade: they would be locked again.
int unlock_resumed(const Target& target, const std::vector<std::string>& names) {
    if (target.config.empty()) {
        if (may_keep_credentials(target)) {
            std::fprintf(stderr,
                         "note: credentials that were LOCKED with it stay so; run it again with "
                         "--config FILE\n");
        }
        return kExitOk;
    }
    Config config;
    if (!load_config(target.config, config)) {
        return kExitBadConfig;
    }
    std::string message;
    const auto segment = attach_target(target, message);
    const auto disabled =
        segment ? disabled_accounts(segment.value(), config) : std::vector<DisabledAccount>{};
    std::vector<std::string> wanted;
    for (const std::string& name : names) {
        if (std::find(disabled.begin(), disabled.end(), DisabledAccount{name, true}) ==
            disabled.end()) {
            wanted.push_back(name);
            continue;
        }
        std::fprintf(stderr,
                     "%s: its broker lets it not trade: locked credentials stay LOCKED; run it "
                     "again when the broker does, or `millrace credential unlock`\n",
                     name.c_str());
    }
    std::vector<std::string> unlocked;
    const bool done = unlock_credentials(config, wanted, unlocked, message);
    for (const std::string& name : unlocked) {
        std::printf("%s: credentials unlocked\n", name.c_str());
    }
    if (!done) {
        std::fprintf(stderr,
                     "ALERT resumed, but credentials may be LOCKED still: %s; see `millrace "
                     "credential list`\n",
                     message.c_str());
    }
    return done ? kExitOk : 1;
}

void add_set_account(CLI::App* account, Command& command, const char* word, AccountState state,
                     const char* help) {
    CLI::App* sub = account->add_subcommand(word, help);
    auto target = add_changing_target(sub);
    auto names = options_for<std::vector<std::string>>();
    sub->add_option("NAME", *names, "accounts")->required();
    sub->callback([&command, target, names, state] {
        command.run = [=] {
            const int code = set_accounts(*target, state, *names);
            if (code != kExitOk || target->dry_run) {
                return code;
            }
            switch (state) {
                case AccountState::Disabled: return lock_disabled(*target, *names, kLockedDisabled);
                case AccountState::Trading: return unlock_resumed(*target, *names);
                default: return code;
            }
        };
    });
}

void add_set_group(CLI::App* group, Command& command, const char* word, GroupState state,
                   const char* help) {
    CLI::App* sub = group->add_subcommand(word, help);
    auto target = add_changing_target(sub);
    auto names = options_for<std::vector<std::string>>();
    sub->add_option("NAME", *names, "groups")->required();
    sub->callback([&command, target, names, state] {
        command.run = [=] { return set_groups(*target, state, *names); };
    });
}

void add_remove(CLI::App* to, Command& command,
                int (*remove)(const Target&, const std::vector<std::string>&), const char* help) {
    CLI::App* sub = to->add_subcommand("remove", help);
    auto target = add_changing_target(sub);
    auto names = options_for<std::vector<std::string>>();
    sub->add_option("NAME", *names, "whose ids are never used again")->required();
    sub->callback([&command, target, names, remove] {
        command.run = [=] { return remove(*target, *names); };
    });
}

}  // namespace

void add_account_commands(CLI::App& app, Command& command) {
    CLI::App* account = app.add_subcommand("account", "show, add, pause and resume accounts");
    account->require_subcommand(1);
    add_set_account(account, command, "pause", AccountState::Inactive, "take no new signals");
    add_set_account(account, command, "resume", AccountState::Trading, "trade again");
    add_set_account(account, command, "reduce-only", AccountState::ReduceOnly, "closes only");
    add_set_account(account, command, "disable", AccountState::Disabled, "no orders at all");
    CLI::App* lock = account->add_subcommand(
        "lock-disabled", "lock the credentials of disabled accounts (`up` does it by itself)");
    auto lock_target = add_changing_target(lock);
    auto names = options_for<std::vector<std::string>>();
    lock->add_option("NAME", *names, "accounts that are disabled")->required();
    lock->callback([&command, lock_target, names] {
        command.run = [=] { return lock_if_disabled(*lock_target, *names); };
    });
    CLI::App* list = account->add_subcommand("list", "every account and how it stands");
    auto list_target = add_target(list);
    list->callback(
        [&command, list_target] { command.run = [=] { return list_accounts(*list_target); }; });
    CLI::App* add = account->add_subcommand("add", "add one account to the running pipeline");
    auto add_to = add_changing_target(add);
    auto file = options_for<std::string>();
    add->add_option("FILE", *file, "its JSON object as in accounts[]; - reads standard input")
        ->required();
    add->callback(
        [&command, add_to, file] { command.run = [=] { return add_account(*add_to, *file); }; });

    add_remove(account, command, remove_accounts, "remove accounts that are drained, for good");
}

void add_group_commands(CLI::App& app, Command& command) {
    CLI::App* group =
        app.add_subcommand("group", "show, add, pause and remove groups and their members");
    group->require_subcommand(1);
    add_set_group(group, command, "pause", GroupState::Paused,
                  "take no new entries; closes and cancels go on");
    add_set_group(group, command, "resume", GroupState::Active, "take entries again");
    add_remove(group, command, remove_groups, "remove groups that are drained, for good");
    CLI::App* list = group->add_subcommand("list", "every group, its state and members");
    auto list_target = add_target(list);
    list->callback(
        [&command, list_target] { command.run = [=] { return list_groups(*list_target); }; });
    CLI::App* group_add = group->add_subcommand("add", "add a group");
    auto group_to = add_changing_target(group_add);
    auto name = options_for<std::string>();
    group_add->add_option("NAME", *name, "the group")->required();
    group_add->callback(
        [&command, group_to, name] { command.run = [=] { return add_group(*group_to, *name); }; });
    CLI::App* member = group->add_subcommand("member", "add, change or remove a member");
    auto member_to = add_changing_target(member);
    auto change = options_for<MemberChange>();
    member->add_option("GROUP", change->group, "the group")->required();
    member->add_option("ACCOUNT", change->account, "the account")->required();
    member->add_option("--sizing", change->sizing, "fixed, multiplier or equity_share");
    member->add_option("--value", change->value, "lots, factor or share, by sizing");
    member->add_option("--symbols", change->symbols, "only these")->delimiter(',');
    member->add_flag("--remove", change->remove, "no new signals of this group");
    member->callback([&command, member_to, change] {
        command.run = [=] { return change_member(*member_to, *change); };
    });
}

}  // namespace millrace
