#include "gateway/tcp.h"

#include "core/assert.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace millrace::net {
namespace {

struct Address {
    sockaddr_storage storage{};
    socklen_t bytes = 0;
    [[nodiscard]] const sockaddr* get() const noexcept {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
};

Result<Address> parse(const std::string& literal, std::uint16_t port) noexcept {
    Address a;
    auto& v4 = reinterpret_cast<sockaddr_in&>(a.storage);
    if (::inet_pton(AF_INET, literal.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        a.bytes = sizeof v4;
        return a;
    }
    auto& v6 = reinterpret_cast<sockaddr_in6&>(a.storage);
    if (::inet_pton(AF_INET6, literal.c_str(), &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        a.bytes = sizeof v6;
        return a;
    }
    return {Errc::BadInput, "address is neither an IPv4 nor an IPv6 literal"};
}

std::uint16_t bound_port(int fd) noexcept {
    Address a;
    a.bytes = sizeof a.storage;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&a.storage), &a.bytes) != 0) {
        return 0;
    }
    // The port lies at the same place in both families.
    return ntohs(reinterpret_cast<const sockaddr_in&>(a.storage).sin_port);
}

bool set_flag(int fd, int level, int option) noexcept {
    const int on = 1;
    return ::setsockopt(fd, level, option, &on, sizeof on) == 0;
}

/// One try to bind and listen. @return the descriptor, or Busy (port in use), IoError.
Result<Fd> try_listen(const Address& address, int backlog) noexcept {
    Fd fd{::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (!fd) {
        return {Errc::IoError, "socket", errno};
    }
    if (!set_flag(fd.get(), SOL_SOCKET, SO_REUSEADDR)) {
        return {Errc::IoError, "setsockopt SO_REUSEADDR", errno};
    }
    const bool listening =
        ::bind(fd.get(), address.get(), address.bytes) == 0 && ::listen(fd.get(), backlog) == 0;
    if (!listening) {
        return {errno == EADDRINUSE ? Errc::Busy : Errc::IoError, "bind", errno};
    }
    return fd;
}

Fd open_spare() noexcept {
    return Fd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
}

std::string explain(const ListenOptions& o, const Error& e) {
    const std::string where = o.address + ":" + std::to_string(o.port);
    if (e.code == Errc::BadInput) {
        return "cannot listen on " + where + ": " + e.what + "; give one, e.g. 127.0.0.1";
    }
    const char* mend = "";
    if (e.code == Errc::Busy) {
        mend = "; stop the program that holds it (ss -ltnp) or configure another port";
    } else if (e.sys_errno == EACCES) {
        mend = "; ports below 1024 need CAP_NET_BIND_SERVICE: configure a higher one";
    } else if (e.sys_errno == EADDRNOTAVAIL) {
        mend = "; no interface of this host has that address";
    }
    return "cannot listen on " + where + ": " + e.what + ": " + std::strerror(e.sys_errno) + mend;
}

void sleep_ns(std::int64_t ns) noexcept {
    const timespec pause{0, static_cast<long>(ns)};
    ::nanosleep(&pause, nullptr);
}

constexpr std::int64_t kBindPauseNs = 20'000'000;

Error io_error(const char* what) noexcept {
    const bool gone = errno == ECONNRESET || errno == EPIPE || errno == ENOTCONN;
    return {gone ? Errc::NotFound : Errc::IoError, errno, what};
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
    if (this != &other) {
        reset();
        fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
}

void Fd::reset() noexcept {
    if (fd_ >= 0) {
        // An error of close() tells nothing that could be mended: the descriptor is gone anyway.
        ::close(std::exchange(fd_, -1));
    }
}

Result<Listener> Listener::open(const ListenOptions& options, std::string& message) {
    auto address = parse(options.address, options.port);
    if (!address) {
        message = explain(options, address.error());
        return address.error();
    }
    const std::int64_t tries = 1 + options.bind_retry_ns.value / kBindPauseNs;
    Error last{Errc::Busy, EADDRINUSE, "bind"};
    for (std::int64_t i = 0; i < tries; ++i) {
        auto fd = try_listen(address.value(), options.backlog);
        if (fd) {
            Listener listener;
            listener.port_ = bound_port(fd.value().get());
            listener.fd_ = std::move(fd.value());
            listener.spare_ = open_spare();
            return listener;
        }
        last = fd.error();
        if (last.code != Errc::Busy) {
            break;
        }
        sleep_ns(kBindPauseNs);
    }
    message = explain(options, last);
    return last;
}

Result<Fd> Listener::accept() noexcept {
    Fd fd{::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (fd) {
        // Without TCP_NODELAY a command would wait for the ack of the one before it.
        if (!set_flag(fd.get(), IPPROTO_TCP, TCP_NODELAY)) {
            return {Errc::IoError, "setsockopt TCP_NODELAY", errno};
        }
        return fd;
    }
    const int why = errno;
    if (why == EMFILE || why == ENFILE) {
        spare_.reset();
        Fd{::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)}.reset();
        spare_ = open_spare();
        return {Errc::NoSpace, "accept: no descriptors left; raise the limit (ulimit -n)", why};
    }
    // A peer that gave up while it waited is no error of ours; look again in the next cycle.
    const bool nothing = why == EAGAIN || why == EWOULDBLOCK || why == ECONNABORTED || why == EINTR;
    return {nothing ? Errc::Busy : Errc::IoError, "accept", why};
}

Connection::Connection(std::size_t write_buffer_bytes)
    : buffer_{std::make_unique<std::byte[]>(write_buffer_bytes)}, capacity_{write_buffer_bytes} {}

void Connection::open(Fd fd) noexcept {
    ASSERT(fd);
    fd_ = std::move(fd);
    begin_ = end_ = 0;
    queued_total_ = 0;
}

void Connection::close() noexcept {
    fd_.reset();
    begin_ = end_ = 0;
}

Result<std::size_t> Connection::receive(std::span<std::byte> into) noexcept {
    ASSERT(is_open());
    ASSERT(!into.empty());
    const ssize_t n = ::recv(fd_.get(), into.data(), into.size(), 0);
    if (n > 0) {
        return static_cast<std::size_t>(n);
    }
    if (n == 0) {
        return {Errc::NotFound, "peer closed the connection"};
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
        return Errc::Busy;
    }
    return io_error("recv");
}

std::span<std::byte> Connection::space() noexcept {
    if (begin_ == end_) {
        begin_ = end_ = 0;
    } else if (begin_ > capacity_ / 2) {
        // Moving less than half of the buffer, at most once per half buffer written.
        std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    return {buffer_.get() + end_, capacity_ - end_};
}

std::span<std::byte> Connection::space(std::size_t bytes) noexcept {
    const std::span<std::byte> tail = space();
    if (tail.size() >= bytes || free_bytes() < bytes) {
        return tail;
    }
    // What is free is in front: only for a peer that is slow, so the move is no one's hot path.
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    return {buffer_.get() + end_, capacity_ - end_};
}

void Connection::queued(std::size_t bytes) noexcept {
    ASSERT(bytes <= capacity_ - end_);
    end_ += bytes;
    queued_total_ += bytes;
}

Status Connection::send(std::span<const std::byte> bytes) noexcept {
    const auto room = space(bytes.size());
    if (room.size() < bytes.size()) {
        return {Errc::NoSpace, "write buffer is full: the peer does not read"};
    }
    std::copy(bytes.begin(), bytes.end(), room.begin());
    queued(bytes.size());
    return ok_status();
}

Status Connection::flush() noexcept {
    ASSERT(is_open());
    while (begin_ != end_) {
        const ssize_t n = ::send(fd_.get(), buffer_.get() + begin_, end_ - begin_, MSG_NOSIGNAL);
        if (n > 0) {
            begin_ += static_cast<std::size_t>(n);
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return Errc::Busy;
        }
        if (errno != EINTR) {
            return io_error("send");
        }
    }
    return ok_status();
}

Result<Poller> Poller::open() {
    Poller p;
    p.fd_ = Fd{::epoll_create1(EPOLL_CLOEXEC)};
    if (!p.fd_) {
        return {Errc::IoError, "epoll_create1", errno};
    }
    return p;
}

Status Poller::add(int fd, std::uint64_t tag) noexcept {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = tag;
    if (::epoll_ctl(fd_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
        return {Errc::IoError, "epoll_ctl add", errno};
    }
    return ok_status();
}

Status Poller::watch(int fd, std::uint64_t tag, Interest interest) noexcept {
    epoll_event event{};
    event.events = (interest.read ? EPOLLIN : 0U) | (interest.write ? EPOLLOUT : 0U);
    event.data.u64 = tag;
    if (::epoll_ctl(fd_.get(), EPOLL_CTL_MOD, fd, &event) != 0) {
        return {Errc::IoError, "epoll_ctl modify", errno};
    }
    return ok_status();
}

void Poller::remove(int fd) noexcept {
    // ENOENT and EBADF say that it is out already, which is what was asked.
    static_cast<void>(::epoll_ctl(fd_.get(), EPOLL_CTL_DEL, fd, nullptr));
}

std::span<const Ready> Poller::wait(int timeout_ms) noexcept {
    std::array<epoll_event, kReadyMax> events;
    const int n =
        ::epoll_wait(fd_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
    const auto count = static_cast<std::size_t>(std::max(n, 0));  // EINTR: look again next time
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t what = events[i].events;
        ready_[i] = Ready{events[i].data.u64, (what & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0,
                          (what & EPOLLOUT) != 0};
    }
    return {ready_.data(), count};
}

Result<Fd> begin_connect(const std::string& address, std::uint16_t port) noexcept {
    auto to = parse(address, port);
    if (!to) {
        return to.error();
    }
    Fd fd{::socket(to.value().storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (!fd) {
        return {Errc::IoError, "socket", errno};
    }
    if (!set_flag(fd.get(), IPPROTO_TCP, TCP_NODELAY)) {
        return {Errc::IoError, "setsockopt TCP_NODELAY", errno};
    }
    if (::connect(fd.get(), to.value().get(), to.value().bytes) != 0 && errno != EINPROGRESS) {
        return {Errc::IoError, "connect", errno};
    }
    return fd;
}

int connect_error(int fd) noexcept {
    int error = 0;
    socklen_t bytes = sizeof error;
    return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) == 0 ? error : errno;
}

}  // namespace millrace::net
