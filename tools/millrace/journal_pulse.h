// When a journal that is there counts as one that does not write. Pure.
#pragma once

#include "core/types.h"

#include <cstdint>

namespace millrace {

/// Its disk may hang, or somebody has stopped it: it lives and cannot say so itself.
/// Threads: one.
class JournalPulse {
public:
    /// @param journalled the last record that the engine has handed to it
    /// @param durable the last one that it has told to be on disk
    /// @return for how long records have waited by now without one of them getting there.
    [[nodiscard]] Nanos waits(std::uint64_t journalled, std::uint64_t durable, Nanos now) noexcept {
        if (journalled <= durable) {
            since_ = {};
        } else if (since_.value == 0 || durable != durable_) {
            since_ = now;
            durable_ = durable;
        }
        return since_.value == 0 ? Nanos{} : now - since_;
    }
    /// There is none, or another one.
    void forget() noexcept { since_ = {}; }

private:
    Nanos since_;  // 0: nothing waits
    std::uint64_t durable_ = 0;
};

}  // namespace millrace
