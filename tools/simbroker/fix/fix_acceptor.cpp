#include "tools/simbroker/fix/fix_acceptor.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace millrace::sim {

FixAcceptor::~FixAcceptor() {
    for (const auto& [fd, timer] : patience_) {
        loop_.cancel(timer);
    }
    if (listen_fd_ >= 0) {
        loop_.forget(listen_fd_);
        ::close(listen_fd_);
    }
}

Result<std::uint16_t> FixAcceptor::listen(const sockaddr_in& address) {
    sockaddr_in at = address;
    socklen_t size = sizeof at;
    const int on = 1;
    listen_fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listen_fd_ < 0) {
        return {Errc::IoError, "socket", errno};
    }
    ::setsockopt(listen_fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(listen_fd_, reinterpret_cast<const sockaddr*>(&at), size) != 0 ||
        ::listen(listen_fd_, 64) != 0) {
        return {Errc::IoError, "cannot listen there", errno};
    }
    ::getsockname(listen_fd_, reinterpret_cast<sockaddr*>(&at), &size);
    loop_.watch(listen_fd_, EPOLLIN, [this](std::uint32_t) { accept_all(); });
    return ntohs(at.sin_port);
}

void FixAcceptor::accept_all() {
    for (;;) {
        const int fd = ::accept4(listen_fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        auto& stranger = strangers_[fd] = std::make_unique<FixConnection>(loop_, fd);
        stranger->set({[this, fd](const fix::Message& m) { on_first(fd, m); },
                       [this, fd](const char* why) { turn_away(fd, why); }});
        patience_[fd] = loop_.after(kFirstMessage, [this, fd] { turn_away(fd, "said nothing"); });
    }
}

void FixAcceptor::turn_away(int fd, const char* why) {
    std::fprintf(stderr, "simbroker: FIX connection turned away: %s\n", why);
    loop_.cancel(patience_[fd]);
    patience_.erase(fd);
    strangers_.erase(fd);
}

void FixAcceptor::on_first(int fd, const fix::Message& message) {
    if (message.type() != "A") {
        return turn_away(fd, "its first message is no Logon");
    }
    for (FixSession* session : sessions_) {
        if (session->is_for(message)) {
            loop_.cancel(patience_[fd]);
            patience_.erase(fd);
            std::unique_ptr<FixConnection> connection = std::move(strangers_[fd]);
            strangers_.erase(fd);
            return session->log_on(std::move(connection), message);
        }
    }
    turn_away(fd, "no account has the CompIDs of its Logon");
}

}  // namespace millrace::sim
