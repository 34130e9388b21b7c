// SignalClient, the link: connect, login, heartbeats, reconnect.
#include <algorithm>
#include <cstring>

#include "gateway/signal_client.h"

namespace millrace {
namespace {

using signal_wire::FrameType;

constexpr Nanos kOverdueCheck = millis(500);

}  // namespace

void SignalClient::connect(Nanos now) {
    auto fd = net::begin_connect(options_.address, options_.port);
    if (!fd) {
        return lost(std::string{"cannot connect: "} + fd.error().what, now);
    }
    connection_.open(std::move(fd).value());
    reader_.reset();
    broken_ = false;
    watches_write_ = true;
    heard_ = sent_ = now;
    link_ = Link::Connecting;
    if (!poller_.add(connection_.fd(), 0) ||
        !poller_.watch(connection_.fd(), 0, {.read = true, .write = true})) {
        lost("epoll refuses the socket", now);
    }
}

void SignalClient::on_connected(Nanos now) {
    if (const int why = net::connect_error(connection_.fd()); why != 0) {
        return lost(std::string{"cannot connect: "} + std::strerror(why), now);
    }
    link_ = Link::AwaitChallenge;
    heard_ = now;
    flush();  // also ends the watch for writability
}

void SignalClient::lost(std::string why, Nanos now) {
    const bool was_up = link_ == Link::Up;
    connection_.close();
    link_ = Link::Down;
    broken_ = false;
    connect_at_ = now + backoff_;
    backoff_ = std::min(backoff_ + backoff_, options_.backoff_max);
    last_error_ = std::move(why);
    // Nothing is known about what was in flight: all of it goes out again, in the old order.
    in_flight_ = 0;
    ready_.clear();
    blocked_.clear();
    retries_.clear();
    for (auto& [number, pending] : pending_) {
        pending.in_flight = false;
        ready_.push_back(number);
    }
    if (was_up) {
        ++stats_.disconnects;
        if (callbacks_.on_link) {
            callbacks_.on_link(false, last_error_);
        }
    }
}

void SignalClient::keep_time(Nanos now) {
    if (link_ == Link::Down) {
        return;
    }
    if (broken_) {
        return lost("the connection broke while writing", now);
    }
    if (now - heard_ > options_.silence) {
        return lost("the server was silent for too long", now);
    }
    if (link_ != Link::Up) {
        return;
    }
    if (now - sent_ >= kHeartbeat) {
        std::byte frame[sizeof(wire::FrameHeader)];
        const std::size_t n = wire::encode_bytes(
            frame, static_cast<std::uint8_t>(FrameType::Heartbeat), signal_wire::kVersion, 0, {});
        // No room means bytes wait already: those are sign of life enough.
        static_cast<void>(connection_.send({frame, n}));
        sent_ = now;
    }
    if (now >= next_overdue_check_) {
        resend_overdue(now);
        next_overdue_check_ = now + kOverdueCheck;
    }
}

void SignalClient::flush() {
    if (link_ == Link::Down || link_ == Link::Connecting || broken_) {
        return;
    }
    const Status status = connection_.flush();
    if (!status && status.code() != Errc::Busy) {
        broken_ = true;
        return;
    }
    const bool write = connection_.pending_bytes() != 0;
    if (write != watches_write_) {
        watches_write_ = write;
        broken_ = !poller_.watch(connection_.fd(), 0, {.read = true, .write = write});
    }
}

}  // namespace millrace
