#include "tests/redis/shipped.h"

#include <fstream>
#include <sstream>

namespace millrace::redis_test {

const std::string kTools = MILLRACE_SOURCE_DIR "/tools/redis/";

std::string text_of(const std::string& file) {
    std::ifstream in{file, std::ios::binary};
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

std::vector<std::string> lines_of(const std::string& file) {
    std::vector<std::string> lines;
    std::istringstream in{text_of(kTools + file)};
    for (std::string line; std::getline(in, line);) {
        if (!line.empty() && line.front() != '#') {
            lines.push_back(line);
        }
    }
    return lines;
}

std::string edited(const std::string& file,
                   const std::vector<std::pair<std::string, std::string>>& edits) {
    std::string text;
    for (std::string line : lines_of(file)) {
        for (const auto& [begins, now] : edits) {
            line = line.starts_with(begins + " ") ? now : line;
        }
        text += line + "\n";
    }
    return text;
}

RedisClusterOptions shipped_cluster() {
    RedisClusterOptions options;
    options.primary = "mymaster";
    options.servers = edited("redis.conf", {{"bind", ""}, {"port", ""}, {"dir", ""}});
    options.sentinels = edited("sentinel.conf", {{"bind", ""},
                                                 {"port", ""},
                                                 {"dir", ""},
                                                 {"protected-mode", ""},
                                                 {"sentinel monitor", ""},
                                                 {"sentinel announce-ip", ""}});
    return options;
}

}  // namespace millrace::redis_test
