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
/// Live packets leave this much room for answers.
constexpr std::size_t kReserve = 8 * 1024;
/// What is recorded leaves this much to packets.
constexpr std::size_t kHistoryReserve = kWriteBytes / 2;
constexpr Nanos kTcpBeat = millis(250);
constexpr Nanos kSilence = seconds(5);
constexpr std::uint32_t kNone = UINT32_MAX;

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

struct TickPublisher::Peer : TickPeer {
    struct Range {
        std::uint64_t from = 0;
        std::uint64_t to = 0;
    };
    Peer() : TickPeer{kWriteBytes} { ranges.reserve(kRangesMax); }
    /// Numbers that were asked for again. What waits already is not begun anew.
    void add_range(Range r) noexcept;

    sockaddr_in udp{};
    wire::Mac session{};
    bool by_udp = false;
    std::uint32_t name_at = 0;          // rows below it were named
    std::uint32_t snapshot_at = kNone;  // rows from it on are still to be shown; kNone = all were
    std::vector<Range> ranges;          // apart from each other, oldest first
    std::uint64_t stream = 0;           // by TCP all from it on, in order; 0 = in step
    HistoryOut history;
    Nanos beat;      // last empty packet by UDP
    Nanos tcp_beat;  // and by TCP
};

void TickPublisher::Peer::add_range(Range r) noexcept {
    auto at = std::find_if(ranges.begin(), ranges.end(),
                           [&](const Range& x) { return x.to + 1 >= r.from; });
    if (at == ranges.end() || r.to + 1 < at->from) {
        if (ranges.size() < kRangesMax) {
            ranges.insert(at, r);
        }
        return;
    }
    at->from = std::min(at->from, r.from);
    at->to = std::max(at->to, r.to);
    const auto next = at + 1;
    auto end = next;
    while (end != ranges.end() && end->from <= at->to + 1) {
        at->to = std::max(at->to, end->to);
        ++end;
    }
    ranges.erase(next, end);
}

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
    if (options.packets_kept == 0 || options.packets_kept > kPacketsKeptMax) {
        message = "packets_kept is 1 to 1048576";
        return {Errc::BadInput, "packets_kept is 1 to 1048576"};
    }
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
            if (peer->is_up()) {
                peer->name_at = std::min(peer->name_at, row);
                static_cast<void>(send_names(*peer));
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

std::uint64_t TickPublisher::oldest() const noexcept {
    return packets_ < ring_.size() ? 1 : packets_ - ring_.size() + 1;
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
        if (peer->is_up() && peer->by_udp) {
            send_datagram(*peer, std::span{k.frame}.first(k.bytes));
        } else if (peer->is_up()) {
            send_in_order(*peer, std::span{k.frame}.first(k.bytes));
        }
    }
    sent_ = now_;
}

void TickPublisher::send_datagram(Peer& peer, std::span<const std::byte> frame) noexcept {
    tick_wire::Datagram sealed;
    const std::size_t bytes = tick_wire::seal(peer.session, frame, sealed);
    const ssize_t n = ::sendto(udp_.get(), sealed.data(), bytes, MSG_NOSIGNAL,
                               reinterpret_cast<const sockaddr*>(&peer.udp), sizeof peer.udp);
    (n < 0 ? stats_.datagrams_failed : stats_.datagrams) += 1;
}

/// The newest packet by TCP, unless older ones are still to go.
void TickPublisher::send_in_order(Peer& peer, std::span<const std::byte> frame) noexcept {
    if (peer.stream != 0) {
        return;  // catch_up() comes to it
    }
    if (peer.socket.free_bytes() < kReserve || !peer.socket.send(frame)) {
        ++stats_.passed_over;
        peer.stream = packets_;
    }
}

/// @return true: all rows are named.
bool TickPublisher::send_names(Peer& peer) noexcept {
    for (; peer.name_at < symbols_.size(); ++peer.name_at) {
        if (!symbols_[peer.name_at].known) {
            continue;
        }
        tick_wire::Name name{};
        name.index = peer.name_at;
        std::memcpy(name.name, symbols_[peer.name_at].name.bytes, sizeof name.name);
        if (peer.socket.free_bytes() < kReserve ||
            !tick_wire::queue(peer.socket, FrameType::Name, name)) {
            return false;
        }
    }
    return true;
}

/// As much of the latest of all symbols as there is room for. Each frame's number says how new it
/// is, so packets may go between them. @return true: it is whole.
bool TickPublisher::send_snapshot(Peer& peer) noexcept {
    while (peer.snapshot_at != kNone) {
        if (peer.socket.free_bytes() < kReserve) {
            return false;
        }
        TickEntry entries[tick_wire::kEntriesMax];
        std::size_t n = 0;
        std::uint32_t row = peer.snapshot_at;
        for (; row < symbols_.size() && n < tick_wire::kEntriesMax; ++row) {
            if (symbols_[row].known) {
                entries[n++] = symbols_[row].latest;
            }
        }
        // The last one, which may be empty, ends the snapshot.
        if (!tick_wire::queue_entries(peer.socket, FrameType::Snapshot, {entries, n}, packets_)) {
            return false;
        }
        peer.snapshot_at = row < symbols_.size() ? row : kNone;
    }
    return true;
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
    hand_out_histories();
    const bool due = now - sent_ >= kHeartbeat;
    std::array<std::byte, sizeof(wire::FrameHeader)> buffer;
    const std::span<const std::byte> empty = std::span{buffer}.first(wire::encode_bytes(
        buffer, static_cast<std::uint8_t>(FrameType::Packet), tick_wire::kVersion, packets_, {}));
    for (const auto& p : peers_) {
        Peer& peer = *p;
        if (peer.state == Peer::State::Free) {
            continue;
        }
        if (peer.is_overdue(now, kSilence)) {
            peer.close();
            continue;
        }
        if (peer.is_up()) {
            catch_up(peer);
            peer.history.send(peer.socket, kHistoryReserve);
            beat(peer, empty, due, now);
        }
        if (!peer.settle(poller_)) {
            peer.close();
        }
    }
    if (due) {
        sent_ = now;
    }
    return done;
}

/// By UDP to those on TCP too: so they see that it works again.
void TickPublisher::beat(Peer& peer, std::span<const std::byte> empty, bool due,
                         Nanos now) noexcept {
    if (peer.udp.sin_port != 0 && (due || !peer.by_udp) && now - peer.beat >= kHeartbeat) {
        peer.beat = now;
        send_datagram(peer, empty);
    }
    if (now - peer.tcp_beat >= kTcpBeat && peer.stream == 0 &&
        peer.socket.free_bytes() >= kReserve && peer.socket.send(empty)) {
        peer.tcp_beat = now;
    }
}

void TickPublisher::accept_waiting(Nanos now) noexcept {
    for (auto fd = listener_.accept(); fd; fd = listener_.accept()) {
        Peer* peer = place_for_newcomer<Peer>(peers_);
        if (peer == nullptr) {
            continue;  // closes itself
        }
        peer->udp = {};
        socklen_t bytes = sizeof peer->udp;
        ::getpeername(fd.value().get(), reinterpret_cast<sockaddr*>(&peer->udp), &bytes);
        peer->by_udp = false;
        peer->name_at = 0;
        peer->snapshot_at = kNone;
        peer->ranges.clear();
        peer->stream = 0;
        peer->history.forget();
        peer->beat = peer->tcp_beat = Nanos{};
        if (!peer->greet(std::move(fd).value(), poller_, now) || !peer->settle(poller_)) {
            peer->close();
        }
    }
}

int TickPublisher::serve(Peer& peer, Nanos now) noexcept {
    if (peer.closing) {
        return 0;  // settled in step()
    }
    const auto frames =
        peer.read(now, [&](const wire::Frame& frame) { return on_frame(peer, frame, now); });
    if (!frames && is_gone(frames.code())) {
        peer.close();
    } else if (!frames && frames.code() != Errc::Busy) {
        peer.deny(frames.error().what, now);
    }
    return frames ? frames.value() : 0;
}

Status TickPublisher::on_frame(Peer& peer, const wire::Frame& frame, Nanos now) noexcept {
    const auto type = static_cast<FrameType>(frame.header.type);
    if (peer.state == Peer::State::Greeted) {
        return type == FrameType::Login ? on_login(peer, frame, now)
                                        : Status{Errc::BadFrame, "LOGIN comes first"};
    }
    switch (type) {
        case FrameType::Ask: return on_ask(peer, frame);
        case FrameType::HistoryAsk: return on_history_ask(peer, frame);
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
        peer.deny("no consumer of this name and key is configured", now);
        return ok_status();
    }
    if (login.udp_port > UINT16_MAX) {
        return {Errc::BadFrame, "LOGIN: udp_port is 0 to 65535"};
    }
    peer.udp.sin_port = ::htons(static_cast<std::uint16_t>(login.udp_port));
    peer.by_udp = login.udp_port != 0;
    tick_wire::session_key(consumer->key, peer.nonce, login.nonce, peer.session);
    peer.state = Peer::State::Up;
    tick_wire::Welcome welcome{};
    welcome.server_time_ns = now.value;
    tick_wire::sign(consumer->key, login.nonce, welcome, welcome.mac);
    static_cast<void>(tick_wire::queue(peer.socket, FrameType::Welcome, welcome));
    peer.snapshot_at = 0;  // after the names; both in steps, as there is room
    return ok_status();
}

Status TickPublisher::on_ask(Peer& peer, const wire::Frame& frame) noexcept {
    const auto read = frame.as<tick_wire::Ask>();
    if (!read) {
        return read.error();
    }
    const tick_wire::Ask& ask = read.value();
    if ((ask.flags & tick_wire::kAskSnapshot) != 0) {
        peer.snapshot_at = 0;
    }
    const bool wanted = ask.from != 0 && ask.from <= ask.to && ask.from <= packets_;
    switch (static_cast<tick_wire::Path>(ask.path)) {
        case tick_wire::Path::AsIs: break;
        case tick_wire::Path::Udp:
            peer.by_udp = peer.udp.sin_port != 0;
            if (peer.by_udp && peer.stream != 0) {
                peer.add_range({peer.stream, packets_});
                peer.stream = 0;
            }
            break;
        case tick_wire::Path::Tcp:
            peer.by_udp = false;
            ++stats_.to_tcp;
            // Whatever comes meanwhile follows, in order.
            peer.stream = wanted ? ask.from : peer.stream;
            return ok_status();
    }
    if (wanted) {
        peer.add_range({ask.from, std::min(ask.to, packets_)});
    }
    return ok_status();
}

Status TickPublisher::on_history_ask(Peer& peer, const wire::Frame& frame) noexcept {
    const auto ask = frame.as<tick_wire::HistoryAsk>();
    const char* wrong = ask ? mistake_in(ask.value()) : nullptr;
    if (!ask || wrong != nullptr || peer.history.is_busy()) {
        return !ask ? Status{ask.error()}
                    : Status{Errc::BadFrame,
                             wrong != nullptr ? wrong : "HISTORY_ASK: one at a time"};
    }
    ++stats_.histories;
    peer.history.expect(++tickets_, frame.header.seq);
    if (options_.history == nullptr || !options_.history->ask({tickets_, ask.value()})) {
        // Seldom enough to take memory for it.
        auto refusal = std::make_unique<HistoryAnswer>();
        refusal->flags = tick_wire::kHistoryRefused;
        peer.history.take(std::move(refusal));
    }
    return ok_status();
}

/// What was read meanwhile, to those who asked for it and are still there.
void TickPublisher::hand_out_histories() noexcept {
    if (options_.history == nullptr) {
        return;
    }
    while (auto answer = options_.history->take()) {
        const auto peer = std::find_if(peers_.begin(), peers_.end(), [&](const auto& p) {
            return p->is_up() && p->history.expects(answer->ticket);
        });
        if (peer != peers_.end()) {
            (*peer)->history.take(std::move(answer));
        }
    }
}

/// Sends the kept packet `number` and counts it up; tells those up to `to` that are no longer kept.
/// @return false: no room, nothing happened.
bool TickPublisher::send_kept(Peer& peer, std::uint64_t& number, std::uint64_t to) noexcept {
    if (peer.socket.free_bytes() < kReserve) {
        return false;
    }
    if (const std::uint64_t first = oldest(); number < first) {
        const tick_wire::Lost lost{number, std::min(first - 1, to)};
        if (!tick_wire::queue(peer.socket, FrameType::Lost, lost)) {
            return false;
        }
        stats_.lost += lost.to - number + 1;
        number = lost.to + 1;
        peer.snapshot_at = 0;
        return true;
    }
    const Kept* k = kept(number);
    ASSERT(k != nullptr);
    if (!peer.socket.send(std::span{k->frame}.first(k->bytes))) {
        return false;
    }
    ++stats_.again;
    ++number;
    return true;
}

/// As much of what it has not got as there is room for: names, the latest, then packets.
void TickPublisher::catch_up(Peer& peer) noexcept {
    if (!send_names(peer) || !send_snapshot(peer)) {
        return;
    }
    while (!peer.ranges.empty()) {
        Peer::Range& first = peer.ranges.front();
        if (!send_kept(peer, first.from, first.to)) {
            break;
        }
        if (first.from > first.to) {
            peer.ranges.erase(peer.ranges.begin());
        }
    }
    while (peer.stream != 0 && send_kept(peer, peer.stream, packets_)) {
        peer.stream = peer.stream > packets_ ? 0 : peer.stream;
    }
}

}  // namespace millrace
