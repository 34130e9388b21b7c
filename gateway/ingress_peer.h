// IngressPeer: one connection of a source, from its challenge to its end.
#pragma once

#include "gateway/frame.h"
#include "gateway/signal_wire.h"
#include "gateway/tcp.h"

#include <string_view>

namespace millrace {

/// Time limits of a connection.
struct IngressLimits {
    Nanos login = seconds(5);      // from accept to a good Login
    Nanos stall = seconds(5);      // bytes wait and the peer takes none of them
    Nanos heartbeat = seconds(1);  // we send one after so long without sending
    Nanos silence = seconds(10);   // nothing heard from the peer
    Nanos linger = millis(500);    // after Denied: for the peer to read it
};

/// A connection, its reader and its place in the handshake. Re-usable after close().
/// Threads: one. Allocates at construction only.
class IngressPeer {
public:
    enum class State : std::uint8_t { Free, LoggingIn, Open, Denied };
    using Reader = wire::BasicFrameReader<16 * 1024>;

    explicit IngressPeer(std::size_t send_buffer_bytes)
        : connection_{send_buffer_bytes}, reader_{signal_wire::kVersion} {}

    /// Takes over an accepted socket and queues the Challenge.
    void open(net::Fd fd, Nanos now) noexcept;
    /// Ends it at once; what was queued is lost.
    void close() noexcept;

    /// Checks `login` against `key`. @return true, and the peer is Open as `source_index`.
    [[nodiscard]] bool log_in(const signal_wire::Login& login, std::span<const std::byte> key,
                              std::uint32_t source_index) noexcept;

    /// Queues a frame. @return false if the send buffer has no room: the peer does not read.
    template <class Body>
    [[nodiscard]] bool send(signal_wire::FrameType type, std::uint64_t seq,
                            const Body& body) noexcept {
        std::byte frame[wire::kFrameBytes<Body>];
        const std::size_t n = wire::encode(frame, type, signal_wire::kVersion, seq, body);
        return send_bytes({frame, n});
    }
    [[nodiscard]] bool send_bytes(std::span<const std::byte> frame) noexcept;
    [[nodiscard]] bool send_heartbeat() noexcept;

    /// Queues Denied{reason}, writes what the socket takes and ends our direction. The peer then
    /// has `linger` to read it; closing at once would reset the connection under its hands.
    void deny(std::string_view reason, Nanos now) noexcept;

    /// Writes what the socket takes. @return false if the connection is dead.
    [[nodiscard]] bool flush(Nanos now) noexcept;
    /// Why the connection must end now, nullptr if it need not.
    [[nodiscard]] const char* overdue(Nanos now, const IngressLimits& limits) const noexcept;
    [[nodiscard]] bool wants_heartbeat(Nanos now, const IngressLimits& limits) const noexcept {
        return state_ == State::Open && now - sent_ >= limits.heartbeat;
    }

    void heard(Nanos now) noexcept { heard_ = now; }
    [[nodiscard]] State state() const noexcept { return state_; }
    [[nodiscard]] std::uint32_t source_index() const noexcept { return source_index_; }
    [[nodiscard]] net::Connection& connection() noexcept { return connection_; }
    [[nodiscard]] std::size_t pending_bytes() const noexcept { return connection_.pending_bytes(); }
    [[nodiscard]] Reader& reader() noexcept { return reader_; }

    bool watches_write = false;  // kept by the stage: what the poller was told
    bool dirty = false;          // kept by the stage: queued bytes wait for this cycle's flush

private:
    net::Connection connection_;
    Reader reader_;
    wire::Nonce nonce_ = {};
    State state_ = State::Free;
    std::uint32_t source_index_ = kNoId;
    Nanos opened_;
    Nanos heard_;
    Nanos sent_;  // last time the socket took bytes, or nothing waited
    Nanos denied_at_;
};

}  // namespace millrace
