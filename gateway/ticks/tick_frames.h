// What both ends of the tick protocol do with frames.
#pragma once

#include "gateway/frame.h"
#include "gateway/tcp.h"
#include "gateway/ticks/tick_wire.h"

#include <array>
#include <cstring>
#include <span>

namespace millrace::tick_wire {

/// Puts a frame behind what waits in `socket`. @return false if it has no room: nothing is queued.
template <class Body>
[[nodiscard]] bool queue(net::Connection& socket, FrameType type, const Body& body,
                         std::uint64_t seq = 0) noexcept {
    const std::size_t n =
        wire::encode(socket.space(wire::kFrameBytes<Body>), type, kVersion, seq, body);
    socket.queued(n);
    return n != 0;
}

/// The same for a row of entries.
[[nodiscard]] inline bool queue_entries(net::Connection& socket, FrameType type,
                                        std::span<const TickEntry> entries,
                                        std::uint64_t seq = 0) noexcept {
    const std::size_t bytes = sizeof(wire::FrameHeader) + entries.size_bytes();
    const std::size_t n = wire::encode_bytes(socket.space(bytes), static_cast<std::uint8_t>(type),
                                             kVersion, seq, std::as_bytes(entries));
    socket.queued(n);
    return n != 0;
}

/// The `i`-th entry of a frame of entries.
[[nodiscard]] inline TickEntry entry_at(const wire::Frame& frame, std::size_t i) noexcept {
    TickEntry e;
    std::memcpy(&e, frame.body.data() + i * sizeof e, sizeof e);
    return e;
}
/// How many entries a frame has; 0 if its size is that of none.
[[nodiscard]] inline std::size_t entries_of(const wire::Frame& frame) noexcept {
    return frame.body.size() % sizeof(TickEntry) == 0 ? frame.body.size() / sizeof(TickEntry) : 0;
}

/// MAC over a nonce and what of `body` is before its mac.
template <class Body>
void sign(std::span<const std::byte> key, const wire::Nonce& nonce, const Body& body,
          wire::Mac& out) noexcept {
    wire::hmac_sha256(key, std::as_bytes(std::span{nonce}),
                      std::as_bytes(std::span{&body, 1}).first(offsetof(Body, mac)), out);
}
template <class Body>
[[nodiscard]] bool is_signed(std::span<const std::byte> key, const wire::Nonce& nonce,
                             const Body& body) noexcept {
    wire::Mac expected;
    sign(key, nonce, body, expected);
    return wire::same_mac(expected, body.mac);
}

/// The key of one connection's datagrams, of what its handshake had of both sides: those of another
/// connection, or of another life of the server, do not pass.
inline void session_key(std::span<const std::byte> key, const wire::Nonce& challenge,
                        const wire::Nonce& login, wire::Mac& out) noexcept {
    std::array<std::byte, sizeof challenge + 9> more{};
    std::memcpy(more.data(), challenge, sizeof challenge);
    std::memcpy(more.data() + sizeof challenge, "datagrams", 9);
    wire::hmac_sha256(key, std::as_bytes(std::span{login}), more, out);
}

/// A frame and its seal: the first kSealBytes of HMAC-SHA256(session key, frame).
using Datagram = std::array<std::byte, wire::kFrameBytesMax>;
/// @param frame at most kFrameBytesMax - kSealBytes bytes. @return bytes of `out`
inline std::size_t seal(const wire::Mac& session, std::span<const std::byte> frame,
                        Datagram& out) noexcept {
    wire::Mac mac;
    wire::hmac_sha256(std::as_bytes(std::span{session}), frame, {}, mac);
    std::memcpy(out.data(), frame.data(), frame.size());
    std::memcpy(out.data() + frame.size(), mac, kSealBytes);
    return frame.size() + kSealBytes;
}
/// @return the frame, empty if the seal is not that of the session.
inline std::span<const std::byte> unseal(const wire::Mac& session,
                                         std::span<const std::byte> datagram) noexcept {
    if (datagram.size() < sizeof(wire::FrameHeader) + kSealBytes) {
        return {};
    }
    const auto frame = datagram.first(datagram.size() - kSealBytes);
    wire::Mac expected;
    wire::hmac_sha256(std::as_bytes(std::span{session}), frame, {}, expected);
    wire::Mac got;
    std::memcpy(got, expected, sizeof got);
    std::memcpy(got, datagram.data() + frame.size(), kSealBytes);
    return wire::same_mac(expected, got) ? frame : std::span<const std::byte>{};
}

}  // namespace millrace::tick_wire
