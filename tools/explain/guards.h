// What decided where a limit in money or time stood in the way: the numbers of then.
#pragma once

#include "tools/explain/reason.h"

namespace millrace::explain {

/// Appends sentences for Reason::MaxNotional, MaxLeverage, NoRate, FreeMargin, OutsideHours,
/// WeekEnd, ChangeRate, and what of GroupLimit is net or in money. Nothing where the state is not
/// known.
void guard_numbers(const Decision& d, Reason reason, std::vector<std::string>& out);

}  // namespace millrace::explain
