// A port for a listener of a test.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>

namespace millrace::test {

/// A free port below those that the kernel gives to outgoing connections: such a one may not be
/// taken by a client of ours while its listener is dead.
/// @return 0 if none was found.
inline std::uint16_t quiet_port() {
    for (int tries = 0; tries < 1000; ++tries) {
        std::uint16_t dice = 0;
        if (::getrandom(&dice, sizeof dice, 0) != ssize_t{sizeof dice}) {
            continue;
        }
        const auto port = static_cast<std::uint16_t>(12'000 + dice % 20'000);
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = ::htons(port);
        at.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
        const bool is_free = ::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
        ::close(fd);
        if (is_free) {
            return port;
        }
    }
    return 0;
}

}  // namespace millrace::test
