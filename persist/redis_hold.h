// RedisHold: keeps what an open position or a live order needs, and lets go of what none does. The
// order that opened a position, its deals and its signal end long before it may; a pipeline that
// has lost all but Redis would then find a position and not know whose it is. So would a close that
// took its share of it, and the share would be dealt again.
//
// What has traded is written without an end, or a pipeline that stands still for days would lose
// it. A sweep over the generation, a slice at a time, gives an end to what nothing needs any more:
// positions and live orders first, then all that may belong to them. Killed or skipped, it only
// comes later, and things stay longer.
#pragma once

#include "persist/redis_store.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace millrace {

/// Threads: the sink's.
class RedisHold {
public:
    /// @param every from the end of a sweep to the next; the first begins at once.
    explicit RedisHold(Nanos every) noexcept : every_{every} {}

    /// Whether a sweep is under way: the next slice is due at once.
    [[nodiscard]] bool sweeping() const noexcept { return phase_ != Phase::Rest; }
    /// The next slice, about a thousand keys, if a sweep is due.
    /// @return as RedisLink; after a failure the sweep begins again.
    [[nodiscard]] Status step(RedisLink& link, const RedisStore& store, Nanos wall) noexcept;

private:
    enum class Phase { Rest, Positions, Rows };
    /// An order, a deal or a signal, and what is to become of it.
    struct Row {
        std::string key;            // without prefix
        std::string share;          // of a close: "<signal>", whose target says if it is needed
        bool needed = false;        // by what stands: it must not get an end
        bool stays = false;         // nothing is to become of it in this sweep
        std::int64_t left_ms = -1;  // until its end; -1: it has none
        Nanos until;                // it must stay so long in any case
    };
    void begin(Phase phase, const RedisStore& store) noexcept;
    [[nodiscard]] Status scan(RedisLink& link, const char* kind) noexcept;
    [[nodiscard]] Status find_needed(RedisLink& link) noexcept;
    [[nodiscard]] Status settle(RedisLink& link, const RedisKeep& keep, Nanos wall) noexcept;
    [[nodiscard]] Row look_at(const std::string& key, const RedisView& fields,
                              const RedisKeep& keep) const;
    [[nodiscard]] Status look_at_closes(RedisLink& link, std::vector<Row>& rows) const;
    void needs(std::string_view account, std::string_view signal);

    Nanos every_;
    Nanos next_{};
    Phase phase_ = Phase::Rest;
    std::string prefix_;                      // of the generation that is swept
    Sequence began_seq_;                      // what was written later waits for the next sweep
    std::string cursor_ = "0";                // of SCAN
    std::vector<std::string> found_;          // keys of this slice, without prefix
    std::unordered_set<std::string> opened_;  // "<account>:<intent>" of these and of live orders
    // Of open positions, live orders, and what live closes, modifies and cancels act on:
    std::unordered_set<std::string> shares_;   // "<account>:<signal>"
    std::unordered_set<std::string> signals_;  // ids
};

}  // namespace millrace
