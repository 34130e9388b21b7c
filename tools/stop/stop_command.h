// The words `millrace account stop`.
#pragma once

#include "tools/millrace/commands.h"

namespace millrace {

/// Adds it to `account`, which is there already.
void add_stop_command(CLI::App& app, Command& command);

}  // namespace millrace
