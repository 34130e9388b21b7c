#include "tools/millrace/commands.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include "tools/millrace/clickhouse_wiring.h"
#include "tools/millrace/config_backup.h"
#include "tools/millrace/config_check.h"
#include "tools/millrace/credential_lock.h"
#include "tools/millrace/disabled_lock.h"
#include "tools/millrace/locate.h"
#include "tools/millrace/log.h"
#include "tools/millrace/operator.h"
#include "tools/millrace/recover_ladder.h"
#include "tools/millrace/recover_store.h"
#include "tools/millrace/redis_wiring.h"
#include "tools/millrace/stages.h"
#include "tools/millrace/supervisor.h"
#include "tools/millrace/upgrade.h"

namespace millrace {
namespace {

/// Options of a command live as long as its callback.
template <class Options>
std::shared_ptr<Options> options_for() {
    return std::make_shared<Options>();
}

std::shared_ptr<Target> add_target(CLI::App* app) {
    auto target = options_for<Target>();
    app->add_option("-c,--config", target->config, "configuration file of the pipeline");
    app->add_option("-s,--segment", target->segment,
                    "name or path of its segment (default: the only one on this host)");
    return target;
}

struct UpOptions {
    std::string config;
    bool threads = false;
    bool json = false;
    bool begin_anew = false;
    std::uint32_t stores_wait_s = SupervisorOptions{}.stores_wait_s;
    std::int64_t executed_ns = 0;
};

int up(const UpOptions& options) {
    std::vector<Mistake> mistakes;
    std::string notice;
    Config config = read_config_or_backup(options.config, mistakes, notice);
    for (const Mistake& m : mistakes) {
        std::fprintf(stderr, "%s\n", to_string(m).c_str());
    }
    if (!mistakes.empty() && notice.empty()) {
        return kExitBadConfig;
    }
    config.threads = config.threads || options.threads;
    config.log.json = config.log.json || options.json;
    block_stop_signals();
    std::string message;
    if (!log_start(config.log, "up", message)) {
        log_warn(message);
    }
    if (!notice.empty()) {
        log_error(notice);
    }
    SupervisorOptions supervisor;
    supervisor.threads = config.threads;
    supervisor.begin_anew = options.begin_anew;
    supervisor.stores_wait_s = options.stores_wait_s;
    supervisor.executed_ns = options.executed_ns;
    return log_stop(supervise(config, supervisor));
}

int check(const std::string& file) {
    Config config;
    if (!load_config(file, config)) {
        return kExitBadConfig;
    }
    std::printf("OK: %zu accounts in %zu groups, %zu symbols, %zu sources; journal %s\n",
                config.accounts.size(), config.groups.size(), config.symbols.size(),
                config.sources.size(), config.journal.dir.c_str());
    for (const std::string& warning : config_warnings(config)) {
        std::fprintf(stderr, "warning: %s\n", warning.c_str());
    }
    return kExitOk;
}

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
int lock_disabled(const Target& target, const std::vector<std::string>& names) {
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
    if (load_config(target.config, config) &&
        lock_credentials(config, names, "the account was disabled", message)) {
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
    const std::vector<std::string> disabled = disabled_accounts(segment.value(), config);
    std::vector<std::string> wanted;
    for (const std::string& name : names) {
        if (std::find(disabled.begin(), disabled.end(), name) != disabled.end()) {
            wanted.push_back(name);
        } else {
            std::fprintf(stderr, "%s is not disabled: its credentials stay as they are\n",
                         name.c_str());
        }
    }
    return wanted.empty() ? kExitOk : lock_disabled(target, wanted);
}

void add_set_account(CLI::App* account, Command& command, const char* word, AccountState state,
                     const char* help) {
    CLI::App* sub = account->add_subcommand(word, help);
    auto target = add_target(sub);
    auto names = options_for<std::vector<std::string>>();
    sub->add_option("NAME", *names, "accounts")->required();
    sub->callback([&command, target, names, state] {
        command.run = [=] {
            const int code = set_accounts(*target, state, *names);
            const bool lock = code == kExitOk && state == AccountState::Disabled;
            return lock ? lock_disabled(*target, *names) : code;
        };
    });
}

void add_set_group(CLI::App* group, Command& command, const char* word, GroupState state,
                   const char* help) {
    CLI::App* sub = group->add_subcommand(word, help);
    auto target = add_target(sub);
    auto names = options_for<std::vector<std::string>>();
    sub->add_option("NAME", *names, "groups")->required();
    sub->callback([&command, target, names, state] {
        command.run = [=] { return set_groups(*target, state, *names); };
    });
}

void add_remove(CLI::App* to, Command& command,
                int (*remove)(const Target&, const std::vector<std::string>&), const char* help) {
    CLI::App* sub = to->add_subcommand("remove", help);
    auto target = add_target(sub);
    auto names = options_for<std::vector<std::string>>();
    sub->add_option("NAME", *names, "whose ids are never used again")->required();
    sub->callback([&command, target, names, remove] {
        command.run = [=] { return remove(*target, *names); };
    });
}

void add_kill(CLI::App& app, Command& command, const char* word, bool clear, const char* help) {
    CLI::App* sub = app.add_subcommand(word, help);
    auto target = add_target(sub);
    auto request = options_for<KillRequest>();
    request->clear = clear;
    sub->add_flag("--all", request->all, "every account");
    sub->add_option("--account", request->account, "one account");
    sub->add_option("--group", request->group, "the accounts of a group");
    sub->add_option("--symbol", request->symbol, "one symbol, on every account");
    sub->add_option("--source", request->source,
                    "new entries of one source (without --cancel and --flatten)");
    if (!clear) {
        sub->add_flag("--cancel", request->cancel, "also cancel our pending orders");
        sub->add_flag("--flatten", request->flatten, "also close our positions");
    }
    sub->callback([&command, target, request] {
        command.run = [=] { return kill_switch(*target, *request); };
    });
}

}  // namespace

bool load_config(const std::string& file, Config& config) {
    std::vector<Mistake> mistakes;
    config = read_config(file, mistakes);
    for (const Mistake& m : mistakes) {
        std::fprintf(stderr, "%s\n", to_string(m).c_str());
    }
    return mistakes.empty();
}

void add_pipeline_commands(CLI::App& app, Command& command) {
    CLI::App* up_app = app.add_subcommand("up", "start the pipeline and keep it running");
    auto options = options_for<UpOptions>();
    up_app->add_option("-c,--config", options->config, "configuration file")->required();
    up_app->add_flag("--threads", options->threads, "stages as threads of this process");
    up_app->add_flag("--log-json", options->json, "one JSON object a line");
    up_app->add_flag("--begin-anew", options->begin_anew,
                     "begin with an empty journal although a store has followed one, or may have");
    up_app
        ->add_option("--stores-wait", options->stores_wait_s,
                     "seconds that a start in an empty directory waits for stores that do not "
                     "answer yet, before it refuses to begin (default 60)")
        ->check(CLI::Range(0, 3600));
    up_app->callback([&command, options] {
        command.run = [&command, options] {
            options->executed_ns = command.executed_ns;
            return up(*options);
        };
    });

    CLI::App* down = app.add_subcommand("down", "drain and stop the pipeline");
    auto target = add_target(down);
    down->callback([&command, target] { command.run = [=] { return stop_pipeline(*target); }; });

    CLI::App* upgrade = app.add_subcommand(
        "upgrade", "let this build go on with the log of an older logic version");
    auto upgrade_config = options_for<std::string>();
    auto dry_run = options_for<bool>();
    upgrade->add_option("-c,--config", *upgrade_config, "configuration file")->required();
    upgrade->add_flag("--dry-run", *dry_run, "say what would be done");
    upgrade->callback([&command, upgrade_config, dry_run] {
        command.run = [=] { return upgrade_logic(*upgrade_config, *dry_run); };
    });

    CLI::App* stage = app.add_subcommand("stage", "run stages in this process (`up` does this)");
    auto names = options_for<std::vector<std::string>>();
    auto config = options_for<std::string>();
    stage
        ->add_option("NAME", *names,
                     "ingress, core-0, broker, journal, core-1, sqlite, redis, "
                     "clickhouse, rtss")
        ->required();
    stage->add_option("-c,--config", *config, "configuration file")->required();
    auto checked = options_for<std::string>();
    stage->add_option("--checked", *checked, "read this copy of it (`up` keeps it)");
    stage->callback([&command, names, config, checked] {
        command.run = [&command, names, config, checked] {
            return run_stage_process(*names, *config, *checked, command.executed_ns);
        };
    });
}

void add_account_commands(CLI::App& app, Command& command) {
    CLI::App* account = app.add_subcommand("account", "show, add, pause and resume accounts");
    account->require_subcommand(1);
    add_set_account(account, command, "pause", AccountState::Inactive, "take no new signals");
    add_set_account(account, command, "resume", AccountState::Trading, "trade again");
    add_set_account(account, command, "reduce-only", AccountState::ReduceOnly, "closes only");
    add_set_account(account, command, "disable", AccountState::Disabled, "no orders at all");
    CLI::App* lock = account->add_subcommand(
        "lock-disabled", "lock the credentials of disabled accounts (`up` does it by itself)");
    auto lock_target = add_target(lock);
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
    auto add_to = add_target(add);
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
    auto group_to = add_target(group_add);
    auto name = options_for<std::string>();
    group_add->add_option("NAME", *name, "the group")->required();
    group_add->callback(
        [&command, group_to, name] { command.run = [=] { return add_group(*group_to, *name); }; });
    CLI::App* member = group->add_subcommand("member", "add, change or remove a member");
    auto member_to = add_target(member);
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

namespace {

void add_recover(CLI::App& app, Command& command) {
    CLI::App* recover = app.add_subcommand(
        "recover", "help an engine that halted, or a pipeline that lost its journal directory");
    auto target = add_target(recover);
    auto seq = options_for<std::uint64_t>();
    auto request = options_for<RecoverRequest>();
    CLI::Option* skip =
        recover->add_option("--skip", *seq, "record that it dies of, as the alert names it");
    CLI::Option* from = recover->add_option(
        "--from", request->from,
        "the store that a new journal directory is made of: redis, sqlite, clickhouse; best = the "
        "one that has come furthest");
    from->check(CLI::IsMember({"redis", "sqlite", "clickhouse", "best"}))->excludes(skip);
    recover
        ->add_flag("--dry-run", request->dry_run,
                   "say what would be made; without --from, what each rung of the ladder holds")
        ->excludes(skip);
    recover
        ->add_flag("--accept-gaps", request->accept_gaps,
                   "take a store that does not hold everything; what it lacks is in the brokers' "
                   "books only")
        ->needs(from);
    recover->callback([&command, target, seq, request, skip, from] {
        if (skip->count() != 0) {
            command.run = [=] { return recover_skip(*target, *seq); };
            return;
        }
        const bool ladder = from->count() == 0;
        if ((ladder && !request->dry_run) || target->config.empty()) {
            throw CLI::RequiredError{
                "--skip SEQ, or --from STORE or --dry-run with --config FILE,"};
        }
        command.run = [=] {
            Config config;
            if (!load_config(target->config, config)) {
                return static_cast<int>(kExitBadConfig);
            }
            return ladder ? show_ladder(config) : recover_from_store(config, *request);
        };
    });
}

}  // namespace

void add_emergency_commands(CLI::App& app, Command& command) {
    add_kill(app, command, "kill", false,
             "STOP trading: all, or one account, group, symbol, source");
    add_kill(app, command, "unkill", true, "let a killed scope trade again");

    CLI::App* resolve =
        app.add_subcommand("resolve", "end an IN_DOUBT order as found at the broker");
    auto target = add_target(resolve);
    auto magic = options_for<std::string>();
    auto filled = options_for<std::string>();
    auto rejected = options_for<bool>();
    resolve->add_option("MAGIC", *magic, "the order's magic number")->required();
    resolve->add_option("--filled", *filled, "VOLUME@PRICE that was executed");
    resolve->add_flag("--rejected", *rejected, "nothing was executed");
    resolve->callback([&command, target, magic, filled, rejected] {
        command.run = [=] { return resolve_order(*target, *magic, *filled, *rejected); };
    });

    add_recover(app, command);
}

namespace {

/// A command of one configuration file, given to `run` once it is read without a mistake.
template <class Run>
void add_config_verb(CLI::App* verb, Command& command, Run run) {
    auto file = options_for<std::string>();
    verb->add_option("-c,--config", *file, "configuration file")->required();
    verb->callback([&command, file, run] {
        command.run = [file, run] {
            Config config;
            return load_config(*file, config) ? run(config) : static_cast<int>(kExitBadConfig);
        };
    });
}

}  // namespace

void add_doctor_commands(CLI::App& app, Command& command) {
    CLI::App* doctor = app.add_subcommand("doctor", "name what is set wrong, and its mend");
    doctor->require_subcommand(1);
    add_config_verb(doctor->add_subcommand("redis", "settings of the Redis primary"), command,
                    [](const Config& config) { return doctor_redis(config); });
    add_config_verb(doctor->add_subcommand("clickhouse", "connection, table, rights and cursor"),
                    command, [](const Config& config) { return doctor_clickhouse(config); });
    CLI::App* verify = app.add_subcommand("verify", "compare what the stores hold");
    verify->require_subcommand(1);
    CLI::App* clickhouse = verify->add_subcommand(
        "clickhouse", "counts and checksums by range against SQLite; 1 if they differ");
    auto options = options_for<VerifyClickHouse>();
    clickhouse->add_flag("--mend", options->mend, "store again what is missing or changed");
    auto dry_run = options_for<bool>();
    clickhouse->add_flag("--dry-run", *dry_run, "with --mend: only say what it would store again");
    clickhouse->add_option("--wait", options->wait_s, "seconds for a ClickHouse that is behind")
        ->capture_default_str();
    clickhouse->add_flag("--json", options->json, "one JSON object");
    add_config_verb(clickhouse, command, [options, dry_run](const Config& config) {
        options->mend = options->mend && !*dry_run;
        return verify_clickhouse(config, *options);
    });
}

void add_config_commands(CLI::App& app, Command& command) {
    CLI::App* config = app.add_subcommand("config", "check a configuration, print its schema");
    config->require_subcommand(1);
    CLI::App* check_app = config->add_subcommand("check", "print OK or every mistake");
    auto file = options_for<std::string>();
    check_app->add_option("FILE", *file, "configuration file")->required();
    check_app->callback([&command, file] { command.run = [=] { return check(*file); }; });
    CLI::App* schema = config->add_subcommand("schema", "print the JSON Schema");
    schema->callback([&command] {
        command.run = [] {
            std::fputs(config_schema(), stdout);
            return static_cast<int>(kExitOk);
        };
    });
}

}  // namespace millrace
