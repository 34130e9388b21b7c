// Peer: one accepted socket of a terminal, from accept to close. Taken from a fixed pool.
#pragma once

#include "gateway/bridge_wire.h"
#include "gateway/frame.h"
#include "gateway/tcp.h"

namespace millrace {

class Session;

enum class PeerState : std::uint8_t {
    Free = 0,
    AwaitHello = 1,  // challenged
    InSession = 2,   // authenticated: `session` is set
    Closing = 3,     // told why; what it still sends is read and thrown away, else the kernel
                     // would reset the connection and the reason would be lost
};

/// Threads: the broker stage. Memory: taken once, when the stage is made.
struct Peer {
    static constexpr std::size_t kBufferBytes = 8 * 1024;

    net::Connection socket{kBufferBytes};
    wire::BasicFrameReader<kBufferBytes> reader{bridge::kVersion};
    PeerState state = PeerState::Free;
    bool watching_writes = false;
    bool has_backlog = false;  // read, but not handled yet: the reports ring was full
    bool broken = false;       // the socket failed: to be dropped
    std::uint64_t tag = 0;     // in the poller
    Session* session = nullptr;
    Nanos since;  // accepted, or told to go
    wire::Nonce nonce{};

    /// Queues one frame. @return false if the peer reads so slowly that it does not fit.
    template <class Body>
    bool send(bridge::FrameType type, std::uint64_t seq, const Body& body) noexcept {
        const auto room = socket.space();
        const std::size_t n = wire::encode(room, type, bridge::kVersion, seq, body);
        socket.queued(n);
        return n > 0;
    }
    /// Writes what is queued. @return true if nothing waits any more.
    bool flush() noexcept {
        const Status s = socket.flush();
        broken = broken || (!s.ok() && s.code() != Errc::Busy);
        return s.ok();
    }
};

}  // namespace millrace
