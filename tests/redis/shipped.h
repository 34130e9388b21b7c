// What tools/redis ships, as an operator puts it to use.
#pragma once

#include "tests/redis/server.h"

#include <string>
#include <utility>
#include <vector>

namespace millrace::redis_test {

/// Where it lies, with a slash at the end.
extern const std::string kTools;

std::string text_of(const std::string& file);

/// Every active line of a shipped file.
std::vector<std::string> lines_of(const std::string& file);

/// The shipped file as an operator edits it: lines that begin so are replaced.
std::string edited(const std::string& file,
                   const std::vector<std::pair<std::string, std::string>>& edits);

/// A cluster of both files, as they are but for what says where it runs.
RedisClusterOptions shipped_cluster();

}  // namespace millrace::redis_test
