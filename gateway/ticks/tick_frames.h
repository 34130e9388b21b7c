// What both ends of the tick protocol do with frames.
#pragma once

#include "gateway/frame.h"
#include "gateway/tcp.h"
#include "gateway/ticks/tick_wire.h"

#include <cstring>
#include <span>

namespace millrace::tick_wire {

/// Puts a frame behind what waits in `socket`. @return false if it has no room: nothing is queued.
template <class Body>
[[nodiscard]] bool queue(net::Connection& socket, FrameType type, const Body& body,
                         std::uint64_t seq = 0) noexcept {
    const std::size_t n = wire::encode(socket.space(), type, kVersion, seq, body);
    socket.queued(n);
    return n != 0;
}

/// The same for a row of entries.
[[nodiscard]] inline bool queue_entries(net::Connection& socket, FrameType type,
                                        std::span<const TickEntry> entries,
                                        std::uint64_t seq = 0) noexcept {
    const std::size_t n = wire::encode_bytes(socket.space(), static_cast<std::uint8_t>(type),
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

}  // namespace millrace::tick_wire
