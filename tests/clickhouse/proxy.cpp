#include "tests/clickhouse/proxy.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string_view>

namespace millrace::clickhouse_test {
namespace {

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(port);
    return at;
}

bool send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

}  // namespace

Proxy::Proxy(std::uint16_t server_port) : server_port_{server_port} {
    EXPECT_EQ(::pipe(wake_), 0);
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at = loopback(0);
    socklen_t n = sizeof at;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &n), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    port_ = ntohs(at.sin_port);
    accepter_ = std::thread{[this] { accept_all(); }};
}

Proxy::~Proxy() {
    ::close(wake_[1]);
    accepter_.join();
    for (std::thread& t : connections_) {
        t.join();
    }
    ::close(wake_[0]);
    ::close(listener_);
}

std::string Proxy::url() const {
    return "http://127.0.0.1:" + std::to_string(port_);
}

void Proxy::fail(Fault fault, int times, int delay_ms) {
    delay_ms_ = delay_ms;
    times_ = times;
    fault_ = fault;
}

Fault Proxy::next_fault(bool connecting) {
    const Fault fault = fault_;
    if (fault == Fault::None || (fault == Fault::Refuse) != connecting) {
        return Fault::None;
    }
    if (times_.fetch_sub(1) <= 0) {
        fault_ = Fault::None;
        return Fault::None;
    }
    ++failed_;
    return fault;
}

void Proxy::accept_all() {
    while (true) {
        std::array<pollfd, 2> fds{{{listener_, POLLIN, 0}, {wake_[0], POLLIN, 0}}};
        ::poll(fds.data(), fds.size(), -1);
        if (fds[1].revents != 0) {
            return;
        }
        const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (client >= 0 && next_fault(true) == Fault::Refuse) {
            ::close(client);
        } else if (client >= 0) {
            connections_.emplace_back([this, client] { serve(client); });
        }
    }
}

void Proxy::serve(int client) {
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in at = loopback(server_port_);
    Fault fault = Fault::None;
    bool open = ::connect(server, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
    std::array<char, 65'536> buffer{};
    while (open) {
        std::array<pollfd, 3> fds{
            {{client, POLLIN, 0}, {server, POLLIN, 0}, {wake_[0], POLLIN, 0}}};
        ::poll(fds.data(), fds.size(), -1);
        if (fds[2].revents != 0) {
            break;
        }
        const bool asks = fds[0].revents != 0;
        const ssize_t n = ::recv(asks ? client : server, buffer.data(), buffer.size(), 0);
        const std::string_view bytes{buffer.data(), n > 0 ? static_cast<std::size_t>(n) : 0};
        if (bytes.empty()) {
            break;
        }
        if (asks && bytes.starts_with("POST /?query=INSERT")) {
            ++inserts_;
            compressed_ += bytes.find("Content-Encoding: gzip") != std::string_view::npos ? 1 : 0;
            fault = next_fault(false);
        }
        if (asks && fault == Fault::Swallow) {
            continue;
        }
        if ((asks && fault == Fault::Cut) || (!asks && fault == Fault::ApplyDrop)) {
            break;
        }
        if (!asks && fault == Fault::Slow) {
            pollfd ends{wake_[0], POLLIN, 0};
            ::poll(&ends, 1, delay_ms_);
        }
        open = send_all(asks ? server : client, bytes);
        fault = asks ? fault : Fault::None;
    }
    ::close(server);
    ::close(client);
}

}  // namespace millrace::clickhouse_test
