// A port for a listener of a test.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace millrace::test {

/// A free port below those that the kernel gives to outgoing connections: such a one may not be
/// taken by a client of ours while its listener is dead. No other QuietPort has the same one while
/// this lives, in this process or another: tests run side by side, and nobody listens yet (or not
/// any more: a killed pipeline) when a neighbour looks for a port of its own.
class QuietPort {
public:
    QuietPort() {
        for (int tries = 0; tries < 1000; ++tries) {
            std::uint16_t dice = 0;
            if (::getrandom(&dice, sizeof dice, 0) != ssize_t{sizeof dice}) {
                continue;
            }
            const auto port = static_cast<std::uint16_t>(12'000 + dice % 20'000);
            if (claim(port) && is_free(port)) {
                number_ = port;
                return;
            }
        }
    }
    ~QuietPort() { drop(); }
    QuietPort(const QuietPort&) = delete;
    QuietPort& operator=(const QuietPort&) = delete;

    /// @return 0 if none was found.
    [[nodiscard]] std::uint16_t number() const { return number_; }

private:
    /// By an abstract socket of that name: the kernel lets one process have it, frees it with the
    /// process whatever its end, and keeps it in the same network namespace as the port. (The port
    /// itself cannot be held: the listener has to be able to bind it.)
    bool claim(std::uint16_t port) {
        drop();
        claim_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const std::string name = "millrace-test-port-" + std::to_string(port);
        sockaddr_un at{};
        at.sun_family = AF_UNIX;
        std::memcpy(at.sun_path + 1, name.data(), name.size());  // after a zero byte: abstract
        const std::size_t bytes = offsetof(sockaddr_un, sun_path) + 1 + name.size();
        return ::bind(claim_, reinterpret_cast<sockaddr*>(&at), static_cast<socklen_t>(bytes)) == 0;
    }
    static bool is_free(std::uint16_t port) {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = ::htons(port);
        at.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
        const bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
        ::close(fd);
        return bound;
    }
    void drop() {
        if (claim_ >= 0) {
            ::close(claim_);
        }
        claim_ = -1;
    }

    int claim_ = -1;
    std::uint16_t number_ = 0;
};

}  // namespace millrace::test
