// `millrace query orders|executions|positions|signals|accounts|alerts`: history from the SQLite
// store.
#pragma once

#include "tools/millrace/commands.h"

namespace millrace {

void add_query_command(CLI::App& app, Command& command);

}  // namespace millrace
