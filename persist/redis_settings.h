// Settings of a Redis server that the projection relies on, checked one by one.
#pragma once

#include "persist/redis_link.h"

#include <string>
#include <vector>

namespace millrace {

struct RedisSetting {
    enum class Verdict { Good, Wrong, Unknown };
    std::string name;
    std::string value;  // as the server says, or why it does not
    Verdict verdict = Verdict::Good;
    std::string why;   // what is at stake
    std::string mend;  // a command or line of configuration; empty if Good
    [[nodiscard]] std::string text() const;
};

/// Asks the server. One entry per setting, good ones too.
/// @param sentinel it is watched by Sentinels: min-replicas-to-write matters.
[[nodiscard]] std::vector<RedisSetting> check_redis_settings(RedisLink& link, bool sentinel);

}  // namespace millrace
