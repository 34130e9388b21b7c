// Every command of `millrace`, in the order of its help: for main() and for whoever looks at all of
// them. To be included by programs that link what MILLRACE_READERS asks for.
#pragma once

#include "tools/millrace/backup_commands.h"
#include "tools/millrace/commands.h"
#include "tools/millrace/credential_commands.h"
#include "tools/millrace/terminal_commands.h"
#include "tools/millrace/tick_commands.h"
#ifdef MILLRACE_READERS  // a sanitizer's build that only runs pipelines leaves them out
#include "tools/explain/explain.h"
#include "tools/query/query.h"
#include "tools/stop/stop_command.h"
#endif

namespace millrace {

inline void add_all_commands(CLI::App& app, Command& command) {
    add_pipeline_commands(app, command);
#ifdef MILLRACE_READERS
    app.add_subcommand("inspect", "look into a pipeline, living or dead: stat, ring, top, ...");
    add_query_command(app, command);
    add_explain_commands(app, command);
#endif
    add_account_commands(app, command);
#ifdef MILLRACE_READERS
    add_stop_command(app, command);
#endif
    add_group_commands(app, command);
    add_emergency_commands(app, command);
    add_doctor_commands(app, command);
    add_config_commands(app, command);
    add_credential_commands(app, command);
    add_terminal_commands(app, command);
    add_tick_commands(app, command);
    add_backup_commands(app, command);
}

}  // namespace millrace
