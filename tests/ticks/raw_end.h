// What tests of the tick protocol drive by hand, frame by frame: one end of a TCP connection, and a
// server that says what a test wants to a TickSubscriber.
#pragma once

#include "gateway/ticks/tick_frames.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <sys/socket.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace millrace::test {

inline std::vector<std::byte> tick_key(int n) {
    return std::vector<std::byte>(32, static_cast<std::byte>(n));
}
inline Text<16> tick_name(std::string_view s) {
    Text<16> t;
    std::copy(s.begin(), s.end(), t.bytes);
    return t;
}

class RawEnd {
public:
    explicit RawEnd(net::Fd fd) : socket{1U << 20U} { socket.open(std::move(fd)); }
    explicit RawEnd(std::uint16_t port) : RawEnd{net::begin_connect("127.0.0.1", port).value()} {}

    template <class Body>
    void send(tick_wire::FrameType type, const Body& body, std::uint64_t seq = 0) {
        EXPECT_TRUE(tick_wire::queue(socket, type, body, seq));
        static_cast<void>(socket.flush());
    }
    void send_entries(tick_wire::FrameType type, std::span<const tick_wire::TickEntry> entries,
                      std::uint64_t seq) {
        EXPECT_TRUE(tick_wire::queue_entries(socket, type, entries, seq));
        static_cast<void>(socket.flush());
    }
    /// Reads all that is there.
    void read(const std::function<void(const wire::Frame&)>& on_frame = [](const wire::Frame&) {}) {
        static_cast<void>(socket.flush());
        while (!closed) {
            const auto got = socket.receive(reader.space());
            if (!got) {
                closed = got.code() != Errc::Busy;
                return;
            }
            reader.filled(got.value());
            for (auto f = reader.next(); f && f.value() != nullptr; f = reader.next()) {
                on_frame(*f.value());
            }
        }
    }

    net::Connection socket;
    wire::FrameReader reader{tick_wire::kVersion};
    bool closed = false;
};

/// A consumer's LOGIN, by hand.
inline void answer_challenge(RawEnd& end, const wire::Frame& frame, std::string_view name,
                             const std::vector<std::byte>& key) {
    const auto challenge = frame.as<tick_wire::Challenge>();
    ASSERT_TRUE(challenge.ok());
    tick_wire::Login login{};
    std::copy(name.begin(), name.end(), login.name);
    tick_wire::sign(key, challenge.value().nonce, login, login.mac);
    end.send(tick_wire::FrameType::Login, login);
}

/// A tick server for one TickSubscriber.
class FakeTickServer {
public:
    FakeTickServer() {
        std::string message;
        listener = net::Listener::open({.port = 0}, message).value();
        udp = net::Fd{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = ::htons(listener.port());
        at.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
        EXPECT_EQ(::bind(udp.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    }

    /// Takes a connection, answers its LOGIN, keeps its ASKs.
    void step() {
        if (end == nullptr || end->closed) {
            auto fd = listener.accept();
            if (!fd) {
                return;
            }
            end = std::make_unique<RawEnd>(std::move(fd).value());
            logged_in = false;
            tick_wire::Challenge challenge{};
            wire::fill_nonce(challenge.nonce);
            std::copy_n(challenge.nonce, sizeof nonce, nonce);
            end->send(tick_wire::FrameType::Challenge, challenge);
        }
        end->read([this](const wire::Frame& f) { on_frame(f); });
    }
    void cut() {
        end.reset();
        logged_in = false;
    }

    void snapshot(std::uint64_t seq, const std::vector<tick_wire::TickEntry>& entries) {
        end->send_entries(tick_wire::FrameType::Snapshot, entries, seq);
    }
    void by_tcp(std::uint64_t seq, const std::vector<tick_wire::TickEntry>& entries) {
        end->send_entries(tick_wire::FrameType::Packet, entries, seq);
    }
    [[nodiscard]] static std::vector<std::byte> packet(
        std::uint64_t seq, const std::vector<tick_wire::TickEntry>& entries) {
        std::vector<std::byte> frame(wire::kFrameBytesMax);
        frame.resize(
            wire::encode_bytes(frame, static_cast<std::uint8_t>(tick_wire::FrameType::Packet),
                               tick_wire::kVersion, seq, std::as_bytes(std::span{entries})));
        return frame;
    }
    void by_udp(std::uint64_t seq, const std::vector<tick_wire::TickEntry>& entries) {
        by_udp_sealed(session, seq, entries);
    }
    void by_udp_sealed(const wire::Mac& with, std::uint64_t seq,
                       const std::vector<tick_wire::TickEntry>& entries) {
        tick_wire::Datagram sealed;
        const std::size_t n = tick_wire::seal(with, packet(seq, entries), sealed);
        datagram(std::span{sealed}.first(n));
    }
    void datagram(std::span<const std::byte> bytes) {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = ::htons(consumer_port);
        to.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
        EXPECT_EQ(::sendto(udp.get(), bytes.data(), bytes.size(), 0,
                           reinterpret_cast<const sockaddr*>(&to), sizeof to),
                  static_cast<ssize_t>(bytes.size()));
    }

    net::Listener listener;
    net::Fd udp;
    std::unique_ptr<RawEnd> end;
    wire::Nonce nonce{};
    wire::Mac session{};
    std::uint16_t consumer_port = 0;
    bool logged_in = false;
    std::vector<tick_wire::Ask> asks;

private:
    void on_frame(const wire::Frame& f) {
        if (const auto ask = f.as<tick_wire::Ask>();
            static_cast<tick_wire::FrameType>(f.header.type) == tick_wire::FrameType::Ask && ask) {
            asks.push_back(ask.value());
        }
        if (static_cast<tick_wire::FrameType>(f.header.type) != tick_wire::FrameType::Login) {
            return;
        }
        const tick_wire::Login login = f.as<tick_wire::Login>().value();
        consumer_port = static_cast<std::uint16_t>(login.udp_port);
        tick_wire::session_key(tick_key(1), nonce, login.nonce, session);
        tick_wire::Welcome welcome{};
        tick_wire::sign(tick_key(1), login.nonce, welcome, welcome.mac);
        end->send(tick_wire::FrameType::Welcome, welcome);
        logged_in = true;
    }
};

}  // namespace millrace::test
