#include "gateway/ingress_stage.h"

#include <algorithm>
#include <cstdio>

#include "gateway/signal_gate.h"
#include "shm/doorbell.h"

namespace millrace {
namespace {

constexpr Nanos kTimeCheck = millis(100);
// Parked acks wait for `durable`, which rings no bell of ours.
constexpr Nanos kAckPark{250'000};
constexpr std::size_t kKeyBytesMin = 16;
// Closes that wait for a journal that does not write. Each takes a slot or two of the journal's
// ring, and the reports of what they do need theirs.
constexpr std::size_t kHandedOnMax = 4096;

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

}  // namespace

IngressStage::IngressStage(Segment& segment, IngressOptions options)
    : segment_{segment},
      options_{std::move(options)},
      parked_{options_.parked_acks_max},
      handed_on_{std::min(options_.parked_acks_max, kHandedOnMax)} {
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
        signals_.publish_stats(now.value);
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
    // Only then has each of them been answered, or will not be: a repeat is the ledger's again.
    if (!handed_on_.empty() && parked_.empty() && SignalGate{segment_.core()}.writes()) {
        handed_on_.clear();
    }
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

void IngressStage::deny(std::size_t index, std::string_view reason, Nanos now,
                        std::string_view logged) noexcept {
    IngressPeer& peer = *peers_[index];
    logged = logged.empty() ? reason : logged;
    char text[160];
    const int n = std::snprintf(text, sizeof text, "connection denied: %.*s",
                                static_cast<int>(logged.size()), logged.data());
    segment_.report_error(
        "ingress", {text, std::min<std::size_t>(static_cast<std::size_t>(n), sizeof text - 1)});
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
    segment_.report_error(
        "ingress", {text, std::min<std::size_t>(static_cast<std::size_t>(n), sizeof text - 1)});
    end(index);
}

void IngressStage::end(std::size_t index) noexcept {
    ASSERT(peers_open_ > 0);
    peers_[index]->close();  // a closed descriptor leaves the poller by itself
    --peers_open_;
}

}  // namespace millrace
