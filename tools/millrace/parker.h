// Parker: how a stage thread sleeps and what wakes it: its doorbells, and its sockets.
//
// One stage without sockets sleeps on its doorbell's futex. Otherwise the thread sleeps in ppoll()
// on the stages' descriptors and on an eventfd, and one small bridge thread for each doorbell turns
// its rings into that eventfd: one more wake-up on the way (measured: tests/ops/runner_test.cpp),
// no time slices, and both kinds of work wake at once.
#pragma once

#include "shm/doorbell.h"
#include "shm/stage.h"

#include <atomic>
#include <thread>
#include <vector>

namespace millrace {

class Parker {
public:
    /// One stage of the thread and the doorbell that its producers ring.
    struct Sleeper {
        Stage* stage;
        Doorbell* bell;
    };

    /// @param sleepers outlive the parker; their wake_fd() may change between calls of park().
    /// If the kernel gives no eventfd, park() sleeps at most 1 ms at a time instead.
    explicit Parker(std::vector<Sleeper> sleepers);
    ~Parker();
    Parker(const Parker&) = delete;
    Parker& operator=(const Parker&) = delete;

    /// Sleeps until a doorbell rings, a descriptor is readable, a signal arrives or `limit` has
    /// passed; returns at once if a stage is not idle. Threads: the stages' one thread.
    void park(Nanos limit) noexcept;

    /// The stage took over another role: its producers ring `bell` from now on. Only for a stage
    /// that has its thread to itself and no descriptor. Threads: the stages' one thread.
    void move_to(Doorbell& bell) noexcept;

private:
    void poll_descriptors(Nanos limit) noexcept;
    void bridge(Doorbell& bell) noexcept;
    [[nodiscard]] bool all_idle() const noexcept;

    std::vector<Sleeper> sleepers_;
    std::vector<std::thread> bridges_;
    std::atomic<bool> stopping_{false};
    int event_fd_ = -1;
};

}  // namespace millrace
