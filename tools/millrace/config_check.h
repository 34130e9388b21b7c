// What no single key of a configuration can show: names used twice, names that nothing defines,
// limits of the segment.
#pragma once

#include "tools/millrace/config.h"

namespace millrace {

/// Appends a mistake for everything in `c` that contradicts itself.
void check_config(const Config& c, std::vector<Mistake>& mistakes);

/// What works and yet keeps less than an operator may think: a line each, with key and mend.
[[nodiscard]] std::vector<std::string> config_warnings(const Config& c);

}  // namespace millrace
