// BrokerStage, the half that faces the network: accept, handshake, frames in, timeouts.
#include "gateway/broker_stage.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace millrace {
namespace {

constexpr int kAcceptsPerStep = 32;
constexpr Nanos kSweepEvery{5'000'000};
constexpr std::size_t kLooksPerSweep = 16;  // a thousand accounts in a third of a second

const char* text_of(const Error& error) noexcept {
    return error.code == Errc::BadVersion
               ? "protocol version differs; this host speaks 2: update the terminal's EA"
               : error.what;
}

bool has_valid_mac(const bridge::Hello& hello, const wire::Nonce& nonce,
                   const TerminalAccount& terminal) noexcept {
    wire::Mac expected;
    const auto signed_part =
        std::as_bytes(std::span{&hello, 1}).first(offsetof(bridge::Hello, mac));
    wire::hmac_sha256(std::span{terminal.key}.first(terminal.key_bytes),
                      std::as_bytes(std::span{nonce}), signed_part, expected);
    return wire::same_mac(expected, hello.mac);
}

}  // namespace

int BrokerStage::serve_sockets(Nanos now) noexcept {
    polled_at_ = now;
    if (!reports_.has_room(kReportReserve)) {
        stall();
        return 0;
    }
    if (stalled_) {
        resume(now);
    }
    const auto ready = poller_.poll();
    all_read_ = ready.size() < net::Poller::kReadyMax;
    for (const net::Ready& r : ready) {
        if (r.tag == 0) {
            accept_waiting(now);
        } else {
            serve(*peers_[r.tag - 1], r, now);
        }
    }
    return static_cast<int>(ready.size());
}

/// `reports` is full: terminals wait in their sockets, commands in `orders`.
void BrokerStage::stall() noexcept {
    if (!stalled_) {
        stalled_ = true;
        ++stats_.stalls;
        wake_.remove(poller_.fd());
    }
}

void BrokerStage::resume(Nanos now) noexcept {
    stalled_ = false;
    if (!wake_.add(poller_.fd(), 0)) {
        segment_.report_error("broker",
                              "epoll refused to watch the sockets again; latency suffers");
    }
    for (const auto& peer : peers_) {
        if (peer->session != nullptr) {
            peer->session->forgive_silence(now);
        }
        if (peer->has_backlog) {
            pump(*peer, now);
            settle_peer(*peer, now);
        }
    }
}

void BrokerStage::accept_waiting(Nanos now) noexcept {
    for (int i = 0; i < kAcceptsPerStep; ++i) {
        auto fd = listener_.accept();
        if (!fd) {
            if (fd.code() != Errc::Busy) {
                segment_.report_error("broker", fd.error().what);
            }
            return;
        }
        Peer* peer = take_peer(now);
        if (peer == nullptr) {
            segment_.report_error("broker", "more terminals than sessions; connection closed");
            continue;  // fd closes itself
        }
        peer->socket.open(std::move(fd.value()));
        greet(*peer, now);
    }
}

/// A free peer, or the one that has waited longest without a valid Hello.
Peer* BrokerStage::take_peer(Nanos now) noexcept {
    Peer* oldest = nullptr;
    for (const auto& peer : peers_) {
        if (peer->state == PeerState::Free) {
            return peer.get();
        }
        const bool stranger = peer->state != PeerState::InSession;
        if (stranger && (oldest == nullptr || peer->since < oldest->since)) {
            oldest = peer.get();
        }
    }
    if (oldest != nullptr) {
        drop(*oldest, now);
    }
    return oldest;
}

void BrokerStage::greet(Peer& peer, Nanos now) noexcept {
    const auto at =
        std::find_if(peers_.begin(), peers_.end(), [&](const auto& p) { return p.get() == &peer; });
    peer.tag = static_cast<std::uint64_t>(at - peers_.begin()) + 1;
    peer.state = PeerState::AwaitHello;
    peer.since = now;
    if (!poller_.add(peer.socket.fd(), peer.tag)) {
        segment_.report_error("broker", "epoll takes no more sockets; raise the limit");
        drop(peer, now);
        return;
    }
    wire::fill_nonce(peer.nonce);
    bridge::Challenge challenge{};
    std::memcpy(challenge.nonce, peer.nonce, sizeof challenge.nonce);
    challenge.server_time_ns = static_cast<std::uint64_t>(now.value);
    peer.send(bridge::FrameType::Challenge, 0, challenge);
    peer.flush();
    settle_peer(peer, now);
}

void BrokerStage::serve(Peer& peer, const net::Ready& ready, Nanos now) noexcept {
    if (peer.state == PeerState::Free) {
        return;  // dropped earlier in this cycle
    }
    if (ready.writable && peer.session != nullptr) {
        peer.session->on_writable();
        activate(*peer.session);
    } else if (ready.writable) {
        peer.flush();
    }
    if (ready.readable && !peer.has_backlog) {
        if (peer.state == PeerState::Closing) {
            peer.reader.reset();
        }
        const auto got = peer.socket.receive(peer.reader.space());
        if (got) {
            peer.reader.filled(got.value());
            pump(peer, now);
        } else if (got.code() != Errc::Busy) {
            peer.broken = true;
        }
    }
    settle_peer(peer, now);
}

/// Handles what has been read, frame by frame, while its reports find room.
void BrokerStage::pump(Peer& peer, Nanos now) noexcept {
    peer.has_backlog = false;
    while (peer.state == PeerState::AwaitHello || peer.state == PeerState::InSession) {
        if (!reports_.has_room(kReportReserve)) {
            peer.has_backlog = true;
            stall();
            return;
        }
        const auto frame = peer.reader.next();
        if (!frame) {
            deny(peer, text_of(frame.error()), now);
            return;
        }
        if (frame.value() == nullptr) {
            return;
        }
        on_frame(peer, *frame.value(), now);
    }
}

void BrokerStage::on_frame(Peer& peer, const wire::Frame& frame, Nanos now) noexcept {
    if (peer.state == PeerState::AwaitHello) {
        on_hello(peer, frame, now);
        return;
    }
    activate(*peer.session);
    if (Status s = peer.session->on_frame(frame, now); !s) {
        deny(peer, s.error().what, now);
    }
}

void BrokerStage::on_hello(Peer& peer, const wire::Frame& frame, Nanos now) noexcept {
    if (frame.header.type != static_cast<std::uint8_t>(bridge::FrameType::Hello)) {
        deny(peer, "the first frame must be HELLO", now);
        return;
    }
    const auto hello = frame.as<bridge::Hello>();
    if (!hello) {
        deny(peer, "HELLO: body must have 128 bytes", now);
        return;
    }
    TerminalAccount terminal;
    if (!options_.find_account(hello.value().login, terminal)) {
        deny(peer, "unknown login: add the account to the configuration of this host", now);
    } else if (!has_valid_mac(hello.value(), peer.nonce, terminal)) {
        reject_key(terminal.account, hello.value().login);
        deny(peer, "wrong MAC: the terminal's key differs from the configured one", now);
    } else if (terminal.account.value >= sessions_.size()) {
        deny(peer, "the account lies beyond the segment's session table", now);
    } else if (!is_defined(terminal.account, hello.value().login)) {
        deny(peer, "the engine has not taken this account's configuration yet: come again", now);
    } else if (hello.value().margin_mode != static_cast<std::uint8_t>(terminal.margin_mode)) {
        sessions_[terminal.account.value].reject_login(Rejection::OtherMarginMode);
        deny(peer, Session::kOtherMarginModeText, now);
    } else {
        log_in(peer, hello.value(), terminal, now);
    }
}

/// Who it was nobody knows, so this ends no session: it is shown where no terminal is let in.
void BrokerStage::reject_key(AccountId account, std::uint64_t login) noexcept {
    if (account.value < sessions_.size() && is_defined(account, login)) {
        sessions_[account.value].reject_login(Rejection::WrongKey);
    }
}

/// The engine drops reports about accounts that it does not know, SessionUp included: a terminal
/// that is faster than the configuration has to come again.
bool BrokerStage::is_defined(AccountId account, std::uint64_t login) const noexcept {
    // Acquire: pairs with the engine stage's release when it defines the account.
    return segment_.session(account).login.load(std::memory_order_acquire) == login;
}

void BrokerStage::log_in(Peer& peer, const bridge::Hello& hello, const TerminalAccount& terminal,
                         Nanos now) noexcept {
    Session& session = sessions_[terminal.account.value];
    session.check_queue();
    if (session.is_stopped()) {
        activate(session);  // the one that has served it until now, if there is one, has to be told
    }
    if (const char* objection = session.objection_to(hello); objection != nullptr) {
        // By its text: the address of a literal may be another one in each source.
        if (std::string_view{objection} == Session::kOtherDirectoryText) {
            session.reject_login(Rejection::OtherDirectory);
        }
        deny(peer, objection, now);
        return;
    }
    if (Peer* older = session.peer(); older != nullptr) {
        ++stats_.replaced;
        deny(*older, "replaced by a newer connection of the same account", now);
    }
    peer.state = PeerState::InSession;
    peer.session = &session;
    session.link_up(peer, hello, terminal, now);
    activate(session);
}

/// Says why and closes in order; the session, if there is one, goes down.
void BrokerStage::deny(Peer& peer, const char* reason, Nanos now) noexcept {
    ++stats_.denied;
    char text[160];
    const unsigned account = peer.session != nullptr ? peer.session->account().value : kNoId;
    if (account != kNoId) {
        std::snprintf(text, sizeof text, "terminal of account %u denied: %s", account, reason);
    } else {
        std::snprintf(text, sizeof text, "terminal denied: %s", reason);
    }
    segment_.report_error("broker", text);
    bridge::Denied denied{};
    std::snprintf(denied.reason, sizeof denied.reason, "%s", reason);
    peer.send(bridge::FrameType::Denied, 0, denied);
    peer.flush();
    leave_session(peer, now);
    ::shutdown(peer.socket.fd(), SHUT_WR);
    peer.state = PeerState::Closing;
    peer.since = now;
}

void BrokerStage::leave_session(Peer& peer, Nanos now) noexcept {
    if (Session* session = std::exchange(peer.session, nullptr); session != nullptr) {
        session->link_down(now);
        activate(*session);
    }
}

void BrokerStage::drop(Peer& peer, Nanos now) noexcept {
    leave_session(peer, now);
    poller_.remove(peer.socket.fd());
    peer.socket.close();
    peer.reader.reset();
    peer.state = PeerState::Free;
    peer.watching_writes = peer.has_backlog = peer.broken = false;
}

/// After anything was done with a peer: drops it if its socket failed, and watches for
/// writability exactly while something waits to be written.
void BrokerStage::settle_peer(Peer& peer, Nanos now) noexcept {
    if (peer.state == PeerState::Free) {
        return;
    }
    const bool wants = peer.socket.pending_bytes() > 0;
    if (!peer.broken && wants != peer.watching_writes) {
        peer.watching_writes = wants;
        peer.broken = !poller_.watch(peer.socket.fd(), peer.tag, {true, wants});
    }
    if (peer.broken) {
        drop(peer, now);
    }
}

/// Accounts that have nothing to do are looked at in turn: their damage is noticed too, and before
/// a stage that is started again would refuse the segment for it; and whether they can be reached.
void BrokerStage::look_around(Nanos now) noexcept {
    const std::size_t count = std::min(sessions_.size(), kLooksPerSweep);
    for (std::size_t i = 0; i < count; ++i) {
        Session& session = sessions_[looked_at_++ % sessions_.size()];
        if (session.check_front()) {
            activate(session);
        }
        session.watch(now);
    }
}

int BrokerStage::keep_time(Nanos now) noexcept {
    if (now < sweep_at_) {
        return 0;
    }
    sweep_at_ = now + kSweepEvery;
    look_around(now);
    int work = 0;
    for (const auto& peer : peers_) {
        if (peer->state != PeerState::Free) {
            if (peer->session != nullptr) {
                work += peer->session->acknowledge_events();
            }
            keep_time_of(*peer, now);
            settle_peer(*peer, now);
        }
    }
    return work;
}

void BrokerStage::keep_time_of(Peer& peer, Nanos now) noexcept {
    const SessionTimes& times = options_.times;
    // While we do not read, silence is ours.
    const bool listening = !stalled_ && all_read_;
    switch (peer.state) {
        case PeerState::InSession:
            ASSERT(peer.session != nullptr);
            if (!peer.session->has_its_login()) {
                deny(peer, Session::kOtherLoginText, now);
                return;
            }
            if (!peer.session->keep_alive(now) && listening) {
                segment_.report_error("broker", "a terminal fell silent; link closed");
                peer.broken = true;
            }
            return;
        case PeerState::AwaitHello:
            if (now - peer.since >= times.handshake_ns && listening) {
                deny(peer, "no HELLO in time", now);
            }
            return;
        case PeerState::Closing:
            peer.broken = peer.broken || now - peer.since >= times.closing_ns;
            return;
        case PeerState::Free: return;
    }
}

}  // namespace millrace
