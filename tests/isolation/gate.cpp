#include "tests/isolation/gate.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/assert.h"

namespace millrace::isolation {
namespace {

constexpr std::size_t kAtOnce = 65'536;

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(port);
    return at;
}

/// Whether a call that failed may go well later.
bool later() {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOTCONN;
}

void no_delay(int fd) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

short events_of(const std::string& held_from_it, const std::string& held_for_it) {
    return static_cast<short>((held_from_it.empty() ? POLLIN : 0) |
                              (held_for_it.empty() ? 0 : POLLOUT));
}

}  // namespace

Gate::Gate(std::uint16_t server_port) : server_port_{server_port} {
    ASSERT(::pipe2(wake_, O_CLOEXEC) == 0);
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at = loopback(0);
    socklen_t n = sizeof at;
    ASSERT(::bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
    ASSERT(::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &n) == 0);
    ASSERT(::listen(listener_, 64) == 0);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread{[this] { run(); }};
}

Gate::~Gate() {
    ::close(wake_[1]);
    thread_.join();
    ::close(wake_[0]);
    ::close(listener_);
}

void Gate::pace(std::size_t bytes) {
    pace_ = bytes;
    const char word = 0;
    ASSERT(::write(wake_[1], &word, 1) == 1);
}

void Gate::run() {
    for (;;) {
        const std::size_t pace = pace_;
        std::vector<pollfd> fds{{wake_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
        for (const Link& l : links_) {
            if (pace == 0) {
                fds.push_back({l.client, events_of(l.up, l.down), 0});
                fds.push_back({l.server, events_of(l.down, l.up), 0});
            }
        }
        // A slow one looks at nothing but the clock; who comes new is no turn of the others.
        const int ready = ::poll(fds.data(), fds.size(), pace == 0 ? -1 : kTurnMs);
        if (fds[0].revents != 0) {
            char words[64];
            if (::read(wake_[0], words, sizeof words) == 0) {
                break;
            }
        }
        if (fds[1].revents != 0) {
            accept_one();
        }
        if (pace == 0 || ready == 0) {
            std::erase_if(links_, [&](Link& l) { return !carry(l, pace == 0 ? kAtOnce : pace); });
        }
    }
    for (const Link& l : links_) {
        ::close(l.client);
        ::close(l.server);
    }
}

void Gate::accept_one() {
    Link link;
    link.client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    link.server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const sockaddr_in at = loopback(server_port_);
    const bool open =
        link.client >= 0 && link.server >= 0 &&
        (::connect(link.server, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0 ||
         errno == EINPROGRESS);
    if (!open) {
        ::close(link.client);
        ::close(link.server);
        return;
    }
    no_delay(link.client);
    no_delay(link.server);
    links_.push_back(link);
}

bool Gate::carry(Link& link, std::size_t most) {
    if (carry_one_way(link.client, link.server, link.up, most) &&
        carry_one_way(link.server, link.client, link.down, most)) {
        return true;
    }
    ::close(link.client);
    ::close(link.server);
    return false;
}

bool Gate::carry_one_way(int from, int to, std::string& held, std::size_t most) {
    if (held.empty()) {
        std::array<char, kAtOnce> bytes;
        const ssize_t n = ::recv(from, bytes.data(), std::min(most, bytes.size()), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && !later())) {
            return false;
        }
        held.assign(bytes.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
    }
    if (held.empty()) {
        return true;
    }
    const ssize_t n = ::send(to, held.data(), held.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && !later()) {
        return false;
    }
    const std::size_t sent = n > 0 ? static_cast<std::size_t>(n) : 0;
    held.erase(0, sent);
    slowed_ += most == kAtOnce ? 0 : sent;
    return true;
}

}  // namespace millrace::isolation
