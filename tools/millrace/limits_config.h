// The "limits" objects of accounts, groups and symbols in the configuration.
#pragma once

#include "core/admin.h"
#include "tools/millrace/config_reader.h"

namespace millrace {

/// Reads an account's limits into `l`; scope and id are left to who makes the record of it.
void read_account_limits(ObjectReader& o, LimitSpec& l);

/// Reads what all accounts may hold together in a symbol; its id is left to who makes the record.
void read_symbol_limits(ObjectReader& o, SymbolLimitSpec& l);

/// Reads what all accounts of a group may hold together.
void read_group_limits(ObjectReader& o, LimitSpec& l);

}  // namespace millrace
