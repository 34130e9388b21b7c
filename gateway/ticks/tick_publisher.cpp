#include "gateway/ticks/tick_publisher.h"

#include "core/assert.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace millrace {
namespace {

using tick_wire::FrameType;
using tick_wire::TickEntry;

constexpr std::size_t kWriteBytes = 512 * 1024;
constexpr std::size_t kReserve = 8 * 1024;
constexpr Nanos kTcpBeat = millis(250);
constexpr Nanos kLoginMax = seconds(5);
constexpr Nanos kSilence = seconds(5);

Result<net::Fd> open_udp(const net::ListenOptions& listen, std::uint16_t port) {
    net::Fd fd{::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = ::htons(port);
    const bool known = ::inet_pton(AF_INET, listen.address.c_str(), &at.sin_addr) == 1;
    if (!fd || !known || ::bind(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) {
        return {Errc::IoError, "cannot bind the UDP socket of the distribution (IPv4 only)", errno};
    }
    return fd;
}

}  // namespace

struct TickPublisher::Peer {
    enum class State : std::uint8_t { Free, Greeted, Up };
    net::Connection socket{kWriteBytes};
    wire::FrameReader reader{tick_wire::kVersion};
    State state = State::Free;
    wire::Nonce nonce{};
    std::uint64_t tag = 0;
    sockaddr_in udp{};
    bool by_udp = false;
    bool closing = false;
    bool watches_write = false;
    std::uint64_t again = 0;  // packets again..again_to wait to be sent again
    std::uint64_t again_to = 0;
    Nanos heard;
    Nanos beat;      // last empty packet by UDP
    Nanos tcp_beat;  // and by TCP
};

TickPublisher::TickPublisher(TickPublisherOptions options, net::Listener listener,
                             net::Poller poller, net::Fd udp)
    : options_{std::move(options)},
      listener_{std::move(listener)},
      poller_{std::move(poller)},
      udp_{std::move(udp)},
      ring_(options_.packets_kept) {
    batch_.reserve(tick_wire::kEntriesMax);
    for (std::size_t i = 0; i < options_.connections_max; ++i) {
        peers_.push_back(std::make_unique<Peer>());
        peers_.back()->tag = i + 1;
    }
}

TickPublisher::~TickPublisher() = default;

Result<std::unique_ptr<TickPublisher>> TickPublisher::open(TickPublisherOptions options,
                                                           std::string& message) {
    auto listener = net::Listener::open(options.listen, message);
    if (!listener) {
        return listener.error();
    }
    auto udp = open_udp(options.listen, listener.value().port());
    auto poller = net::Poller::open();
    if (!udp || !poller) {
        message = !udp ? udp.error().what : poller.error().what;
        return !udp ? udp.error() : poller.error();
    }
    std::unique_ptr<TickPublisher> p{
        new TickPublisher{std::move(options), std::move(listener).value(),
                          std::move(poller).value(), std::move(udp).value()}};
    if (const Status added = p->poller_.add(p->listener_.fd(), 0); !added) {
        message = added.error().what;
        return added.error();
    }
    return p;
}

void TickPublisher::publish(std::uint32_t row, const Text<16>& symbol, const TickEntry& tick) {
    if (row >= symbols_.size()) {
        symbols_.resize(row + 1);
    }
    Symbol& s = symbols_[row];
    s.latest = tick;
    s.latest.index = row;
    if (!s.known) {
        s.name = symbol;
        s.known = true;
        for (const auto& peer : peers_) {
            if (peer->state == Peer::State::Up) {
                send_name(*peer, row);
            }
        }
    }
    if (batch_.size() == tick_wire::kEntriesMax) {
        send_packet();
    }
    batch_.push_back(s.latest);
}

const TickPublisher::Kept* TickPublisher::kept(std::uint64_t number) const noexcept {
    const bool is_there = number != 0 && number <= packets_ && packets_ - number < ring_.size();
    return is_there ? &ring_[number % ring_.size()] : nullptr;
}

/// Numbers what waits and sends it to everybody.
void TickPublisher::send_packet() noexcept {
    if (batch_.empty()) {
        return;
    }
    ++packets_;
    Kept& k = ring_[packets_ % ring_.size()];
    k.bytes = static_cast<std::uint32_t>(
        wire::encode_bytes(k.frame, static_cast<std::uint8_t>(FrameType::Packet),
                           tick_wire::kVersion, packets_, std::as_bytes(std::span{batch_})));
    batch_.clear();
    ++stats_.packets;
    for (const auto& peer : peers_) {
        if (peer->state == Peer::State::Up) {
            send_frame(*peer, std::span{k.frame}.first(k.bytes), peer->by_udp);
        }
    }
    sent_ = now_;
}

void TickPublisher::send_frame(Peer& peer, std::span<const std::byte> frame, bool by_udp) noexcept {
    if (by_udp) {
        const ssize_t n = ::sendto(udp_.get(), frame.data(), frame.size(), MSG_NOSIGNAL,
                                   reinterpret_cast<const sockaddr*>(&peer.udp), sizeof peer.udp);
        (n < 0 ? stats_.datagrams_failed : stats_.datagrams) += 1;
        return;
    }
    if (peer.again != 0) {
        return;  // catch_up() comes to it
    }
    // One that does not read misses numbers, and asks for them when it does.
    if (peer.socket.free_bytes() < kReserve || !peer.socket.send(frame)) {
        ++stats_.passed_over;
    }
}

void TickPublisher::send_name(Peer& peer, std::uint32_t row) noexcept {
    tick_wire::Name name{};
    name.index = row;
    std::memcpy(name.name, symbols_[row].name.bytes, sizeof name.name);
    if (!tick_wire::queue(peer.socket, FrameType::Name, name)) {
        peer.closing = true;  // it has not read for half a megabyte: it logs in anew
    }
}

void TickPublisher::send_snapshot(Peer& peer) noexcept {
    TickEntry entries[tick_wire::kEntriesMax];
    std::size_t n = 0;
    bool fits = true;
    for (const Symbol& s : symbols_) {
        if (s.known) {
            entries[n++] = s.latest;
        }
        if (n == tick_wire::kEntriesMax) {
            fits = fits &&
                   tick_wire::queue_entries(peer.socket, FrameType::Snapshot, entries, packets_);
            n = 0;
        }
    }
    // The last one, which may be empty, ends the snapshot.
    fits =
        fits && tick_wire::queue_entries(peer.socket, FrameType::Snapshot, {entries, n}, packets_);
    peer.closing = peer.closing || !fits;
}

int TickPublisher::step(Nanos now) noexcept {
    now_ = now;
    int done = 0;
    for (const net::Ready& r : poller_.poll()) {
        if (r.tag == 0) {
            accept_waiting(now);
        } else if (Peer& peer = *peers_[r.tag - 1]; peer.state != Peer::State::Free) {
            done += serve(peer, now);
        }
    }
    done += batch_.empty() ? 0 : 1;
    send_packet();
    const bool beat = now - sent_ >= kHeartbeat;
    std::array<std::byte, sizeof(wire::FrameHeader)> empty;
    const std::size_t bytes = wire::encode_bytes(
        empty, static_cast<std::uint8_t>(FrameType::Packet), tick_wire::kVersion, packets_, {});
    for (const auto& p : peers_) {
        Peer& peer = *p;
        if (peer.state == Peer::State::Free) {
            continue;
        }
        const bool up = peer.state == Peer::State::Up;
        if (now - peer.heard > (up ? kSilence : kLoginMax)) {
            drop(peer);
            continue;
        }
        if (up) {
            // By UDP to those on TCP too: so they see that it works again.
            if (peer.udp.sin_port != 0 && (beat || !peer.by_udp) && now - peer.beat >= kHeartbeat) {
                peer.beat = now;
                send_frame(peer, std::span{empty}.first(bytes), true);
            }
            if (now - peer.tcp_beat >= kTcpBeat) {
                peer.tcp_beat = now;
                send_frame(peer, std::span{empty}.first(bytes), false);
            }
            catch_up(peer);
        }
        settle(peer);
    }
    if (beat) {
        sent_ = now;
    }
    return done;
}

void TickPublisher::accept_waiting(Nanos now) noexcept {
    for (auto fd = listener_.accept(); fd; fd = listener_.accept()) {
        const auto free = std::find_if(peers_.begin(), peers_.end(),
                                       [](const auto& p) { return p->state == Peer::State::Free; });
        if (free == peers_.end()) {
            continue;  // closes itself
        }
        Peer& peer = **free;
        peer.udp = {};
        socklen_t bytes = sizeof peer.udp;
        ::getpeername(fd.value().get(), reinterpret_cast<sockaddr*>(&peer.udp), &bytes);
        peer.socket.open(std::move(fd).value());
        peer.reader.reset();
        peer.state = Peer::State::Greeted;
        peer.by_udp = peer.closing = peer.watches_write = false;
        peer.again = peer.again_to = 0;
        peer.heard = now;
        peer.beat = peer.tcp_beat = Nanos{};
        wire::fill_nonce(peer.nonce);
        tick_wire::Challenge challenge{};
        std::copy_n(peer.nonce, sizeof peer.nonce, challenge.nonce);
        challenge.server_time_ns = now.value;
        if (!poller_.add(peer.socket.fd(), peer.tag) ||
            !tick_wire::queue(peer.socket, FrameType::Challenge, challenge)) {
            drop(peer);
            continue;
        }
        settle(peer);
    }
}

int TickPublisher::serve(Peer& peer, Nanos now) noexcept {
    const auto got = peer.socket.receive(peer.reader.space());
    if (!got) {
        if (got.code() != Errc::Busy) {
            drop(peer);
        }
        return 0;
    }
    peer.heard = now;
    peer.reader.filled(got.value());
    int frames = 0;
    while (!peer.closing) {
        const auto frame = peer.reader.next();
        if (frame && frame.value() == nullptr) {
            break;
        }
        const Status handled = frame ? on_frame(peer, *frame.value(), now) : Status{frame.error()};
        if (!handled) {
            deny(peer, handled.error().what);
        }
        ++frames;
    }
    return frames;
}

Status TickPublisher::on_frame(Peer& peer, const wire::Frame& frame, Nanos now) noexcept {
    const auto type = static_cast<FrameType>(frame.header.type);
    if (peer.state == Peer::State::Greeted) {
        return type == FrameType::Login ? on_login(peer, frame, now)
                                        : Status{Errc::BadFrame, "LOGIN comes first"};
    }
    switch (type) {
        case FrameType::Ask: return on_ask(peer, frame);
        case FrameType::Heartbeat: return ok_status();
        default: return {Errc::BadFrame, "a frame that consumers do not send"};
    }
}

Status TickPublisher::on_login(Peer& peer, const wire::Frame& frame, Nanos now) noexcept {
    const auto read = frame.as<tick_wire::Login>();
    if (!read) {
        return read.error();
    }
    const tick_wire::Login& login = read.value();
    const std::string_view name{login.name, ::strnlen(login.name, sizeof login.name)};
    const auto consumer = std::find_if(options_.consumers.begin(), options_.consumers.end(),
                                       [&](const TickConsumer& c) { return c.name == name; });
    if (consumer == options_.consumers.end() ||
        !tick_wire::is_signed(consumer->key, peer.nonce, login)) {
        deny(peer, "no consumer of this name and key is configured");
        return ok_status();
    }
    peer.udp.sin_port = ::htons(static_cast<std::uint16_t>(login.udp_port));
    peer.by_udp = login.udp_port != 0;
    peer.state = Peer::State::Up;
    tick_wire::Welcome welcome{};
    welcome.server_time_ns = now.value;
    tick_wire::sign(consumer->key, login.nonce, welcome, welcome.mac);
    static_cast<void>(tick_wire::queue(peer.socket, FrameType::Welcome, welcome));
    for (std::uint32_t row = 0; row < symbols_.size(); ++row) {
        if (symbols_[row].known) {
            send_name(peer, row);
        }
    }
    send_snapshot(peer);
    return ok_status();
}

Status TickPublisher::on_ask(Peer& peer, const wire::Frame& frame) noexcept {
    const auto read = frame.as<tick_wire::Ask>();
    if (!read) {
        return read.error();
    }
    const tick_wire::Ask& ask = read.value();
    switch (static_cast<tick_wire::Path>(ask.path)) {
        case tick_wire::Path::AsIs: break;
        case tick_wire::Path::Udp: peer.by_udp = peer.udp.sin_port != 0; break;
        case tick_wire::Path::Tcp:
            peer.by_udp = false;
            ++stats_.to_tcp;
            break;
    }
    if (ask.from == 0 || ask.from > ask.to || ask.from > packets_) {
        return ok_status();
    }
    const std::uint64_t to = std::min(ask.to, packets_);
    const std::uint64_t oldest = packets_ < ring_.size() ? 1 : packets_ - ring_.size() + 1;
    if (ask.from < oldest) {
        const std::uint64_t lost_to = std::min(oldest - 1, to);
        stats_.lost += lost_to - ask.from + 1;
        static_cast<void>(
            tick_wire::queue(peer.socket, FrameType::Lost, tick_wire::Lost{ask.from, lost_to}));
        send_snapshot(peer);
    }
    const std::uint64_t from = std::max(ask.from, oldest);
    if (from <= to) {
        // An answer that is under way is gone on with: what it has not sent is asked for again.
        peer.again = peer.again == 0 ? from : std::min(peer.again, from);
        peer.again_to = std::max(peer.again_to, to);
    }
    return ok_status();
}

/// As much of what was asked for again as there is room for.
void TickPublisher::catch_up(Peer& peer) noexcept {
    while (peer.again != 0 && peer.socket.free_bytes() >= kReserve) {
        const Kept* k = kept(peer.again);
        if (k != nullptr && !peer.socket.send(std::span{k->frame}.first(k->bytes))) {
            return;
        }
        stats_.again += k != nullptr ? 1 : 0;
        // On TCP what came meanwhile follows, in order.
        const std::uint64_t to = peer.by_udp ? peer.again_to : packets_;
        peer.again = peer.again >= to ? 0 : peer.again + 1;
    }
    if (peer.again == 0) {
        peer.again_to = 0;
    }
}

void TickPublisher::deny(Peer& peer, const char* why) noexcept {
    tick_wire::Denied denied{};
    std::snprintf(denied.reason, sizeof denied.reason, "%s", why);
    static_cast<void>(tick_wire::queue(peer.socket, FrameType::Denied, denied));
    peer.closing = true;
}

void TickPublisher::settle(Peer& peer) noexcept {
    const Status flushed = peer.socket.flush();
    const bool dead = !flushed && flushed.code() != Errc::Busy;
    if (dead || (peer.closing && flushed)) {
        return drop(peer);
    }
    const bool write = peer.socket.pending_bytes() != 0;
    if (write != peer.watches_write) {
        peer.watches_write = write;
        if (!poller_.watch(peer.socket.fd(), peer.tag, {.read = true, .write = write})) {
            drop(peer);
        }
    }
}

void TickPublisher::drop(Peer& peer) noexcept {
    peer.state = Peer::State::Free;
    peer.socket.close();
}

}  // namespace millrace
