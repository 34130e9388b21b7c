// Stage: an object with one duty-cycle function. Threads, pinning and idle strategy are chosen by
// the runner in tools/, never inside a stage.
#pragma once

#include "core/types.h"

namespace millrace {

class Stage {
public:
    virtual ~Stage() = default;

    /// One duty cycle: poll, batch, act. Never blocks (sinks excepted: they have a thread each).
    /// @param now segment clock.
    /// @return items done; 0 lets the runner idle.
    virtual int step(Nanos now) noexcept = 0;

    /// The last look before parking: true if there is nothing to do right now. Cheap, no effects.
    [[nodiscard]] virtual bool idle() const noexcept = 0;

    /// How long the runner may park at most (timers, heartbeats, sockets without a doorbell).
    [[nodiscard]] virtual Nanos park_limit(Nanos now) const noexcept {
        (void)now;
        return millis(50);
    }

    /// A descriptor that becomes readable when there is work besides the doorbell (an epoll set),
    /// or -1. The runner polls it while it parks.
    [[nodiscard]] virtual int wake_fd() const noexcept { return -1; }

    /// Stop was requested: finish what was begun.
    /// @return true when everything taken in is handed on and the stage may be destroyed.
    [[nodiscard]] virtual bool drained() const noexcept { return idle(); }

    /// False once the stage cannot go on (poisoned journal, lost role); the runner then ends it
    /// with `failure()` as the reason and the supervisor decides.
    [[nodiscard]] virtual bool healthy() const noexcept { return true; }
    [[nodiscard]] virtual const char* failure() const noexcept { return ""; }

protected:
    Stage() = default;
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;
};

}  // namespace millrace
