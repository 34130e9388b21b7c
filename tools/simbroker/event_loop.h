// One thread, one epoll, one heap of timers: all that the simulated broker runs on.
#pragma once

#include "core/types.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

struct epoll_event;

namespace millrace::sim {

/// Threads: one. Callbacks may watch, forget and schedule at will, themselves included.
class EventLoop {
public:
    using FdCallback = std::function<void(std::uint32_t events)>;
    using Callback = std::function<void()>;
    using TimerId = std::uint64_t;  // 0 = none

    EventLoop();
    ~EventLoop();
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    /// CLOCK_MONOTONIC now; timers are on this clock.
    [[nodiscard]] static Nanos now() noexcept;
    /// CLOCK_REALTIME now: the broker's wall clock.
    [[nodiscard]] static Nanos wall_now() noexcept;

    /// @param events EPOLLIN, EPOLLOUT. The descriptor stays the caller's.
    void watch(int fd, std::uint32_t events, FdCallback callback);
    void change(int fd, std::uint32_t events);
    /// Before the descriptor is closed. No callback for it comes after this.
    void forget(int fd);

    /// Calls back once at or after `when`.
    TimerId at(Nanos when, Callback callback);
    TimerId after(Nanos delay, Callback callback) { return at(now() + delay, std::move(callback)); }
    void cancel(TimerId id);

    /// Runs until stop().
    void run();
    void stop() noexcept { stopped_ = true; }
    /// One round: waits at most `longest` for something to happen.
    void step(Nanos longest);

private:
    struct Timer {
        Nanos when;
        TimerId id = 0;
        std::shared_ptr<Callback> callback;
        // Min-heap by time, first come first served.
        friend bool operator<(const Timer& a, const Timer& b) noexcept {
            return a.when != b.when ? a.when > b.when : a.id > b.id;
        }
    };
    struct Watch {
        std::uint32_t serial = 0;
        std::shared_ptr<FdCallback> callback;
    };
    void fire_timers();

    /// @return how many of `events` were filled in; 0 after `longest` or a signal.
    int wait_for(std::span<struct epoll_event> events, Nanos longest);

    int epoll_fd_ = -1;
    bool by_milliseconds_ = false;  // the kernel has no wait that is finer
    bool stopped_ = false;
    std::uint32_t next_serial_ = 1;
    TimerId next_timer_ = 1;
    std::unordered_map<int, Watch> watches_;
    std::priority_queue<Timer> timers_;
    std::unordered_set<TimerId> live_timers_;
};

}  // namespace millrace::sim
