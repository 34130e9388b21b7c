// RedisUpkeep: what the sink does each second beside writing batches: a sign of life, trimming the
// result stream, removing generations whose time is over.
#pragma once

#include "persist/redis_store.h"

#include <cstdint>
#include <deque>
#include <string>

namespace millrace {

struct RedisUpkeepOptions {
    Nanos heartbeat_life = seconds(3);      // the key is gone so long after the last sign
    Nanos results_keep = seconds(3600);     // results stay at least so long
    std::uint64_t results_max = 1'000'000;  // beyond it a slow reader group holds none back
};

/// Threads: the sink's.
class RedisUpkeep {
public:
    explicit RedisUpkeep(RedisUpkeepOptions options) : options_{options} {}

    /// Remembers when `seq` was, so that results can be kept by age.
    void mark(Nanos wall, Sequence seq);

    /// All of it, once. @param confirmed results up to here are in the local store.
    [[nodiscard]] Status run(RedisLink& link, const RedisStore& store, Nanos wall,
                             Sequence confirmed) noexcept;

    /// Results below this record may go: confirmed, old enough, read by every group.
    [[nodiscard]] Result<std::uint64_t> trim_below(RedisLink& link, const RedisStore& store,
                                                   Nanos wall, Sequence confirmed) noexcept;

    /// How much of its limit of memory the server uses, in percent; 0 = it has no limit (the look
    /// at its settings says so). With `noeviction` a full one refuses signals, too.
    [[nodiscard]] static Result<unsigned> memory_percent(RedisLink& link) noexcept;

private:
    [[nodiscard]] Status beat(RedisLink& link, const RedisStore& store, Nanos wall) noexcept;
    [[nodiscard]] Status trim(RedisLink& link, const RedisStore& store, Nanos wall,
                              Sequence confirmed) noexcept;
    [[nodiscard]] Status drop_old(RedisLink& link, const RedisStore& store, Nanos wall) noexcept;

    struct Mark {
        Nanos wall;
        Sequence seq;
    };
    RedisUpkeepOptions options_;
    std::deque<Mark> marks_;  // oldest first, one every ten seconds at most
    std::string dropping_;    // generation that is being removed
    std::string drop_cursor_ = "0";
};

}  // namespace millrace
