#include "tools/millrace/parker.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

namespace millrace {
namespace {

constexpr std::size_t kDescriptorsMax = 16;
constexpr Nanos kBridgeNap = millis(500);  // bounds how long the destructor waits
constexpr Nanos kWithoutEventFd = millis(1);

/// Signals are for the process's main thread.
void block_signals() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

}  // namespace

Parker::Parker(std::vector<Sleeper> sleepers) : sleepers_{std::move(sleepers)} {
    ASSERT(sleepers_.size() < kDescriptorsMax);
    const bool one_bell = sleepers_.size() == 1 && sleepers_[0].stage->wake_fd() < 0;
    if (one_bell) {
        return;
    }
    event_fd_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    for (const Sleeper& s : sleepers_) {
        bridges_.emplace_back([this, bell = s.bell] { bridge(*bell); });
    }
}

Parker::~Parker() {
    // Release: pairs with the acquire in bridge(); nothing but the flag itself is handed over.
    stopping_.store(true, std::memory_order_release);
    for (const Sleeper& s : sleepers_) {
        s.bell->armed.store(1, std::memory_order_relaxed);  // so that ring() wakes the bridge
        ring(*s.bell);
    }
    for (std::thread& t : bridges_) {
        t.join();
    }
    if (event_fd_ >= 0) {
        ::close(event_fd_);
    }
}

void Parker::bridge(Doorbell& bell) noexcept {
    block_signals();
    // Relaxed, here and below: a count; the sleeper's own last look, behind its fence, finds what
    // the ring was for (shm/doorbell_protocol.h).
    std::uint32_t seen = bell.rings.load(std::memory_order_relaxed);
    while (!stopping_.load(std::memory_order_acquire)) {
        detail::sleep_on(bell, seen, kBridgeNap);  // returns at once if `rings` is past `seen`
        const std::uint32_t now = bell.rings.load(std::memory_order_relaxed);
        if (now != seen) {
            seen = now;
            const std::uint64_t one = 1;
            // A full counter (EAGAIN) is a wake-up too; nothing else can fail here.
            (void)!::write(event_fd_, &one, sizeof one);
        }
    }
}

void Parker::move_to(Doorbell& bell) noexcept {
    ASSERT(bridges_.empty());
    sleepers_[0].bell = &bell;
}

bool Parker::all_idle() const noexcept {
    return std::all_of(sleepers_.begin(), sleepers_.end(),
                       [](const Sleeper& s) { return s.stage->idle(); });
}

void Parker::park(Nanos limit) noexcept {
    if (bridges_.empty()) {
        const Stage* stage = sleepers_[0].stage;
        doorbell_wait(*sleepers_[0].bell, limit, [stage] { return stage->idle(); });
        return;
    }
    for (const Sleeper& s : sleepers_) {
        detail::arm(*s.bell);
    }
    if (all_idle()) {
        poll_descriptors(limit);
    }
    for (const Sleeper& s : sleepers_) {
        // Relaxed: only the owner arms, and a late ring() is harmless (shm/doorbell.h).
        s.bell->armed.store(0, std::memory_order_relaxed);
    }
}

void Parker::poll_descriptors(Nanos limit) noexcept {
    pollfd fds[kDescriptorsMax];
    nfds_t count = 0;
    if (event_fd_ >= 0) {
        fds[count++] = {event_fd_, POLLIN, 0};
    } else {
        limit = std::min(limit, kWithoutEventFd);
    }
    for (const Sleeper& s : sleepers_) {
        if (const int fd = s.stage->wake_fd(); fd >= 0) {
            fds[count++] = {fd, POLLIN, 0};
        }
    }
    const timespec timeout{limit.value / 1'000'000'000, limit.value % 1'000'000'000};
    if (::ppoll(fds, count, &timeout, nullptr) > 0 && event_fd_ >= 0 && fds[0].revents != 0) {
        std::uint64_t rings = 0;
        (void)!::read(event_fd_, &rings, sizeof rings);
    }
}

}  // namespace millrace
