// RedisPrimary: finds the server that takes writes, with Sentinel or without, and notices when that
// is another one.
//
// Every Sentinel is asked, and the answer of the highest configuration epoch counts: one that is
// cut off together with an old primary still names that one, under an older epoch. An epoch that
// was seen once is never gone behind. Whoever answers must say `master` to ROLE besides.
#pragma once

#include "persist/redis_link.h"

#include <cstdint>
#include <string>
#include <vector>

namespace millrace {

struct RedisPlace {
    std::vector<RedisEndpoint> servers;     // without Sentinel: tried in this order
    std::vector<RedisEndpoint> sentinels;   // any one that lives is enough, all should be named
    std::string primary_name = "mymaster";  // as in the Sentinels' configuration
    RedisLogin login;
    RedisLogin sentinel_login;
    RedisTimeouts timeouts;
};

class RedisPrimary {
public:
    explicit RedisPrimary(RedisPlace place) : place_{std::move(place)} {}

    /// Connects `link` to the primary.
    /// @return NotFound: nobody names one, or none of those named is one; else as RedisLink.
    [[nodiscard]] Status connect(RedisLink& link) noexcept;

    /// Whether a Sentinel names another primary than `in_use`. Silence of all of them is no reason
    /// to leave a primary that works. Blocks for up to the connect timeout for each Sentinel.
    [[nodiscard]] bool moved_from(const RedisEndpoint& in_use) noexcept;

    [[nodiscard]] const std::string& message() const noexcept { return message_; }
    [[nodiscard]] const RedisPlace& place() const noexcept { return place_; }

private:
    struct Named {
        RedisEndpoint at;
        std::uint64_t epoch = 0;
        bool known = false;
    };
    [[nodiscard]] Named ask_sentinels() noexcept;
    [[nodiscard]] bool ask(const RedisEndpoint& sentinel, Named& best) noexcept;
    [[nodiscard]] Status try_server(RedisLink& link, const RedisEndpoint& at) noexcept;

    RedisPlace place_;
    std::uint64_t epoch_seen_ = 0;
    std::string message_;
};

}  // namespace millrace
