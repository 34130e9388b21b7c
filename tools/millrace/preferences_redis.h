// The copy of the preferences in Redis: what another host, or this one without its disk, begins
// with.
//
//     <prefix>PREFS   hash: schema, version (only grows), time_ms, text, sum (as in REDIS.md)
//
// Written by compare-and-set on the version. Waits are bounded: 0.3 s to connect, 0.7 s an answer.
#pragma once

#include "persist/redis_primary.h"

#include <string>

namespace millrace {

/// Stores `text`, unless it is what is there.
/// @return true: it was written. Busy: somebody else wrote at the same time; as RedisPrimary and
/// RedisLink. `message` says what failed.
[[nodiscard]] Result<bool> put_preferences(const RedisPlace& place, const std::string& prefix,
                                           const std::string& text, std::string& message);

/// @return the text; NotFound: there is none; BadChecksum: it was changed; else as above.
[[nodiscard]] Result<std::string> get_preferences(const RedisPlace& place,
                                                  const std::string& prefix, std::string& message);

}  // namespace millrace
