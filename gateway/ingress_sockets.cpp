// IngressStage, the way in: connections, logins, submissions.
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "gateway/ingress_stage.h"
#include "gateway/signal_gate.h"
#include "shm/doorbell.h"

namespace millrace {
namespace {

using signal_wire::FrameType;

constexpr int kAcceptsPerStep = 16;

/// Tells a peer that cannot be served, without a place for it.
void turn_away(const net::Fd& fd, std::string_view reason) noexcept {
    signal_wire::Denied denied{};
    reason.copy(denied.reason, sizeof denied.reason - 1);
    std::byte frame[wire::kFrameBytes<signal_wire::Denied>];
    const std::size_t n = wire::encode(frame, FrameType::Denied, signal_wire::kVersion, 0, denied);
    // Best effort: the end of the stream tells it as well.
    [[maybe_unused]] const auto sent = ::send(fd.get(), frame, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace

int IngressStage::poll_sockets(Nanos now) noexcept {
    const std::uint64_t before = signals_.written();
    int work = 0;
    for (const net::Ready& ready : poller_.poll()) {
        if (ready.tag == kListenerTag) {
            accept_peers(now);
            ++work;
            continue;
        }
        const auto index = static_cast<std::size_t>(ready.tag);
        if (ready.writable) {
            mark_dirty(index);
        }
        if (ready.readable) {
            work += read_peer(index, now);
        }
    }
    if (signals_.written() != before) {
        ring(*engine_bell_);
    }
    return work;
}

IngressPeer* IngressStage::free_peer() noexcept {
    const auto it = std::find_if(peers_.begin(), peers_.end(), [](const auto& p) {
        return p->state() == IngressPeer::State::Free;
    });
    if (it != peers_.end()) {
        return it->get();
    }
    if (peers_.size() == options_.connections_max) {
        return nullptr;
    }
    // A place is made when the number of connections reaches a new height, and kept.
    return peers_.emplace_back(std::make_unique<IngressPeer>(options_.send_buffer_bytes)).get();
}

void IngressStage::accept_peers(Nanos now) noexcept {
    for (int i = 0; i < kAcceptsPerStep; ++i) {
        auto accepted = listener_.accept();
        if (!accepted) {
            if (accepted.code() != Errc::Busy) {
                segment_.report_error("ingress", accepted.error().what);
            }
            return;
        }
        IngressPeer* peer = free_peer();
        if (peer == nullptr) {
            ++stats_.logins_denied;
            segment_.report_error("ingress", "connections_max reached: a source was turned away");
            turn_away(accepted.value(), "too many connections; raise ingress.connections_max");
            continue;
        }
        const auto index =
            static_cast<std::size_t>(std::find_if(peers_.begin(), peers_.end(),
                                                  [&](const auto& p) { return p.get() == peer; }) -
                                     peers_.begin());
        peer->open(std::move(accepted).value(), now);
        ++peers_open_;
        ++stats_.connections;
        if (!poller_.add(peer->connection().fd(), index)) {
            segment_.report_error("ingress", "epoll refuses a connection");
            end(index);
            continue;
        }
        mark_dirty(index);
    }
}

// One read per step is each connection's share: a flood from one cannot starve the others, and
// what is left in its socket shows as readable again.
int IngressStage::read_peer(std::size_t index, Nanos now) noexcept {
    IngressPeer& peer = *peers_[index];
    if (peer.state() == IngressPeer::State::Free) {
        return 0;  // ended earlier in this very cycle
    }
    const auto got = peer.connection().receive(peer.reader().space());
    if (!got) {
        if (got.code() != Errc::Busy) {
            end(index);
        }
        return 0;
    }
    if (peer.state() == IngressPeer::State::Denied) {
        peer.reader().reset();  // whatever it still says is not listened to
        return 1;
    }
    peer.heard(now);
    peer.reader().filled(got.value());
    int frames = 0;
    while (peer.state() == IngressPeer::State::LoggingIn ||
           peer.state() == IngressPeer::State::Open) {
        const auto frame = peer.reader().next();
        if (!frame) {
            ++stats_.malformed;
            deny(index, frame.error().what, now);
            break;
        }
        if (frame.value() == nullptr) {
            break;
        }
        on_frame(index, *frame.value(), now);
        ++frames;
    }
    return frames;
}

void IngressStage::on_frame(std::size_t index, const wire::Frame& frame, Nanos now) noexcept {
    const bool open = peers_[index]->state() == IngressPeer::State::Open;
    switch (static_cast<FrameType>(frame.header.type)) {
        case FrameType::Heartbeat: return;
        case FrameType::Login:
            if (!open) {
                return on_login(index, frame, now);
            }
            break;
        case FrameType::Submit:
            if (open) {
                return on_submit(index, frame, now);
            }
            break;
        default: break;
    }
    ++stats_.malformed;
    const char* allowed =
        open ? "a source sends Submit (5) and Heartbeat (8)" : "the first frame must be Login (2)";
    char reason[sizeof(signal_wire::Denied::reason)];
    std::snprintf(reason, sizeof reason, "unexpected frame type %u: %s", frame.header.type,
                  allowed);
    deny(index, reason, now, allowed);
}

void IngressStage::on_login(std::size_t index, const wire::Frame& frame, Nanos now) noexcept {
    const auto login = frame.as<signal_wire::Login>();
    if (!login) {
        ++stats_.malformed;
        return deny(index, "Login: the body must have 48 bytes", now);
    }
    IngressPeer& peer = *peers_[index];
    const char* name = login.value().source;
    const std::string_view wanted{name, ::strnlen(name, sizeof(signal_wire::Login::source))};
    const auto& sources = options_.sources;
    const auto it = std::find_if(sources.begin(), sources.end(),
                                 [&](const IngressSource& s) { return s.name == wanted; });
    // One answer for both mistakes: a stranger must not learn which names exist.
    if (it == sources.end() ||
        !peer.log_in(login.value(), it->key, static_cast<std::uint32_t>(it - sources.begin()))) {
        ++stats_.logins_denied;
        Refusal text;
        refuse(text, Reason::None, false,
               "login as \"%.*s\" refused: no such source, or wrong key (see \"sources\")",
               static_cast<int>(wanted.size()), name);
        if (it == sources.end()) {
            return deny(index, text.text, now, "login of a source that is not configured");
        }
        char known[sizeof text.text];
        std::snprintf(known, sizeof known, "login of source %s with a wrong key", it->name.c_str());
        return deny(index, text.text, now, known);
    }
    ++stats_.logins;
    const signal_wire::Welcome welcome{it->id.value, static_cast<std::uint32_t>(it->ack),
                                       now.value};
    if (!peer.send(FrameType::Welcome, 0, welcome)) {
        return cut(index, "does not read what it is sent");
    }
    mark_dirty(index);
}

void IngressStage::on_submit(std::size_t index, const wire::Frame& frame, Nanos now) noexcept {
    const auto submit = frame.as<signal_wire::Submit>();
    if (!submit) {
        ++stats_.malformed;
        return deny(index, "Submit: the body must have 120 bytes", now);
    }
    IngressPeer& peer = *peers_[index];
    Refusal why;
    if (take_signal(submit.value(), options_.sources[peer.source_index()], now, why)) {
        return;
    }
    signal_wire::Refused refused{};
    refused.id_hi = submit.value().id_hi;
    refused.id_lo = submit.value().id_lo;
    refused.reason = static_cast<std::uint32_t>(why.reason);
    refused.retry = why.retry ? 1 : 0;
    std::memcpy(refused.text, why.text, sizeof refused.text);
    if (!peer.send(FrameType::Refused, frame.header.seq, refused)) {
        return cut(index, "does not read what it is sent");
    }
    mark_dirty(index);
}

bool IngressStage::take_signal(const signal_wire::Submit& submit, const IngressSource& source,
                               Nanos now, Refusal& why) noexcept {
    // Acquire, and before the look-up: pairs with the engine's release. It names first what its
    // state knows, so a name that is still missing then is unknown indeed.
    const bool named = segment_.core().config_hash.load(std::memory_order_acquire) != 0;
    Signal signal;
    if (!resolve_signal(submit, segment_.names(), now, signal, why)) {
        const bool by_name =
            why.reason == Reason::UnknownGroup || why.reason == Reason::UnknownSymbol;
        if (by_name && !named) {
            // A segment after a reboot: this may be a signal of before, sent again, that is in the
            // ledger. "Mend it" would be untrue.
            ++stats_.refused_down;
            refuse(why, Reason::JournalDown, true,
                   "the engine has not taken its configuration yet: send again in a moment");
            return false;
        }
        ++stats_.refused;
        return false;
    }
    const SignalGate gate{segment_.core()};
    if (!gate.takes(signal.action)) {
        ++stats_.refused_down;
        refuse(why, Reason::JournalDown, true, "%s", gate.refusal());
        return false;
    }
    const bool ack_waits = !gate.writes() && source.ack == AckLevel::Disk;
    if (ack_waits && !note_repeat(signal.id, source.id, why)) {
        return why.reason == Reason::None;
    }
    SignalSlot* slot = signals_.claim();
    if (slot == nullptr) {
        ++stats_.refused_full;
        refuse(why, Reason::QueueFull, true,
               "ring signals.ingress is full (the engine lags): send again in a few milliseconds");
        return false;
    }
    if (ack_waits) {
        handed_on_.insert(signal.id, source.id);
    }
    stats_.clamped += clamp_send_time(signal, now) ? 1 : 0;
    signal.source = source.id;
    *slot = SignalSlot{signal};
    signals_.commit();
    ++stats_.signals;
    return true;
}

/// Of a signal whose ack waits for a journal that does not write. @return false if it goes no
/// further: `why` has no reason if that is because the first one of it is on its way.
bool IngressStage::note_repeat(const SignalId& id, SourceId source, Refusal& why) noexcept {
    switch (handed_on_.look(id, source)) {
        case HandedOn::Place::New: return true;
        case HandedOn::Place::Known: ++stats_.repeats_held; return false;
        case HandedOn::Place::Full: break;
    }
    ++stats_.refused_down;
    refuse(why, Reason::JournalDown, true,
           "the journal does not write, and as many closes wait for it as may: send again later");
    return false;
}

}  // namespace millrace
