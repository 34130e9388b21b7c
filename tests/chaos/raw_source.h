// A source that speaks to ingress by hand: it reads when it is told to, or never.
#pragma once

#include "gateway/frame.h"
#include "gateway/signal_wire.h"
#include "gateway/tcp.h"
#include "tests/chaos/world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

namespace millrace::chaos {

class RawSource {
public:
    static constexpr Nanos kAnswerMax = seconds(180);  // on a machine that does much else

    /// An edit of millrace.json that adds this source, of level `disk`.
    [[nodiscard]] static Edit configured(const std::string& name) {
        return {"\"sources\": [", R"("sources": [{"name": ")" + name +
                                      R"(", "kind": "tcp", "ack": "disk", "key": ")" +
                                      std::string(64, 'd') + "\"}, "};
    }

    /// Connects and logs in.
    /// @param deaf the kernel's buffers are small on both sides (of loopback they are megabytes):
    /// little has to be sent until they are full.
    RawSource(World& world, const std::string& name, bool deaf = false) : world_{world} {
        fd_ = net::Fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        if (deaf) {
            const int bytes = 4096;
            const int segment = 536;
            ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
            ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
        }
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
        at.sin_port = ::htons(world.pipeline().plan().signals_port);
        EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
        log_in(name);
    }

    /// Whole frames only: what the socket takes a part of is finished before the next one.
    /// @return false if the connection takes no more now.
    template <class Body>
    bool send(signal_wire::FrameType type, std::uint64_t seq, const Body& body) {
        if (rest_.empty()) {
            std::byte frame[wire::kFrameBytes<Body>];
            const std::size_t n = wire::encode(frame, type, signal_wire::kVersion, seq, body);
            rest_.assign(frame, frame + n);
        }
        const ssize_t sent =
            ::send(fd_.get(), rest_.data(), rest_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        cut_ = cut_ || (sent < 0 && (errno == EPIPE || errno == ECONNRESET));
        rest_.erase(rest_.begin(), rest_.begin() + (sent > 0 ? sent : 0));
        return rest_.empty();
    }
    /// The other end has closed the connection: seen when something is sent.
    [[nodiscard]] bool is_cut() const noexcept { return cut_; }

    /// The world turns until a frame of this type comes; others are passed over.
    template <class Body>
    [[nodiscard]] bool wait_for(signal_wire::FrameType type, Body& body) {
        bool found = false;
        return world_.turn_until(
            [&] {
                const auto room = reader_.space();
                const ssize_t n = ::recv(fd_.get(), room.data(), room.size(), MSG_DONTWAIT);
                reader_.filled(n > 0 ? static_cast<std::size_t>(n) : 0);
                for (auto next = reader_.next(); !found && next && next.value() != nullptr;
                     next = reader_.next()) {
                    const auto as = next.value()->as<Body>();
                    found = next.value()->header.type == static_cast<std::uint8_t>(type) && as.ok();
                    body = found ? as.value() : body;
                }
                return found;
            },
            kAnswerMax);
    }

private:
    void log_in(const std::string& name) {
        signal_wire::Challenge challenge{};
        ASSERT_TRUE(wait_for(signal_wire::FrameType::Challenge, challenge));
        signal_wire::Login login{};
        name.copy(login.source, sizeof login.source);
        const std::vector<std::byte> key(32, std::byte{0xDD});
        wire::hmac_sha256(key, std::as_bytes(std::span{challenge.nonce}),
                          std::as_bytes(std::span{login.source}), login.mac);
        ASSERT_TRUE(send(signal_wire::FrameType::Login, 0, login));
    }

    World& world_;
    net::Fd fd_;
    wire::FrameReader reader_{signal_wire::kVersion};
    std::vector<std::byte> rest_;
    bool cut_ = false;
};

}  // namespace millrace::chaos
