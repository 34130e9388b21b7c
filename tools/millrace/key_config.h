// "key" and "key_file" of an object of the configuration.
#pragma once

#include "tools/millrace/config_reader.h"

#include <cstddef>
#include <string>
#include <vector>

namespace millrace {

/// Reads exactly one of "key" (hex) and "key_file" (a file with it).
/// @param folder that the path is relative to.
void read_key(ObjectReader& o, const std::string& folder, std::vector<std::byte>& key);

}  // namespace millrace
