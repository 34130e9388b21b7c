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
constexpr std::uint32_t kDoubledMax = 4;
constexpr int kDatagramsMax = 1'024;
/// Rows of the tick table: nothing else is an index.
constexpr std::size_t kRowsMax = 65'536;

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
    // Connected to the server's address and port: the kernel hands us nobody else's, but for those
    // that forge their source; the seal shows those.
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
    end_history(HistoryEnd::Broken);
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
        if (!on_frame(*frame.value(), now)) {
            return lost_link(
                last_error_.empty() ? "a frame that the server does not send" : last_error_, now);
        }
    }
}

void TickSubscriber::read_udp(Nanos now) {
    tick_wire::Datagram bytes;
    std::array<std::byte, 2 * wire::kFrameBytesMax> buffer;
    for (int i = 0; i < kDatagramsMax; ++i) {
        const ssize_t n = ::recv(udp_.get(), bytes.data(), bytes.size(), 0);
        if (n <= 0) {
            return;
        }
        if (deaf_ || link_ != Link::Up || (loss_ != 0 && ++dice_ % loss_ == 0)) {
            continue;
        }
        const auto sealed = tick_wire::unseal(
            session_, std::span<const std::byte>{bytes}.first(static_cast<std::size_t>(n)));
        wire::FrameDecoder decoder{buffer, tick_wire::kVersion};
        std::copy(sealed.begin(), sealed.end(), decoder.space().begin());
        decoder.filled(sealed.size());
        const auto frame = decoder.next();
        const bool is_packet =
            !sealed.empty() && frame && frame.value() != nullptr &&
            static_cast<FrameType>(frame.value()->header.type) == FrameType::Packet;
        if (!is_packet) {
            ++stats_.forged;  // or of another connection
            continue;
        }
        udp_since_ = now - heard_udp_ > kUdpSilence ? now : udp_since_;
        heard_udp_ = now;
        // What an empty one counts is on its way by TCP already, if that is the path.
        if (!by_tcp_ || !frame.value()->body.empty()) {
            on_packet(*frame.value(), now);
        }
    }
}

bool TickSubscriber::on_challenge(const wire::Frame& frame) {
    const auto challenge = frame.as<tick_wire::Challenge>();
    if (!challenge || link_ != Link::Greeting) {
        return false;
    }
    tick_wire::Login login{};
    std::copy_n(options_.name.begin(), std::min<std::size_t>(options_.name.size(), 16), login.name);
    login.udp_port = udp_port_;
    wire::fill_nonce(nonce_);
    std::copy_n(nonce_, sizeof nonce_, login.nonce);
    tick_wire::sign(options_.key, challenge.value().nonce, login, login.mac);
    tick_wire::session_key(options_.key, challenge.value().nonce, nonce_, session_);
    return tick_wire::queue(socket_, FrameType::Login, login);
}

bool TickSubscriber::on_welcome(const wire::Frame& frame) {
    const auto welcome = frame.as<tick_wire::Welcome>();
    if (!welcome || link_ != Link::Greeting ||
        !tick_wire::is_signed(options_.key, nonce_, welcome.value())) {
        last_error_ = "the server does not know the key";
        return false;
    }
    link_ = Link::Up;
    by_tcp_ = udp_port_ == 0;
    heard_udp_ = heard_tcp_;
    udp_since_ = Nanos{};
    failures_ = 0;
    in_step_ = wants_snapshot_ = false;
    answers_in_ = Nanos{};
    ++stats_.sessions;
    return true;
}

bool TickSubscriber::on_frame(const wire::Frame& frame, Nanos now) {
    const auto type = static_cast<FrameType>(frame.header.type);
    if (type == FrameType::Challenge) {
        return on_challenge(frame);
    }
    if (type == FrameType::Welcome) {
        return on_welcome(frame);
    }
    if (type == FrameType::Denied) {
        const auto denied = frame.as<tick_wire::Denied>();
        last_error_ = "denied: ";
        if (denied) {
            last_error_.append(denied.value().reason, ::strnlen(denied.value().reason, 96));
        }
        return false;
    }
    if (link_ != Link::Up) {
        return false;  // whose server it is has not been shown yet
    }
    switch (type) {
        case FrameType::Name: {
            const auto name = frame.as<tick_wire::Name>();
            if (name) {
                names_[name.value().index] = {name.value().name, ::strnlen(name.value().name, 16)};
            }
            return name.ok() && name.value().index < kRowsMax;
        }
        case FrameType::Snapshot: on_snapshot(frame); return true;
        case FrameType::Packet: on_packet(frame, now); return true;
        case FrameType::Lost: {
            const auto gone = frame.as<tick_wire::Lost>();
            if (gone) {
                on_lost(gone.value());
            }
            return gone.ok();
        }
        case FrameType::Recorded: return on_recorded(frame);
        case FrameType::RecordedEnd: return on_recorded_end(frame);
        case FrameType::Heartbeat: return true;
        default: return false;
    }
}

/// Each symbol's newest quote is never followed by an older one that is not told to be late: what a
/// snapshot has of before a packet that overtook it is not told at all.
void TickSubscriber::tell(const wire::Frame& frame, bool snapshot) {
    const std::uint64_t number = frame.header.seq;
    for (std::size_t i = 0; i < tick_wire::entries_of(frame); ++i) {
        ReceivedTick t;
        t.tick = tick_wire::entry_at(frame, i);
        t.row = t.tick.index;
        if (t.row >= kRowsMax) {
            continue;
        }
        if (t.row >= told_of_.size()) {
            told_of_.resize(t.row + 1, 0);
        }
        std::uint64_t& newest = told_of_[t.row];
        t.late = newest > number;
        newest = std::max(newest, number);
        if (t.late && snapshot) {
            continue;
        }
        const auto name = names_.find(t.row);
        t.symbol = name == names_.end() ? std::string_view{} : std::string_view{name->second};
        if (callbacks_.on_tick) {
            callbacks_.on_tick(t);
        }
    }
    ++told_;
}

void TickSubscriber::on_snapshot(const wire::Frame& frame) {
    if (!in_step_) {
        // What the connection before had not got, nobody sends again.
        const std::uint64_t next = frame.header.seq + 1;
        give_up_missing(UINT64_MAX);
        if (next_ != 0 && next != next_) {
            give_up(next_, next > next_ ? next - 1 : UINT64_MAX);
        }
        next_ = next;
        in_step_ = true;
        told_of_.assign(told_of_.size(), 0);
    }
    // Packets that overtook it by UDP are known by their numbers and come again.
    tell(frame, true);
}

void TickSubscriber::give_up(std::uint64_t from, std::uint64_t to) {
    if (to != UINT64_MAX) {
        stats_.lost += to - from + 1;
    }
    if (callbacks_.on_lost) {
        callbacks_.on_lost(from, to);
    }
}

/// Missing numbers below `below` are lost: told as rows.
void TickSubscriber::give_up_missing(std::uint64_t below) {
    while (!missing_.empty() && missing_.begin()->first < below) {
        const std::uint64_t from = missing_.begin()->first;
        std::uint64_t to = from;
        for (; !missing_.empty() && missing_.begin()->first == to && to < below; ++to) {
            missing_.erase(missing_.begin());
        }
        give_up(from, to - 1);
    }
}

/// All numbers before `number` that were not seen are missing; more than kMissingMax are lost.
void TickSubscriber::expect(std::uint64_t number) {
    if (number > next_ && number - next_ > kMissingMax) {
        give_up_missing(UINT64_MAX);
        give_up(next_, number - kMissingMax - 1);
        next_ = number - kMissingMax;
        wants_snapshot_ = true;
    }
    fresh_from_ = next_ < number ? std::min(fresh_from_, next_) : fresh_from_;
    for (; next_ < number; ++next_) {
        missing_.emplace_hint(missing_.end(), next_, Missing{});
    }
}

void TickSubscriber::on_packet(const wire::Frame& frame, Nanos now) {
    const std::uint64_t n = frame.header.seq;
    if (!in_step_ || n == UINT64_MAX) {
        return;
    }
    if (frame.body.empty()) {  // so many there are: those at the end may have been lost
        return expect(n + 1);
    }
    if (n < next_) {
        const auto missed = missing_.find(n);
        if (missed == missing_.end()) {
            ++stats_.repeats;
            return;
        }
        if (missed->second.times != 0) {  // TCP loses nothing: the first one was answered
            answers_in_ = now - missed->second.first_asked;
        }
        missing_.erase(missed);
        ++stats_.filled;
        ++stats_.packets;
        return tell(frame, false);
    }
    stats_.gaps += n > next_ ? 1 : 0;
    expect(n);
    next_ = n + 1;
    ++stats_.packets;
    tell(frame, false);
}

/// The server has not got them any more. Of those that came meanwhile nothing is lost.
void TickSubscriber::on_lost(const tick_wire::Lost& gone) {
    const auto from = missing_.lower_bound(gone.from);
    const auto to = missing_.upper_bound(gone.to);
    const auto known = static_cast<std::uint64_t>(std::distance(from, to));
    missing_.erase(from, to);
    stats_.lost += known;
    if (in_step_ && gone.to >= next_ && gone.to != UINT64_MAX) {  // nothing of them was known yet
        stats_.lost += gone.to - std::max(gone.from, next_) + 1;
        next_ = gone.to + 1;
    } else if (known == 0) {
        return;
    }
    if (callbacks_.on_lost) {
        callbacks_.on_lost(gone.from, gone.to);
    }
}

bool TickSubscriber::ask(const tick_wire::Ask& ask) {
    return tick_wire::queue(socket_, FrameType::Ask, ask);
}

/// Rows of missing numbers that are due, a frame each.
void TickSubscriber::ask_for_missing(Nanos now) {
    const Nanos again{std::max(kAskAgain.value, 2 * answers_in_.value)};
    const auto is_due = [&](const Missing& m) {
        const std::uint32_t doubled = std::min(m.times, kDoubledMax + 1) - 1;
        return m.times == 0 || now - m.asked >= Nanos{again.value << doubled};
    };
    const bool all = now >= look_at_;
    auto it = all ? missing_.begin() : missing_.lower_bound(fresh_from_);
    look_at_ = all ? now + again : look_at_;
    fresh_from_ = UINT64_MAX;
    for (int asks = 0; it != missing_.end();) {
        if (!is_due(it->second)) {
            ++it;
            continue;
        }
        auto last = it;
        for (auto next = std::next(it);
             next != missing_.end() && next->first == last->first + 1 && is_due(next->second);
             ++next) {
            last = next;
        }
        if (asks++ == kAsksMax ||
            !ask({it->first, last->first, static_cast<std::uint32_t>(Path::AsIs), 0})) {
            fresh_from_ = it->first;  // the rest when these have left
            return;
        }
        stats_.asked += last->first - it->first + 1;
        for (const auto end = std::next(last); it != end; ++it) {
            Missing& m = it->second;
            m.asked = now;
            m.first_asked = m.times++ == 0 ? now : m.first_asked;
        }
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
        if (!by_tcp_ && udp_port_ != 0 && in_step_ && now - heard_udp_ > kUdpSilence) {
            // Up to now and on: the server knows its last number better than we do.
            by_tcp_ = ask({next_, UINT64_MAX, static_cast<std::uint32_t>(Path::Tcp), 0});
            stats_.fallbacks += by_tcp_ ? 1 : 0;
            udp_since_ = Nanos{};
        } else if (by_tcp_ && udp_since_.value != 0 && now - heard_udp_ < kUdpSilence &&
                   now - udp_since_ > kUdpBackFor) {
            by_tcp_ = !ask({0, 0, static_cast<std::uint32_t>(Path::Udp), 0});
            stats_.returns += by_tcp_ ? 0 : 1;
        }
        if (missing_.size() > kMissingMax) {
            auto first_kept = missing_.begin();
            std::advance(first_kept, static_cast<std::ptrdiff_t>(missing_.size() - kMissingMax));
            give_up_missing(first_kept->first);
            wants_snapshot_ = true;
        }
        if (wants_snapshot_) {
            wants_snapshot_ =
                !ask({0, 0, static_cast<std::uint32_t>(Path::AsIs), tick_wire::kAskSnapshot});
        }
        if (!missing_.empty() && (now >= look_at_ || fresh_from_ != UINT64_MAX)) {
            ask_for_missing(now);
        }
        ask_for_page();
        if (now - beat_ > kTcpBeat &&
            tick_wire::queue(socket_, FrameType::Heartbeat, tick_wire::Heartbeat{now.value})) {
            beat_ = now;
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
