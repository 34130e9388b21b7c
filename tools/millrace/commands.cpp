#include "tools/millrace/commands.h"

#include <cstdio>
#include <memory>

#include "tools/millrace/clickhouse_wiring.h"
#include "tools/millrace/config_backup.h"
#include "tools/millrace/config_check.h"
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

void add_kill(CLI::App& app, Command& command, const char* word, bool clear, const char* help) {
    CLI::App* sub = app.add_subcommand(word, help);
    auto target = add_changing_target(sub);
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

std::shared_ptr<Target> add_target(CLI::App* app) {
    auto target = options_for<Target>();
    app->add_option("-c,--config", target->config, "configuration file of the pipeline");
    app->add_option("-s,--segment", target->segment,
                    "name or path of its segment (default: the only one on this host)");
    return target;
}

std::shared_ptr<Target> add_changing_target(CLI::App* app) {
    auto target = add_target(app);
    app->add_flag("--dry-run", target->dry_run, "say what would be done, and to whom");
    return target;
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
    auto target = add_changing_target(down);
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
    recover->add_flag("--dry-run", request->dry_run,
                      "say what would be made or skipped; with neither, what each rung of the "
                      "ladder holds");
    CLI::Option* gaps = recover->add_flag(
        "--accept-gaps", request->accept_gaps,
        "take a store that does not hold everything; what it lacks is in the brokers' books only");
    gaps->needs(from);
    recover
        ->add_flag("--take-backup", request->take_backup,
                   "where the SQLite store does not hold everything: its newest whole backup, "
                   "though that is behind it; what came later is in the brokers' books only")
        ->needs(from)
        ->excludes(gaps);
    recover->callback([&command, target, seq, request, skip, from] {
        if (skip->count() != 0) {
            target->dry_run = request->dry_run;
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
    auto target = add_changing_target(resolve);
    auto request = options_for<ResolveRequest>();
    resolve->add_option("MAGIC", request->magic, "the order's magic number")->required();
    resolve->add_option("--filled", request->filled, "VOLUME@PRICE that was executed");
    resolve->add_flag("--rejected", request->rejected, "nothing was executed");
    resolve->add_option("--account", request->account,
                        "tell its FIX executor, too, of an order that the engine does not know as "
                        "in doubt: one of a kill");
    resolve->callback([&command, target, request] {
        command.run = [=] { return resolve_order(*target, *request); };
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
