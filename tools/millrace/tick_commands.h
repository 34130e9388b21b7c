// `millrace ticks`: the latest-tick table and the tick log, read by a person or a program. Takes no
// lock and disturbs nobody.
#pragma once

#include "tools/millrace/commands.h"

namespace millrace {

/// ticks latest, dump, gaps.
void add_tick_commands(CLI::App& app, Command& command);

}  // namespace millrace
