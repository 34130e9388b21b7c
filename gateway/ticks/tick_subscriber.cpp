#include "gateway/ticks/tick_subscriber.h"

#include "core/assert.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace millrace {
namespace {

using tick_wire::FrameType;
using tick_wire::Path;

constexpr std::size_t kWriteBytes = 64 * 1024;
constexpr Nanos kConnectMax = seconds(2);
constexpr Nanos kTcpSilence = seconds(3);
constexpr Nanos kTcpBeat = seconds(1);
constexpr std::uint64_t kTcpTag = 1;
constexpr std::uint64_t kUdpTag = 2;
constexpr int kAsksMax = 64;
constexpr int kDatagramsMax = 1'024;

sockaddr_in address_of(const std::string& address, std::uint16_t port) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = ::htons(port);
    ::inet_pton(AF_INET, address.c_str(), &at.sin_addr);
    return at;
}

}  // namespace

TickSubscriber::TickSubscriber(TickSubscriberOptions options, TickCallbacks callbacks)
    : options_{std::move(options)}, callbacks_{std::move(callbacks)}, socket_{kWriteBytes} {
    auto poller = net::Poller::open();
    ASSERT(poller.ok());
    poller_ = std::move(poller).value();
    if (!options_.udp) {
        return;
    }
    net::Fd fd{::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    sockaddr_in at = address_of("0.0.0.0", options_.udp_port);
    // Connected to the server's address and port: the kernel hands us nobody else's.
    const sockaddr_in from = address_of(options_.address, options_.port);
    socklen_t bytes = sizeof at;
    const bool ready =
        fd && ::bind(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0 &&
        ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from) == 0 &&
        ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &bytes) == 0 &&
        poller_.add(fd.get(), kUdpTag).ok();
    if (ready) {
        udp_port_ = ::ntohs(at.sin_port);
        udp_ = std::move(fd);
    }
}

int TickSubscriber::poll(Nanos now, int timeout_ms) {
    told_ = 0;
    if (link_ == Link::Down && now >= connect_at_) {
        connect(now);
    }
    for (const net::Ready& r : poller_.wait(timeout_ms)) {
        if (r.tag == kUdpTag) {
            read_udp(now);
        } else if (link_ == Link::Connecting && (r.writable || r.readable)) {
            if (const int why = net::connect_error(socket_.fd()); why != 0) {
                lost_link(std::strerror(why), now);
                continue;
            }
            link_ = Link::Greeting;
            heard_tcp_ = now;
            if (!poller_.watch(socket_.fd(), kTcpTag, {.read = true, .write = false})) {
                lost_link("epoll refuses the socket", now);
            }
        } else if (r.readable && link_ != Link::Down) {
            read_tcp(now);
        }
    }
    keep_up(now);
    return told_;
}

void TickSubscriber::connect(Nanos now) {
    auto fd = net::begin_connect(options_.address, options_.port);
    if (!fd) {
        return lost_link(fd.error().what, now);
    }
    socket_.open(std::move(fd).value());
    reader_.reset();
    link_ = Link::Connecting;
    heard_tcp_ = beat_ = now;
    if (!poller_.add(socket_.fd(), kTcpTag) ||
        !poller_.watch(socket_.fd(), kTcpTag, {.read = true, .write = true})) {
        lost_link("epoll refuses the socket", now);
    }
}

void TickSubscriber::lost_link(std::string why, Nanos now) {
    const bool was_up = link_ == Link::Up;
    socket_.close();
    link_ = Link::Down;
    last_error_ = std::move(why);
    // One that was up is tried again at once; each try after that waits.
    connect_at_ = was_up ? now : now + options_.reconnect;
    if (was_up) {
        failures_ = 0;
        return;
    }
    ++stats_.failed_connects;
    if (++failures_ % kAlertAfter == 0) {
        ++stats_.alerts;
        if (callbacks_.on_alert) {
            callbacks_.on_alert(last_error_);
        }
    }
}

void TickSubscriber::read_tcp(Nanos now) {
    const auto got = socket_.receive(reader_.space());
    if (!got) {
        if (got.code() != Errc::Busy) {
            lost_link(got.error().what, now);
        }
        return;
    }
    heard_tcp_ = now;
    reader_.filled(got.value());
    while (link_ != Link::Down) {
        const auto frame = reader_.next();
        if (!frame) {
            return lost_link(frame.error().what, now);
        }
        if (frame.value() == nullptr) {
            return;
        }
        last_error_.clear();
        if (!on_frame(*frame.value())) {
            return lost_link(
                last_error_.empty() ? "a frame that the server does not send" : last_error_, now);
        }
    }
}

void TickSubscriber::read_udp(Nanos now) {
    std::array<std::byte, wire::kFrameBytesMax> bytes;
    std::array<std::byte, 2 * wire::kFrameBytesMax> buffer;
    for (int i = 0; i < kDatagramsMax; ++i) {
        const ssize_t n = ::recv(udp_.get(), bytes.data(), bytes.size(), 0);
        if (n <= 0) {
            return;
        }
        if (deaf_ || (loss_ != 0 && ++dice_ % loss_ == 0)) {
            continue;
        }
        wire::FrameDecoder decoder{buffer, tick_wire::kVersion};
        std::copy_n(bytes.begin(), n, decoder.space().begin());
        decoder.filled(static_cast<std::size_t>(n));
        const auto frame = decoder.next();
        const bool is_packet =
            frame && frame.value() != nullptr &&
            static_cast<FrameType>(frame.value()->header.type) == FrameType::Packet;
        if (!is_packet) {
            continue;  // nobody's business: a datagram of ours is whole or not there
        }
        udp_since_ = now - heard_udp_ > kUdpSilence ? now : udp_since_;
        heard_udp_ = now;
        if (link_ == Link::Up) {
            on_packet(*frame.value());
        }
    }
}

bool TickSubscriber::on_frame(const wire::Frame& frame) {
    switch (static_cast<FrameType>(frame.header.type)) {
        case FrameType::Challenge: {
            const auto challenge = frame.as<tick_wire::Challenge>();
            if (!challenge || link_ != Link::Greeting) {
                return false;
            }
            tick_wire::Login login{};
            std::copy_n(options_.name.begin(), std::min<std::size_t>(options_.name.size(), 16),
                        login.name);
            login.udp_port = udp_port_;
            wire::fill_nonce(nonce_);
            std::copy_n(nonce_, sizeof nonce_, login.nonce);
            tick_wire::sign(options_.key, challenge.value().nonce, login, login.mac);
            return tick_wire::queue(socket_, FrameType::Login, login);
        }
        case FrameType::Welcome: {
            const auto welcome = frame.as<tick_wire::Welcome>();
            if (!welcome || !tick_wire::is_signed(options_.key, nonce_, welcome.value())) {
                last_error_ = "the server does not know the key";
                return false;
            }
            link_ = Link::Up;
            by_tcp_ = udp_port_ == 0;
            heard_udp_ = heard_tcp_;
            failures_ = 0;
            in_step_ = false;
            missing_.clear();
            ++stats_.sessions;
            return true;
        }
        case FrameType::Denied: {
            const auto denied = frame.as<tick_wire::Denied>();
            last_error_ = "denied: ";
            if (denied) {
                last_error_.append(denied.value().reason, ::strnlen(denied.value().reason, 96));
            }
            return false;
        }
        case FrameType::Name: {
            const auto name = frame.as<tick_wire::Name>();
            if (name) {
                names_[name.value().index] = {name.value().name, ::strnlen(name.value().name, 16)};
            }
            return name.ok();
        }
        case FrameType::Snapshot: on_snapshot(frame); return true;
        case FrameType::Packet: on_packet(frame); return true;
        case FrameType::Lost: {
            const auto gone = frame.as<tick_wire::Lost>();
            if (gone) {
                on_lost(gone.value());
            }
            return gone.ok();
        }
        case FrameType::Heartbeat: return true;
        default: return false;
    }
}

void TickSubscriber::tell(const wire::Frame& frame, bool late) {
    for (std::size_t i = 0; i < tick_wire::entries_of(frame); ++i) {
        ReceivedTick t;
        t.tick = tick_wire::entry_at(frame, i);
        t.row = t.tick.index;
        t.late = late;
        const auto name = names_.find(t.row);
        t.symbol = name == names_.end() ? std::string_view{} : std::string_view{name->second};
        if (callbacks_.on_tick) {
            callbacks_.on_tick(t);
        }
    }
    ++told_;
}

void TickSubscriber::on_snapshot(const wire::Frame& frame) {
    // Packets that overtook it by UDP are known by their numbers and come again.
    if (!in_step_) {
        next_ = frame.header.seq + 1;
        in_step_ = true;
    }
    tell(frame, false);
}

void TickSubscriber::on_packet(const wire::Frame& frame) {
    const std::uint64_t n = frame.header.seq;
    if (!in_step_) {
        return;
    }
    if (frame.body.empty()) {  // so many there are: those at the end may have been lost
        for (; next_ <= n; ++next_) {
            missing_.insert(next_);
        }
        return;
    }
    if (n < next_) {
        if (missing_.erase(n) == 0) {
            ++stats_.repeats;
            return;
        }
        ++stats_.filled;
        ++stats_.packets;
        return tell(frame, true);
    }
    if (n > next_) {
        ++stats_.gaps;
        for (; next_ < n; ++next_) {
            missing_.insert(next_);
        }
    }
    next_ = n + 1;
    ++stats_.packets;
    tell(frame, false);
}

void TickSubscriber::on_lost(const tick_wire::Lost& gone) {
    const auto from = missing_.lower_bound(gone.from);
    const auto to = missing_.upper_bound(gone.to);
    stats_.lost += static_cast<std::uint64_t>(std::distance(from, to));
    missing_.erase(from, to);
    if (in_step_ && gone.to >= next_) {  // nothing of them was known yet
        stats_.lost += gone.to - std::max(gone.from, next_) + 1;
        next_ = gone.to + 1;
    }
    if (callbacks_.on_lost) {
        callbacks_.on_lost(gone.from, gone.to);
    }
}

void TickSubscriber::ask(std::uint64_t from, std::uint64_t to, Path path) {
    static_cast<void>(tick_wire::queue(
        socket_, FrameType::Ask, tick_wire::Ask{from, to, static_cast<std::uint32_t>(path), 0}));
}

/// Rows of missing numbers, a frame each.
void TickSubscriber::ask_for_missing() {
    auto first = missing_.begin();
    for (int i = 0; i < kAsksMax && first != missing_.end(); ++i) {
        auto last = first;
        for (auto it = std::next(last); it != missing_.end() && *it == *last + 1; ++it) {
            last = it;
        }
        ask(*first, *last, Path::AsIs);
        first = std::next(last);
    }
}

/// What is due by the clock: missing numbers, the other path, a sign of life.
void TickSubscriber::keep_up(Nanos now) {
    if (link_ == Link::Down) {
        return;
    }
    const bool greeting = link_ != Link::Up;
    if (now - heard_tcp_ > (greeting ? kConnectMax : kTcpSilence)) {
        return lost_link("the server was silent for too long", now);
    }
    if (!greeting) {
        if (!by_tcp_ && udp_port_ != 0 && now - heard_udp_ > kUdpSilence) {
            by_tcp_ = true;
            ++stats_.fallbacks;
            udp_since_ = Nanos{};
            // Up to now and on: the server knows its last number better than we do.
            ask(next_, UINT64_MAX, Path::Tcp);
        } else if (by_tcp_ && udp_since_.value != 0 && now - heard_udp_ < kUdpSilence &&
                   now - udp_since_ > kUdpBackFor) {
            by_tcp_ = false;
            ++stats_.returns;
            ask(0, 0, Path::Udp);
        }
        while (missing_.size() > kMissingMax) {
            ++stats_.lost;
            missing_.erase(missing_.begin());
        }
        if (!missing_.empty() && (now - asked_ > kAskAgain)) {
            asked_ = now;
            ask_for_missing();
        }
        if (now - beat_ > kTcpBeat) {
            beat_ = now;
            static_cast<void>(
                tick_wire::queue(socket_, FrameType::Heartbeat, tick_wire::Heartbeat{now.value}));
        }
    }
    flush(now);
}

void TickSubscriber::flush(Nanos now) {
    if (link_ == Link::Down || link_ == Link::Connecting) {
        return;
    }
    const Status flushed = socket_.flush();
    if (!flushed && flushed.code() != Errc::Busy) {
        lost_link("the connection broke while writing", now);
    }
}

}  // namespace millrace
