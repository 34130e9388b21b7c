// RedisOwner: whose keys these are. Two hosts that were given one prefix would each take the
// other's rows for a lost log's and fill them anew, and read each other's signals. The key OWNER
// names the journal directory whose Millrace is at work; whoever meets another one's stays away.
//
//     OWNER = "<instance> <host>", gone kRedisOwnerLife after the owner was there last
//
// A heir of a lost directory has its instance, and is not kept waiting.
#pragma once

#include "persist/redis_link.h"

#include <cstdint>
#include <functional>
#include <string>

namespace millrace {

/// As long as another consumer leaves entries of RTSS alone, and a signal lives: what a dead owner
/// had read is too old by then.
inline constexpr Nanos kRedisOwnerLife = seconds(30);

struct RedisOwnerOptions {
    std::string prefix = "millrace:";       // of the keys, which OWNER is one of
    std::uint32_t instance = 0;             // of our journal directory; 0 = not known, and without
    Nanos life = kRedisOwnerLife;           // `find` nothing is asked
    std::function<std::uint32_t()> find{};  // asked for it until it knows
};

/// Threads: the stage's.
class RedisOwner {
public:
    explicit RedisOwner(RedisOwnerOptions options) : options_{std::move(options)} {}

    /// Takes the keys if nobody has them, or goes on having them. To be called at each connect,
    /// and each second or so. One or two round trips.
    /// @return NotOwner: another Millrace has them, message() names it and the mend, or it is not
    /// known yet who we are; else as RedisLink. A server that is full refuses the key to everybody:
    /// no failure.
    [[nodiscard]] Status keep(RedisLink& link) noexcept;

    [[nodiscard]] const std::string& message() const noexcept { return message_; }

private:
    [[nodiscard]] Status judge(RedisLink& link, const std::string& value) noexcept;

    RedisOwnerOptions options_;
    std::string message_;
};

}  // namespace millrace
