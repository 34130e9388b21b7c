// When the operator is told that the journal's write has failed. Pure.
#pragma once

#include "core/types.h"
#include "shm/layout.h"

#include <cstdint>

namespace millrace {

/// Each failure is told once, until the journal has written again for a while: on a full disk each
/// new one may come as far as to write a little and end, several times a second.
/// Threads: one.
class JournalAlarm {
public:
    static constexpr Nanos kMendedAfter = seconds(5);

    /// The journal stage has ended, or is not there.
    /// @param state what it has left in the segment.
    /// @return true if that is to be told.
    [[nodiscard]] bool is_gone(JournalState state) noexcept {
        runs_since_ = {};
        const bool failed = state == JournalState::Full || state == JournalState::Poisoned;
        if (!failed || state == told_) {
            return false;
        }
        told_ = state;
        return true;
    }
    /// It is there and says that it writes. @param durable the last record that it has written.
    void is_running(std::uint64_t durable, Nanos now) noexcept {
        if (runs_since_.value == 0) {
            runs_since_ = now;
            durable_ = durable;
        } else if (now - runs_since_ >= kMendedAfter && durable > durable_) {
            told_ = JournalState::Running;
        }
    }

private:
    JournalState told_ = JournalState::Running;  // nothing is told
    Nanos runs_since_;                           // 0: it does not
    std::uint64_t durable_ = 0;                  // then
};

}  // namespace millrace
