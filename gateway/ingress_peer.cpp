#include "gateway/ingress_peer.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace millrace {

void IngressPeer::open(net::Fd fd, Nanos now) noexcept {
    ASSERT(state_ == State::Free);
    connection_.open(std::move(fd));
    reader_.reset();
    state_ = State::LoggingIn;
    source_index_ = kNoId;
    opened_ = heard_ = sent_ = now;
    watches_write = false;  // `dirty` stays: it says whether this place is in the flush list

    signal_wire::Challenge challenge{};
    wire::fill_nonce(nonce_);
    std::memcpy(challenge.nonce, nonce_, sizeof nonce_);
    challenge.server_time_ns = now.value;
    const bool queued = send(signal_wire::FrameType::Challenge, 0, challenge);
    ASSERT(queued);  // the buffer is empty and far larger
}

void IngressPeer::close() noexcept {
    connection_.close();
    state_ = State::Free;
    source_index_ = kNoId;
}

bool IngressPeer::log_in(const signal_wire::Login& login, std::span<const std::byte> key,
                         std::uint32_t source_index) noexcept {
    ASSERT(state_ == State::LoggingIn);
    wire::Mac expected;
    wire::hmac_sha256(key, std::as_bytes(std::span{nonce_}), std::as_bytes(std::span{login.source}),
                      expected);
    if (!wire::same_mac(expected, login.mac)) {
        return false;
    }
    state_ = State::Open;
    source_index_ = source_index;
    return true;
}

bool IngressPeer::send_bytes(std::span<const std::byte> frame) noexcept {
    ASSERT(!frame.empty());
    return connection_.send(frame).ok();
}

bool IngressPeer::send_heartbeat() noexcept {
    std::byte frame[sizeof(wire::FrameHeader)];
    const auto type = static_cast<std::uint8_t>(signal_wire::FrameType::Heartbeat);
    return send_bytes({frame, wire::encode_bytes(frame, type, signal_wire::kVersion, 0, {})});
}

void IngressPeer::deny(std::string_view reason, Nanos now) noexcept {
    signal_wire::Denied denied{};
    reason.copy(denied.reason, sizeof denied.reason - 1);
    // If the peer reads so little that not even this fits, it learns from the end of the stream.
    if (!send(signal_wire::FrameType::Denied, 0, denied) || !flush(now)) {
        close();
        return;
    }
    ::shutdown(connection_.fd(), SHUT_WR);
    state_ = State::Denied;
    denied_at_ = now;
}

bool IngressPeer::flush(Nanos now) noexcept {
    const std::uint64_t before = connection_.sent_total();
    const Status status = connection_.flush();
    if (status.ok() || connection_.sent_total() != before) {
        sent_ = now;
    }
    return status.ok() || status.code() == Errc::Busy;
}

const char* IngressPeer::overdue(Nanos now, const IngressLimits& limits) const noexcept {
    switch (state_) {
        case State::Free: return nullptr;
        case State::LoggingIn:
            return now - opened_ > limits.login ? "no Login frame in time" : nullptr;
        case State::Denied: return now - denied_at_ > limits.linger ? "was denied" : nullptr;
        case State::Open: break;
    }
    if (pending_bytes() != 0 && now - sent_ > limits.stall) {
        return "does not read what it is sent";
    }
    return now - heard_ > limits.silence ? "silent for too long; send a Heartbeat each second"
                                         : nullptr;
}

}  // namespace millrace
