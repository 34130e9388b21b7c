// Where the engine's outputs go: into the segment's rings (LivePort) or into a list (ReplayPort).
#pragma once

#include "tests/sim/trace.h"
#include "tests/sim/world.h"

#include <cstring>

namespace millrace::sim {

template <class T>
std::uint64_t content_hash(const T& value) noexcept {
    std::uint64_t words[sizeof(T) / 8];
    std::memcpy(words, &value, sizeof(T));
    std::uint64_t hash = 0;
    for (const std::uint64_t w : words) {
        hash = mix64(hash ^ w) + 0x9E3779B97F4A7C15ULL;
    }
    return hash;
}

/// Publishes what the rings do not hold yet: each ring compares with its own last (seq, k). Dies
/// with the engine after `outputs_left`.
class World::LivePort : public OutputPort {
public:
    explicit LivePort(World& world) : world_{&world} {}

    void order(const OrderCommand& c) noexcept override {
        const OutId id{c.seq.value, c.k};
        if (!may_publish(id, world_->last_order_)) {
            return;
        }
        world_->last_order_ = id;
        world_->segments_.back().orders.emplace_back(id, content_hash(c));
        world_->orders_ring_.push_back(c);
        ++world_->summary_.orders;
        if (world_->options_.trace) {
            trace(c);
        }
    }
    void result(const SignalResult& r) noexcept override {
        const OutId id{r.seq.value, r.k};
        if (!may_publish(id, world_->last_result_)) {
            return;
        }
        world_->last_result_ = id;
        if (world_->options_.canary == Canary::DropsResults && id.seq % 97 == 0) {
            return;
        }
        world_->segments_.back().results.emplace_back(id, content_hash(r));
        world_->results_ring_.push_back(r);
        if (world_->options_.trace) {
            trace(r);
        }
    }

    bool publishing = true;
    bool resuming = false;
    std::uint64_t outputs_left = UINT64_MAX;

private:
    bool may_publish(OutId id, OutId last) noexcept {
        if (!publishing || outputs_left == 0) {
            return false;
        }
        const Canary canary = world_->options_.canary;
        if (resuming && canary == Canary::ForgetsOutputs) {
            return false;
        }
        const bool compare = !(resuming && canary == Canary::RepublishesOutputs);
        if (compare && id <= last) {
            return false;
        }
        --outputs_left;
        return true;
    }

    World* world_;
};

/// Keeps every output of a replay, and counts the words each order and signal got.
class World::ReplayPort : public OutputPort {
public:
    void order(const OrderCommand& c) noexcept override {
        outputs.orders.emplace_back(OutId{c.seq.value, c.k}, content_hash(c));
    }
    void result(const SignalResult& r) noexcept override {
        const OutId id{r.seq.value, r.k};
        outputs.results.emplace_back(id, content_hash(r));
        switch (r.kind) {
            case ResultKind::Accepted: ++accepted[r.signal]; break;
            case ResultKind::Duplicate: told_again_ = id; break;
            case ResultKind::SignalDone:
                // A repeat is told the end once more, right after Duplicate.
                done[r.signal] += told_again_.seq == id.seq && told_again_.k + 1 == id.k ? 0U : 1U;
                break;
            case ResultKind::OrderDone: ++order_done[Magic{r.magic}.intent()]; break;
            default: break;
        }
    }

    Published outputs;
    std::map<SignalId, std::uint32_t> accepted;
    std::map<SignalId, std::uint32_t> done;
    std::map<std::uint64_t, std::uint32_t> order_done;

private:
    OutId told_again_;
};

}  // namespace millrace::sim
