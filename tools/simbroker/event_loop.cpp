#include "tools/simbroker/event_loop.h"

#include "core/assert.h"

#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace millrace::sim {
namespace {

Nanos clock_now(clockid_t clock) noexcept {
    timespec t{};
    clock_gettime(clock, &t);
    return Nanos{t.tv_sec * 1'000'000'000 + t.tv_nsec};
}

// A descriptor number is used again at once after close(): the serial tells its events apart.
std::uint64_t pack(int fd, std::uint32_t serial) noexcept {
    return (std::uint64_t{serial} << 32) | static_cast<std::uint32_t>(fd);
}

}  // namespace

EventLoop::EventLoop() : epoll_fd_{::epoll_create1(EPOLL_CLOEXEC)} {
    ASSERT(epoll_fd_ >= 0);
}
EventLoop::~EventLoop() {
    ::close(epoll_fd_);
}

Nanos EventLoop::now() noexcept {
    return clock_now(CLOCK_MONOTONIC);
}
Nanos EventLoop::wall_now() noexcept {
    return clock_now(CLOCK_REALTIME);
}

void EventLoop::watch(int fd, std::uint32_t events, FdCallback callback) {
    Watch& entry = watches_[fd];
    ASSERT(entry.callback == nullptr);
    entry.serial = next_serial_++;
    entry.callback = std::make_shared<FdCallback>(std::move(callback));
    epoll_event event{};
    event.events = events;
    event.data.u64 = pack(fd, entry.serial);
    const int added = ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event);
    ASSERT(added == 0);
}

void EventLoop::change(int fd, std::uint32_t events) {
    const auto it = watches_.find(fd);
    ASSERT(it != watches_.end());
    epoll_event event{};
    event.events = events;
    event.data.u64 = pack(fd, it->second.serial);
    const int changed = ::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event);
    ASSERT(changed == 0);
}

void EventLoop::forget(int fd) {
    if (watches_.erase(fd) != 0) {
        ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
    }
}

EventLoop::TimerId EventLoop::at(Nanos when, Callback callback) {
    const TimerId id = next_timer_++;
    timers_.push({when, id, std::make_shared<Callback>(std::move(callback))});
    live_timers_.insert(id);
    return id;
}

void EventLoop::cancel(TimerId id) {
    live_timers_.erase(id);
}

void EventLoop::fire_timers() {
    const Nanos deadline = now();
    // Timers made by these callbacks for "now" wait for the next round: descriptors come first.
    while (!timers_.empty() && timers_.top().when <= deadline) {
        const Timer timer = timers_.top();
        timers_.pop();
        if (live_timers_.erase(timer.id) != 0) {
            (*timer.callback)();
        }
    }
}

int EventLoop::wait_for(std::span<epoll_event> events, Nanos longest) {
    const auto room = static_cast<int>(events.size());
    int ready = -1;
    if (!by_milliseconds_) {
        const timespec timeout{longest.value / 1'000'000'000, longest.value % 1'000'000'000};
        ready = ::epoll_pwait2(epoll_fd_, events.data(), room, &timeout, nullptr);
        // Linux before 5.11, or a filter of system calls that is older than that.
        by_milliseconds_ = ready < 0 && (errno == ENOSYS || errno == EPERM);
    }
    if (by_milliseconds_) {
        const auto ms = static_cast<int>((longest.value + 999'999) / 1'000'000);
        ready = ::epoll_wait(epoll_fd_, events.data(), room, ms);
    }
    ASSERT(ready >= 0 || errno == EINTR);
    return std::max(ready, 0);
}

void EventLoop::step(Nanos longest) {
    Nanos wait = longest;
    if (!timers_.empty()) {
        wait = std::clamp(timers_.top().when - now(), Nanos{0}, longest);
    }
    std::array<epoll_event, 256> events;
    const int ready = wait_for(events, wait);
    for (int i = 0; i < ready; ++i) {
        const auto& event = events[static_cast<std::size_t>(i)];
        const auto it = watches_.find(static_cast<int>(event.data.u64 & 0xFFFF'FFFFU));
        if (it != watches_.end() && it->second.serial == event.data.u64 >> 32) {
            const auto callback = it->second.callback;  // stays alive if it forgets itself
            (*callback)(event.events);
        }
    }
    fire_timers();
}

void EventLoop::run() {
    while (!stopped_) {
        step(seconds(1));
    }
}

}  // namespace millrace::sim
