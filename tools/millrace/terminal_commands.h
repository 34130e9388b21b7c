// `millrace terminal`: what an operator may say of terminals. Supervision alone: nothing of it is
// journalled, the log has who said what.
#pragma once

#include "tools/millrace/commands.h"

namespace millrace {

/// terminal list, start, stop, restart.
void add_terminal_commands(CLI::App& app, Command& command);

}  // namespace millrace
