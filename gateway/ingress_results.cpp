// IngressStage, the way out: results routed to their source, acks held until their level is
// reached.
#include <algorithm>

#include "gateway/ingress_stage.h"

namespace millrace {
namespace {

using signal_wire::FrameType;

constexpr int kResultsPerStep = 512;
constexpr int kAcksPerStep = 512;

bool is_ack(ResultKind kind) noexcept {
    return kind == ResultKind::Accepted || kind == ResultKind::Duplicate ||
           kind == ResultKind::Refused;
}

}  // namespace

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
    if (is_ack(result.kind) && !handed_on_.empty()) {
        handed_on_.erase(result.signal, result.source);
    }
    std::byte frame[wire::kFrameBytes<SignalResult>];
    const std::size_t n =
        wire::encode_bytes(frame, static_cast<std::uint8_t>(FrameType::Result),
                           signal_wire::kVersion, 0, std::as_bytes(std::span{&result, 1}));
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

}  // namespace millrace
