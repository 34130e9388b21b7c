// `millrace recover --dry-run`: the whole recovery ladder, what each rung holds, and what a start
// would do with it.
#pragma once

#include "tools/millrace/config.h"

namespace millrace {

/// Prints segment, journal and each configured store: how far it has come, whether it was read and
/// checked whole, or why not; then what `millrace up` would do, and where it could go on from
/// nothing by itself, which command does. Changes nothing; reads every row of the stores.
/// @return kExitOk; kExitError if a start would be refused, or would begin with nothing although a
/// store knows of more.
[[nodiscard]] int show_ladder(const Config& config);

}  // namespace millrace
