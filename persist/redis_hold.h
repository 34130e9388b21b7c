// RedisHold: keeps what an open position or a live order needs. The order that opened a position,
// its deals and its signal end long before it may, and would be forgotten a while after that; a
// pipeline that has lost all but Redis would then find a position and not know whose it is.
//
// A sweep over the generation, a slice at a time: positions and orders first, then the deals of
// those whose position is open. Whatever would go within RedisKeep::ended gets that long again.
// Killed or skipped, it only comes later.
#pragma once

#include "persist/redis_store.h"

#include <string>
#include <unordered_set>
#include <vector>

namespace millrace {

/// Threads: the sink's.
class RedisHold {
public:
    /// @param every from the end of a sweep to the next; the first begins at once.
    explicit RedisHold(Nanos every) noexcept : every_{every} {}

    /// The next slice, about a thousand keys, if a sweep is due.
    /// @return as RedisLink; after a failure the sweep begins again.
    [[nodiscard]] Status step(RedisLink& link, const RedisStore& store, Nanos wall) noexcept;

private:
    enum class Phase { Rest, Positions, Deals };
    /// Of the slice: keys whose end must not come yet.
    [[nodiscard]] Status find_needed(RedisLink& link) noexcept;
    void find_deals();
    [[nodiscard]] Status extend(RedisLink& link, Nanos keep, Nanos wall) noexcept;
    [[nodiscard]] Status scan(RedisLink& link, const char* kind) noexcept;
    void begin(Phase phase) noexcept;

    Nanos every_;
    Nanos next_{};
    Phase phase_ = Phase::Rest;
    std::string prefix_;                    // of the generation that is swept
    std::string cursor_ = "0";              // of SCAN
    std::unordered_set<std::string> open_;  // "<account>:<intent>" of open positions
    std::vector<std::string> found_;        // keys of this slice, without prefix
    std::vector<std::string> keep_;
};

}  // namespace millrace
