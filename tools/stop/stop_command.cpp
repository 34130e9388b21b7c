#include "tools/stop/stop_command.h"

#include <memory>

#include "tools/stop/stop_account.h"

namespace millrace {

void add_stop_command(CLI::App& app, Command& command) {
    CLI::App* sub = app.get_subcommand("account")->add_subcommand(
        "stop", "pause accounts, cancel our orders there, close our positions, wait until flat");
    auto request = std::make_shared<StopRequest>();
    sub->add_option("-c,--config", request->target.config, "configuration file of the pipeline");
    sub->add_option("-s,--segment", request->target.segment,
                    "name or path of its segment (default: the only one on this host)");
    sub->add_option("NAME", request->accounts, "accounts")->required();
    sub->add_flag("--flatten", request->flatten,
                  "close our positions; without it nothing is done: `account pause` keeps them")
        ->required();
    sub->add_flag("-y,--yes", request->yes, "do not ask");
    sub->add_flag("--dry-run", request->dry_run, "show what would be closed and cancelled");
    sub->add_option("--wait", request->wait_s, "seconds to wait until all is flat")
        ->check(CLI::Range(1, 86'400))
        ->capture_default_str();
    sub->callback(
        [&command, request] { command.run = [request] { return stop_accounts(*request); }; });
}

}  // namespace millrace
