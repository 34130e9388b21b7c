// A source that speaks the protocol by hand, so that a test can break it at any byte.
#pragma once

#include "tests/ingress/fixture.h"

#include <poll.h>
#include <sys/socket.h>

#include <cstring>
#include <optional>

namespace millrace::ingress_test {

class RawSource {
public:
    RawSource(Bench& bench, int receive_buffer_bytes = 0) : bench_{bench} {
        auto fd = net::begin_connect("127.0.0.1", bench.stage->port());
        EXPECT_TRUE(fd.ok());
        fd_ = std::move(fd).value();
        if (receive_buffer_bytes != 0) {
            ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
                         sizeof receive_buffer_bytes);
        }
    }

    /// Steps the bench until a frame arrives; nullopt when the stream has ended.
    std::optional<wire::Frame> next() {
        std::optional<wire::Frame> found;
        EXPECT_TRUE(bench_.until([&] { return look(found); })) << "neither a frame nor an end";
        return found;
    }
    /// The next frame's type that is no heartbeat; 0 at the end of the stream.
    int next_type() {
        for (;;) {
            const auto f = next();
            if (!f) {
                return 0;
            }
            if (f->header.type != static_cast<int>(signal_wire::FrameType::Heartbeat)) {
                last = *f;
                return f->header.type;
            }
        }
    }

    void send(const void* bytes, std::size_t n) {
        ASSERT_EQ(::send(fd_.get(), bytes, n, MSG_NOSIGNAL), static_cast<ssize_t>(n));
    }
    template <class Body>
    void send_frame(signal_wire::FrameType type, std::uint64_t seq, const Body& body) {
        std::byte frame[wire::kFrameBytes<Body>];
        send(frame, wire::encode(frame, type, signal_wire::kVersion, seq, body));
    }

    /// Challenge and Login, without waiting for the answer.
    void log_in(const std::string& name, const std::vector<std::byte>& key) {
        const auto frame = next();
        ASSERT_TRUE(frame.has_value());
        ASSERT_EQ(frame->header.type, static_cast<int>(signal_wire::FrameType::Challenge));
        const auto challenge = frame->as<signal_wire::Challenge>().value();
        signal_wire::Login login{};
        name.copy(login.source, sizeof login.source);
        wire::hmac_sha256(key, std::as_bytes(std::span{challenge.nonce}),
                          std::as_bytes(std::span{login.source}), login.mac);
        send_frame(signal_wire::FrameType::Login, 0, login);
    }

    std::string denied_reason() const {
        const auto body = last.as<signal_wire::Denied>();
        return body ? std::string{body.value().reason} : "not a Denied frame";
    }
    wire::Frame last;

private:
    bool look(std::optional<wire::Frame>& found) {
        for (;;) {
            const auto frame = reader_.next();
            EXPECT_TRUE(frame.ok());
            if (!frame.ok()) {
                return true;
            }
            if (frame.value() != nullptr) {
                found = *frame.value();
                return true;
            }
            const auto room = reader_.space();
            const ssize_t n = ::recv(fd_.get(), room.data(), room.size(), MSG_DONTWAIT);
            if (n == 0 || (n < 0 && errno == ECONNRESET)) {
                return true;
            }
            if (n < 0) {
                return false;
            }
            reader_.filled(static_cast<std::size_t>(n));
        }
    }

    Bench& bench_;
    net::Fd fd_;
    wire::FrameReader reader_{signal_wire::kVersion};
};

inline signal_wire::Submit submit_body(std::uint64_t n) {
    signal_wire::Submit s{};
    s.id_hi = 0xB0B0;
    s.id_lo = n;
    std::memcpy(s.group, "main", 4);
    std::memcpy(s.symbol, "EURUSD", 6);
    s.action = 1;
    s.volume = kScale;
    return s;
}

}  // namespace millrace::ingress_test
