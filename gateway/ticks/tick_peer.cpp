#include "gateway/ticks/tick_peer.h"

#include <algorithm>
#include <cstdio>

namespace millrace {

bool TickPeer::greet(net::Fd fd, net::Poller& poller, Nanos now) noexcept {
    socket.open(std::move(fd));
    reader.reset();
    state = State::Greeted;
    closing = false;
    watched = {};
    accepted = heard = now;
    wire::fill_nonce(nonce);
    tick_wire::Challenge challenge{};
    std::copy_n(nonce, sizeof nonce, challenge.nonce);
    challenge.server_time_ns = now.value;
    return poller.add(socket.fd(), tag) &&
           tick_wire::queue(socket, tick_wire::FrameType::Challenge, challenge);
}

void TickPeer::deny(const char* why, Nanos now) noexcept {
    if (closing) {
        return;
    }
    tick_wire::Denied denied{};
    std::snprintf(denied.reason, sizeof denied.reason, "%s", why);
    // One without room for it does not read, and is closed without.
    static_cast<void>(tick_wire::queue(socket, tick_wire::FrameType::Denied, denied));
    closing = true;
    closing_since = now;
}

bool TickPeer::settle(net::Poller& poller) noexcept {
    const Status flushed = socket.flush();
    const bool dead = !flushed && flushed.code() != Errc::Busy;
    if (dead || (closing && flushed)) {
        return false;
    }
    // A closing one's words must not wake us: nobody reads them.
    const net::Poller::Interest wanted{.read = !closing, .write = socket.pending_bytes() != 0};
    if (wanted.read == watched.read && wanted.write == watched.write) {
        return true;
    }
    watched = wanted;
    return poller.watch(socket.fd(), tag, wanted).ok();
}

bool TickPeer::is_overdue(Nanos now, Nanos silence_max, Nanos listening) const noexcept {
    if (closing) {
        return now - closing_since > kClosingMax;
    }
    return state == State::Up ? now - std::max(heard, listening) > silence_max
                              : now - accepted > kHelloMax;
}

void TickPeer::close() noexcept {
    state = State::Free;
    closing = false;
    socket.close();
}

}  // namespace millrace
