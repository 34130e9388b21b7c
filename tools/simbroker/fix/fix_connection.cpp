#include "tools/simbroker/fix/fix_connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>

namespace millrace::sim {
namespace {

constexpr std::string_view kBegin =
    "8=FIX.4.4\x01"
    "9=";
constexpr std::size_t kTrailerBytes = 7;  // 10=nnn and its SOH

}  // namespace

std::size_t fix_message_bytes(std::string_view bytes) noexcept {
    const std::size_t head = std::min(bytes.size(), kBegin.size());
    if (bytes.substr(0, head) != kBegin.substr(0, head)) {
        return std::string_view::npos;
    }
    const std::size_t end = bytes.find(fix::kSoh, kBegin.size());
    if (bytes.size() < kBegin.size() || end == std::string_view::npos) {
        return bytes.size() > kBegin.size() + 8 ? std::string_view::npos : 0;
    }
    std::size_t body = 0;
    const auto [last, error] =
        std::from_chars(bytes.data() + kBegin.size(), bytes.data() + end, body);
    if (error != std::errc{} || last != bytes.data() + end || body > fix::Message::kBytesMax) {
        return std::string_view::npos;
    }
    const std::size_t whole = end + 1 + body + kTrailerBytes;
    return bytes.size() < whole ? 0 : whole;
}

std::string seal_fix(std::string_view fields) {
    std::string text{kBegin};
    text += std::to_string(fields.size()) + fix::kSoh;
    text += fields;
    char trailer[16];
    std::snprintf(trailer, sizeof trailer, "10=%03u\x01", fix::checksum(text));
    return text + trailer;
}

FixConnection::FixConnection(EventLoop& loop, int fd) : loop_{loop}, fd_{fd} {
    loop_.watch(fd_, EPOLLIN, [this](std::uint32_t events) { on_socket(events); });
}

FixConnection::~FixConnection() {
    *alive_ = false;
    if (!paused_) {
        loop_.forget(fd_);
    }
    ::close(fd_);
}

void FixConnection::close(const char* why) {
    const auto handlers = handlers_;  // it may destroy this
    if (handlers->closed) {
        handlers->closed(why);
    }
}

void FixConnection::on_socket(std::uint32_t events) {
    if ((events & EPOLLOUT) != 0) {
        flush();
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) {
        return;
    }
    char bytes[16 * 1024];
    const ssize_t n = ::recv(fd_, bytes, sizeof bytes, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        return close("connection lost");
    }
    in_.append(bytes, static_cast<std::size_t>(n));
    hand_out();
}

void FixConnection::hand_out() {
    const auto alive = alive_;
    while (*alive && !paused_) {
        const std::size_t whole = fix_message_bytes(in_);
        if (whole == std::string_view::npos) {
            return close("what came is no FIX 4.4 message");
        }
        if (whole == 0) {
            return;
        }
        const std::string text = in_.substr(0, whole);
        in_.erase(0, whole);
        const auto message = fix::Message::parse(text);
        if (!message) {
            // A garbled message is passed over (FIX 4.4 volume 2); the gap is asked for.
            std::fprintf(stderr, "simbroker: FIX message passed over: %s\n", message.error().what);
            continue;
        }
        const auto handlers = handlers_;
        if (handlers->message) {
            handlers->message(message.value());
        }
    }
}

void FixConnection::send(std::string_view bytes) {
    out_ += bytes;
    flush();
}

/// A lost connection is noticed when it is read next.
void FixConnection::flush() {
    if (paused_) {
        return;
    }
    const ssize_t n = ::send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL);
    if (n > 0) {
        out_.erase(0, static_cast<std::size_t>(n));
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
        out_.clear();
    }
    if (want_write_ != !out_.empty()) {
        want_write_ = !out_.empty();
        loop_.change(fd_, want_write_ ? EPOLLIN | EPOLLOUT : std::uint32_t{EPOLLIN});
    }
}

void FixConnection::pause(bool on) {
    if (paused_ == on) {
        return;
    }
    paused_ = on;
    if (on) {
        loop_.forget(fd_);  // not even a hang-up is noticed
        return;
    }
    want_write_ = false;
    loop_.watch(fd_, EPOLLIN, [this](std::uint32_t events) { on_socket(events); });
    flush();
    hand_out();
}

}  // namespace millrace::sim
