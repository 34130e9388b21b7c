#include "gateway/ingress_stage.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "shm/doorbell.h"

namespace millrace {
namespace {

using signal_wire::FrameType;

constexpr std::uint64_t kListenerTag = ~std::uint64_t{0};
constexpr int kAcceptsPerStep = 16;
constexpr int kResultsPerStep = 512;
constexpr int kAcksPerStep = 512;
constexpr Nanos kTimeCheck = millis(100);
// Parked acks wait for `durable`, which rings no bell of ours.
constexpr Nanos kAckPark{250'000};
constexpr std::size_t kKeyBytesMin = 16;

Error fail(std::string& message, std::string text, Errc code) {
    message = std::move(text);
    return {code, 0, "ingress"};
}

Status check_source(const IngressSource& s, std::string& message) {
    if (s.name.empty() || s.name.size() > sizeof(signal_wire::Login::source)) {
        return fail(message, "source \"" + s.name + "\": a name has 1 to 16 bytes", Errc::BadInput);
    }
    if (s.id.value == kNoId) {
        return fail(message, "source \"" + s.name + "\" has no id", Errc::BadInput);
    }
    if (s.key.size() < kKeyBytesMin) {
        return fail(message,
                    "source \"" + s.name + "\": its key has " + std::to_string(s.key.size()) +
                        " bytes, at least 16 are needed (openssl rand -hex 32)",
                    Errc::BadInput);
    }
    return ok_status();
}

Status check_sources(const std::vector<IngressSource>& sources, std::string& message) {
    for (std::size_t i = 0; i < sources.size(); ++i) {
        if (Status one = check_source(sources[i], message); !one) {
            return one;
        }
        for (std::size_t j = 0; j < i; ++j) {
            if (sources[i].name == sources[j].name || sources[i].id == sources[j].id) {
                return fail(message,
                            "sources \"" + sources[j].name + "\" and \"" + sources[i].name +
                                "\" share a name or an id; give each its own",
                            Errc::BadInput);
            }
        }
    }
    return ok_status();
}

bool is_ack(ResultKind kind) noexcept {
    return kind == ResultKind::Accepted || kind == ResultKind::Duplicate ||
           kind == ResultKind::Refused;
}

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

IngressStage::IngressStage(Segment& segment, IngressOptions options)
    : segment_{segment}, options_{std::move(options)}, parked_{options_.parked_acks_max} {
    peers_.reserve(options_.connections_max);
    dirty_.reserve(options_.connections_max);
}

IngressStage::~IngressStage() = default;

Result<std::unique_ptr<IngressStage>> IngressStage::create(Segment& segment, IngressOptions options,
                                                           std::string& message) {
    if (Status sources = check_sources(options.sources, message); !sources) {
        return sources.error();
    }
    if (options.connections_max == 0 || options.parked_acks_max == 0 ||
        options.send_buffer_bytes < 4 * wire::kFrameBytesMax) {
        return fail(message,
                    "ingress needs connections_max and parked_acks_max of at least 1 and "
                    "send_buffer_bytes of at least 4096",
                    Errc::BadInput);
    }
    std::unique_ptr<IngressStage> stage{new IngressStage{segment, std::move(options)}};
    if (Status attached = stage->attach(message); !attached) {
        return attached.error();
    }
    return stage;
}

Status IngressStage::attach(std::string& message) {
    const std::uint32_t in = segment_.find_ring("signals.ingress");
    const std::uint32_t out = segment_.find_ring("results.ingress");
    if (in == kNoId || out == kNoId) {
        return fail(message, "the segment has no rings signals.ingress and results.ingress",
                    Errc::BadInput);
    }
    auto producer = RingProducer<SignalSlot>::attach(segment_.ring<SignalSlot>(in));
    auto consumer = RingConsumer<ResultSlot>::attach(segment_.ring<ResultSlot>(out));
    if (!producer || !consumer) {
        return fail(message,
                    std::string{producer ? "results" : "signals"} +
                        ".ingress contradicts itself (cursor against slots); recover on a new "
                        "segment",
                    Errc::BadCursor);
    }
    auto listener = net::Listener::open(options_.listen, message);
    if (!listener) {
        return listener.error();
    }
    auto poller = net::Poller::open();
    if (!poller) {
        message = "ingress: the kernel gives no epoll descriptor; raise the limit (ulimit -n)";
        return poller.error();
    }
    signals_ = std::move(producer).value();
    results_ = std::move(consumer).value();
    listener_ = std::move(listener).value();
    poller_ = std::move(poller).value();
    engine_bell_ = &segment_.doorbell(segment_.ring_entry(in).doorbell);
    if (Status added = poller_.add(listener_.fd(), kListenerTag); !added) {
        message = "ingress: epoll refuses the listening socket";
        return added;
    }
    // Each has one writer, the role's owner; relaxed: for inspectors.
    segment_.ring_control(in).producer_generation.fetch_add(1, std::memory_order_relaxed);
    segment_.ring_control(out).consumer_generation.fetch_add(1, std::memory_order_relaxed);
    return ok_status();
}

int IngressStage::step(Nanos now) noexcept {
    int work = poll_sockets(now);
    work += release_acks();
    work += poll_results();
    if (now >= next_check_) {
        keep_time(now);
        next_check_ = now + kTimeCheck;
        signals_.publish_stats();
    }
    flush_dirty(now);
    return work;
}

bool IngressStage::idle() const noexcept {
    // Acquire: pairs with the journal stage's release of `durable`.
    const Sequence durable{segment_.core().durable.load(std::memory_order_acquire)};
    const bool result_waits = !parked_.full() && results_.peek() != nullptr;
    return !result_waits && parked_.ready(durable) == nullptr;
}

Nanos IngressStage::park_limit(Nanos now) const noexcept {
    if (!parked_.empty()) {
        return kAckPark;
    }
    return std::clamp(next_check_ - now, millis(1), kTimeCheck);
}

bool IngressStage::drained() const noexcept {
    if (!parked_.empty() || results_.peek() != nullptr) {
        return false;
    }
    return std::none_of(peers_.begin(), peers_.end(),
                        [](const auto& p) { return p->pending_bytes() != 0; });
}

// ---- sockets in ---------------------------------------------------------------------------------

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
        const auto index = static_cast<std::size_t>(
            std::find_if(peers_.begin(), peers_.end(),
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
    char reason[sizeof(signal_wire::Denied::reason)];
    std::snprintf(reason, sizeof reason, "unexpected frame type %u: %s", frame.header.type,
                  open ? "a source sends Submit (5) and Heartbeat (8)"
                       : "the first frame must be Login (2)");
    deny(index, reason, now);
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
        return deny(index, text.text, now);
    }
    ++stats_.logins;
    const signal_wire::Welcome welcome{it->id.value, static_cast<std::uint32_t>(it->ack), now.value};
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
    if (take_signal(submit.value(), options_.sources[peer.source_index()].id, now, why)) {
        ++stats_.signals;
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

bool IngressStage::take_signal(const signal_wire::Submit& submit, SourceId source, Nanos now,
                               Refusal& why) noexcept {
    Signal signal;
    if (!resolve_signal(submit, segment_.names(), now, signal, why)) {
        ++stats_.refused;
        return false;
    }
    if (!gate_open(why)) {
        ++stats_.refused_down;
        return false;
    }
    SignalSlot* slot = signals_.claim();
    if (slot == nullptr) {
        ++stats_.refused_full;
        refuse(why, Reason::QueueFull, true,
               "ring signals.ingress is full (the engine lags): send again in a few milliseconds");
        return false;
    }
    stats_.clamped += clamp_send_time(signal, now) ? 1 : 0;
    signal.source = source;
    if (signal.send_time.value != 0) {
        segment_.hop(Hop::SourceToEdge).record((now - signal.send_time).value);
    }
    *slot = SignalSlot{signal};
    signals_.commit();
    return true;
}

bool IngressStage::gate_open(Refusal& why) noexcept {
    const CoreCells& core = segment_.core();
    // Relaxed: a request to stop orders nothing.
    if (core.stop_requested.load(std::memory_order_relaxed) != 0) {
        refuse(why, Reason::JournalDown, true,
               "Millrace is stopping on request: send again when it is back");
        return false;
    }
    // Acquire: pairs with the journal stage's release of its state.
    switch (static_cast<JournalState>(core.journal_state.load(std::memory_order_acquire))) {
        case JournalState::Running: return true;
        case JournalState::Down:
            refuse(why, Reason::JournalDown, true,
                   "the journal is down (starting or restarting): send again later");
            return false;
        case JournalState::Poisoned:
            refuse(why, Reason::JournalDown, true,
                   "the journal had a write error: an operator must restart it; send again later");
            return false;
        case JournalState::Full:
            refuse(why, Reason::JournalDown, true,
                   "the journal's disk is full: an operator must free space; send again later");
            return false;
    }
    refuse(why, Reason::JournalDown, true, "the journal is in no known state: send again later");
    return false;
}

// ---- results out --------------------------------------------------------------------------------

const IngressSource* IngressStage::source_of(SourceId id) const noexcept {
    const auto it = std::find_if(options_.sources.begin(), options_.sources.end(),
                                 [&](const IngressSource& s) { return s.id == id; });
    return it == options_.sources.end() ? nullptr : &*it;
}

int IngressStage::poll_results() noexcept {
    // Acquire: pairs with the journal stage's release of `durable`.
    const Sequence durable{segment_.core().durable.load(std::memory_order_acquire)};
    int done = 0;
    for (; done < kResultsPerStep; ++done) {
        const ResultSlot* slot = results_.peek();
        if (slot == nullptr) {
            break;
        }
        const SignalResult& r = slot->value;
        const IngressSource* source = source_of(r.source);
        const bool waits = is_ack(r.kind) && source != nullptr && source->ack == AckLevel::Disk &&
                           ParkedAcks::needs(r) > durable;
        if (waits && parked_.full()) {
            // The ring fills up behind us and the engine slows this one ring: by design.
            ++stats_.parked_full;
            break;
        }
        if (waits) {
            parked_.push(r);
        } else {
            forward(r);
        }
        results_.advance();
    }
    if (done > 0) {
        results_.release();
    }
    return done;
}

int IngressStage::release_acks() noexcept {
    // Acquire: pairs with the journal stage's release of `durable`.
    const Sequence durable{segment_.core().durable.load(std::memory_order_acquire)};
    int done = 0;
    for (; done < kAcksPerStep; ++done) {
        const SignalResult* ack = parked_.ready(durable);
        if (ack == nullptr) {
            break;
        }
        forward(*ack);
        parked_.pop();
    }
    return done;
}

void IngressStage::forward(const SignalResult& result) noexcept {
    std::byte frame[wire::kFrameBytes<SignalResult>];
    const std::size_t n = wire::encode_bytes(
        frame, static_cast<std::uint8_t>(FrameType::Result), signal_wire::kVersion, 0,
        std::as_bytes(std::span{&result, 1}));
    bool handed_on = false;
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        IngressPeer& peer = *peers_[i];
        if (peer.state() != IngressPeer::State::Open ||
            options_.sources[peer.source_index()].id != result.source) {
            continue;
        }
        if (!peer.send_bytes({frame, n})) {
            cut(i, "does not read what it is sent");
            continue;
        }
        handed_on = true;
        mark_dirty(i);
    }
    ++(handed_on ? stats_.results : stats_.results_dropped);
}

// ---- upkeep -------------------------------------------------------------------------------------

void IngressStage::mark_dirty(std::size_t index) noexcept {
    IngressPeer& peer = *peers_[index];
    if (!peer.dirty) {
        peer.dirty = true;
        dirty_.push_back(index);  // reserved for every connection
    }
}

void IngressStage::flush_dirty(Nanos now) noexcept {
    for (const std::size_t index : dirty_) {
        IngressPeer& peer = *peers_[index];
        peer.dirty = false;
        if (!peer.connection().is_open()) {
            continue;
        }
        if (!peer.flush(now)) {
            end(index);
            continue;
        }
        watch_write(index, peer.pending_bytes() != 0);
    }
    dirty_.clear();
}

void IngressStage::watch_write(std::size_t index, bool write) noexcept {
    IngressPeer& peer = *peers_[index];
    if (peer.watches_write == write) {
        return;
    }
    if (!poller_.watch(peer.connection().fd(), index, {.read = true, .write = write})) {
        segment_.report_error("ingress", "epoll refuses to watch a connection");
        return end(index);
    }
    peer.watches_write = write;
}

void IngressStage::keep_time(Nanos now) noexcept {
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        IngressPeer& peer = *peers_[i];
        if (const char* why = peer.overdue(now, options_.limits); why != nullptr) {
            switch (peer.state()) {
                case IngressPeer::State::LoggingIn:
                    ++stats_.logins_denied;
                    deny(i, why, now);
                    break;
                case IngressPeer::State::Denied: end(i); break;
                default: cut(i, why); break;
            }
        } else if (peer.wants_heartbeat(now, options_.limits) && peer.pending_bytes() == 0 &&
                   peer.send_heartbeat()) {
            mark_dirty(i);
        }
    }
}

void IngressStage::deny(std::size_t index, std::string_view reason, Nanos now) noexcept {
    IngressPeer& peer = *peers_[index];
    char text[160];
    const int n = std::snprintf(text, sizeof text, "connection denied: %.*s",
                                static_cast<int>(reason.size()), reason.data());
    segment_.report_error("ingress", {text, std::min<std::size_t>(static_cast<std::size_t>(n),
                                                                  sizeof text - 1)});
    peer.deny(reason, now);
    if (peer.state() == IngressPeer::State::Free) {
        --peers_open_;
    }
}

void IngressStage::cut(std::size_t index, const char* why) noexcept {
    ++stats_.peers_cut;
    char text[160];
    const int n = std::snprintf(text, sizeof text, "connection of source %s cut: %s",
                                options_.sources[peers_[index]->source_index()].name.c_str(), why);
    segment_.report_error("ingress", {text, std::min<std::size_t>(static_cast<std::size_t>(n),
                                                                  sizeof text - 1)});
    end(index);
}

void IngressStage::end(std::size_t index) noexcept {
    ASSERT(peers_open_ > 0);
    peers_[index]->close();  // a closed descriptor leaves the poller by itself
    --peers_open_;
}

}  // namespace millrace
