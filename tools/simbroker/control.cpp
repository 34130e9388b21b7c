#include "tools/simbroker/control.h"

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace millrace::sim {
namespace {

Result<int> listen_on(const sockaddr* address, socklen_t bytes, int family) {
    const int fd = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return {Errc::IoError, "socket", errno};
    }
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd, address, bytes) != 0 || ::listen(fd, 16) != 0) {
        const int error = errno;
        ::close(fd);
        return {Errc::IoError, "cannot listen on the control address", error};
    }
    return fd;
}

bool is_port(const std::string& address) {
    return !address.empty() && address.size() <= 5 &&
           std::all_of(address.begin(), address.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

ControlServer::ControlServer(EventLoop& loop, Handler handler)
    : loop_{loop}, handler_{std::move(handler)} {}

ControlServer::~ControlServer() {
    while (!clients_.empty()) {
        close_client(clients_.begin()->first);
    }
    if (listen_fd_ >= 0) {
        loop_.forget(listen_fd_);
        ::close(listen_fd_);
    }
    if (!path_.empty()) {
        ::unlink(path_.c_str());
    }
}

Result<std::uint16_t> ControlServer::listen(const std::string& address) {
    std::uint16_t port = 0;
    if (is_port(address)) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        in.sin_port = htons(static_cast<std::uint16_t>(std::stoul(address)));
        const auto fd = listen_on(reinterpret_cast<sockaddr*>(&in), sizeof in, AF_INET);
        if (!fd) {
            return fd.error();
        }
        listen_fd_ = fd.value();
        socklen_t size = sizeof in;
        ::getsockname(listen_fd_, reinterpret_cast<sockaddr*>(&in), &size);
        port = ntohs(in.sin_port);
    } else {
        sockaddr_un un{};
        un.sun_family = AF_UNIX;
        if (address.size() >= sizeof un.sun_path) {
            return {Errc::BadInput, "control path is longer than a Unix socket allows (107)"};
        }
        std::memcpy(un.sun_path, address.c_str(), address.size());
        ::unlink(address.c_str());  // left by a killed process; the books are locked, not this
        const mode_t mask = ::umask(0177);
        const auto fd = listen_on(reinterpret_cast<sockaddr*>(&un), sizeof un, AF_UNIX);
        ::umask(mask);
        if (!fd) {
            return fd.error();
        }
        listen_fd_ = fd.value();
        path_ = address;
    }
    loop_.watch(listen_fd_, EPOLLIN, [this](std::uint32_t) { accept_all(); });
    return port;
}

void ControlServer::accept_all() {
    for (;;) {
        const int fd = ::accept4(listen_fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        clients_[fd];
        loop_.watch(fd, EPOLLIN, [this, fd](std::uint32_t events) { on_client(fd, events); });
    }
}

void ControlServer::close_client(int fd) {
    loop_.forget(fd);
    ::close(fd);
    clients_.erase(fd);
}

void ControlServer::on_client(int fd, std::uint32_t events) {
    Client& client = clients_.at(fd);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        char bytes[4096];
        const ssize_t n = ::recv(fd, bytes, sizeof bytes, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            return close_client(fd);
        }
        client.in.append(bytes, n > 0 ? static_cast<std::size_t>(n) : 0);
        answering_ = fd;
        answer_lines(client);
        if (client.in.size() > kLineBytesMax) {
            return close_client(fd);
        }
    }
    if (!flush(fd, client)) {
        close_client(fd);
    }
}

void ControlServer::answer_lines(Client& client) {
    for (auto end = client.in.find('\n'); end != std::string::npos; end = client.in.find('\n')) {
        const std::string line = client.in.substr(0, end);
        client.in.erase(0, end + 1);
        if (!line.empty()) {
            client.out += handler_(line) + "\n";
        }
    }
}

ucred ControlServer::peer() const {
    ucred peer{0, static_cast<uid_t>(-1), static_cast<gid_t>(-1)};
    socklen_t bytes = sizeof peer;
    ::getsockopt(answering_, SOL_SOCKET, SO_PEERCRED, &peer, &bytes);
    return peer;
}

bool ControlServer::flush(int fd, Client& client) {
    const ssize_t n = ::send(fd, client.out.data(), client.out.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        return false;
    }
    client.out.erase(0, n > 0 ? static_cast<std::size_t>(n) : 0);
    loop_.change(fd, client.out.empty() ? std::uint32_t{EPOLLIN} : EPOLLIN | EPOLLOUT);
    return true;
}

}  // namespace millrace::sim
