// `millrace explain`, `positions`, `orders`, `accounts`: what happened and how things stand, for
// people; nothing is changed by any of them.
#pragma once

#include "tools/millrace/commands.h"

namespace millrace {

void add_explain_commands(CLI::App& app, Command& command);

}  // namespace millrace
